"""Probes on functions of the kernel: counts, arguments and returns, by each way that this kernel has."""

from __future__ import annotations

import os
import re

import pytest

from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import KernelError, NotFound, NotSupported, UsageError
from bpfctl.host.kallsyms import Symbols
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.sources import Sources
from tests.kernel.probing import probing, read

SIZE = 12345  # that nobody else reads at once
READ = "vfs_read"
ZERO = "file->f_path.dentry->d_name.name == 'zero'"


def reads(count):
    with open("/dev/zero", "rb", buffering=0) as file:
        for _ in range(count):
            assert len(os.read(file.fileno(), SIZE)) == SIZE


def ours(condition=""):
    return f"pid == {os.getpid()}" + (f" && {condition}" if condition else "")


@pytest.mark.usefixtures("kprobes")
def test_counts_are_exact():
    counts = Count(("probe", "count"))
    with probing(counts, f"kprobe:{READ}", where=ours(f"count == {SIZE} && {ZERO}")) as run:
        reads(1000)

        assert [(row.values, row.hits) for row in counts.rows()] == [((f"kprobe:{READ}", SIZE), 1000)]
        ways = {"multi-kprobe link", "perf event"} if has_cookies() else {"perf event"}
        assert {made.group.way for made in run.made} <= ways


@pytest.mark.usefixtures("kprobes")
def test_what_functions_return():
    counts = Count(("retval",))
    with probing(counts, f"kretprobe:{READ}", where=ours(f"retval == {SIZE}")):
        reads(100)

        assert [(row.values, row.hits) for row in counts.rows()] == [((SIZE,), 100)]


@pytest.mark.usefixtures("kprobes")
def test_many_functions_by_name():
    counts = Count()
    with probing(counts, "kprobe:vfs_re*", where=ours()) as run:
        reads(50)
        os.stat("/")
        found = {row.values[0]: row.hits for row in counts.rows() if row.hits}

        assert len(run.wanted.points) > 3
        assert len(run.made) == 1 or not has_cookies()
    assert found[f"kprobe:{READ}"] >= 50
    assert all(name.startswith("kprobe:vfs_re") for name in found)


@pytest.mark.usefixtures("kprobes")
def test_hits_have_their_arguments():
    hits = Trace(("args.count", "file->f_path.dentry->d_name.name", "arg2", "comm"))
    with probing(hits, f"kprobe:{READ}", where=ours(f"count == {SIZE}")) as run, hits.reader() as reader:
        reads(20)
        run.stop()
        found = [hit.values for hit in read(hits, reader, 20)]

    assert [values[:3] for values in found] == [(SIZE, "zero", SIZE)] * 20


@pytest.mark.usefixtures("kprobes")
def test_a_place_by_its_address():
    address = Symbols().address(READ)
    if not address:
        pytest.skip("the kernel hides its addresses (kernel.kptr_restrict)")
    counts = Count()
    with probing(counts, f"kprobe:{address:#x}", where=ours(f"arg2 == {SIZE}")):
        reads(10)

        assert [row.hits for row in counts.rows()] == [10]


def skip_where_trampolines_are_refused(error):
    if "lockdown" in str(error):
        pytest.skip("lockdown forbids tracing programs")
    if "cannot attach tracing programs to functions on this architecture" in str(error):
        pytest.skip("this kernel cannot attach tracing programs on this architecture")


@pytest.mark.parametrize(("kind", "fields"), [("fentry", ("count",)), ("fexit", ("count", "retval"))])
def test_trampolines(kind, fields):
    counts = Count(fields)
    try:
        with probing(counts, f"{kind}:{READ}", where=ours(f"count == {SIZE} && {ZERO}")):
            reads(100)

            assert [(row.values, row.hits) for row in counts.rows()] == [((SIZE,) * len(fields), 100)]
    except (KernelError, NotSupported) as error:
        skip_where_trampolines_are_refused(error)
        raise


@pytest.mark.parametrize(
    ("names", "why"),
    [
        # Kernels that have this function also know that programs run it before their own first instruction.
        (("migrate_disable",), "may do"),
        (("_printk", "printk"), "it takes any number of arguments; kprobe:"),
    ],
)
def test_functions_that_tracing_programs_cannot_have(names, why):
    spec = next((f"fentry:{name}" for name in names if _resolves(f"fentry:{name}")), None)
    if spec is None:
        pytest.skip("this kernel has none of these functions")
    with pytest.raises((KernelError, NotSupported)) as caught, probing(Count(), spec, where="pid == 1"):
        pass
    skip_where_trampolines_are_refused(caught.value)

    assert str(caught.value).startswith(f"can't attach to {spec}: Invalid argument (")
    assert why in str(caught.value)


def _resolves(spec):
    try:
        return Sources().resolve([spec])
    except NotFound:
        return ()


@pytest.mark.usefixtures("kprobes")
def test_several_kinds_at_once():
    counts = Count()
    specs = (f"kprobe:{READ}", f"kretprobe:{READ}", "raw_tracepoint:sched_process_fork")
    with probing(counts, *specs, where=ours()):
        reads(10)
        found = {row.values[0]: row.hits for row in counts.rows()}

    assert found[specs[0]] >= 10
    assert found[specs[1]] >= 10
    assert found[specs[2]] == 0


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("kprobe:vfs_reed", "there is no function of the kernel 'vfs_reed', did you mean 'vfs_read'?"),
        ("kprobe:nothing_*_here", "no function of the kernel matches"),
        ("kprobe:a b", "should be [MODULE:]SYMBOL[+OFFSET]"),
        ("kretprobe:vfs_read+4", "functions return from their beginning"),
        ("fentry:vfs_reed", "there is no function of the kernel 'vfs_reed'"),
    ],
)
def test_what_is_not_there(spec, why):
    with pytest.raises((NotFound, UsageError), match=re.escape(why)):
        Sources().resolve([spec])


@pytest.mark.usefixtures("kprobes")
def test_a_place_inside_an_instruction():
    counts = Count()
    with (
        pytest.raises(KernelError, match="no instruction begins there"),
        probing(counts, f"kprobe:{READ}+1", where="1"),
    ):
        pass


@pytest.mark.usefixtures("kprobes")
def test_rounds_leave_nothing():
    for _ in range(20):
        with probing(Count(), f"kprobe:{READ}", f"kretprobe:{READ}", where="1"):
            pass
