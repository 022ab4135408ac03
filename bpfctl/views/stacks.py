"""Stacks: the hottest for people, paragraphs as stackcount of bcc writes them, and folded lines for flame graphs."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.probe.named_stacks import called
from bpfctl.views.hits import keyed, missing
from bpfctl.views.view import Board, Column, Growth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfctl.probe.named_stacks import NamedStack
    from bpfctl.symbols.frame import Frame

_JIT = "[jit]"
_MILLISECOND = 10**6
_MICROSECOND = 10**3
#: What is added up off CPU.
NANOSECONDS = "nanoseconds"
_NOTHING = "[no stack]"


class Round(NamedTuple):
    """What was counted until now."""

    at: float  # seconds since 1970
    seconds: float  # since the start
    by: Sequence[str]
    unit: str  # what is added up; empty where hits are counted
    rows: Sequence[NamedStack]  # as many as are wanted
    spelled: Sequence[Sequence[str]]  # their values, as people read them
    every: int  # how many there are
    hits: int  # of all
    total: int  # of all
    lost: int
    missed: int
    waiting: int | None  # threads whose time off CPU is not over; None where that is not asked


class _Line(NamedTuple):
    """A frame on a screen; what stands before the first of a stack is empty before the others."""

    amount: str
    percent: str
    values: Sequence[str]
    function: str
    module: str


def _json(told: Round) -> dict[str, Any]:
    sums: dict[str, Any] = {"unit": told.unit, "total": told.total} if told.unit else {}
    waiting = {} if told.waiting is None else {"waiting": told.waiting}
    return {
        "time": round(told.at, 3),
        "seconds": round(told.seconds, 3),
        "stacks": [_stack(told, row) for row in told.rows],
        "left_out": told.every - len(told.rows),
        "hits": told.hits,
        **sums,
        **waiting,
        "lost": told.lost,
        "missed": told.missed,
    }


def _stack(told: Round, row: NamedStack) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "count": row.hits,
        **({"total": row.total} if told.unit else {}),
        "kernel": frames(row.kernel, row.addresses[0]),
        "user": frames(row.user, row.addresses[1]),
    }
    return keyed(told.by, row.values, shown) | shown


def frames(frames: Sequence[Frame], addresses: Sequence[int]) -> list[dict[str, Any]]:
    """Return what programs are told of calls."""
    return [
        {
            "function": frame.name or None,
            "offset": frame.offset,
            "module": frame.module or None,
            "address": f"{address:#x}",
        }
        for frame, address in zip(frames, addresses, strict=True)
    ]


def _amount(told: Round, row: NamedStack) -> str:
    if told.unit == NANOSECONDS:
        return f"{row.total / _MILLISECOND:.3f} ms"
    return str(row.total)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _share(told: Round, row: NamedStack) -> str:
    return f"{100 * row.total / told.total:.1f}" if told.total > 0 else ""


def _plain(told: Round) -> Iterator[str]:
    for row, spelled in zip(told.rows, told.spelled, strict=True):
        for frame in row.kernel:
            yield f"  {with_module(frame)}"
        if row.kernel and row.user:
            yield "  --"
        for frame in row.user:
            yield f"  {with_module(frame)}"
        if not row.kernel and not row.user:
            yield f"  {_NOTHING}"
        if spelled:
            yield "    " + " ".join(f"{name}={value}" for name, value in zip(told.by, spelled, strict=True))
        times = f" in {_counted(row.hits, 'hit')}" if told.unit else ""
        yield f"    {_amount(told, row)}{times}"
        yield ""
    yield from remarks(told)


def with_module(frame: Frame) -> str:
    """Return a frame with what it is part of, where its name does not say so."""
    module = frame.module.rpartition("/")[2] or frame.module
    name = called(frame)
    return f"{name} {module if module.startswith('[') else f'({module})'}" if frame.name and module else name


def remarks(told: Round) -> Iterator[str]:
    """Yield what else there is to say of what was counted: nothing is passed over in silence."""
    if told.every > len(told.rows):
        yield f"{told.every - len(told.rows)} more stacks are not shown"
    if told.waiting:
        one = told.waiting == 1
        who = "1 thread is still off CPU, and its" if one else f"{told.waiting} threads are still off CPU, and their"
        yield f"{who} time is not counted"
    if told.lost:
        yield f"{told.lost} hits were not counted: there was no room for their stacks (--max-entries N makes more)"
    if told.missed:
        yield missing(told.missed)


def _head(told: Round) -> str:
    return "; ".join([summary(told), *remarks(told)])


def summary(told: Round) -> str:
    """Return what was counted in a line."""
    of = ""
    if told.unit == NANOSECONDS:
        of = f", {told.total / _MILLISECOND:.3f} ms off CPU"
    elif told.unit:
        of = f", {told.total} {told.unit}"
    return f"{_counted(told.hits, 'hit')}{of} in {_counted(told.every, 'stack')}, {told.seconds:.1f} s"


def _columns(told: Round) -> tuple[Column, ...]:
    def of(at: int) -> Column:
        return Column(told.by[at], lambda line: line.values[at] if line.values else None, tone="name")

    amount = {NANOSECONDS: "time", "": "count"}.get(told.unit, told.unit)
    return (
        Column(amount, lambda line: line.amount or None, "number"),
        Column("%", lambda line: line.percent or None, "number"),
        *map(of, range(len(told.by))),
        Column("function", lambda line: line.function),
        Column("module", lambda line: line.module or None, tone="quiet", rank=1),
    )


def _rows(told: Round) -> list[_Line]:
    lines: list[_Line] = []
    for row, spelled in zip(told.rows, told.spelled, strict=True):
        calls = [(called(frame), frame.module or "kernel") for frame in row.kernel]
        calls += [(called(frame), frame.module) for frame in row.user]
        first = (_amount(told, row), _share(told, row), spelled)
        for at, ((function, module), same) in enumerate(groupby(calls or [(_NOTHING, "")])):
            times = sum(1 for _ in same)
            name = function if times == 1 else f"{function} x {times}"
            lines.append(_Line(*(("", "", ()) if at else first), name, module))
    return lines


def folded(rows: Iterable[tuple[Sequence[str], NamedStack]], unit: str) -> Iterator[str]:
    """Yield a line for each path from the root of calls to a leaf, and what was met there, as flamegraph.pl reads it.

    Before the root are the values given; behind the functions of the kernel stands ``_[k]``, and behind those of a JIT
    compiler ``_[j]``. Time is in microseconds, as offcputime of bcc tells it.
    """
    together: dict[str, int] = {}
    for values, row in rows:
        parts = (*values, *path_of(row)) or (_NOTHING,)
        path = ";".join(part.replace(";", ":").replace("\n", " ") for part in parts)
        together[path] = together.get(path, 0) + row.total
    for path, total in together.items():
        number = round(total / _MICROSECOND) if unit == NANOSECONDS else total
        if number > 0:
            yield f"{path} {number}"


def printable(text: str) -> str:
    """Return text for files that others show; what would act on them or on a terminal is a question mark in a box."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def path_of(row: NamedStack) -> Iterator[str]:
    """Yield the calls of a stack from its root on."""
    for frame in reversed(row.user):
        yield f"{called(frame)}_[j]" if frame.module == _JIT else called(frame)
    for frame in reversed(row.kernel):
        yield f"{called(frame)}_[k]"


#: Stacks that grow.
BOARD: Board[Round] = Board(
    _json, _plain, _head, _columns, _rows, "nothing was hit yet", measures=True, growth=Growth(lambda told: told.hits)
)
