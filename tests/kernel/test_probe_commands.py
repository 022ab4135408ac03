"""bpfctl probe: what its commands show, count and attach on the running kernel."""

from __future__ import annotations

import json
import re
import signal
from itertools import count

import pytest

from bpfctl.attach.cookie import has_cookies
from tests.kernel import client
from tests.kernel.command import run, running
from tests.kernel.probing import FORK, OPEN, RAW_FORK, YIELD, Own, ends, is_in, until

TRACEPOINT, RAW_TRACEPOINT = 5, 17
EXIT = "tracepoint:sched:sched_process_exit"
PATH_MAX = 4096  # with the null byte at its end
NO_LINK = "has no link, which alone can be pinned"  # before Linux 5.15, which brought links of perf events


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


_NUMBERS = count()


@pytest.fixture
def own(held):
    """Load programs of one's own; the last one may go only after the next one is made."""
    return lambda type_: Own(held, type_, client.own(f"own{next(_NUMBERS)}"))


def runs_when(own, child, what):
    """Return whether a program runs when a process does something."""
    before = own.runs()
    child.does(what, 1)
    return own.runs() > before


@pytest.fixture
def pin(place):
    """Return a path for pins, which are removed at the end."""
    path = place.bpffs / "own"
    yield path
    if path.is_dir():
        _unpin(path)
    path.unlink(missing_ok=True)


def _unpin(folder):
    for link in folder.iterdir():
        link.unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    ("spec", "type_"), [(FORK, RAW_TRACEPOINT), (FORK, TRACEPOINT), (YIELD, TRACEPOINT), (RAW_FORK, RAW_TRACEPOINT)]
)
def test_attach_a_program_of_ones_own(child, own, pin, spec, type_):
    """It is attached as its type wants it, as long as a pin is there."""
    program = own(type_)

    done = run("probe", "attach", spec, "name", program.name, "--pin", str(pin))

    if type_ == TRACEPOINT and not has_cookies():
        assert NO_LINK in done.stderr
        assert not pin.exists()
        return
    assert (done.returncode, done.stderr) == (0, "")
    child.does("yields" if spec == YIELD else "forks", 30)
    assert program.runs() >= 30


@pytest.mark.parametrize("type_", [RAW_TRACEPOINT, TRACEPOINT])
def test_a_pin_for_each_of_several_probes(child, own, pin, type_):
    """They are in a folder; with the last of them the program is attached to nothing any more."""
    program = own(type_)

    done = run("probe", "attach", FORK, EXIT, "name", program.name, "--pin", str(pin))

    if type_ == TRACEPOINT and not has_cookies():
        assert NO_LINK in done.stderr
        assert not pin.exists()
        return
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(link.name for link in pin.iterdir()) == ["0", "1"]
    child.does("forks", 30)
    assert program.runs() >= 60
    (pin / "1").unlink()
    assert runs_when(program, child, "forks")
    _unpin(pin)
    assert until(lambda: not runs_when(program, child, "forks"))


def test_a_pin_in_json_and_one_for_which_nothing_may_be_mounted(own, pin, tmp_path):
    program = own(RAW_TRACEPOINT)
    words = ["probe", "attach", FORK, "name", program.name, "--pin"]

    done = run("-j", *words, str(pin))

    assert (done.returncode, done.stdout, done.stderr) == (0, "null\n", "")
    pin.unlink()  # before Linux 6.10 a program is attached to a raw tracepoint but once
    done = run("--nomount", *words, str(tmp_path / "pin"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: no BPF file system found, not mounting it due to --nomount option\n"
    assert list(tmp_path.iterdir()) == []


def test_pins_outside_of_a_bpf_file_system(own, tmp_path):
    """A folder there can hold none, and is not made."""
    program = own(RAW_TRACEPOINT)

    done = run("probe", "attach", FORK, EXIT, "name", program.name, "--pin", str(tmp_path / "pins"))

    assert done.returncode == 2
    assert done.stderr == (
        f"Error: can't pin several links in '{tmp_path}/pins': '{tmp_path}' is not in a BPF file system\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_pins_where_something_is_already(own, pin):
    """It stays as it is."""
    program = own(RAW_TRACEPOINT)
    pin.mkdir()

    done = run("probe", "attach", FORK, EXIT, "name", program.name, "--pin", str(pin))

    assert (done.returncode, done.stderr) == (255, f"Error: can't make folder '{pin}' for the pins: File exists\n")
    assert list(pin.iterdir()) == []


def test_pins_of_which_one_fails_leave_none(child, own, pin):
    """The path of the eleventh is longer than any path may be, by the second digit of its number."""
    program = own(RAW_TRACEPOINT)
    room = PATH_MAX - len(f"{pin}/10")
    path = f"{pin.parent}/{'/' * (room % 2)}{'./' * (room // 2)}{pin.name}"
    assert len(f"{path}/10") == PATH_MAX

    done = run("probe", "attach", "tracepoint:sched:sched_*", "name", program.name, "--pin", path)

    assert done.returncode != 0
    assert done.stderr.endswith("/10): File name too long\n")
    assert done.stderr.count("\n") == 1
    assert not pin.exists()
    assert until(lambda: not runs_when(program, child, "forks"))


def test_a_program_of_another_type_is_refused(own):
    program = own(RAW_TRACEPOINT)

    done = run("probe", "attach", "uprobe:c:malloc", "name", program.name)

    assert "takes programs of type kprobe, and this one is of type raw_tracepoint" in done.stderr
    assert run("probe", "attach", "name", program.name).stderr == (
        "Error: a probe such as tracepoint:sched:sched_switch is missing"
        " ('bpfctl probe attach --help' tells what it takes)\n"
    )


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
        assert until(lambda: is_in(process.pid, "rt_sigtimedwait"))
        child.does("forks", 20)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    number, probe, _comm = output.split()
    assert (int(number), probe) == (20, FORK)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("voice", [["-j"], []])
def test_the_command_traces(child, voice):
    words = [*voice, "probe", "trace", OPEN, "--where", f"pid == {child.pid}", "--limit", "3", "--fields"]
    with running(*words, "pid,args.filename") as process:
        assert ends(process, lambda: child.does("opens", 3))
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
        (["count"], "a probe such as tracepoint:sched:sched_switch is missing"),
        (["count", FORK, "--where", "pid =="], "--where: at its end"),
        (["count", FORK, "--by", "a,,b"], "a name is missing between the commas"),
        (["count", FORK, "--duration", "0"], "--duration: can't wait for 0 seconds"),
        (["trace", FORK, "--buffer", "5000"], "--buffer: 5000 is no power of two"),
        (["trace", FORK, "--where", "comm"], "--where: comm is no number"),
    ],
)
def test_mistakes(words, why):
    done = run("probe", *words)

    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_it(child):
    with running("probe", "trace", OPEN, "--where", f"pid == {child.pid}") as process:
        process.stdout.close()
        assert ends(process, lambda: child.does("opens", 10))

    assert process.returncode != 0
