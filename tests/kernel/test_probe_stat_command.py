"""bpfctl probe stat as its users start it: whose output goes where, exit codes, rounds, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from tests.build.stat_load import load
from tests.kernel.command import BPFCTL, ON_TERMINAL, run, running
from tests.terminal import STYLES, Terminal

FAULTS = "software:page-faults"
GETPID = "tracepoint:syscalls:sys_enter_getpid"


def told(words, *does):
    """Return what is told in JSON of a program."""
    return json.loads(run("-j", "probe", "stat", *words, "--", load(), *does).stdout)


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        (["sh", "-c", "echo out; echo err >&2"], 0, ""),
        (["sh", "-c", "echo out; exit 3"], 3, ""),
        (["sh", "-c", "echo out; kill -9 $$"], 137, ""),
        (["/nonexistent/command"], 127, "Error: can't run '/nonexistent/command': No such file or directory"),
        (["/proc/version"], 126, "Error: can't run '/proc/version': Permission denied"),
        (["\x1b[31m\n"], 127, r"Error: can't run '\x1b[31m\x0a': No such file or directory"),
    ],
)
def test_the_exit_code_is_that_of_the_command(command, code, why):
    done = run("probe", "stat", FAULTS, "--", *command)

    assert done.returncode == code
    assert done.stdout == ("" if why else "out\n")
    if why:
        assert done.stderr == f"{why}\n"
    else:
        assert re.search(rf"^ +\d+  {FAULTS}  # [\d.]+ [KM]?/s\n", done.stderr, re.MULTILINE)


def test_the_command_keeps_its_options():
    done = run("probe", "stat", "cs", "--", "echo", "-j", "--help", "-p", "1", "--")

    assert done.stdout == "-j --help -p 1 --\n"


def test_json_is_alone_on_stdout():
    """What the command writes goes to stderr then."""
    done = run("-j", "probe", "stat", FAULTS, "task-clock", "hardware:bus-cycles", "--", "sh", "-c", "echo out; exit 5")
    found = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (5, "out\n")
    assert {"time", "seconds", "sum", "counts", "user", "system", "exit_code"} <= found.keys()
    assert found["exit_code"] == 5
    faults, clock, cycles = found["counts"]
    assert (faults["probe"], faults["unit"], faults["state"]) == (FAULTS, "", "counted")
    assert isinstance(faults["count"], int)
    assert faults["ratio_unit"] == "per second"
    assert faults["ratio"] == pytest.approx(faults["count"] / clock["count"] * 1000, rel=1e-3)
    assert (clock["unit"], clock["ratio_unit"]) == ("msec", "CPUs utilized")
    assert clock["ratio"] == pytest.approx(clock["count"] / 1000 / found["seconds"], rel=1e-2)
    if cycles["state"] == "not supported":
        assert cycles["count"] is cycles["ratio"] is None


def test_a_file_for_the_counts(tmp_path):
    path = tmp_path / "counts"
    done = run("-j", "probe", "stat", GETPID, "--output", str(path), "--", load(), "asks", "77")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(path.read_text())["counts"][0]["count"] == 77
    assert run("probe", "stat", "cs", "-o", str(tmp_path / "no/where"), "--", "true").stderr == (
        f"Error: can't write '{tmp_path}/no/where': No such file or directory\n"
    )


def test_without_events_it_is_what_perf_counts():
    done = run("probe", "stat", "--", "true")
    names = [line.split("#")[0].split()[-1] for line in done.stderr.splitlines() if re.search(r"\w:\w", line)]

    assert names[:4] == [
        "software:task-clock",
        "software:context-switches",
        "software:cpu-migrations",
        "software:page-faults",
    ]
    assert names[4:8] == [f"hardware:{name}" for name in ("cycles", "instructions", "branches", "branch-misses")]


def test_rounds_add_up():
    """Each tells what came in it, and the last what came in all."""
    script = f"for i in 1 2 3; do {load()} asks 1000; sleep 0.1; done"
    done = run("-j", "probe", "stat", GETPID, "--interval", "0.05", "--", "sh", "-c", script)
    *rounds, whole = map(json.loads, done.stdout.splitlines())

    assert [found["sum"] for found in rounds] == [False] * len(rounds)
    assert len(rounds) >= 3
    assert sum(found["counts"][0]["count"] for found in rounds) == whole["counts"][0]["count"]
    assert whole["counts"][0]["count"] >= 3000
    assert sum(found["seconds"] for found in rounds) == pytest.approx(whole["seconds"], abs=0.05)


def test_several_runs():
    found = told([GETPID, "--repeat", "4"], "asks", "250")
    words = run("probe", "stat", "-r", "2", GETPID, "--", load(), "asks", "250", "exits", "6")

    assert (found["runs"], found["counts"][0]["count"], found["counts"][0]["deviation"]) == (4, 250, 0)
    assert words.returncode == 6
    assert re.match(rf" +250  {GETPID}  # .*/s  ± 0.00 %\n.* s system, mean of 2 runs\n", words.stderr)


def test_without_a_command_it_is_the_machine():
    done = run("-j", "probe", "stat", "cpu-clock", "--duration", "0.2")
    found = json.loads(done.stdout)

    assert done.returncode == 0
    assert "exit_code" not in found
    assert found["counts"][0]["ratio"] == pytest.approx(os.cpu_count(), rel=0.2)


def test_a_command_may_say_how_long():
    """Of the machine, of CPUs or of a process, of which the command is none."""
    found = told(["-a", "--per-cpu", GETPID], "asks", "1234")
    with running("-j", "probe", "stat", "-p", str(os.getpid()), GETPID, "--", load(), "asks", "5000") as process:
        other = json.loads(process.communicate()[0])

    assert sum(row["count"] for row in found["counts"]) >= 1234
    assert [row["cpu"] for row in found["counts"]] == sorted(row["cpu"] for row in found["counts"])
    assert other["counts"][0]["count"] < 5000


def test_a_process_and_its_end():
    with running("-j", "probe", "stat", "-p", str(os.getpid()), "cs", "--interval", "0.1") as process:
        assert json.loads(process.stdout.readline())["sum"] is False
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    *_, last = map(json.loads, output.splitlines())

    assert (process.returncode, errors, last["sum"]) == (0, "", True)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["cylces", "--", "true"], 3, "did you mean 'cycles'?"),
        (["true"], 3, "(a command to count is told behind --)"),
        (["profile:99hz", "--", "true"], 2, "is counted by a program alone"),
        (["cs", "--duration", "1", "--", "true"], 2, "--duration is for counting without a command"),
        (["cs", "--repeat", "2"], 2, "--repeat runs a command several times"),
        (["cs", "--repeat", "2", "--interval", "1", "--", "true"], 2, "without --interval"),
        (["cs", "-p", "1", "-a"], 2, "--pid and --all-cpus exclude each other"),
        (["cs", "-p", "1", "--cgroup", "/x"], 2, "--pid and --cgroup exclude each other"),
        (["cs", "-C", "0-", "--", "true"], 2, "--cpu: '0-' should be a list of CPUs"),
        (["cs", "-C", "3-2", "--", "true"], 2, "--cpu: '3-2' should be a list of CPUs"),
        (["cs", "-C", "99999", "--", "true"], 3, "there is no CPU 99999 that runs"),
        (["cs", "-p", "4194304"], 3, "there is no process 4194304"),
        (["cs", "--cgroup", "/tmp"], 2, "that folder is no cgroup"),
        (["cs", "--cgroup", "/nonexistent"], 3, "there is no cgroup '/nonexistent'"),
        (["\x1b[31m\udcff", "--", "true"], 3, r"\x1b[31m"),
    ],
)
def test_mistakes(words, code, why):
    done = run("probe", "stat", *words)

    assert done.returncode == code
    assert why in done.stderr
    assert done.stdout == ""


def test_batches_count_nothing(tmp_path):
    (tmp_path / "batch").write_text("probe stat cs\n")
    done = run("batch", "file", str(tmp_path / "batch"))

    assert "so it is no command for a batch" in done.stderr


def test_ctrl_c_ends_the_command_and_tells_what_was_counted():
    with Terminal([*BPFCTL, "probe", "stat", "cs", "faults", "--", load(), "waits", "1"], env=ON_TERMINAL) as terminal:
        terminal.wait_for(b"waiting")
        terminal.press_ctrl_c()
        assert terminal.finish() == 130
        lines = terminal.lines()

    assert any(re.fullmatch(r" *\d+  software:context-switches .*/s", line) for line in lines)


def test_a_signal_for_us_is_one_for_the_command():
    with running("probe", "stat", "cs", "--", load(), "waits", "1") as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()

    assert process.returncode == 143
    assert "software:context-switches" in errors


def test_nobody_reads_the_rounds_any_more():
    """Then the command is told to end, and we end as whoever writes into such a pipe."""
    script = "trap 'echo ended >&2; exit' TERM; echo $$ >&2; while :; do sleep 0.01; done"
    with running("-j", "probe", "stat", "cs", "--interval", "0.05", "--", "sh", "-c", script) as process:
        process.stdout.readline()
        process.stdout.close()
        pid, ended = (process.stderr.readline().strip() for _ in range(2))
        process.wait()

    assert pid.isdecimal()
    assert ended == "ended"
    assert process.returncode == -signal.SIGPIPE


def test_a_table_on_a_terminal():
    words = ["probe", "stat", "task-clock", "faults", "--", load(), "pages", "100"]
    with Terminal([*BPFCTL, *words], env=ON_TERMINAL) as terminal:
        assert terminal.finish() == 0
        times, head, _, clock, faults = terminal.lines()

    assert re.fullmatch(r"[\d.]+ s elapsed, [\d.]+ s user, [\d.]+ s system", times)
    assert head.split() == ["count", "unit", "probe", "rate"]
    assert re.fullmatch(r" *[\d.]+  msec  software:task-clock   [\d.]+ CPUs utilized", clock)
    assert re.fullmatch(r" *\d+        software:page-faults  +[\d.]+ [KM]?/s", faults)
    assert max(map(len, (times, head, clock, faults))) <= 80


def test_a_table_that_is_drawn_anew():
    with Terminal([*BPFCTL, "probe", "stat", "cpu-clock", "--per-cpu", "-C", "0"], env=ON_TERMINAL) as terminal:
        terminal.wait_for(b"Ctrl-C ends")
        terminal.press_ctrl_c()
        assert terminal.finish() == 0
        _, _, left = terminal.seen.rpartition(b"\x1b[?1049l")  # what stays

    assert b"s elapsed" in left
    assert re.search(
        r"^0 +[\d.]+  msec  software:cpu-clock  +[\d.]+ CPUs utilized", STYLES.sub("", left.decode()), re.MULTILINE
    )
