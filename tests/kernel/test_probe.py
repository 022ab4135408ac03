"""Probes on the running kernel: what is counted and what is shown is what a process has really done."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from bpfctl_tracepoint import TracepointSource
from bpfctl_tracepoint.numbers import numbers

from bpfctl.asm.insn import R0, R1, R2, R10
from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.code import Code
from bpfctl.probe.session import Probing, Sources, Wanted
from bpfctl.probe.where import parse
from tests.kernel import client

CHECKOUT = Path(__file__).parents[2]
BPFCTL = [sys.executable, "-P", "-m", "bpfctl"]
ENVIRONMENT = {**os.environ, "LANG": "C.UTF-8", "PYTHONPATH": str(CHECKOUT)}
YIELD = "tracepoint:syscalls:sys_enter_sched_yield"
OPEN = "tracepoint:syscalls:sys_enter_openat"
FORK = "tracepoint:sched:sched_process_fork"

# Does what it is told, line by line, and says so.
_CHILD = """
import os, sys
def opens(count):
    for number in range(count):
        try:
            os.close(os.open(f"/nonexistent/{number}", os.O_RDONLY))
        except FileNotFoundError:
            pass
def forks(count):
    for _ in range(count):
        if not (pid := os.fork()):
            os._exit(0)
        os.waitpid(pid, 0)
def yields(count):
    for _ in range(count):
        os.sched_yield()
for line in sys.stdin:
    what, count = line.split()
    globals()[what](int(count))
    print("done", flush=True)
"""


class Child:
    """A process that does what it is told."""

    def __init__(self, process):
        self._process = process
        self.pid = process.pid

    def does(self, what, count):
        """Have it do something so many times, and wait until it has."""
        self._process.stdin.write(f"{what} {count}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@pytest.fixture
def child():
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        child = Child(process)
        child.does("forks", 1)  # all that has to be imported is, then
        yield child
        process.stdin.close()


@contextmanager
def probing(action, *specs, where):
    sources = Sources()
    with action, Probing(sources, Wanted(sources.resolve(specs), parse(where)), action) as run:
        yield run


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


def test_perf_events_count_the_same(child):
    """An event that is counted by its own field needs a perf event; the raw tracepoint has just as many."""
    by_event, by_raw = Count(("args.__syscall_nr",)), Count()
    with (
        probing(by_event, YIELD, where=f"pid == {child.pid}") as run,
        probing(by_raw, YIELD, where=f"pid == {child.pid}"),
    ):
        assert [made.group.way for made in run.made] == ["perf event"]
        child.does("yields", 1000)

        assert [row.hits for row in by_event.rows()] == [row.hits for row in by_raw.rows()] == [1000]


def test_numbers_of_system_calls():
    """The event tells the number of its call; those with another name than their call are among them."""
    known = numbers(platform.machine())
    here = {point.target for point in TracepointSource().discover("syscalls:sys_enter_*")}
    called = {
        "newstat": lambda: os.stat("/"),
        "newfstatat": lambda: os.stat("/"),
        "newfstat": lambda: os.fstat(0),
        "newlstat": lambda: os.lstat("/"),
        "newuname": os.uname,
        "getpriority": lambda: os.getpriority(os.PRIO_PROCESS, 0),
        "sched_getaffinity": lambda: os.sched_getaffinity(0),
        "getcwd": os.getcwd,
        "pipe2": lambda: [os.close(fd) for fd in os.pipe()],
        "umask": lambda: os.umask(os.umask(0o22)),
        "sched_yield": os.sched_yield,
        "setxattrat": lambda: ctypes.CDLL(None).syscall(463, -1, None, 0, None, None, 0),
        "file_getattr": lambda: ctypes.CDLL(None).syscall(468, -1, None, None, 0, 0),
    }
    names = [name for name in called if f"syscalls:sys_enter_{name}" in here]
    assert len(names) > 5
    for name in names:
        counts = Count(("args.__syscall_nr",))
        with probing(counts, f"tracepoint:syscalls:sys_enter_{name}", where=f"pid == {os.getpid()}"):
            called[name]()
            rows = counts.rows()

        assert {row.values for row in rows} <= {(known[name],)}, name


def test_every_system_call_at_once(child):
    counts = Count()
    with probing(counts, "tracepoint:syscalls:*", where=f"pid == {child.pid}") as run:
        child.does("yields", 500)
        hits = {row.values[0]: row.hits for row in counts.rows()}

        assert len(run.wanted.points) > 500
        assert len(run.made) < 30
    assert hits[YIELD] == hits[YIELD.replace("sys_enter", "sys_exit")] == 500
    assert hits["tracepoint:syscalls:sys_enter_read"] >= 1
    assert hits["tracepoint:syscalls:sys_enter_openat"] == 0


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

        assert len(rows) >= 100
        assert {row.hits for row in rows} == {1}
        assert len(rows) + counts.lost() == 300


def test_several_probes_at_once(child):
    counts = Count()
    with probing(counts, YIELD, FORK, OPEN, YIELD, where=f"pid == {child.pid}"):
        child.does("yields", 7)
        child.does("forks", 2)
        child.does("opens", 5)

        assert {row.values: row.hits for row in counts.rows()} == {(YIELD,): 7, (FORK,): 2, (OPEN,): 5}


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
        found = [hit for batch in reader.batches(limit=2000, seconds=20) for hit in hits.hits(batch)]

        assert hits.lost() == 0
    names = [slot.name for slot in found[0].layout.slots]
    rows = [dict(zip(names, hit.values, strict=True)) for hit in found]
    assert [row["args.filename"] for row in rows] == [f"/nonexistent/{number}" for number in range(2000)]
    assert {(row["pid"], row["tid"], row["args.dfd"]) for row in rows} == {(child.pid, child.pid, -100)}
    assert {row["args.flags"] & ~os.O_CLOEXEC & ~0o100000 for row in rows} == {os.O_RDONLY}  # O_LARGEFILE
    assert [hit.time for hit in found] == sorted(hit.time for hit in found)


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
        values = [hit.values[0] for batch in reader.batches(limit=1, seconds=20) for hit in hits.hits(batch)]

    assert values == [long[:63] + "..."]


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


RAW = "raw_tracepoint:sched_process_fork"


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
        probing(hits, RAW, where=f"parent->tgid == {child.pid} and parent->comm != 'x'") as run,
        hits.reader() as reader,
    ):
        child.does("forks", 5)
        run.stop()
        found = [hit.values for batch in reader.batches(limit=5, seconds=20) for hit in hits.hits(batch)]

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
        ("parent->", "'parent->' is no path"),
    ],
)
def test_paths_that_lead_nowhere(field, why):
    with (
        pytest.raises((NotFound, UsageError), match=re.escape(why)),
        probing(Count((field,)), RAW, where="1"),
    ):
        pass


def test_a_bad_pointer_makes_zeros(child):
    """Where nothing can be read there is nothing, and the program goes on."""
    hits = Trace(
        ("parent->mm->owner->comm", "child->io_context->active_ref.counter", "parent->audit_context->name_count")
    )
    with probing(hits, RAW, where=f"parent->tgid == {child.pid}") as run, hits.reader() as reader:
        child.does("forks", 1)
        run.stop()
        ((owner, *rest),) = [hit.values for batch in reader.batches(limit=1, seconds=20) for hit in hits.hits(batch)]

    assert owner == Path(f"/proc/{child.pid}/comm").read_text().strip()
    assert rest[0] == 0


def test_btf_tracepoints(child):
    counts = Count(("parent->comm",))
    with probing(counts, "tp_btf:sched_process_fork", where=f"parent->tgid == {child.pid}") as run:
        child.does("forks", 9)

        assert [row.hits for row in counts.rows()] == [9]
        assert [made.group.way for made in run.made] == ["BTF tracepoint"]


def test_show_tells_fields_and_whether_it_can_be_attached():
    found = json.loads(run("-j", "probe", "show", RAW, FORK).stdout)

    assert [row["spec"] for row in found] == [RAW, FORK]
    assert found[0]["fields"][0] == {"name": "parent", "type": "struct task_struct *"}
    assert {"name": "parent_comm", "type": "__data_loc char[]"} in found[1]["fields"] or {
        "name": "parent_comm",
        "type": "char[16]",
    } in found[1]["fields"]
    assert {row["attach"] for row in found} == {"raw tracepoint"}


def test_dry_run_tells_the_program():
    (found,) = json.loads(run("-j", "probe", "dry-run", FORK, "--by", "child_pid", "--where", "pid > 7").stdout)

    assert (found["attach"], found["type"], found["points"]) == ("perf event", "tracepoint", [FORK])
    assert found["insns"][0] == "(bf) r6 = r1"
    assert found["insns"][-1] == "(95) exit"


def _counter(type_, name):
    """Load a program that counts its runs; return it and its map."""
    counts = client.map_create(2, 4, 8, 1)  # an array
    code = Code()
    code.st(4, R10, -4, 0).mov(R2, R10).add(R2, -4).ld_map_fd(R1, counts).call(1)
    code.jump("jeq", R0, 0, "out").mov(R1, 1).atomic_add(8, R0, 0, R1)
    return client.prog_load(type_, code.end(), name=name), counts


@pytest.mark.parametrize(
    ("spec", "type_", "what"),
    [(FORK, 17, "forks"), (FORK, 5, "forks"), (YIELD, 5, "yields"), (RAW, 17, "forks")],  # raw tracepoint, tracepoint
)
def test_attach_a_program_of_ones_own(child, spec, type_, what):
    """It is attached as its type wants it, as long as a pin is there."""
    program, counts = _counter(type_, "own_prog")
    pin = f"/sys/fs/bpf/own-{os.getpid()}"
    try:
        done = run("probe", "attach", spec, "name", "own_prog", "--pin", pin)
        if type_ == 5 and not has_cookies():  # before Linux 5.15, which brought links of perf events
            assert "has no link, which alone can be pinned" in done.stderr
            assert not Path(pin).exists()
            return
        assert (done.returncode, done.stderr) == (0, "")
        child.does(what, 30)
        assert int.from_bytes(client.map_lookup(counts, bytes(4), 8), "little") >= 30
        os.unlink(pin)
    finally:
        os.close(program)
        os.close(counts)
        Path(pin).unlink(missing_ok=True)


def test_a_program_of_another_type_is_refused():
    program, counts = _counter(17, "own_raw")  # a raw tracepoint
    try:
        done = run("probe", "attach", "uprobe:c:malloc", "name", "own_raw")
        assert "takes programs of type kprobe, and this one is of type raw_tracepoint" in done.stderr
        assert run("probe", "attach", "name", "own_raw").stderr == (
            "Error: a probe, such as tracepoint:sched:sched_switch is missing\n"
        )
    finally:
        os.close(program)
        os.close(counts)


def test_list_with_fields():
    lines = run("--plain", "probe", "list", RAW, "-v").stdout.splitlines()

    assert lines[0] == RAW
    assert lines[1:3] == ["    struct task_struct *parent", "    struct task_struct *child"]


def test_rounds_leave_nothing():
    for _ in range(200):
        with probing(Count(), FORK, where="1"):
            pass


def run(*words, **more):
    return subprocess.run([*BPFCTL, *words], env=ENVIRONMENT, capture_output=True, text=True, check=False, **more)


@contextmanager
def running(*words):
    process = subprocess.Popen(
        [*BPFCTL, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def test_the_command_counts(child):
    with running("-j", "probe", "count", OPEN, "-p", str(child.pid), "--by", "comm", "--interval", "0.2") as process:
        first = json.loads(process.stdout.readline())
        child.does("opens", 500)
        process.stdout.readline()
        counts = [json.loads(process.stdout.readline()) for _ in range(2)][-1]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert first["counts"] == []
    assert [count["count"] for count in counts["counts"]] == [500]
    assert (counts["hits"], counts["lost"], counts["missed"]) == (500, 0, 0)
    assert (process.returncode, errors) == (0, "")


def test_ctrl_c_ends_a_count_with_its_sums(child):
    with running("probe", "count", FORK, "--where", f"pid == {child.pid}", "--by", "probe,comm") as process:
        while '"key"' not in run("-j", "map", "dump", "name", "counts").stdout:  # until it counts
            child.does("forks", 1)
        child.does("forks", 20)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    number, probe, _comm = output.split()
    assert int(number) >= 20
    assert probe == FORK
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("voice", [["-j"], []])
def test_the_command_traces(child, voice):
    words = [*voice, "probe", "trace", OPEN, "--where", f"pid == {child.pid}", "--limit", "3", "--fields"]
    with running(*words, "pid,args.filename") as process:
        while process.poll() is None:
            child.does("opens", 3)
        output, errors = process.communicate(timeout=60)

    lines = output.splitlines()
    assert (process.returncode, errors, len(lines)) == (0, "", 3)
    for line in lines:
        if voice:
            hit = json.loads(line)
            assert (hit["probe"], hit["pid"]) == (OPEN, child.pid)
            assert hit["args"]["filename"].startswith("/nonexistent/")
        else:
            assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{6}} {OPEN} pid={child.pid} filename=/nonexistent/\d", line)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["count"], "a probe, such as tracepoint:sched:sched_switch is missing"),
        (["count", FORK, "--where", "pid =="], "--where: at its end"),
        (["count", FORK, "--by", "a,,b"], "a name is missing between the commas"),
        (["count", FORK, "--duration", "0"], "--duration: can't wait for 0 seconds"),
        (["trace", FORK, "--buffer", "5000"], "--buffer: 5000 is no power of two"),
        (["trace", FORK, "--where", "comm"], "--where: comm is no number"),
    ],
)
def test_mistakes(words, why):
    done = run("probe", *words)

    assert done.returncode not in (0, 1)
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_it(child):
    with running("probe", "trace", OPEN, "--where", f"pid == {child.pid}") as process:
        process.stdout.close()
        while process.poll() is None:
            child.does("opens", 10)

    assert process.returncode != 0
