"""`bpfctl probe run`: what a session file says is measured at once, and told by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.kernel.command import run, running
from tests.kernel.probing import PATIENCE, YIELD, is_waiting, until

GATHERED = f"""
[[count]]
name = "calls"
probes = "{YIELD}"
by = "pid"

[[hist]]
name = "callers"
probes = "{YIELD}"
of = "tid"
linear = [0, 5000000, 5000000]
"""
TRACED = f"""
[[trace]]
name = "each"
probes = "{YIELD}"
fields = "tid"
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "session.toml"
        path.write_text(text)
        return str(path)

    return write


def measured(*words):
    """Run a session beside a hundred hits, end it with Ctrl-C, and return what it wrote."""
    with running(*words) as process:
        assert until(lambda: is_waiting(process.pid) or process.poll() is not None)
        for _ in range(100):
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=PATIENCE)
    assert (0, "") == (process.returncode, error)
    return out


def test_all_that_is_gathered(file):
    """One document has what each of them has gathered, of the same hits."""
    found = json.loads(measured("-j", "probe", "run", file(GATHERED), "-p", str(os.getpid())))
    calls, callers = found["measurements"]

    assert [("calls", "count"), ("callers", "hist")] == [(one["name"], one["action"]) for one in (calls, callers)]
    assert [{"pid": os.getpid(), "count": 100}] == calls["counts"]
    assert [100] == [bucket["count"] for bucket in callers["histograms"][0]["buckets"]]


def test_hits_among_what_is_gathered(file):
    """Hits come as they are, a line each, and what is gathered at the end."""
    out = measured("-j", "probe", "run", file(GATHERED + TRACED), "-p", str(os.getpid()))
    *hits, last = map(json.loads, out.splitlines())

    assert [("each", os.getpid())] * 100 == [(hit["name"], hit["tid"]) for hit in hits]
    assert [100, 100] == [one["hits"] for one in last["measurements"]]


def test_plain_text(file):
    """Each is told under its name."""
    out = measured("probe", "run", file(GATHERED), "-p", str(os.getpid()))

    assert ["calls:", f"100  {os.getpid()}", "", "callers:"] == out.splitlines()[:4]


def test_the_process_of_the_file(file):
    """What the file says of a process holds, and the session is over with it."""
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other,
        running("-j", "probe", "run", file(f"pid = {other.pid}\n{GATHERED}")) as process,
    ):
        assert until(lambda: is_waiting(process.pid) or process.poll() is not None)
        other.stdin.close()
        out, _ = process.communicate(timeout=PATIENCE)

    assert 0 == process.returncode
    assert [0, 0] == [one["hits"] for one in json.loads(out)["measurements"]]


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("duration = 'x'\n" + GATHERED, 2, "{path}:1: 'duration' should be a number of seconds"),
        (GATHERED.replace("sched_yield", "sched_yeild"), 3, "there is no tracepoint 'syscalls:sys_enter_sched_yeild'"),
        (GATHERED + '\n[[count]]\nprobes = "x"', 2, "'x' names no probe"),
    ],
)
def test_mistakes(file, text, code, sentence):
    """A mistake has its line, and nothing stays of what was begun before it was found."""
    path = file(text)
    done = run("probe", "run", path)

    assert (code, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Error: " + sentence.format(path=path))
    assert f"{path}:" in done.stderr


def test_no_file():
    """A file that is not there is told so."""
    done = run("probe", "run", "/nonexistent")

    assert (3, "Error: can't read '/nonexistent': No such file or directory\n") == (done.returncode, done.stderr)
