"""What help, man pages and the reference are made of is there for every command."""

from __future__ import annotations

import re

import pytest

from bpfctl.cli import help as help_
from bpfctl.cli import manual, terms, usage
from bpfctl.cli.examples import EXAMPLES
from bpfctl.cli.global_option import GLOBAL
from bpfctl.cli.table import OBJECTS

#: Commands, but those that are another one under a second name.
COMMANDS = {
    f"{object_} {next(one.word for one in there if (one.run, one.help) == (command.run, command.help))}"
    for object_, there in OBJECTS.items()
    for command in there
    if command.run
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_examples(name):
    """Which are run by tests/kernel/test_examples.py."""
    assert EXAMPLES[name]
    assert all(f" {word}" in one.line for one in EXAMPLES[name] for word in name.split()[:1])


def test_every_example_is_of_a_command():
    assert set(EXAMPLES) == COMMANDS


def test_global_options_are_sentences():
    """What TAB says, and more."""
    told = [option.text for option in GLOBAL]

    assert told[:2] == ["Write JSON, as bpftool does.", "Write JSON with line breaks."]
    assert all(text[0].isupper() and text.endswith(".") for text in told)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_help_is_as_wide_as_the_screen(monkeypatch, width):
    """But for examples, which are there to be copied, and what has nowhere to break."""
    monkeypatch.setenv("COLUMNS", str(width))
    for name in ["", *manual.there()]:
        commands = [None, *(command for command in OBJECTS.get(name, ()) if command.run)]
        for command in commands:
            text = "\n".join(help_.lines(name or None, command)).partition("\nExamples:\n")[0]
            assert not [line for line in text.splitlines() if len(line) > width and " " in line.strip()]


def test_words_are_told_in_the_order_of_the_usage():
    command = next(one for one in OBJECTS["map"] if one.word == "update")
    text = "\n".join(help_.lines("map", command))
    words = ["\n  MAP ", "\n  DATA ", "\n  VALUE ", "\n  any|exist|noexist ", "\n  PROG "]

    assert sorted(words, key=text.index) == words
    assert text.startswith("Usage: bpfctl map update MAP [key DATA...] [value VALUE] [any|exist|noexist]\n")


@pytest.mark.parametrize(
    ("synopsis", "read"),
    [
        ("", ""),
        ("MAP PIN", "MAP PATH"),
        ("[ PROG ]", "[PROG]"),
        ("SPEC ... PROG", "SPEC... PROG"),
        ("MAP [ FLAG ]", "MAP [any|exist|noexist]"),
        ("[ { stdout | stderr } PROG ]", "[{stdout|stderr} PROG]"),
        ("{ bash | zsh | fish }", "bash|zsh|fish"),
        ("MAP { MAP | create PIN [ name NAME ] }", "MAP {MAP | create PATH [name NAME]}"),
        ("SOURCE [ { format { raw | c } | unsorted } ... ]", "SOURCE [{format {raw|c} | unsorted}...]"),
        ("[ SPEC ... ] [ -- COMMAND ... ]", "[SPEC...] [-- COMMAND...]"),
    ],
)
def test_synopses_as_people_read_them(monkeypatch, synopsis, read):
    monkeypatch.setitem(usage.SYNOPSES, "a b", synopsis)
    before, dashes, behind = read.partition(" [--")

    assert usage.lines("a", "b") == [f"bpfctl a b {before}".rstrip() + f" [OPTIONS]{dashes}{behind}"]


def test_a_choice_of_whole_lines_is_several_lines(monkeypatch):
    monkeypatch.setitem(usage.SYNOPSES, "a b", "{ xlated PROG [ linum ] | jited PROG }")

    assert usage.lines("a", "b") == ["bpfctl a b xlated PROG [linum] [OPTIONS]", "bpfctl a b jited PROG [OPTIONS]"]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_value_is_explained(name):
    """What a command takes in capitals is told of, by its own words or by those of all."""
    object_, _, word = name.partition(" ")
    page = manual.page(object_, next(one for one in OBJECTS[object_] if one.word == word and one.run))
    told = {kind for entry in (*page.words, *page.terms) for kind in entry.name.split()}

    assert [kind for kind in usage.values(usage.SYNOPSES[name]) if kind not in told] == []
    assert page.summary
    assert page.rights


def test_every_word_that_is_told_of_is_there():
    """What a command no longer has is told of no longer."""
    for name, words in terms.WORDS.items():
        line = " ".join(usage.lines(*name.split(" ", 1)))
        known = {*re.findall(r"[\w-]+", line)}
        assert {part for label in words for part in re.findall(r"[\w-]+", label)} <= known, name
    used = {kind for text in usage.SYNOPSES.values() for kind in usage.values(text)}
    assert used >= terms.TERMS.keys()
