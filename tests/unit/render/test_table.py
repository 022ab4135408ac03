"""Tables and lists of fields, with what they show given by the test."""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest

from bpfctl.render.terminal import TerminalOutput
from bpfctl.views.view import Column, View
from tests.memory import Memory


class Row(NamedTuple):
    """An object."""

    id: int
    name: str = ""
    tag: str = "59f4a931744dcdc6"
    size: int = 16
    maps: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    note: str | None = None


VIEW = View(
    "things",
    lambda row: row._asdict(),
    lambda row: iter([str(row.id)]),
    (
        Column("id", lambda row: row.id, "number", "handle"),
        Column("name", lambda row: row.name or None, tone="name"),
        Column("tag", lambda row: row.tag, tone="quiet", rank=1),
        Column("flags", lambda row: row.flags, "flags", "alarm"),
        Column("size", lambda row: row.size, "bytes"),
        Column("maps", lambda row: row.maps, "list"),
    ),
    lambda _: {},
    (Column("note", lambda row: row.note),),
)


@pytest.fixture
def shown(monkeypatch):
    """Return what a terminal of a certain kind is sent for rows."""
    for name in "NO_COLOR", "COLORTERM", "LC_ALL", "LC_CTYPE", "LINES", "FORCE_COLOR":
        monkeypatch.delenv(name, raising=False)

    def show(*rows, listing=True, view=VIEW, **environment):
        usual = {"TERM": "xterm", "COLUMNS": "80", "LANG": "en_GB.UTF-8", "NO_COLOR": "1"}
        for name, value in {**usual, **environment}.items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        out = TerminalOutput(Memory())
        out.show(view, rows, listing=listing)
        out.close()
        return out.sink.text

    return show


def bare(text):
    """Return a text without bold and dim, which NO_COLOR leaves."""
    return text.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "")


def test_a_table(shown):
    """Numbers and sizes stand at the right, what nobody has is left out, and no line ends with blanks."""
    assert bare(shown(Row(7, "one"), Row(1234, "another", size=4096, maps=("1", "2")))).splitlines() == [
        "  id  name     tag                size  maps",
        "────  ───────  ────────────────  ─────  ────",
        "   7  one      59f4a931744dcdc6   16 B",
        "1234  another  59f4a931744dcdc6  4 KiB  1, 2",
    ]


def test_a_narrow_screen(shown):
    """Lists are wrapped, then columns leave, and what has left is told."""
    rows = Row(7, "one", maps=("101", "102", "103", "104")), Row(8, "two", flags=("orphaned",))

    assert bare(shown(*rows, COLUMNS="40")).splitlines() == [
        "id  name  flags     size  maps",
        "──  ────  ────────  ────  ──────────────",
        " 7  one             16 B  101, 102, 103,",
        "                          104",
        " 8  two   orphaned  16 B",
        "(a wider screen also shows: tag)",
    ]


@pytest.mark.parametrize("width", [10, 20, 40, 79, 80, 81, 120, 200])
def test_no_line_is_wider_than_the_screen(shown, width):
    """As long as there is room for what is not broken to pieces that nobody can read."""
    rows = [Row(at, "n" * at * 10, maps=tuple(map(str, range(at * 5)))) for at in range(1, 13)]
    lines = bare(shown(*rows, COLUMNS=str(width), view=VIEW._replace(columns=VIEW.columns[:2] + VIEW.columns[-1:])))

    assert max(map(len, lines.splitlines())) <= max(width, 2 + 2 + 8 + 2 + 8)


def test_a_name_is_never_cut(shown):
    name = "_".join(["long"] * 26)[:127]
    lines = bare(shown(Row(7, name), COLUMNS="50", view=VIEW._replace(columns=VIEW.columns[:2]))).splitlines()

    assert "".join(line[4:] for line in lines[2:]) == name


def test_wide_characters_keep_the_columns_straight(shown):
    lines = bare(shown(Row(7, "包包"), Row(8, "four"))).splitlines()

    assert lines[2] == " 7  包包  59f4a931744dcdc6  16 B"
    assert lines[3] == " 8  four  59f4a931744dcdc6  16 B"


def test_one_object_is_told_field_by_field(shown):
    """With its details, a size also in bytes, and without what it lacks."""
    row = Row(7, "one", size=4096, maps=("1", "2"), note="a sentence")

    assert bare(shown(row, listing=False)).splitlines() == [
        "id    7",
        "name  one",
        "tag   59f4a931744dcdc6",
        "size  4 KiB (4096 bytes)",
        "maps  1, 2",
        "note  a sentence",
    ]


def test_titles_are_wrapped_where_there_is_no_room(shown):
    view = VIEW._replace(columns=(VIEW.columns[0], VIEW.columns[1]._replace(title="what it is called")))

    assert bare(shown(Row(7, "one of many"), view=view, COLUMNS="14")).splitlines() == [
        "id  what it is",
        "    called",
        "──  ──────────",
        " 7  one of",
        "    many",
    ]


def test_one_object_that_has_nothing_of_what_somebody_chose(shown):
    view = VIEW._replace(columns=VIEW.columns[3:], details=(), chosen=True)

    assert bare(shown(Row(7, size=None), view=view, listing=False)).splitlines() == ["flags", "size", "maps"]
    assert bare(shown(Row(7, size=1), view=view, listing=False)).splitlines() == ["size  1 B"]


def test_a_width_that_is_no_number_is_none(shown):
    assert bare(shown(Row(7), COLUMNS="²", LINES="²")).startswith("id  tag")


def test_long_fields_are_wrapped(shown):
    assert bare(shown(Row(7, note="to be or not to be"), listing=False, COLUMNS="16")).splitlines()[-2:] == [
        "note  to be or",
        "      not to be",
    ]


def test_several_objects_of_a_handle_are_a_table(shown):
    assert bare(shown(Row(7), Row(8), listing=False)).startswith("id  tag")


@pytest.mark.parametrize("listing", [True, False])
def test_nothing_is_a_sentence(shown, listing):
    assert bare(shown(listing=listing)) == "no things are loaded\n"
    assert bare(shown(listing=listing, view=VIEW._replace(empty="no things match"))) == "no things match\n"


HOSTILE = [
    b"[bold]x[/bold]",
    b"[link=file:///]x[/link]",
    b":smiley: \\[x]",
    b"\x1b[31mred",
    b"\x1b]0;title\x07",
    b"\x07bell\x08\x7f",
    b"two\nlines\rover",
    "\x9b31m\x85".encode(),
    "a\u202eb\u2066\u200f".encode(),
    b"caf\xe9\xff\xfe",
    b"'\"`$(id)",
]


@pytest.mark.parametrize("raw", HOSTILE)
@pytest.mark.parametrize("listing", [True, False])
def test_names_are_only_text(shown, raw, listing):
    """They are no markup, no emoji, no escape sequences, and no line of their own."""
    name = os.fsdecode(raw)
    row = Row(7, name, maps=(name,), flags=(name,), note=name)
    text = shown(row, listing=listing, COLUMNS="300")

    assert bare(text).replace("\n", "").isprintable()
    assert len(text.splitlines()) == (3 if listing else 7)
    assert raw.decode("ascii", "replace") in text or not name.isprintable()


def test_colours_have_a_meaning(shown):
    """And each ends where its text ends."""
    text = shown(Row(7, "one", flags=("orphaned",)), NO_COLOR="")

    assert "\x1b[36m7\x1b[0m" in text
    assert "\x1b[1mone\x1b[0m" in text
    assert "\x1b[2m59f4a931744dcdc6\x1b[0m" in text
    assert "\x1b[1;31morphaned\x1b[0m" in text


def test_no_color_is_honoured(shown):
    assert "\x1b[3" not in shown(Row(7, "one", flags=("orphaned",)), NO_COLOR="1")


def test_a_dumb_terminal_gets_no_sequences(shown):
    text = shown(Row(7, "one"), TERM="dumb", NO_COLOR="")

    assert "\x1b" not in text
    assert text.splitlines()[0] == "id  name  tag               size"


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", ""])
def test_without_a_utf8_locale_all_is_ascii(shown, locale):
    """Names are spelled there, and the rule under the titles is made of minus signs."""
    text = bare(shown(Row(7, "naïve 包"), LANG=locale))

    assert text.isascii()
    assert text.splitlines()[1].startswith("--  ----")
    assert r"na\xefve \u5305" in text


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C.utf8"}, {"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, {"LC_ALL": "", "LANG": "en_US.utf8"}]
)
def test_with_a_utf8_locale_all_is_shown(shown, locale):
    assert "包" in shown(Row(7, "包"), **locale)


def test_ten_thousand_rows(shown):
    """They are set in one go, each in its place."""
    lines = bare(shown(*[Row(at, f"name_{at}") for at in range(10_000)])).splitlines()

    assert len(lines) == 10_002
    assert lines[-1] == "9999  name_9999  59f4a931744dcdc6  16 B"
