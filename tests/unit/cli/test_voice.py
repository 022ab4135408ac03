"""Which voice speaks, and in colours or not."""

from __future__ import annotations

import os
import pty

import pytest

from bpfctl.cli import voice
from bpfctl.cli.options import Options
from bpfctl.render.json import JsonOutput
from bpfctl.render.plain import PlainOutput
from bpfctl.render.sink import Sink
from bpfctl.render.terminal import TerminalOutput
from bpfctl.views.view import Column, View
from tests.memory import Memory

VIEW = View(
    "things",
    lambda row: {"id": row},
    lambda row: iter([str(row)]),
    (Column("id", lambda row: row, "number", "handle"), Column("name", lambda _: "one", tone="name")),
    lambda _: {},
)
BOLD, CYAN = "\x1b[1m", "\x1b[36m"


@pytest.fixture
def environment(monkeypatch):
    """Set what tells of colours, and nothing else."""

    def set_(**variables):
        for name in ("NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "FORCE_COLOR", "COLORTERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": "80", **variables}.items():
            monkeypatch.setenv(name, value)

    return set_


@pytest.fixture
def terminal():
    """Return a descriptor of a terminal."""
    ours, its = pty.openpty()
    yield its
    os.close(ours)
    os.close(its)


def test_tables_are_for_terminals(environment, terminal):
    environment()
    sink = Sink(terminal)

    assert type(voice.output(sink, Options())) is TerminalOutput
    assert type(voice.output(sink, Options(plain=True))) is PlainOutput
    assert type(voice.output(sink, Options(json=True))) is JsonOutput
    assert type(voice.output(Memory(), Options())) is PlainOutput


@pytest.mark.parametrize(
    ("variables", "color", "is_table"),
    [
        ({}, "always", True),
        ({"NO_COLOR": "1"}, "always", True),
        ({"CLICOLOR_FORCE": "1"}, "auto", True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, "auto", False),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": ""}, "auto", True),
        ({"CLICOLOR_FORCE": ""}, "auto", False),
        ({"CLICOLOR_FORCE": "1"}, "never", False),
    ],
)
def test_tables_in_a_pipe(environment, variables, color, is_table):
    """By the option, else by CLICOLOR_FORCE; plain text and JSON stay what they are."""
    environment(**variables)
    options = Options(color=color)

    assert isinstance(voice.output(Memory(), options), TerminalOutput) == is_table
    assert type(voice.output(Memory(), options._replace(plain=True))) is PlainOutput
    assert type(voice.output(Memory(), options._replace(json=True))) is JsonOutput


@pytest.mark.parametrize(
    ("variables", "color", "has_color", "has_bold"),
    [
        ({}, "auto", True, True),
        ({}, "always", True, True),
        ({}, "never", False, False),
        ({"NO_COLOR": "1"}, "auto", False, True),
        ({"NO_COLOR": ""}, "auto", True, True),
        ({"NO_COLOR": "1"}, "always", True, True),
        ({"NO_COLOR": "1"}, "never", False, False),
        ({"TERM": "dumb"}, "auto", False, False),
        ({"TERM": ""}, "auto", False, False),
        ({"TERM": "dumb"}, "always", True, True),
    ],
)
def test_colours_of_a_table(environment, variables, color, has_color, has_bold):
    """NO_COLOR is about colours alone; ``--color never`` leaves no escape at all, nor does a dumb terminal."""
    environment(**variables)
    out = TerminalOutput(Memory(), color=color)
    out.show(VIEW, [7, 8], listing=True)
    out.close()

    assert (CYAN in out.sink.text, BOLD in out.sink.text) == (has_color, has_bold)
    assert ("\x1b" in out.sink.text) == has_bold


def test_nothing_moves_the_cursor_in_a_pipe(environment):
    """What is drawn again and again is written as plain text, as without colours."""
    environment()
    out = TerminalOutput(Memory(), color="always")
    with pytest.raises(ZeroDivisionError):  # ends what has no end
        out.watch(VIEW, lambda: [1 // 0], listing=True, seconds=0.1)
    out.close()

    assert out.sink.text == ""
