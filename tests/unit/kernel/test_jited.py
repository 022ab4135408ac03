"""bpfctl.kernel.jited: what a kernel tells of machine code, and why it tells none."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bpfctl.errors import BpfctlError, KernelError
from bpfctl.host import sysctl
from bpfctl.kernel import jited
from bpfctl.uapi.layouts import PROG_INFO
from btf.ext import FuncInfo, LineInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl._sys import calls
    from bpfctl.kernel.prog import Program

MAIN, SUB = 0xFFFFFFFFC0001100, 0xFFFFFFFFC0001000  # a subprogram may lie before the main one
CODE = b"\x90" * 8 + b"\xcc" * 4
FULL = {
    "jited_prog_insns": (CODE, "jited_prog_len", 1),
    "jited_ksyms": (struct.pack("=2Q", MAIN, SUB), "nr_jited_ksyms", 8),
    "jited_func_lens": (struct.pack("=2I", 8, 4), "nr_jited_func_lens", 4),
    "func_info": (struct.pack("=4I", 0, 7, 2, 9), "nr_func_info", 8),
    "line_info": (struct.pack("=12I", 0, 1, 2, 3, 1, 4, 5, 6, 2, 7, 8, 9), "nr_line_info", 16),
    "jited_line_info": (struct.pack("=3Q", MAIN, MAIN + 5, SUB), "nr_jited_line_info", 8),
}
SIZES = {"func_info_rec_size": 8, "line_info_rec_size": 16, "jited_line_info_rec_size": 8}


class Kernel:
    """Answers as bpf_prog_get_info_by_fd() does, but for what is ``hidden``, and what is behind ``written`` bytes."""

    def __init__(
        self,
        arrays: dict[str, tuple[bytes, str, int]] | None = None,
        *,
        hidden: Sequence[str] = (),
        written: int = PROG_INFO.size,
        **fields: int,
    ) -> None:
        self.arrays = FULL if arrays is None else arrays
        self.hidden = hidden
        self.written = written
        self.fields = {"xlated_prog_len": 16, **SIZES} | fields

    def fileno(self) -> int:
        return -1

    def obj_info(
        self, _fd: int, size: int, arrays: Sequence[calls.Array] = (), words: Sequence[tuple[int, int]] = ()
    ) -> tuple[bytes, list[bytes]]:
        raw = bytearray(size)
        offsets = PROG_INFO.offsets
        for name, value in self.fields.items():
            struct.pack_into("=I", raw, offsets[name], value)
        for data, length, width in self.arrays.values():
            struct.pack_into("=I", raw, offsets[length], len(data) // width)
        out = []
        for array in arrays:
            name = next(name for name, offset in offsets.items() if offset == array.pointer)
            data, _, width = self.arrays.get(name, (b"", "", 1))
            there = name not in self.hidden and array.room > 0
            struct.pack_into("=Q", raw, array.pointer, 4096 if there else 0)
            out.append(data if there else b"\0" * len(data))
            assert array.width == width or not array.room
        if arrays:
            told = dict(words)
            assert told == {offsets[name]: self.fields[name] for name in SIZES if offsets[name] < self.written}
        return bytes(raw[: self.written]), out


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Kernel], jited.Machine]:
    def ask(kernel: Kernel) -> jited.Machine:
        monkeypatch.setattr("bpfctl.kernel.jited.calls.obj_info", kernel.obj_info)
        return jited.read(cast("Program", kernel))

    return ask


def test_functions(read: Callable[[Kernel], jited.Machine]) -> None:
    """Each has its bytes, its address, its type, and the lines of source at its addresses, counted from its start."""
    found = read(Kernel())

    assert found == jited.Machine(
        CODE,
        (
            jited.Function(CODE[:8], MAIN, 7, (LineInfo(0, 1, 2, 3), LineInfo(5, 4, 5, 6))),
            jited.Function(CODE[8:], SUB, 9, (LineInfo(0, 7, 8, 9),)),
        ),
        divided=True,
        offloaded=False,
    )
    assert FuncInfo(2, 9).type_id == found.functions[1].type_id


def test_a_kernel_that_does_not_divide(read: Callable[[Kernel], jited.Machine]) -> None:
    """Before Linux 4.18 its structure ends before the lengths of functions."""
    found = read(Kernel({"jited_prog_insns": FULL["jited_prog_insns"]}, written=80))

    assert found == jited.Machine(CODE, (jited.Function(CODE, None, None, ()),), divided=False, offloaded=False)


def test_a_kernel_without_lines(read: Callable[[Kernel], jited.Machine]) -> None:
    """Linux 4.18 had functions, but no types and lines of source."""
    arrays = {name: FULL[name] for name in ("jited_prog_insns", "jited_ksyms", "jited_func_lens")}
    found = read(Kernel(arrays, written=132))

    assert [(function.address, function.type_id, function.line_info) for function in found.functions] == [
        (MAIN, None, ()),
        (SUB, None, ()),
    ]


def test_code_of_a_device(read: Callable[[Kernel], jited.Machine]) -> None:
    assert read(Kernel(ifindex=3)).offloaded


SETTINGS: list[tuple[Kernel, dict[str, int], str]] = [
    (Kernel({}, xlated_prog_len=0), {}, "CAP_BPF"),
    (Kernel({}), {"net.core.bpf_jit_enable": 0}, "is 0: set it to 1, and load the program anew"),
    (Kernel({}), {"net.core.bpf_jit_enable": 1}, "could not translate it"),
    (Kernel({}), {}, "no JIT compiler, or"),
    (Kernel(hidden=["jited_prog_insns"]), {"kernel.kptr_restrict": 2}, "from everybody: set it to 1 or 0"),
    (Kernel(hidden=["jited_prog_insns"]), {"kernel.kptr_restrict": 1}, "from those without CAP_SYSLOG"),
    (Kernel(hidden=["jited_prog_insns"]), {"kernel.kptr_restrict": 0}, "kernel.perf_event_paranoid at 1 or less"),
]


@pytest.mark.parametrize(("kernel", "settings", "why"), SETTINGS, ids=[why for _, _, why in SETTINGS])
def test_why_there_is_none(
    read: Callable[[Kernel], jited.Machine],
    monkeypatch: pytest.MonkeyPatch,
    kernel: Kernel,
    settings: dict[str, int],
    why: str,
) -> None:
    """bpftool's sentence is always the same; what to do about it is not."""
    monkeypatch.setattr(sysctl, "number", settings.get)
    with pytest.raises(BpfctlError) as caught:
        read(kernel)

    assert caught.value.sentence == ("error retrieving jit dump: no instructions returned or kernel.kptr_restrict set?")
    assert why in caught.value.hint


def test_a_program_that_the_kernel_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one whose device is gone it tells nothing."""

    def refuse(*_: Any) -> Any:
        raise OSError(19, "No such device")

    monkeypatch.setattr("bpfctl.kernel.jited.calls.obj_info", refuse)
    with pytest.raises(KernelError, match="can't get prog info: No such device"):
        jited.read(cast("Program", Kernel()))


@example(lengths=[1, 1], starts=[0], places=[0])
@given(
    lengths=st.lists(st.integers(0, 40), max_size=4),
    starts=st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([MAIN, SUB]), max_size=4),
    places=st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([MAIN, MAIN + 3, SUB]), max_size=5),
)
def test_any_answer(lengths: list[int], starts: list[int], places: list[int]) -> None:
    """Whatever a kernel says, no line of source is in two functions, and none is before the start of its own."""
    sources = [(place, LineInfo(0, 0, at, 0)) for at, place in enumerate(places)]
    found = list(jited._functions(CODE, lengths, list(dict.fromkeys(starts)), [], sources))

    told = [line.line_off for function in found for line in function.line_info]
    assert len(found) == len(lengths)
    assert len(told) == len(set(told))
    assert all(line.insn_off >= 0 for function in found for line in function.line_info)
