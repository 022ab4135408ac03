"""What is longer than the screen goes through a pager, on terminals of the tests' own."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from bpfctl.render import pager
from tests.terminal import Terminal

#: Writes rows to a terminal as the program does, and tells afterwards that it has come to its end.
SHOW = """
import sys
from bpfctl.cli.options import Options
from bpfctl.cli.voice import output
from bpfctl.render.sink import Sink
from bpfctl.views.view import Column, View
count, *words = sys.argv[1:]
VIEW = View("things", dict, str, (Column("row", lambda row: row, "number"),), dict)
out = output(Sink(1), Options(no_pager="no-pager" in words))
if "batch" in words:
    out.begin_batch()

def rows():
    yield from range(int(count))
    if "fails" in words:
        raise ZeroDivisionError
def text(safe):
    for row in rows():
        if row == 50 and "notes" in words:
            out.note("a remark")
        yield f"row {row}\\n"

try:
    if "document" in words:
        from bpfctl.views.view import Document
        out.document(Document(text))
    else:
        out.show(VIEW, rows(), listing=True)
except ZeroDivisionError:
    out.warn("it failed")
out.warn("the end")
out.close()
"""
#: Puts a mark before each line.
MARKS = "sed s/^/%/"


def on_terminal(count, *words, pager=MARKS, then=None, **environment):
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "LANG": "C.UTF-8", "BPFCTL_PAGER": pager, **environment}
    for name in ("COLUMNS", "LINES", "PAGER", "LESS") - environment.keys():
        env.pop(name, None)
    if pager is None:
        del env["BPFCTL_PAGER"]
    with Terminal([sys.executable, "-c", SHOW, str(count), *words], size=(80, 10), env=env) as terminal:
        if then:
            then(terminal)
        return terminal.finish(), terminal.lines()


@pytest.mark.parametrize(("count", "is_paged"), [(1, False), (7, False), (8, True), (10_000, True)])
def test_what_is_longer_than_the_screen(count, is_paged):
    """Of ten lines two are titles, and one is left for the shell."""
    code, lines = on_terminal(count)

    assert code == 0
    assert [line.lstrip("%").strip() for line in lines[2:-1]] == [str(row) for row in range(count)]
    assert {line[:1] == "%" for line in lines[:-1]} == {is_paged}
    assert lines[-1] == "the end"


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["no-pager"], {}),
        (["batch"], {}),
        ([], {"pager": ""}),
        ([], {"pager": "cat"}),
        ([], {"pager": "/is/not/there"}),
        ([], {"pager": "'not closed"}),
        ([], {"pager": "/dev/null"}),
        ([], {"pager": None, "PAGER": ""}),
        ([], {"pager": "", "PAGER": MARKS}),
        ([], {"TERM": "dumb"}),
    ],
)
def test_no_pager(words, environment):
    code, lines = on_terminal(100, *words, **environment)

    assert code == 0
    assert lines[-2:] == [" 99", "the end"]
    assert "%" not in "".join(lines)


def test_who_has_no_keyboard_gets_no_pager():
    """As in a script with its own stdin."""
    env = {**os.environ, "TERM": "xterm", "BPFCTL_PAGER": MARKS}
    words = ["sh", "-c", 'exec "$@" </dev/null', "sh", sys.executable, "-c", SHOW, "100"]
    with Terminal(words, size=(80, 10), env=env) as terminal:
        assert terminal.finish() == 0

        assert terminal.lines()[-2:] == [" 99", "the end"]


def test_the_pager_of_the_user():
    assert "% 99" in on_terminal(100, pager=None, PAGER=MARKS)[1]
    assert "% 99" in on_terminal(100, PAGER="/is/not/there")[1]


def test_a_document_is_passed_on_as_it_comes():
    code, lines = on_terminal(5000, "document")

    assert code == 0
    assert lines == [*(f"%row {row}" for row in range(5000)), "the end"]


@pytest.mark.parametrize("words", [[], ["document"]])
def test_a_pager_that_has_been_quit_is_no_error(words):
    """And nothing more is made for it: these rows would never end."""
    code, lines = on_terminal(100_000, *words, pager="head -n 3")

    assert code == 0
    assert len(lines) == 4
    assert lines[-1] == "the end"


def test_an_error_comes_after_what_was_before_it():
    code, lines = on_terminal(100, "document", "fails")

    assert code == 0
    assert lines[-3:] == ["%row 99", "it failed", "the end"]
    assert on_terminal(3, "document", "fails")[1] == ["row 0", "row 1", "row 2", "it failed", "the end"]


def test_remarks_wait_until_the_pager_has_ended():
    """They would be in the midst of what it shows; without one they are told at once."""
    _, lines = on_terminal(100, "document", "notes")
    assert lines[-3:] == ["%row 99", "a remark", "the end"]

    _, lines = on_terminal(100, "document", "notes", pager="")
    assert lines[49:52] == ["row 49", "a remark", "row 50"]


def test_ctrl_c_is_for_the_pager(tmp_path):
    """It does not end the program, whose reader is there yet."""
    script = tmp_path / "pager"
    script.write_text("trap 'echo interrupted' INT\nhead -n 2\nread key </dev/tty\nread key </dev/tty\necho bye\n")

    def then(terminal):
        terminal.wait_for(b"0")
        terminal.press_ctrl_c()
        terminal.wait_for(b"interrupted")
        terminal.type(b"q\n\n")

    code, lines = on_terminal(100_000, "document", pager=f"sh {script}", then=then)

    assert code == 0
    assert lines[-2:] == ["bye", "the end"]


def test_ctrl_c_is_ours_again_afterwards():
    """The handler that was there before is there again."""
    before = signal.getsignal(signal.SIGINT)
    sink = pager.Paged(_Sink(), pager.Command(["sh", "-c", "cat >/dev/null"], os.environ))
    sink.write("\n" * 1000)
    assert signal.getsignal(signal.SIGINT) != before
    signal.raise_signal(signal.SIGINT)
    sink.finish()

    assert signal.getsignal(signal.SIGINT) == before


def test_ctrl_c_is_ours_where_the_pager_has_gone():
    """But for the first, which may have been meant for it: what takes long without a word can be ended."""
    sink = pager.Paged(_Sink(), pager.Command(["true"], os.environ))
    with pytest.raises(pager.Quit):
        _fill(sink)
    sink._running.wait()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    sink.finish()


def test_less_is_told_what_it_needs(monkeypatch):
    """Its options come from the user where he has some; under sudo it starts no shells."""
    ours, its = os.openpty()
    monkeypatch.setattr(pager.screen, "is_ours", lambda: True)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    for name in ("BPFCTL_PAGER", "PAGER", "LESS", "LESSSECURE", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    found = pager.command(its)
    assert (found.argv, found.env["LESS"], "LESSSECURE" in found.env) == (["less", "-FRX"], "FRX", False)
    monkeypatch.setenv("PAGER", "less -S")
    monkeypatch.setenv("LESS", "R")
    monkeypatch.setenv("SUDO_UID", "1000")
    found = pager.command(its)
    assert (found.argv, found.env["LESS"], found.env["LESSSECURE"]) == (["less", "-S"], "R", "1")
    os.close(ours)
    os.close(its)


def _fill(sink):
    """Write until nobody reads any more."""
    while True:
        sink.write("\n" * 1000)
        sink.flush()


class _Sink:
    """Stands for a terminal."""

    fd = 2

    def flush(self):
        """Have nothing to write."""
