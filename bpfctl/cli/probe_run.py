"""What the commands of bpfctl probe share that have programs made: which points and hits are meant."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpfctl.cli import grammar
from bpfctl.cli.over import over_with
from bpfctl.cli.stop import held_back, hurry, wait
from bpfctl.errors import UsageError
from bpfctl.probe.choose import chosen
from bpfctl.probe.session import Probing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Protocol, TypeVar

    from bpfctl.cli import opt
    from bpfctl.cli.session import Session
    from bpfctl.probe.action import Action
    from bpfctl.probe.session import Wanted
    from bpfctl.probe.sources import Sources
    from bpfctl.views.view import Board

    Row = TypeVar("Row")

    class Stoppable(Protocol):
        """What gathers until it is stopped."""

        def stop(self) -> None:
            """Gather no more."""


_INTERVAL = 1.0  # seconds


@contextmanager
def wanted(
    session: Session, words: opt.Words, *, where: str | None, pid: int | None, cgroup: str | None, way: str
) -> Iterator[tuple[Sources, Wanted]]:
    """Find the points of all words, and which hits count, for as long as programs are made of that."""
    names = specs(grammar.Words(words))
    if session.depth:
        raise UsageError("probes go on until somebody stops them, so they are no command for a batch")
    with chosen(names, where=where, pid=pid, cgroup=cgroup, way=way) as found:
        yield found


def tell(session: Session, run: Probing) -> None:
    """Tell a person that it has begun, since attaching may take a moment and the first hit may be long in coming.

    And everybody what was left out.
    """
    if run.left_out:
        reason = next(iter(run.left_out.values()))
        session.out.warn(f"{len(run.left_out)} of {len(run.wanted.points)} probes are left out: {reason}")
    if os.isatty(2):
        count = len(run.wanted.points) - len(run.left_out)
        ways = ", ".join(dict.fromkeys(made.group.way for made in run.made))
        session.out.note(f"attached {count} probe{'s' if count > 1 else ''} ({ways}), Ctrl-C ends")


@contextmanager
def probing(
    session: Session,
    words: opt.Words,
    action: Action,
    *,
    where: str | None,
    pid: int | None,
    cgroup: str | None,
    way: str,
) -> Iterator[Probing]:
    """Have an action at what the words mean, and tell when it begins, and when the process of ``pid`` has ended."""
    with (
        wanted(session, words, where=where, pid=pid, cgroup=cgroup, way=way) as (sources, what),
        at_work(session, sources, what, action, pid) as run,
    ):
        yield run


@contextmanager
def at_work(session: Session, sources: Sources, what: Wanted, action: Action, pid: int | None) -> Iterator[Probing]:
    """Have an action at points that were found."""
    with (
        action,
        over_with(pid) as is_over,
        Probing(sources, what, action) as run,  # which Ctrl-C cuts short
        held_back(),
    ):
        tell(session, run)
        yield run
        if is_over():
            session.out.note(f"process {pid} has ended")


def rounds(
    session: Session,
    board: Board[Row],
    ask: Callable[[], Row],
    run: Stoppable,
    *,
    interval: float | None,
    duration: float | None,
) -> None:
    """Show what is asked for: to who looks on each time, and at the end what was there when nothing came any more."""

    def last() -> Row:
        hurry()
        run.stop()
        return ask()

    if interval is None and not is_watched(session):
        wait(duration)
        session.out.board(board, last, seconds=0, count=1)
    else:
        seconds = interval or min(_INTERVAL, duration or _INTERVAL)
        most = None if duration is None else math.ceil(duration / seconds)
        session.out.board(board, ask, seconds=seconds, count=most, last=last)


def is_watched(session: Session) -> bool:
    """Return whether a person looks at a table that can be drawn anew."""
    return not session.options.json and not session.options.plain and os.isatty(session.out.sink.fd)


def specs(left: grammar.Words) -> list[str]:
    """Return the probes that are named, of which there must be one."""
    found = [left.next("a probe such as tracepoint:sched:sched_switch")]
    while left:
        found.append(left.next("a probe"))
    return found


def listed(words: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of an option that may be repeated, and whose values are lists with commas."""
    found = [name for word in words or () for name in word.split(",")]
    if "" in found:
        raise UsageError("a name is missing between the commas")
    return tuple(dict.fromkeys(found))


def positive(**seconds: float | None) -> None:
    """Raise UsageError for a time, by the name of its option, that nobody can wait for."""
    for name, value in seconds.items():
        if value is not None and not 0 < value < 1 << 31:
            raise UsageError(f"--{name}: can't wait for {value:g} seconds")
