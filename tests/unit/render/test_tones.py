"""Colours can be read on a dark and on a light terminal, and a dumb one gets none."""

from __future__ import annotations

import pytest

from bpfctl.render import setting, table
from bpfctl.render.terminal import TerminalOutput
from bpfctl.views.view import Column, View
from tests.memory import Memory

#: The colours of terminals as they come, and what some of them make of bold: xterm's, and the kernel's console.
PALETTES = {
    "xterm": {
        "red": (0xCD0000, 0xFF0000),
        "green": (0x00CD00, 0x00FF00),
        "yellow": (0xCDCD00, 0xFFFF00),
        "blue": (0x0000EE, 0x5C5CFF),
        "magenta": (0xCD00CD, 0xFF00FF),
        "cyan": (0x00CDCD, 0x00FFFF),
    },
    "console": {
        "red": (0xAA0000, 0xFF5555),
        "green": (0x00AA00, 0x55FF55),
        "yellow": (0xAA5500, 0xFFFF55),
        "blue": (0x0000AA, 0x5555FF),
        "magenta": (0xAA00AA, 0xFF55FF),
        "cyan": (0x00AAAA, 0x55FFFF),
    },
}
GROUNDS = {"dark": 0x000000, "light": 0xFFFFFF}
LEAST = 1.9  # what xterm's cyan has on white, which people do read


def luminance(color):
    """Return how light a colour is, as WCAG 2 defines it."""
    parts = [(color >> shift & 0xFF) / 255 for shift in (16, 8, 0)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(name, palette, ground, *, bold):
    return contrast(PALETTES[palette][name][bold], GROUNDS[ground]) >= LEAST


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("tone", [tone for tone, style in setting.TONES.items() if style.color])
def test_a_tone_can_be_read(tone, palette, ground):
    style = setting.TONES[tone]

    assert readable(style.color.name, palette, ground, bold=bool(style.bold))


def test_some_colours_could_not_be_read():
    """Or the test above would be none."""
    assert not readable("yellow", "xterm", "light", bold=False)
    assert not readable("blue", "console", "dark", bold=False)
    assert not readable("green", "xterm", "light", bold=True)


class _Counted:
    """Counts how often a function is called."""

    def __init__(self, function):
        self._function = function
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self._function(*args)


def work(count, monkeypatch):
    """Return how often cells are asked for and measured for so many rows, and the lines."""
    get = _Counted(lambda row: f"name_{row}")
    measure = _Counted(table.cell_len)
    for room in table, setting:
        monkeypatch.setattr(room, "cell_len", measure)
    items = Column("maps", lambda row: tuple(map(str, range(row % 20))), "list")
    view = View(
        "things", dict, str, (Column("id", lambda row: row, "number", "handle"), Column("name", get), items), dict
    )
    out = TerminalOutput(Memory())
    out.show(view, range(count), listing=True)
    out.close()
    return get.calls, measure.calls, out.sink.text


def test_ten_thousand_rows_are_no_more_work_each_than_a_thousand(monkeypatch):
    """A cell is asked for once, and measured a few times."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    few, few_measured, _ = work(1000, monkeypatch)
    many, many_measured, text = work(10_000, monkeypatch)

    assert (few, many) == (1000, 10_000)
    assert many_measured <= 10.5 * few_measured
    assert text.count("name_") == 10_000


def test_a_dumb_terminal_without_utf8(monkeypatch):
    """No escape, nothing but ASCII, and no line wider than the screen."""
    for name in ("LC_ALL", "LC_CTYPE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "dumb", "LANG": "C", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    view = View(
        "things", dict, str, (Column("id", int, "number", "handle"), Column("name", lambda _: "bär", tone="name")), dict
    )
    out = TerminalOutput(Memory())
    out.show(view, [7, 8], listing=True)
    out.close()

    assert out.sink.text == "id  name\n--  ------\n 7  b\\xe4r\n 8  b\\xe4r\n"
