"""Displays that are drawn again and again, on a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bpfctl.render.json import JsonOutput
from bpfctl.render.plain import PlainOutput
from bpfctl.render.sink import Sink
from bpfctl.render.terminal import TerminalOutput
from bpfctl.render.watch import rounds
from bpfctl.views.view import Board, Column, View
from tests.terminal import STYLES, Terminal

PROGRAM = """
import itertools, os, sys
from bpfctl.render.sink import Sink
from bpfctl.views.view import Column, View

view = View("things", lambda row: {"id": row}, lambda row: iter([f"{row}: thing"]),
            (Column("id", lambda row: row, "number"), Column("name", lambda row: f"thing{row}")), lambda _: {})
count = itertools.count(int(sys.argv[2]))
if sys.argv[1] == "table":
    from bpfctl.render.terminal import TerminalOutput
    out = TerminalOutput(Sink(1))
elif sys.argv[1] == "plain":
    from bpfctl.render.plain import PlainOutput
    out = PlainOutput(Sink(1))
else:
    from bpfctl.render.json import JsonOutput
    out = JsonOutput(Sink(1), pretty=False)
out.watch(view, lambda: range(next(count)), listing=True, seconds=float(sys.argv[3]))
out.close()
"""
ENVIRONMENT = {"TERM": "xterm", "LANG": "C.UTF-8", "NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


def command(voice, start, seconds):
    return [sys.executable, "-c", PROGRAM, voice, str(start), str(seconds)]


def piped(voice, lines, start=1, seconds=0.05):
    """Return the first lines of a watch into a pipe, after Ctrl-C has ended it well."""
    with subprocess.Popen(command(voice, start, seconds), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as child:
        try:
            found = [child.stdout.readline() for _ in range(lines)]
            child.send_signal(signal.SIGINT)
            rest = child.stdout.read()
            assert child.wait() == 0
        finally:
            child.kill()
    return found, rest


class Hasty(Sink):
    """Somebody presses Ctrl-C whenever something is written."""

    def write(self, text):
        super().write(text)
        os.kill(os.getpid(), signal.SIGINT)


def test_the_screen_is_given_back_whenever_ctrl_c_comes(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    view = View("things", lambda row: {"id": row}, iter, (Column("id", lambda row: row),), lambda _: {})
    with open(tmp_path / "screen", "wb") as file:
        out = TerminalOutput(Hasty(file.fileno()))
        with pytest.raises(KeyboardInterrupt):  # those that came after the one that has ended it
            out.watch(view, list, listing=True, seconds=60)
        out.sink.flush()

    seen = (tmp_path / "screen").read_bytes()
    assert seen.startswith(b"\x1b[?1049h")
    assert seen.endswith(b"\x1b[?1049l\x1b[?25h")


def test_json_is_a_document_per_line():
    found, rest = piped("json", 3)

    documents = [[row["id"] for row in json.loads(line)] for line in found]
    assert documents == [[0], [0, 1], [0, 1, 2]]
    assert all(isinstance(json.loads(line), list) for line in rest.splitlines())


def test_plain_text_is_a_block_per_round():
    found, _ = piped("plain", 5)

    assert found == ["0: thing\n", "\n", "0: thing\n", "1: thing\n", "\n"]


def test_a_reader_that_goes_away_ends_it():
    """As it ends any other program in a pipe."""
    shell = subprocess.run(
        ["bash", "-c", '"$@" | head -1; exit ${PIPESTATUS[0]}', "-", *command("json", 1, 0.01)],
        env=ENVIRONMENT,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert shell.stdout == b'[{"id":0}]\n'
    assert shell.returncode != 0
    assert b"ClosedPipe" in shell.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_screen_is_given_back(number):
    """The cursor too, and nothing is left half drawn."""
    with Terminal(command("table", 3, 0.1), env=ENVIRONMENT) as terminal:
        terminal.wait_for(b"things: 5")
        terminal.kill(number)

        assert terminal.finish() == 0
        assert terminal.seen.startswith(b"\x1b[?1049h")
        assert terminal.seen.count(b"\x1b[?25l") == 1
        assert terminal.seen.endswith(b"\x1b[?1049l\x1b[?25h")


def test_ctrl_c_is_typed():
    with Terminal(command("table", 3, 60), env=ENVIRONMENT) as terminal:
        terminal.wait_for(b"thing2")
        terminal.press_ctrl_c()

        assert terminal.finish() == 0


def test_another_size_is_drawn_at_once():
    """Without waiting for the next round."""
    with Terminal(command("table", 100, 60), size=(60, 10), env=ENVIRONMENT) as terminal:
        terminal.wait_for(b"... more than the screen has room for")
        terminal.resize(50, 30)
        terminal.wait_for(b"... more than the screen has room for", 2)
        first, second = terminal.seen.decode().split("things: ")[1:3]
        terminal.press_ctrl_c()

        assert terminal.finish() == 0
    assert "thing4" in first
    assert "thing6" not in first
    assert "thing24" in second
    assert {len(line) for line in STYLES.sub("", second).splitlines()[1:]} == {50}


def test_a_dumb_terminal_gets_blocks():
    with Terminal(command("table", 1, 0.05), env={**ENVIRONMENT, "TERM": "dumb"}) as terminal:
        terminal.wait_for(b"thing1")
        terminal.press_ctrl_c()

        assert terminal.finish() == 0
    assert b"\x1b" not in terminal.seen
    assert terminal.lines()[:4] == ["id  name", "──  ──────", " 0  thing0", ""]


def test_rounds_keep_their_period():
    """A round that takes long is followed by the next at once."""
    began = time.monotonic()
    with rounds(0.02) as every:
        for _ in range(5):
            assert next(every)

    assert time.monotonic() - began >= 0.08


def test_signals_are_as_before():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    with rounds(1) as every:
        for _ in every:
            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set())
            break

    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before


def test_rounds_come_to_an_end():
    began = time.monotonic()
    with rounds(0.02, 3) as every:
        assert list(every) == [True, True, True]
    assert time.monotonic() - began >= 0.04


def test_the_first_round_may_be_waited_for():
    began = time.monotonic()
    with rounds(0.01, 1, first=0.2) as every:
        assert list(every) == [True]
    assert time.monotonic() - began >= 0.2


def test_a_signal_ends_the_wait_for_the_first_round():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        with rounds(60, first=60) as every:
            assert list(every) == []
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_another_size_of_the_terminal_is_no_round_of_its_own():
    """It is drawn at once, and counts with the round in which it came."""
    came = []
    with rounds(0.05, 2) as every:
        for is_round in every:
            came.append(is_round)
            if len(came) == 1:
                os.kill(os.getpid(), signal.SIGWINCH)

    assert came == [True, False, True]


MEASURES = Board(
    lambda at: {"round": at},
    lambda at: iter([f"round {at}"]),
    lambda at: f"round {at}",
    lambda _: (Column("n", lambda row: row),),
    lambda at: [at],
    "nothing",
    measures=True,
)


def test_a_board_that_measures_begins_with_a_full_round(capfd):
    """A line each for programs, a block each in a log."""
    for out, wanted in (
        (JsonOutput(Sink(1), pretty=False), '{"round":1}\n{"round":2}\n'),
        (PlainOutput(Sink(1)), "round 1\n\nround 2\n\n"),
    ):
        rounds_ = iter((1, 2))
        began = time.monotonic()
        out.board(MEASURES, lambda rounds_=rounds_: next(rounds_), seconds=0.05, count=2)
        out.close()

        assert time.monotonic() - began >= 0.1
        assert capfd.readouterr().out == wanted


@pytest.mark.parametrize(
    ("out", "wanted"),
    [(JsonOutput, '{"round":1}\n{"round":9}\n'), (PlainOutput, "round 1\n\nround 9\n")],
)
def test_the_last_round_of_a_board_that_was_ended(capfd, out, wanted):
    """What came until Ctrl-C is told, too; but not behind the last round of as many as were wanted."""

    def ask():
        os.kill(os.getpid(), signal.SIGINT)
        return 1

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        told = out(Sink(1), pretty=False) if out is JsonOutput else out(Sink(1))
        told.board(MEASURES._replace(measures=False), ask, seconds=60, count=2, last=lambda: 9)
        told.board(MEASURES._replace(measures=False), lambda: 1, seconds=60, count=1, last=lambda: 9)
        told.close()
    finally:
        signal.sigtimedwait({signal.SIGINT}, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    assert capfd.readouterr().out == wanted + wanted.splitlines(keepends=True)[0]
