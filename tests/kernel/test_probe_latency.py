"""Latencies: every call that began is accounted for, and takes the time that it is known to take."""

from __future__ import annotations

import json
import signal
from functools import partial

import pytest

import bpfctl
from bpfctl.attach import uprobe
from bpfctl.elf.binary import Binary
from bpfctl.errors import KernelError, UsageError
from bpfctl.probe import both_ends
from bpfctl.probe.actions.slow import SlowCalls
from bpfctl.probe.histograms import Linear
from tests.build.called import NOTES, TALK, built, called
from tests.kernel.command import run, running
from tests.kernel.facts import Facts
from tests.kernel.probing import ends, named, until, with_all, without_cookies, without_multi
from tests.kernel.timed import CALLS, timed

MS = 10**6
DEEPEST = 64  # calls within calls that uprobes follow (MAX_URETPROBE_DEPTH in include/linux/uprobes.h)


@pytest.fixture(scope="module")
def path():
    return built("timed", CALLS, "-pthread", "-fno-optimize-sibling-calls", "-fno-omit-frame-pointer")


@pytest.fixture
def process(path):
    with called(path) as process:
        yield process


def told(times):
    """Return how many calls were timed, by their values, and what became of all."""
    tally = times.tally()
    rows = {row.values: row.hits for row in times.rows()}
    assert tally.begun == tally.ended + tally.running + tally.never_ended + tally.too_deep + tally.no_room
    assert sum(rows.values()) + times.lost() == tally.ended
    return rows, tally


def without_sessions(monkeypatch):
    """Have the kernel lack what Linux 6.10 brought."""
    monkeypatch.setattr(both_ends, "functions", lambda: None)


@pytest.mark.parametrize("lack", [with_all, without_sessions, without_multi, without_cookies])
def test_sleeps(path, process, monkeypatch, lack):
    lack(monkeypatch)
    with timed(f"uprobe:{path}:nap", where=f"pid == {process.pid}") as (times, run):
        process.does("nap", 200)
        run.stop()
        rows, tally = told(times)
        (row,) = times.rows()

    in_session = Facts("").has("enum:BPF_TRACE_UPROBE_SESSION") and lack is with_all
    assert (run.made[0].group.way == "uprobe session") == in_session
    assert rows == {(): 200}
    assert (tally.began_before, tally.never_ended, tally.running) == (0, 0, 0)
    assert sum(bucket.hits for bucket in row.buckets if bucket.below <= 1 << 19) == 0  # 0.52 ms: none is as short
    assert row.mean > MS


@pytest.mark.parametrize("lack", [with_all, without_sessions])
def test_each_call_of_itself(path, process, monkeypatch, lack):
    lack(monkeypatch)
    with timed(f"uprobe:{path}:itself", by=("arg0", "retval"), where=f"pid == {process.pid}") as (times, run):
        process.does("itself", 100)
        run.stop()
        rows, _ = told(times)

    assert rows == {(left, left): 100 for left in range(11)}


@pytest.mark.parametrize("lack", [with_all, without_sessions, without_multi])
def test_threads_at_once(path, process, monkeypatch, lack):
    """Where the kernel can be preempted, one program is put aside for another in the midst of a hit."""
    lack(monkeypatch)
    with timed(f"uprobe:{path}:itself", by=("arg0", "retval"), where=f"pid == {process.pid}") as (times, run):
        process.does("threads", 32)
        run.stop()
        rows, tally = told(times)

    assert rows == {(left, left): 32 * 5 * (20 - left) for left in range(20)}
    assert (tally.begun, tally.ended) == (32 * 5 * 210,) * 2


def test_a_call_of_itself_takes_longer_than_what_it_calls(path, process):
    with timed(f"uprobe:{path}:itself", by=("arg0",), where=f"pid == {process.pid}") as (times, run):
        process.does("deep", 20)
        run.stop()
        means = {row.values[0]: row.mean for row in times.rows()}

    assert [means[left] for left in range(21)] == sorted(means.values())


@pytest.mark.parametrize("lack", [with_all, without_sessions])
def test_calls_of_each_other(path, process, monkeypatch, lack):
    lack(monkeypatch)
    specs = [f"uprobe:{path}:nap", f"uretprobe:{path}:outer"]
    with timed(*specs, by=("probe", "arg0"), where=f"pid == {process.pid}") as (times, run):
        process.does("outer", 20)
        run.stop()
        rows, _ = told(times)
        means = {row.values: row.mean for row in times.rows()}

    nap, outer = specs[0], f"uprobe:{path}:outer"
    assert rows == {(nap, 100): 20, (nap, 3000): 20, (outer, 3000): 20}
    assert min(means[outer, 3000], means[nap, 3000]) > means[nap, 100]


def test_deeper_than_the_kernel_follows(path, process):
    """The innermost calls have no return that is told."""
    with timed(f"uprobe:{path}:itself", where=f"pid == {process.pid}") as (times, run):
        process.does("deep", 99)
        run.stop()
        rows, tally = told(times)

    assert rows == {(): DEEPEST}
    assert (tally.begun, tally.never_ended, tally.running) == (100, 100 - DEEPEST, 0)


@pytest.mark.parametrize("lack", [with_all, without_sessions])
def test_calls_that_are_left_otherwise(path, process, monkeypatch, lack):
    lack(monkeypatch)
    with timed(f"uprobe:{path}:leaves", where=f"pid == {process.pid}") as (times, run):
        process.does("leaves", 10)
        process.does("returns", 5)
        run.stop()
        rows, tally = told(times)

    assert rows == {(): 5}
    assert (tally.begun, tally.never_ended, tally.running) == (15, 10, 0)


def test_threads_that_end_within_a_call(path, process):
    with timed(f"uprobe:{path}:ends", where=f"pid == {process.pid}") as (times, run):
        process.does("ends", 10)
        run.stop()
        assert until(lambda: times.tally().running == 0)
        rows, tally = told(times)

    assert rows == {}
    assert (tally.begun, tally.never_ended) == (10, 10)


def test_calls_that_go_on(path, process):
    with timed(f"uprobe:{path}:stays", where=f"pid == {process.pid}") as (times, _):
        process.does("stays", 3)
        assert until(lambda: times.tally().running == 3)
        rows, tally = told(times)

    assert rows == {}
    assert (tally.begun, tally.running) == (3, 3)


def test_calls_that_had_begun(process):
    """A return without its beginning is told, unless a condition may have left that out."""
    for where, before in ((f"pid == {process.pid}", 1), (f"pid == {process.pid} && args.fd == 0", None)):
        with timed("syscalls:sys_enter_read", where=where) as (times, run):
            process.does("nap", 0)  # which it waits for in read(2)
            assert until(lambda times=times: times.tally().begun == 1)
            run.stop()
            rows, tally = told(times)

        assert rows == {}
        assert (tally.running, tally.began_before) == (1, before)


@pytest.mark.parametrize("lack", [with_all, without_sessions])
def test_conditions(path, process, monkeypatch, lack):
    lack(monkeypatch)
    with timed(f"uprobe:{path}:itself", by=("arg0",), where="arg0 % 3 == 0") as (times, run):
        process.does("itself", 10)
        run.stop()
        rows, tally = told(times)

    assert rows == {(left,): 10 for left in (0, 3, 6, 9)}
    assert tally.began_before is None


def test_calls_whose_return_is_refused(path, process, monkeypatch):
    """Of what a pattern means such a function is left out as a whole, or else all its calls would go on for ever."""
    without_sessions(monkeypatch)
    file = Binary(str(path))
    refused = file.code_at(next(function.address for function in file.functions if function.name == "nap"))

    def refuse(how, program, places, **more):
        if more["returns"] and any(place.offset == refused for place in places):
            raise KernelError("can't attach", 22)
        return how(program, places, **more)

    for name in ("attach_multi", "attach", "attach_tracefs"):
        monkeypatch.setattr(uprobe, name, partial(refuse, getattr(uprobe, name)))
    with timed(f"uprobe:{path}:*a*", by=("probe",)) as (times, run):
        process.does("outer", 5)
        process.does("returns", 5)
        run.stop()
        rows, tally = told(times)

    assert {point.target.rpartition(":")[2] for point in run.left_out} == {"nap"}
    assert rows == {(f"uprobe:{path}:leaves",): 5}
    assert (tally.begun, tally.running, tally.began_before) == (5, 0, 0)


def test_no_room_for_calls(path, process):
    with timed(f"uprobe:{path}:itself", max_calls=4, where=f"pid == {process.pid}") as (times, run):
        process.does("itself", 1)
        run.stop()
        rows, tally = told(times)

    assert tally.begun == 11
    assert rows[()] + tally.no_room == 11
    assert tally.no_room


def test_no_room_for_values(path, process):
    with timed(f"uprobe:{path}:itself", by=("arg0",), max_entries=5, where=f"pid == {process.pid}") as (times, run):
        process.does("deep", 50)
        run.stop()
        rows, tally = told(times)

    assert tally.ended == 51
    assert 5 <= len(rows) < 51


def test_system_calls(process):
    with timed("syscalls:sys_exit_clock_nanosleep", by=("ret", "comm"), where=f"pid == {process.pid}") as (times, run):
        process.does("nap", 30)
        run.stop()
        rows, _ = told(times)
        (row,) = times.rows()

    assert rows == {(0, "timed"): 30}
    assert row.mean > MS


def test_between_probes(path, process):
    """Calls of a thread without frames: the last that began ends first."""
    with timed(f"uprobe:{path}:itself", to=[f"uretprobe:{path}:itself"], by=("arg0", "retval")) as (times, run):
        process.does("itself", 10)
        run.stop()
        rows, _ = told(times)

    assert rows == {(left, left): 10 for left in range(11)}


def test_between_probes_too_deep(path, process):
    """Of more than so many the oldest are forgotten, and their ends are no others'."""
    with timed(f"uprobe:{path}:itself", to=[f"uretprobe:{path}:itself"], by=("arg0", "retval")) as (times, run):
        process.does("deep", 20)
        process.does("itself", 1)
        run.stop()
        rows, tally = told(times)

    assert rows == {(left, left): 1 + (left < 11) for left in range(16)}
    assert (tally.too_deep, tally.began_before, tally.running) == (5, 0, 0)


def test_between_probes_by_a_key(path, process):
    with timed(
        f"uprobe:{path}:nap", to=[f"uretprobe:{path}:outer"], key=[("arg0", "retval")], where=f"pid == {process.pid}"
    ) as (times, run):
        process.does("outer", 5)  # which sleeps 100 and 3000 microseconds, and returns 4
        run.stop()
        rows, tally = told(times)

    assert rows == {}
    assert (tally.begun, tally.running, tally.never_ended, tally.began_before) == (10, 2, 8, None)


def test_between_static_probes():
    """Which have no frames: what began last ends first."""
    source = (
        TALK
        + NOTES
        + """
static void part(int left)
{
    NOTE("0", "parts", "begin", "-4@%0", "nor"(left));
    if (left) part(left - 1);
    NOTE("0", "parts", "end", "-4@%0", "nor"(left));
}
static void does(const char *what, long count) { for (long number = 0; number < count; number++) part(5); }
"""
    )
    file = built("parts", source)
    with (
        called(file) as process,
        timed(f"usdt:{file}:parts:begin", to=[f"usdt:{file}:parts:end"], by=("arg0",)) as (times, run),
    ):
        process.does("parts", 10)
        run.stop()
        rows, tally = told(times)

    assert rows == {(left,): 10 for left in range(6)}
    assert tally.began_before == 0


def test_from_one_thread_to_another(process):
    """A thread that is woken, by another that is named in the same field elsewhere."""
    with timed(
        "sched:sched_wakeup", to=["sched:sched_switch"], key=[("args.pid", "args.next_pid")], by=("args.comm",)
    ) as (times, run):
        process.does("nap", 50)
        run.stop()
        rows, _ = told(times)

    assert rows["timed",] >= 50


def test_a_scale(path, process):
    with timed(f"uprobe:{path}:nap", linear=Linear(0, 100, 15), unit="ms", where=f"pid == {process.pid}") as (
        times,
        run,
    ):
        process.does("nap", 4)
        process.does("slow", 3)
        run.stop()
        (row,) = times.rows()

    assert sum(bucket.hits for bucket in row.buckets) == row.hits == 7
    assert row.buckets[0][:2] == (0, 15)
    assert row.mean > (4 * 1 + 3 * 20) / 7
    assert row.buckets[0].hits >= 1


def test_slow_calls(path, process):
    with (
        timed(f"uprobe:{path}:nap", make=SlowCalls, over=15 * MS, where=f"pid == {process.pid}") as (slow, run),
        slow.reader() as reader,
    ):
        process.does("nap", 20)
        process.does("slow", 3)
        run.stop()
        found = named(slow.hits(reader.read(100)))
        tally, lost = slow.tally(), slow.lost()

    calls = [(hit["args.arg0"], hit["args.retval"], hit["pid"]) for hit in found]
    assert calls.count((20000, 20, process.pid)) == 3
    assert set(calls) <= {(us, us // 1000, process.pid) for us in (1000, 20000)}  # a machine that is busy slows any
    assert all(hit["latency"] > max(15 * MS, hit["args.arg0"] * 1000) for hit in found)
    assert (tally.begun, tally.ended) == (23, 23)
    assert lost == 0


def test_more_slow_calls_than_there_is_room_for(path, process):
    with timed(f"uprobe:{path}:itself", make=SlowCalls, over=0, size=4096, fields=("arg0",)) as (slow, run):
        process.does("itself", 100)
        run.stop()
        with slow.reader() as reader:
            found = reader.read(2000)

        assert len(found) + slow.lost() == slow.tally().ended == 1100
        assert slow.lost()


def test_stacks_of_slow_calls(process, path):
    """Where the process has frame pointers, all callers are there."""
    with running(
        "-j", *words(path, process), "--over", "1ms", "--stacks", "--fields", "comm", "--limit", "1"
    ) as command:
        assert ends(command, lambda: process.does("outer", 1))
        lines, errors = command.communicate(timeout=60)

    (found,) = map(json.loads, lines.splitlines())
    assert found["comm"] == "timed"
    assert found["stack"]["user"][0]["function"] == "outer"
    assert command.returncode == 0, errors


def test_from_python(path, process):
    with bpfctl.session(pid=process.pid) as both:
        naps = both.latency(f"uprobe:{path}:nap", by="retval", unit="us")
        between = both.latency(f"uprobe:{path}:outer", to=f"uretprobe:{path}:nap", key="arg0=retval")
        with pytest.raises(UsageError, match="no unit of time"):
            both.latency(f"uprobe:{path}:nap", unit="h")
        process.does("nap", 10)
        naps.stop()

        assert [(record["retval"], record["count"]) for record in naps.records()] == [(1, 10)]
        assert 1000 < naps.rows()[0].mean < 100_000
        assert between.tally().begun == 0


def test_in_a_session_file(path, process, tmp_path):
    file = tmp_path / "session.toml"
    file.write_text(f'[[latency]]\nprobes = "uprobe:{path}:nap"\nby = "comm"\nunit = "us"\n')
    with running("-j", "probe", "run", str(file), "--interval", "0.2") as command:
        found = command.stdout.readline()
        process.does("nap", 10)
        found = [json.loads(command.stdout.readline()) for _ in range(2)][-1]

    (told,) = found["measurements"]
    assert (told["action"], told["unit"], told["calls"]["ended"]) == ("latency", "us", 10)


def words(path, process):
    return ["probe", "latency", f"uprobe:{path}:nap", "-p", str(process.pid)]


def test_the_command(path, process):
    with running("-j", *words(path, process), "--interval", "0.2", "--by", "retval") as command:
        command.stdout.readline()
        process.does("nap", 20)
        command.stdout.readline()
        command.stdout.readline()
        command.send_signal(signal.SIGINT)
        *_, last = command.communicate(timeout=60)[0].splitlines()
    told = json.loads(last)

    assert (told["of"], told["unit"], told["hits"], told["lost"]) == ("latency", "ns", 20, 0)
    assert told["calls"]["begun"] == told["calls"]["ended"] == 20
    assert [(row["retval"], row["count"]) for row in told["histograms"]] == [(1, 20)]


@pytest.mark.parametrize(("more", "step"), [(["0:40000000:10000000"], 10 * MS), (["0:40:10", "--unit", "ms"], 10)])
def test_a_scale_of_the_command(path, process, more, step):
    """Numbers alone are of the unit, or else nanoseconds."""
    with running("-j", *words(path, process), "--interval", "0.2", "--linear", *more) as command:
        command.stdout.readline()
        process.does("nap", 5)
        command.stdout.readline()
        (told,) = json.loads(command.stdout.readline())["histograms"]

    assert told["count"] == 5
    assert {bucket["below"] - bucket["from"] for bucket in told["buckets"] if bucket["below"]} == {step}


def test_the_command_of_slow_calls(path, process):
    with running("-j", *words(path, process), "--over", "15ms", "--limit", "3") as command:
        assert ends(command, lambda: (process.does("nap", 10), process.does("slow", 1)))
        lines, errors = command.communicate(timeout=60)

    found = [json.loads(line) for line in lines.splitlines()]
    slept = [line["args"]["arg0"] * 1000 for line in found]
    assert len(slept) == 3
    assert 20 * MS in slept  # a shorter call is slow where the machine was busy with something else
    assert all(line["latency"] > max(15 * MS, least) for line, least in zip(found, slept, strict=True))
    assert command.returncode == 0, errors


@pytest.mark.parametrize(
    ("mistake", "status", "why"),
    [
        (["software:cpu-clock"], 2, "is no call that returns"),
        (["sched:sched_switch"], 2, "is no call that returns"),
        (["syscalls:sys_enter_openat", "--by", "nobody"], 3, "has a field 'nobody'"),
        (["syscalls:sys_enter_openat", "--over", "10"], 2, "should be a time, such as 10ms"),
        (["syscalls:sys_enter_openat", "--unit", "h"], 2, "should be one of ns, us, ms, s"),
        (["syscalls:sys_enter_openat", "--linear", "0:10"], 2, "should be MIN:MAX:STEP"),
        (["syscalls:sys_enter_openat", "--linear", "0:10us:1us", "--unit", "ms"], 2, "no whole numbers of ms"),
        (["syscalls:sys_enter_openat", "--key", "pid"], 2, "--key is for what is between"),
        (["syscalls:sys_enter_openat", "--over", "1ms", "--by", "pid"], 2, "--by is for histograms"),
        (["syscalls:sys_enter_openat", "--stacks"], 2, "--stacks is for lines of slow calls"),
        (["syscalls:sys_enter_openat", "--fields", "pid"], 2, "--fields is for lines of slow calls"),
        (["syscalls:sys_enter_openat", "--from", "sched:sched_switch"], 2, "--from and --to belong together"),
        (["--from", "sched:sched_switch", "--to", "sched:sched_switch"], 2, "both the beginning and the end"),
        (["--from", "sched:sched_switch", "--to", "sched:nothing"], 3, "sched:nothing"),
        (["--from", "sched:sched_wakeup", "--to", "sched:sched_switch", "--key", "pid="], 2, "FIELD=FIELD"),
        (["--from", "sched:sched_wakeup", "--to", "sched:sched_switch", "--key", "args.pid"], 3, "no field"),
        ([], 2, "a probe"),
    ],
)
def test_mistakes(mistake, status, why):
    done = run("probe", "latency", *mistake, "--duration", "0.1")

    assert (done.returncode, done.stdout) == (status, "")
    assert why in done.stderr
