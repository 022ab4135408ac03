"""Probes as a person at a terminal of 80 columns sees them."""

from __future__ import annotations

import re
import shlex
import signal
from contextlib import contextmanager

from tests.kernel.command import BPFCTL, ON_TERMINAL
from tests.kernel.probing import FORK, RAW_FORK, YIELD
from tests.terminal import Terminal


@contextmanager
def at_work(*words):
    with Terminal([*BPFCTL, "probe", *words], env=ON_TERMINAL) as terminal:
        terminal.wait_for(b"Ctrl-C ends")
        yield terminal


def shown(*words):
    with Terminal([*BPFCTL, "probe", *words], env=ON_TERMINAL) as terminal:
        assert terminal.finish() == 0, terminal.seen
        return terminal.lines()


def test_it_says_when_it_has_begun(child):
    with at_work("trace", YIELD, "-p", str(child.pid), "--fields", "pid") as terminal:
        child.does("yields", 3)
        terminal.wait_for(b"pid=", 3)
        terminal.press_ctrl_c()
        assert terminal.finish() == 0
        first, *hits = [line for line in terminal.lines() if line != "^C"]

    assert first == "attached 1 probe (raw tracepoint sys_enter), Ctrl-C ends"
    assert all(re.fullmatch(rf"(\^C)?\d\d:\d\d:\d\d\.\d{{6}}  pid={child.pid}", line) for line in hits)
    assert len(hits) == 3


def test_counts_say_it_too():
    first, *_ = shown("count", FORK, RAW_FORK, "--duration", "0.1")

    assert first == "attached 2 probes (raw tracepoint), Ctrl-C ends"


def test_ctrl_c_leaves_the_counts_on_the_screen(child):
    with at_work("count", YIELD, "-p", str(child.pid), "--by", "pid") as terminal:
        terminal.wait_for(b"\x1b[?1049h")  # the screen that is drawn anew
        child.does("yields", 4321)
        terminal.press_ctrl_c()
        assert terminal.finish() == 0
        _, _, left = terminal.seen.rpartition(b"\x1b[?1049l")  # what stays

    assert re.search(rb"4321 hits in \d", left)
    assert re.search(rb"\b4321\b.*\b%d\b" % child.pid, left)


def test_what_a_slow_terminal_does_not_show_is_told(child):
    with at_work("trace", YIELD, "-p", str(child.pid), "--fields", "pid") as terminal:
        terminal.kill(signal.SIGSTOP)
        child.does("yields", 50_000)
        terminal.kill(signal.SIGINT)
        terminal.kill(signal.SIGCONT)
        assert terminal.finish() == 0
        lines = terminal.lines()

    (more,) = re.findall(r"^(\d+) more hits are not shown", "\n".join(lines), re.MULTILINE)
    assert sum("pid=" in line for line in lines) + int(more) == 50_000


def test_several_are_shown_one_below_the_other():
    lines = shown("show", FORK, RAW_FORK)

    assert [line for line in lines if "target" in line] == [
        "target  sched:sched_process_fork",
        "target  sched_process_fork",
    ]
    assert max(map(len, lines)) <= 80


def test_programs_are_shown():
    lines = shown("dry-run", FORK)

    assert lines[0].startswith("raw_tracepoint program, attached as raw tracepoint")
    assert lines[1:3] == [f"    {FORK}", "     0: (bf) r6 = r1"]


def test_keys(child):
    """A key sorts, stops and ends; the terminal echoes none of them, and is as it was before."""
    with at_work("count", YIELD, FORK, "-p", str(child.pid)) as terminal:
        terminal.wait_for(b"s sorts (count, down)")
        child.does("yields", 77)
        terminal.type(b"s")
        terminal.wait_for(b"s sorts (per s, down)")
        terminal.type(b" ")
        terminal.wait_for(b"space goes on")
        terminal.type(b"q")
        assert terminal.finish() == 0
        _, _, left = terminal.seen.rpartition(b"\x1b[?1049l")
        echoes = terminal.echoes

    assert b"77 hits" in left
    assert echoes


def test_a_display_in_the_background_reads_no_keys(child):
    """Who is not in the foreground would be stopped for it."""
    shell = shlex.join([*BPFCTL, "probe", "count", YIELD, "-p", str(child.pid), "--duration", "1.5"])
    with Terminal(["sh", "-mc", f"{shell} & wait $!; echo ended with $?"], env=ON_TERMINAL) as terminal:
        assert terminal.finish() == 0

    assert b"ended with 0" in terminal.seen
    assert b"space pauses" not in terminal.seen
