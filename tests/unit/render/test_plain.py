"""Plain text: lines on stdout, remarks and errors on stderr."""

from __future__ import annotations

import os

from bpfctl.render.plain import PlainOutput
from bpfctl.render.sink import Sink
from bpfctl.views.view import Document, View

VIEW = View("things", lambda row: {"row": row}, lambda row: iter([f"{row}: thing", f"\tname {row}"]), (), lambda _: {})


def test_a_row_is_a_block_of_lines(capfd):
    out = PlainOutput(Sink(1))
    out.show(VIEW, ["1", "2"], listing=True)
    out.close()

    assert capfd.readouterr() == ("1: thing\n\tname 1\n2: thing\n\tname 2\n", "")


def test_names_cannot_act_on_the_terminal(capfd):
    """A line stays one line, whatever is in it."""
    out = PlainOutput(Sink(1))
    out.show(VIEW, [os.fsdecode(b"\x1b[2J\n\x9b\xff")], listing=True)
    out.lines(["\x1b[1m"], None)
    out.close()

    assert capfd.readouterr().out == ("\\x1b[2J\\x0a\\x9b\\xff: thing\n\tname \\x1b[2J\\x0a\\x9b\\xff\n\\x1b[1m\n")


def test_an_error_is_one_line_with_its_hint(capfd):
    """What was shown before it comes before it."""
    out = PlainOutput(Sink(1))
    out.lines(["first"], None)
    out.error("can't open a\nb", "run \x07 it")
    out.note("by the \x1b way")
    out.close()

    assert capfd.readouterr() == ("first\n", "Error: can't open a\\x0ab (run \\x07 it)\nby the \\x1b way\n")


def test_a_closed_stderr_changes_nothing(capfd):
    saved = os.dup(2)
    try:
        os.close(2)
        PlainOutput(Sink(1)).error("unheard")
    finally:
        os.dup2(saved, 2)
        os.close(saved)

    assert capfd.readouterr() == ("", "")


def test_a_batch_tells_its_number_of_commands(capfd):
    out = PlainOutput(Sink(1))
    out.begin_batch()
    out.begin_command(["version"])
    out.end_command()
    out.end_batch(1)
    out.close()

    assert capfd.readouterr().out == "processed 1 commands\n"


def test_lines_of_a_log_are_harmless(capfd):
    """Tabs stay, and a last line without a line break has none."""
    out = PlainOutput(Sink(1))
    out.log([["a\tb\n", os.fsdecode(b"\x1b[31m\xff\r\n")], [], ["end"]])
    out.close()

    assert capfd.readouterr() == ("a\tb\n\\x1b[31m\\xff\\x0d\nend", "")


def test_tabs_of_a_document_stay_whatever_else_is_in_a_line(capfd):
    """Source has tabs inside of lines, also where it has more than ASCII or something hostile."""
    out = PlainOutput(Sink(1))
    out.document(Document(lambda _: iter(["\tint a;\t/* b */\n", "\tint é;\t/* \x1b[2J */\n"])))
    out.close()

    assert capfd.readouterr().out == "\tint a;\t/* b */\n\tint é;\t/* \\x1b[2J */\n"
