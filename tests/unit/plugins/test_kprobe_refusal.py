"""What the kernel says of functions that no tracing program can have, in the words of its releases."""

from __future__ import annotations

import errno

import pytest
from bpfctl_kprobe import refusal

from bpfctl.errors import KernelError
from bpfctl.host import pmu
from bpfctl.kernel.verifier import read, refused
from bpfctl.probe.source import ProbePoint

FIGURES = "processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
POINT = ProbePoint("fentry", "some_function")


@pytest.fixture(autouse=True)
def _kprobes(monkeypatch):
    monkeypatch.setattr(pmu, "number", {"kprobe": 6}.get)


def load(number, log, point=POINT, obstacle=""):
    error = refused(f"can't load the program for {point}", number, log, read(log))
    return refusal.of_load(point, error, obstacle)


@pytest.mark.parametrize(
    ("number", "words", "why"),
    [
        (errno.ENOENT, "The address of function some_function cannot be found", "it has no code of its own"),
        (errno.EINVAL, "Attaching tracing programs to function 'some_function' is rejected.", "need it for themselves"),
        (errno.EINVAL, "The function some_function has 13 arguments. Too many.", "more arguments than"),
        (errno.EINVAL, "The function some_function with variable args is unsupported.", "any number of arguments"),
        (errno.EINVAL, "The function some_function arg1 type STRUCT is unsupported.", "it takes a structure"),
        (errno.EINVAL, "The function some_function return type STRUCT is unsupported.", "it returns a structure"),
    ],
)
def test_words(number, words, why):
    error = load(number, f"{words}\n{FIGURES}")

    assert str(error).startswith(f"can't attach to fentry:some_function: {errno_words(number)} (")
    assert why in error.hint
    assert error.hint.endswith("; kprobe:some_function may do")
    assert not hasattr(error, "__notes__")


def errno_words(number):
    return {errno.ENOENT: "No such file or directory", errno.EINVAL: "Invalid argument"}[number]


@pytest.mark.parametrize(
    "words",
    [
        "Attaching fexit/fmod_ret to __noreturn functions is rejected.",
        "Attaching fexit/fsession/fmod_ret to __noreturn function 'some_function' is rejected.",
    ],
)
def test_a_function_that_never_returns(words):
    error = load(errno.EINVAL, f"{words}\n{FIGURES}", ProbePoint("fexit", "some_function"))

    assert error.hint == "it never returns; fentry:some_function may do"


def test_a_refusal_without_words():
    """As that of kernels before 6.17, for functions that tracing programs need."""
    assert load(errno.EINVAL, FIGURES).hint == "kprobe:some_function may do"
    assert load(errno.EINVAL, FIGURES, ProbePoint("fexit", "m:f")).hint == "kretprobe:m:f may do"
    assert load(errno.EINVAL, FIGURES, obstacle="the kernel keeps tracers out of it").hint == (
        "the kernel keeps tracers out of it"
    )


def test_a_kernel_without_kprobes(monkeypatch):
    monkeypatch.setattr(pmu, "number", {}.get)

    assert "may do" not in str(load(errno.EINVAL, FIGURES))


def test_what_is_wrong_with_the_program_is_told_as_such():
    error = load(errno.EACCES, f"0: (79) r1 = *(u64 *)(r1 +96)\nfunc 'x' doesn't have 13-th argument\n{FIGURES}")

    assert "the verifier refuses" in str(error)
    assert error.log


@pytest.mark.parametrize(
    ("number", "obstacle", "why"),
    [
        (
            errno.EBUSY,
            "",
            "something else has changed its beginning, such as a live patch; kprobe:some_function may do",
        ),
        (
            errno.E2BIG,
            "",
            "as many tracing programs as the kernel takes are attached to it already; kprobe:some_functio",
        ),
        (errno.EINVAL, "the kernel keeps tracers out of it (notrace)", "the kernel keeps tracers out of it (notrace)"),
        (errno.EINVAL, "", "kprobe:some_function may do"),
    ],
)
def test_attaching(number, obstacle, why):
    error = refusal.of_attach(POINT, KernelError("can't attach the tracing program", number), obstacle)

    assert str(error).startswith("can't attach to fentry:some_function: ")
    assert error.hint.startswith(why)
