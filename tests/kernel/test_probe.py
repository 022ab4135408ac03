"""Probes on the running kernel: what is counted and what is shown is what a process has really done."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from threading import get_native_id

import pytest

from bpfctl.errors import KernelError, NotFound, UsageError
from bpfctl.kernel.tracefs import Tracefs
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.sources import Sources
from tests.kernel.probing import FORK, OPEN, RAW_FORK, YIELD, named, probing, read


@pytest.mark.parametrize(
    ("spec", "what", "way"), [(YIELD, "yields", "raw tracepoint sys_enter"), (FORK, "forks", "raw tracepoint")]
)
def test_counts_are_exact(child, spec, what, way):
    counts = Count()
    with probing(counts, spec, where=f"pid == {child.pid}") as run:
        child.does(what, 1000 if what == "yields" else 50)
        rows = counts.rows()

        assert [made.group.way for made in run.made] == [way]
    assert [(row.values, row.hits) for row in rows] == [((spec,), 1000 if what == "yields" else 50)]


def test_arrays_of_numbers():
    """All of one, and each of its numbers."""
    with open("/dev/null", "rb") as file:
        where = f"pid == {os.getpid()} && args[0] == {file.fileno()} && args.args[1] == 0 && args[2] == {os.SEEK_END}"
        items, whole = Count(("args[0]", "args.args[1]", "args.args[2]")), Trace(("args.args",))
        with (
            probing(items, "tracepoint:raw_syscalls:sys_enter", where=where),
            probing(whole, "tracepoint:raw_syscalls:sys_enter", where=where),
            whole.reader() as reader,
        ):
            for _ in range(5):
                os.lseek(file.fileno(), 0, os.SEEK_END)
            hits = named(read(whole, reader, 5))

            assert [(row.values, row.hits) for row in items.rows()] == [((file.fileno(), 0, os.SEEK_END), 5)]
            assert {hit["args.args"][:3] for hit in hits} == {(file.fileno(), 0, os.SEEK_END)}


def test_count_by_fields(child):
    counts = Count(("args.filename", "pid", "probe", "args.dfd"))
    with probing(counts, OPEN, where=f"pid == {child.pid} && args.dfd < 0") as run:
        for _ in range(3):
            child.does("opens", 20)
        run.stop()
        rows = counts.rows()

        assert {row.values: row.hits for row in rows} == {
            (f"/nonexistent/{number}", child.pid, OPEN, -100): 3 for number in range(20)
        }
        child.does("opens", 20)
        assert counts.rows() == rows  # nothing is counted any more


def test_values_without_room_are_told(child):
    """What finds no room is counted as lost, and none of it twice."""
    counts = Count(("args.filename",), max_entries=100)
    with probing(counts, OPEN, where=f"pid == {child.pid}"):
        child.does("opens", 300)
        rows = counts.rows()

        assert 100 <= len(rows) < 300
        assert {row.hits for row in rows} == {1}
        assert len(rows) + counts.lost() == 300


def test_several_probes_at_once(child):
    counts = Count()
    with probing(counts, YIELD, FORK, OPEN, YIELD, where=f"pid == {child.pid}"):
        child.does("yields", 7)
        child.does("forks", 2)
        child.does("opens", 5)

        looks = 2 if sys.version_info >= (3, 12) else 0  # of a fork into /proc/self/stat, whether there are threads
        assert {row.values: row.hits for row in counts.rows()} == {(YIELD,): 7, (FORK,): 2, (OPEN,): 5 + looks}


def test_conditions_choose(child):
    counts = Count(("args.filename",))
    with probing(counts, OPEN, where=f"pid == {child.pid} and args.filename == '/nonexistent/7'"):
        child.does("opens", 20)

        assert [(row.values, row.hits) for row in counts.rows()] == [(("/nonexistent/7",), 1)]


def test_each_hit_is_shown_once_and_in_order(child):
    hits = Trace()
    with probing(hits, OPEN, where=f"pid == {child.pid}") as run, hits.reader() as reader:
        child.does("opens", 2000)
        run.stop()
        found = read(hits, reader, 2000)

        assert hits.lost() == 0
    rows = named(found)
    assert [row["args.filename"] for row in rows] == [f"/nonexistent/{number}" for number in range(2000)]
    assert {(row["pid"], row["tid"], row["args.dfd"]) for row in rows} == {(child.pid, child.pid, -100)}
    assert {row["args.flags"] & ~os.O_CLOEXEC & ~0o100000 for row in rows} == {os.O_RDONLY}  # O_LARGEFILE
    assert [hit.time for hit in found] == sorted(hit.time for hit in found)


@pytest.mark.parametrize("size", [0, 2048, 5000, 1 << 31])
def test_buffers_that_there_are_not(size):
    with pytest.raises(UsageError, match=f"--buffer: {size} is no power of two from 4096 to 1073741824"):
        Trace(size=size)


def test_more_than_the_kernel_has_room_for():
    why = "can't create map 'counts': .* \\(less may fit: --max-entries, --max-calls and --buffer say how much\\)"
    with pytest.raises(KernelError, match=why), probing(Count(("comm",), max_entries=(1 << 32) - 1), FORK):
        pass


def test_hits_without_room_are_told(child):
    hits = Trace(("pid", "args.filename"), size=4096)
    with probing(hits, OPEN, where=f"pid == {child.pid}") as run, hits.reader() as reader:
        child.does("opens", 1000)
        run.stop()
        kept = len(reader.read(2000))

        assert 0 < kept < 1000
        assert kept + hits.lost() == 1000


def test_a_string_that_is_cut_says_so():
    long = "/nonexistent/" + "x" * 200
    hits = Trace(("args.filename",))
    with probing(hits, OPEN, where=f"pid == {os.getpid()}") as run, hits.reader() as reader:
        with pytest.raises(FileNotFoundError):
            os.open(long, os.O_RDONLY)
        run.stop()
        values = [hit.values[0] for hit in read(hits, reader, 1)]

    assert values == [long[:63] + "..."]


def test_nothing_behind_a_string_is_of_it():
    """What is there is of the record that the memory had before, such as one with a longer name."""
    own = Path("/proc/thread-self/comm")
    before, where = own.read_text(), f"tid == {get_native_id()} && args.newcomm == 'ab'"
    counts = Count(("args.newcomm",))
    with probing(counts, "tracepoint:task:task_rename", where=where):
        for _ in range(20):
            own.write_text("longlonglonglon")
            own.write_text("ab")
        own.write_text(before)

        assert [(row.values, row.hits) for row in counts.rows()] == [(("ab",), 20)]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("tracepoint:sched:sched_process_frok", "there is no tracepoint 'sched:sched_process_frok', did you mean"),
        ("tracepoint:nothere:*", "no tracepoint matches 'nothere:*'"),
        ("tracepoint:nothere:x", "there is no tracepoint 'nothere:x'"),
        ("tracepoint:../../x:y", "there is no tracepoint"),
        ("nosuch:x", "no plugin offers probes of kind 'nosuch'"),
    ],
)
def test_what_is_not_there(spec, why):
    with pytest.raises(NotFound, match=re.escape(why)):
        Sources().resolve([spec])


@pytest.mark.parametrize("spec", ["", "x", "tracepoint:", "tracepoint:sched_switch", ":x"])
def test_what_is_no_spec(spec):
    with pytest.raises((UsageError, NotFound)):
        Sources().resolve([spec])


def test_a_field_that_is_not_there():
    with (
        pytest.raises(NotFound, match="sched_process_fork has no field 'parent_comn', did you mean 'parent_comm'"),
        probing(Count(("args.parent_comn",)), FORK, where="1"),
    ):
        pass


def test_arguments_by_their_types(child):
    """Pointers are followed by the types of the kernel, to numbers, text, bits and items of arrays."""
    fields = (
        "parent->tgid",
        "parent->comm",
        "child->real_parent->tgid",
        "child->real_parent->group_leader->comm",
        "child->tgid",
        "args.child.thread_pid->numbers[0].nr",
        "parent->mm->exe_file->f_path.dentry->d_name.name",
        "parent->cred->uid.val",
        "parent->sched_reset_on_fork",
        "child->policy",
    )
    hits = Trace(fields)
    with (
        probing(hits, RAW_FORK, where=f"parent->tgid == {child.pid} and parent->comm != 'x'") as run,
        hits.reader() as reader,
    ):
        child.does("forks", 5)
        run.stop()
        found = [hit.values for hit in read(hits, reader, 5)]

    comm = Path(f"/proc/{child.pid}/comm").read_text().strip()
    program = os.path.basename(os.readlink(f"/proc/{child.pid}/exe"))
    assert len(found) == 5
    for values in found:
        assert values[:4] == (child.pid, comm, child.pid, comm)
        assert values[4] == values[5] > child.pid
        assert values[6:] == (program, os.getuid(), 0, 0)


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("parent->pidd", "parent->pidd: struct task_struct has no member 'pidd', did you mean 'pid'?"),
        ("parent->se", "struct sched_entity is no single value: it has load, run_node"),
        ("parent->pid->x", "has no member 'x'"),
        ("parnt->pid", "has no field 'parnt->pid'"),
        ("parent[", "'parent[' is no path"),
        ("parent->comm[99]", "has no item 99"),
        ("parent[999999999].pid", "there is no item so far away"),
        (f"parent[{'9' * 5000}].pid", "is no path"),
        ("parent->", "'parent->' is no path"),
    ],
)
def test_paths_that_lead_nowhere(field, why):
    with (
        pytest.raises((NotFound, UsageError), match=re.escape(why)),
        probing(Count((field,)), RAW_FORK, where="1"),
    ):
        pass


def test_a_bad_pointer_makes_zeros(child):
    """Where nothing can be read there is nothing, and the program goes on."""
    hits = Trace(
        ("parent->mm->owner->comm", "child->io_context->active_ref.counter", "parent->audit_context->name_count")
    )
    with probing(hits, RAW_FORK, where=f"parent->tgid == {child.pid}") as run, hits.reader() as reader:
        child.does("forks", 1)
        run.stop()
        ((owner, *rest),) = [hit.values for hit in read(hits, reader, 1)]

    assert owner == Path(f"/proc/{child.pid}/comm").read_text().strip()
    assert rest[0] == 0


def test_btf_tracepoints(child):
    counts = Count(("parent->comm",))
    with probing(counts, "tp_btf:sched_process_fork", where=f"parent->tgid == {child.pid}") as run:
        child.does("forks", 9)

        assert [row.hits for row in counts.rows()] == [9]
        assert [made.group.way for made in run.made] == ["BTF tracepoint"]


def test_rounds_leave_nothing():
    for _ in range(200):
        with probing(Count(), FORK, where="1"):
            pass


def test_every_tracepoint_is_found():
    """The kernel has a list of its own; events that others make meanwhile are not our concern."""
    with Tracefs.open("this test fails") as files:
        told = {name for name in files.read("available_events").split() if not name.startswith("bpfctl_")}

    for found in Sources().of("tracepoint").discover("*"), Sources().resolve(["tracepoint:*"]):
        assert {point.target for point in found if not point.target.startswith("bpfctl_")} == told
