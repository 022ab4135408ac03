"""What keys do to a board, its rates, and the curve of the last minute."""

from __future__ import annotations

import pytest

from bpfctl.probe.actions.count import Row
from bpfctl.render import live as module
from bpfctl.render.live import Live
from bpfctl.views.hits import BOARD, Round


def told(**counts):
    """Return a round of counts by name."""
    rows = [Row((name,), hits) for name, hits in sorted(counts.items(), key=lambda pair: -pair[1])]
    spelled = [([name], hits) for (name,), hits in rows]
    return Round(0.0, 1.0, ("comm",), rows, spelled, len(rows), sum(counts.values()), 0, 0)


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that the test moves."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def looking(clock, rounds, *, utf8=True):
    """Return a display that has seen these rounds, a second apart."""
    left = iter(rounds)
    live = Live(BOARD, lambda: next(left), utf8=utf8)
    for _ in rounds:
        live.look(anew=True)
        clock[0] += 1
    return live


def shown(live):
    """Return the rows as they stand on the screen: all cells."""
    found = live.look(anew=False)
    return [tuple(column.get(row) for column in live.columns(found)) for row in live.rows(found)]


def test_rates(clock):
    """What came in a second stands behind the counts; what is new has come since the round before."""
    live = looking(clock, [told(a=10, b=5), told(a=1010, b=5, c=3)])

    assert [(1010, "1000", "a"), (5, "0", "b"), (3, "3", "c")] == shown(live)


def test_sorting(clock):
    """By each column in turn, numbers from the largest, words from the first; and the other way round."""
    live = looking(clock, [told(b=10, a=9, c=1), told(b=11, a=29, c=5)])
    seen = []
    for keys in ("", "r", "s", "r", "s", "r", "s"):
        live.press(keys)
        seen.append("".join(row[2] for row in shown(live)))

    assert ["abc", "cba", "acb", "bca", "abc", "cba", "abc"] == seen
    assert "s sorts (count, down)" in live.help(live.look(anew=False), keys=True)


def test_a_board_that_does_not_grow(clock):
    """It has no rates, and no curve."""
    live = Live(BOARD._replace(growth=None), lambda: told(a=1, b=2), utf8=True)
    found = live.look(anew=True)
    clock[0] += 1
    live.look(anew=True)

    assert [column.title for column in BOARD.columns(found)] == [column.title for column in live.columns(found)]
    assert "" == live.curve()


def test_a_board_that_nobody_can_sort():
    live = Live(BOARD._replace(orders=None), lambda: told(a=1, b=2), utf8=True)
    before = shown(live)
    live.press("s")

    assert before == shown(live)
    assert "sorts" not in live.help(live.look(anew=False), keys=True)


def test_pause(clock):
    """While it stands still nothing is asked."""
    live = looking(clock, [told(a=1)])
    live.press(" ")

    assert shown(live) == shown(live)
    assert live.look(anew=True) is live.look(anew=False)
    assert "space goes on" in live.help(live.look(anew=False), keys=True)
    live.press("p")
    with pytest.raises(StopIteration):
        live.look(anew=True)


def test_keys_without_meaning(clock):
    """Nothing happens, but for q."""
    live = looking(clock, [told(a=1, b=2)])
    before = shown(live)
    live.press("x\x1b[A?")

    assert (False, False) == (live.is_paused, live.is_over)
    assert before == shown(live)
    live.press("q")
    assert live.is_over
    assert "Ctrl-C ends" == live.help(live.look(anew=False), keys=False)


@pytest.mark.parametrize(
    ("utf8", "counts", "curve"),
    [
        (True, [0, 0], "0/s  "),
        (True, [0, 1, 3, 7, 15], "8/s ▁▂▄█"),
        (False, [0, 1, 3, 7, 15], "8/s .:=@"),
        (True, [0, 1, 100], "99/s ▁█"),
        (True, [0, 1_000_000], "1000k/s █"),
        (True, [0, 10**14], "100000G/s █"),
        (True, [5], ""),
    ],
)
def test_the_curve(clock, utf8, counts, curve):
    """The last second as a number, and each before it as a mark."""
    live = looking(clock, [told(a=count) for count in counts], utf8=utf8)

    assert curve == live.curve()


def test_the_curve_of_more_than_a_minute(clock):
    """What is older than a minute is left out, and what is left shares the room."""
    live = looking(clock, [told(a=100 * at if at < 100 else 10_000) for at in range(200)])

    assert "0/s " + " " * 30 == live.curve()
