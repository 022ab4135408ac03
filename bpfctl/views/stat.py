"""What counters came to, as perf stat tells it, with what that means beside other counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.probe.ratio import PER_SECOND, Ratios
from bpfctl.views.view import Board, Column, Section, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.probe.counting import Tally
    from bpfctl.probe.ratio import Ratio
    from bpfctl.probe.workload import Ended

_ALL = 0.9995  # of the time
_MANY = 10**6
_POWERS = ((10**9, "G"), (10**6, "M"), (10**3, "K"))


class Line(NamedTuple):
    """A count and what it means; of several runs the mean, and how far off that may be, in percent of it."""

    tally: Tally
    ratio: Ratio | None
    deviation: float | None = None


class Round(NamedTuple):
    """What was counted in some time."""

    at: float  # seconds since 1970
    seconds: float  # that were counted
    lines: Sequence[Line]
    remarks: Sequence[str] = ()
    is_sum: bool = False  # whether it is of all the time
    ended: Ended | None = None  # the command, at its end
    runs: int = 1


def _state(tally: Tally) -> str:
    if tally.refusal:
        return "not supported"
    return "counted" if tally.is_counted else "not counted"


def _number(tally: Tally) -> int | float | None:
    """Return the count, whole where it is counted one by one; but for the mean of several runs."""
    if not tally.is_counted:
        return None
    is_whole = not tally.counter.unit and tally.counter.scale == 1 and float(tally.steps).is_integer()
    return int(tally.steps) if is_whole else tally.value


def _line_json(line: Line) -> dict[str, Any]:
    tally, ratio = line.tally, line.ratio
    found: dict[str, Any] = {"probe": str(tally.counter)}
    if tally.cpu is not None:
        found["cpu"] = tally.cpu
    found |= {
        "count": _number(tally),
        "unit": tally.counter.unit,
        "state": _state(tally),
        "enabled": tally.enabled,
        "running": tally.running,
        "ratio": ratio and round(ratio.value, 6),
        "ratio_unit": ratio and ratio.unit,
    }
    return found if line.deviation is None else found | {"deviation": round(line.deviation, 3)}


def _json(told: Round) -> dict[str, Any]:
    found: dict[str, Any] = {
        "time": round(told.at, 3),
        "seconds": round(told.seconds, 6),
        "sum": told.is_sum,
        "counts": [_line_json(line) for line in told.lines],
    }
    if told.ended:
        user, system = round(told.ended.user, 6), round(told.ended.system, 6)
        found |= {"user": user, "system": system, "exit_code": told.ended.exit_code}
    return found | ({"runs": told.runs} if told.runs > 1 else {}) | ({"remarks": told.remarks} if told.remarks else {})


def _count(line: Line) -> str:
    tally = line.tally
    number = _number(tally)
    if number is None:
        return f"<{_state(tally)}>"
    return str(number) if isinstance(number, int) else f"{number:.2f}" if number < _MANY else f"{number:.0f}"


def _ratio(line: Line) -> str:
    if line.ratio is None:
        return ""
    value, unit = line.ratio
    if unit != PER_SECOND:
        return f"{value:.3f} {unit}"
    power, letter = next(((power, letter) for power, letter in _POWERS if value >= power), (1, ""))
    return f"{value / power:.3f} {letter}/s"


def is_shared(tally: Tally) -> bool:
    """Return whether others had the CPU's counters for a time that is worth telling."""
    return tally.is_counted and tally.share < _ALL


def _share(line: Line) -> str:
    return f"({100 * line.tally.share:.1f} %)" if is_shared(line.tally) else ""


def _deviation(line: Line) -> str:
    return f"± {line.deviation:.2f} %" if line.deviation is not None and line.tally.is_counted else ""


def _cpu(line: Line) -> str:
    return "" if line.tally.cpu is None else f"CPU{line.tally.cpu}"


def _plain(told: Round) -> Iterator[str]:
    cells = [
        (
            _cpu(line),
            _count(line),
            line.tally.counter.unit,
            str(line.tally.counter),
            _ratio(line),
            _deviation(line),
            _share(line),
        )
        for line in told.lines
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for cpu, count, unit, name, ratio, *more in cells:
        parts = [
            f"{cpu:<{widths[0]}}" if widths[0] else "",
            f"{count:>{max(widths[1], 16)}}",
            f"{unit:<{widths[2]}}" if widths[2] else "",
            f"{name:<{widths[3]}}",
            f"# {ratio:<{widths[4]}}" if ratio else " " * (widths[4] + 2),
            *(f"{text:<{width}}" for text, width in zip(more, widths[5:], strict=True) if width),
        ]
        yield "  ".join(part for part in parts if part).rstrip()
    yield from told.remarks
    yield _times(told)


def _times(told: Round) -> str:
    runs = f", mean of {told.runs} runs" if told.runs > 1 else ""
    if told.ended is None:
        return f"{told.seconds:.3f} s elapsed{runs}"
    return f"{told.seconds:.6f} s elapsed, {told.ended.user:.6f} s user, {told.ended.system:.6f} s system{runs}"


def _columns(told: Round) -> tuple[Column, ...]:
    del told
    return (
        Column("cpu", _cpu_number),
        Column("count", _count, "number"),
        Column("unit", lambda line: line.tally.counter.unit or None),
        Column("probe", lambda line: str(line.tally.counter), tone="name"),
        Column("rate", lambda line: _ratio(line) or None),
        Column("±", lambda line: _deviation(line) or None),
        Column("of the time", lambda line: _share(line).strip("()") or None, tone="alarm"),
    )


def _cpu_number(line: Line) -> str | None:
    return None if line.tally.cpu is None else str(line.tally.cpu)


def _followed(told: Round) -> Iterator[str]:
    yield from _plain(told)
    if not told.is_sum:
        yield ""


def mean(runs: Sequence[Round]) -> Round:
    """Return what several runs of a command came to on average; the last one's end is that of all."""
    *_, last = runs
    if len(runs) == 1:
        return last
    lines = [_mean(lines) for lines in zip(*(found.lines for found in runs), strict=True)]
    seconds = sum(found.seconds for found in runs) / len(runs)
    ended = last.ended and last.ended._replace(
        user=sum(found.ended.user for found in runs if found.ended) / len(runs),
        system=sum(found.ended.system for found in runs if found.ended) / len(runs),
    )
    ratios = Ratios([line.tally for line in lines], seconds)
    lines = [line._replace(ratio=ratios.of(line.tally)) for line in lines]
    return last._replace(seconds=seconds, lines=lines, ended=ended, runs=len(runs))


def _mean(lines: Sequence[Line]) -> Line:
    """Return the mean of a counter, and the standard deviation of that, as perf stat -r tells it."""
    tallies, count = [line.tally for line in lines], len(lines)
    every = [tally.steps for tally in tallies]
    average = sum(every) / count
    spread = math.sqrt(sum((steps - average) ** 2 for steps in every) / (count - 1) / count)
    tally = tallies[0]._replace(
        steps=average, enabled=sum(one.enabled for one in tallies), running=sum(one.running for one in tallies)
    )
    return Line(tally, None, 100 * spread / average if average else 0.0)


def section(told: Round) -> Section:
    """Return the table of a round."""
    return Section("counts", lambda: _json(told), lambda: _plain(told), _times(told), _columns(told), told.lines)


#: Counts that grow, or what has come in each round.
BOARD: Board[Round] = Board(
    _json, _plain, _times, _columns, lambda told: told.lines, "nothing is counted", measures=True
)
#: The same, round after round, where nothing is drawn anew: the command that is counted writes there too.
ROUNDS: View[Round] = View("rounds", _json, _followed, (), lambda _told: {})
