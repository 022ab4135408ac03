"""What programs cost, as bpfctl tells it, beside the kernel's own counters; by the command itself."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import time
from contextlib import ExitStack
from itertools import pairwise

import pytest

from bpfctl import Statistics
from tests.kernel import client
from tests.kernel.command import BPFCTL, ON_TERMINAL
from tests.kernel.probing import is_in, until
from tests.terminal import STYLES, Terminal

SOCKET_FILTER, XDP = 1, 6
RETURN_0 = bytes.fromhex("b7000000000000009500000000000000")
RETURN_2 = bytes.fromhex("b7000000020000009500000000000000")
PACKET = bytes(64)
RUN_TIME, RUN_COUNT = 192, 200  # run_time_ns and run_cnt in struct bpf_prog_info
PATIENCE = 60


@pytest.fixture
def programs():
    """Two programs, one of which runs more often than the other."""
    with ExitStack() as stack:
        found = []
        for kind, code, name in ((SOCKET_FILTER, RETURN_0, "top_often"), (XDP, RETURN_2, "top_seldom")):
            found.append(client.prog_load(kind, code, name=name))
            stack.callback(os.close, found[-1])
        yield found


def counters(fd):
    """Return the kernel's run_time_ns and run_cnt."""
    return tuple(struct.unpack_from("=Q", client.info(fd), at)[0] for at in (RUN_TIME, RUN_COUNT))


def ids(fds):
    return [client.id_of("prog", fd) for fd in fds]


def until_counting(fd):
    """Run a program until the kernel counts that, since somebody has turned statistics on; return when it does."""
    end = time.monotonic() + PATIENCE
    _, before = counters(fd)
    while counters(fd)[1] == before:
        assert time.monotonic() < end, "nobody turned statistics on"
        client.run(fd, PACKET)
        time.sleep(0.001)


def until_between_looks(process, fd):
    """Return when a command has taken its first look, which follows at once when statistics are on, and waits."""
    until_counting(fd)
    assert until(lambda: is_in(process.pid, "clock_nanosleep", "rt_sigtimedwait"))


def counts(fd):
    """Return whether the kernel counts the runs of a program."""
    before = counters(fd)
    client.run(fd, PACKET, repeat=1000)
    return counters(fd) != before


def top(*words, options=()):
    return subprocess.Popen([*BPFCTL, *options, "prog", "top", *words], env=ON_TERMINAL, stdout=subprocess.PIPE)


def ended(process):
    try:
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    return out


def run_while(process, fds, times):
    """Run programs again and again while a process lives; return how often each was run."""
    ran = [0 for _ in fds]
    while process.poll() is None:
        for at, (fd, repeat) in enumerate(zip(fds, times, strict=True)):
            client.run(fd, PACKET, repeat=repeat)
            ran[at] += repeat
        time.sleep(0.005)
    return ran


def test_the_numbers_are_the_kernels(programs):
    """All rounds together tell as many runs and as much time as the kernel has counted, and no more than there were."""
    often, _ = programs
    before = [counters(fd) for fd in programs]
    process = top("--interval", "0.3", "--count", "4")
    until_counting(often)
    ran = run_while(process, programs, (1000, 10))
    rounds = [json.loads(line) for line in ended(process).splitlines()]
    after = [counters(fd) for fd in programs]

    assert len(rounds) == 4
    for at, id_ in enumerate(ids(programs)):
        told = [next(row for row in each["programs"] if row["id"] == id_) for each in rounds]
        counted = after[at][1] - before[at][1]
        # What came before the first look and after the last is the kernel's alone.
        assert 0 < sum(row["runs"] for row in told) <= counted <= ran[at] + PATIENCE * 1000
        assert told[-1]["run_cnt"] <= after[at][1]
        for earlier, later in pairwise(told):
            assert later["run_cnt"] - earlier["run_cnt"] == later["runs"]
            assert later["run_time_ns"] - earlier["run_time_ns"] == later["time_ns"]
        for row in told:
            assert row.get("ns_per_run", 0) * row["runs"] == pytest.approx(row["time_ns"], rel=0.01)
            assert row["runs_per_second"] == pytest.approx(row["runs"] / row["seconds"], rel=0.01)
            assert row["cpu_percent"] == pytest.approx(100 * row["time_ns"] / (row["seconds"] * 1e9), rel=0.01)
            assert row.get("misses", 0) == 0  # not counted before Linux 5.12


def test_a_known_number_of_runs(programs):
    """What runs between two looks is told to the run."""
    with Statistics() as statistics:
        for often, seldom in ((100_000, 10), (0, 1)):
            for fd, repeat in zip(programs, (often, seldom), strict=True):
                if repeat:
                    client.run(fd, PACKET, repeat=repeat)
            told = {usage.id: usage for usage in statistics.look()}
            for fd, runs in zip(programs, (often, seldom), strict=True):
                usage = told[client.id_of("prog", fd)]
                assert usage.runs == runs
                assert (usage.info.run_time_ns, usage.info.run_cnt) == counters(fd)
                assert (usage.run_time > 0) == (runs > 0)


def test_a_known_number_of_runs_by_the_command(programs):
    often, seldom = programs
    process = top("--interval", "3", "--count", "1", "id", str(client.id_of("prog", often)))
    until_between_looks(process, often)
    _, before = counters(often)
    client.run(often, PACKET, repeat=100_000)
    client.run(seldom, PACKET, repeat=100)
    (row,) = json.loads(ended(process))["programs"]

    assert row["name"] == "top_often"
    assert row["run_cnt"] == before + 100_000
    assert 100_000 <= row["runs"] <= 100_000 + before
    assert row["runs"] == pytest.approx(100_000, rel=0.01)


def test_statistics_go_with_it(programs):
    often, _ = programs
    process = top("--interval", "60")
    until_between_looks(process, often)
    process.send_signal(signal.SIGINT)

    assert ended(process) == b""
    assert until(lambda: not counts(often))  # others may have them switched on meanwhile


@pytest.mark.parametrize(("order", "wanted"), [("cpu", [0, 1]), ("-total runs", [1, 0])])
def test_orders(programs, order, wanted):
    process = top("--interval", "2", "--count", "1", "--sort", order)
    until_counting(programs[0])
    run_while(process, programs, (1000, 10))
    ours = ids(programs)
    shown = [row["id"] for row in json.loads(ended(process))["programs"]]

    assert [ours.index(id_) for id_ in shown if id_ in ours] == wanted


def test_limit_and_plain_text(programs):
    process = top("--count", "1", "--interval", "0.5", "--limit", "1", options=["--plain"])
    until_counting(programs[0])
    run_while(process, programs, (1000, 10))
    head, line, end = ended(process).decode().split("\n", 2)  # no empty line ends the only round

    assert " ran  " in head
    assert line.startswith(f"{ids(programs)[0]}: socket_filter  name top_often  runs ")
    assert not end


def test_a_table_in_a_pipe(programs):
    """That is what --color always is for."""
    process = top("--count", "1", "--interval", "0.5", options=["--color", "always"])
    until_counting(programs[0])
    run_while(process, programs, (1000, 10))
    head, *lines = STYLES.sub("", ended(process).decode()).splitlines()

    assert "  programs: " in head
    assert any("top_often" in line for line in lines)


def test_on_a_terminal(programs):
    """The table is drawn again and again, and the last one stays when there is an end."""
    words = ["prog", "top", "--interval", "0.3", "--count", "2"]
    with Terminal([*BPFCTL, *words], size=(120, 50), env=ON_TERMINAL) as terminal:
        until_counting(programs[0])
        client.run(programs[0], PACKET, repeat=1_000_000)

        assert terminal.finish() == 0
        before, _, after = STYLES.sub("", terminal.seen.decode()).rpartition("\x1b[?1049l\x1b[?25h")
    assert before.count("Ctrl-C ends") == 2
    head, _, titles, *rows = after.replace("\r\n", "\n").splitlines()
    assert head.startswith("programs: ")
    assert titles.split()[:5] == ["id", "type", "name", "tag", "cpu"]
    assert ["top_often"] in [row.split()[2:3] for row in rows]


def test_a_program_that_is_gone_ends_it():
    fd = client.prog_load(SOCKET_FILTER, RETURN_0, name="top_mortal")
    id_ = client.id_of("prog", fd)
    process = top("id", str(id_), "--interval", "0.2")
    try:
        until_counting(fd)
    finally:
        os.close(fd)
    process.communicate(timeout=PATIENCE)

    assert process.returncode == 3


@pytest.mark.parametrize("words", [["--sort", "size"], ["--interval", "0"], ["--count", "0"], ["id"], ["--sort", ""]])
def test_mistakes(words):
    done = subprocess.run([*BPFCTL, "prog", "top", *words], env=ON_TERMINAL, capture_output=True, check=False)

    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"Error: ")


def shown(*words, options=("-j",)):
    command = [*BPFCTL, *options, "prog", "show", *words]
    return subprocess.Popen(command, env=ON_TERMINAL, stdout=subprocess.PIPE)


def test_show_stats(programs):
    """A list with what programs do in a moment."""
    often, seldom = programs
    process = shown("id", str(client.id_of("prog", often)), "--stats", "--interval", "3")
    until_between_looks(process, often)
    client.run(often, PACKET, repeat=50_000)
    row = json.loads(ended(process))

    assert row["stats"]["runs"] == pytest.approx(50_000, rel=0.01)
    assert row["stats"]["ns_per_run"] == pytest.approx(row["stats"]["time_ns"] / row["stats"]["runs"], rel=0.01)
    assert row["run_cnt"] == counters(often)[1]
    process = shown("id", str(client.id_of("prog", seldom)), "--stats", "--interval", "0.1", options=["--plain"])
    assert ended(process).decode().splitlines()[-1].endswith("s  runs 0 (0.0/s)  cpu 0.000%")


@pytest.mark.parametrize("words", [["--interval", "2"], ["--stats", "--watch"], ["--stats", "--interval", "-1"]])
def test_mistakes_of_show(words):
    done = subprocess.run([*BPFCTL, "prog", "show", *words], env=ON_TERMINAL, capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (255, b"")
    assert done.stderr.startswith(b"Error: ")


def test_show_without_stats_counts_nothing(programs):
    """Programs that run as long as it goes on are not counted, unless others have that switched on meanwhile."""

    def counted():
        before = counters(programs[0])
        process = shown("id", str(client.id_of("prog", programs[0])))
        run_while(process, programs[:1], (1000,))
        assert "stats" not in json.loads(ended(process))
        return counters(programs[0]) != before

    assert until(lambda: not counted())
