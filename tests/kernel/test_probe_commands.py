"""bpfctl probe: what its commands show, count and attach on the running kernel."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from bpfctl.asm.insn import R0, R1, R2, R10
from bpfctl.attach.cookie import has_cookies
from bpfctl.probe.code import Code
from tests.kernel import client
from tests.kernel.command import run, running
from tests.kernel.probing import FORK, OPEN, RAW_FORK, YIELD

ARRAY = 2
TRACEPOINT, RAW_TRACEPOINT = 5, 17


def test_show_tells_fields_and_whether_it_can_be_attached():
    found = json.loads(run("-j", "probe", "show", RAW_FORK, FORK).stdout)

    assert [row["spec"] for row in found] == [RAW_FORK, FORK]
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
    counts = client.map_create(ARRAY, 4, 8, 1)
    code = Code()
    code.st(4, R10, -4, 0).mov(R2, R10).add(R2, -4).ld_map_fd(R1, counts).call(1)
    code.jump("jeq", R0, 0, "out").mov(R1, 1).atomic_add(8, R0, 0, R1)
    return client.prog_load(type_, code.end(), name=name), counts


@pytest.mark.parametrize(
    ("spec", "type_", "what"),
    [
        (FORK, 17, "forks"),
        (FORK, 5, "forks"),
        (YIELD, 5, "yields"),
        (RAW_FORK, 17, "forks"),
    ],  # raw tracepoint, tracepoint
)
def test_attach_a_program_of_ones_own(child, spec, type_, what):
    """It is attached as its type wants it, as long as a pin is there."""
    program, counts = _counter(type_, "own_prog")
    pin = f"/sys/fs/bpf/own-{os.getpid()}"
    try:
        done = run("probe", "attach", spec, "name", "own_prog", "--pin", pin)
        if type_ == TRACEPOINT and not has_cookies():  # before Linux 5.15, which brought links of perf events
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
    program, counts = _counter(RAW_TRACEPOINT, "own_raw")
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
    lines = run("--plain", "probe", "list", RAW_FORK, "-v").stdout.splitlines()

    assert lines[0] == RAW_FORK
    assert lines[1:3] == ["    struct task_struct *parent", "    struct task_struct *child"]


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
