"""bpfctl probe stacks."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bpfctl.cli import opt  # noqa: TC001 - the annotations are read
from bpfctl.cli.probe_run import is_watched, listed, positive, probing, rounds
from bpfctl.cli.stop import hurry, wait
from bpfctl.errors import UsageError
from bpfctl.probe.actions.stacks import Stacks
from bpfctl.views.stacks import BOARD, Round
from bpfctl.views.view import Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.cli.new_file import NewFile
    from bpfctl.cli.session import Session
    from bpfctl.probe.named_stacks import NamedStack, Names
    from bpfctl.probe.session import Probing

_SHOWN = 10  # of stacks that a person looks at


def stacks(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    by: opt.StacksBy = None,
    of: opt.StacksOf = None,
    off_cpu: opt.OffCpu = False,
    over: opt.OverOffCpu = None,
    kernel: opt.KernelStacks = False,
    user: opt.UserStacks = False,
    depth: opt.StackDepth = None,
    where: opt.ProbeWhere = None,
    pid: opt.Pid = None,
    cgroup: opt.Cgroup = None,
    way: opt.Way = "",
    interval: opt.EachInterval = None,
    duration: opt.Duration = None,
    top: opt.TopStacks = None,
    max_entries: opt.MaxStacks = 10_000,
    folded: opt.Folded = False,
    svg: opt.FlameGraph = None,
    pprof: opt.Pprof = None,
) -> None:
    """Count hits by the calls that led to them, or add up a number (--of) or the time off CPU (--off-cpu): SPEC..."""
    positive(interval=interval, duration=duration)
    session: Session = ctx.obj
    files_alone = bool(svg or pprof) and top is None and interval is None and not session.options.json
    if folded and (session.options.json or interval is not None or top is not None):
        raise UsageError("--folded tells all stacks at the end, as text")
    action = Stacks(
        listed(by) or None,
        kernel=kernel or not user,
        user=user or not kernel,
        of=of,
        depth=depth,
        max_entries=max_entries,
        off_cpu=off_cpu,
        over=_nanoseconds(over),
    )
    with ExitStack() as held:
        drawing, profile = (held.enter_context(_file(path)) if path else None for path in (svg, pprof))
        run = held.enter_context(probing(session, words, action, where=where, pid=pid, cgroup=cgroup, way=way))
        from bpfctl.probe.named_stacks import Names

        told = _Told(action, run, held.enter_context(Names(pid)))
        if folded or files_alone:
            wait(duration)
            hurry()
        else:
            few = top or (_SHOWN if is_watched(session) else None)
            rounds(
                session,
                BOARD,
                lambda: told.round(few, exact=session.options.json),
                run,
                interval=interval,
                duration=duration,
            )
        if not (folded or drawing or profile):
            return
        run.stop()
        whole = told.round()
        if folded:
            from bpfctl.views.stacks import folded as lines

            session.out.document(Document(lambda _: (f"{line}\n" for line in lines(told.paths(whole), whole.unit))))
        if drawing:
            drawing.write(told.drawn(whole, " ".join(words or ())))
        if profile:
            profile.write([told.profiled(whole)])
        if folded or files_alone:
            told.tell(session, whole)


class _Told:
    """What was counted, with names."""

    def __init__(self, action: Stacks, run: Probing, names: Names) -> None:
        self._action, self._run, self._names = action, run, names
        self._began, self._begin = time.time(), time.monotonic()

    def round(self, top: int | None = None, *, exact: bool = True) -> Round:
        """Return what was counted until now; ``exact``: by addresses within functions."""
        action = self._action
        seconds = time.monotonic() - self._begin
        rows = self._names.named(action.rows())
        if not exact:
            from bpfctl.probe.named_stacks import by_function

            rows = by_function(rows)
        return Round(
            time.time(),
            seconds,
            action.by,
            action.unit,
            rows[:top],
            [action.spelled(row.values) for row in rows[:top]],
            len(rows),
            sum(row.hits for row in rows),
            sum(row.total for row in rows),
            action.lost(),
            self._run.missed(),
            action.waiting() if action.off_cpu else None,
        )

    def paths(self, told: Round) -> Iterator[tuple[Sequence[str], NamedStack]]:
        """Yield the stacks, and what stands before their roots: the name of the thread where nobody has asked."""
        usual = self._action.by_as_usual
        for values, row in zip(told.spelled, told.rows, strict=True):
            yield values[:1] if usual else values, row

    def drawn(self, told: Round, title: str) -> Iterator[bytes]:
        """Yield the flame graph."""
        from bpfctl.views.flame import svg
        from bpfctl.views.stacks import summary

        for text in svg(self.paths(told), title, summary(told), told.unit or "hits"):
            yield text.encode(errors="replace")

    def profiled(self, told: Round) -> bytes:
        """Return the profile for pprof."""
        from bpfctl.views.pprof import profile

        return profile(told.rows, told.by, told.unit, at=self._began, seconds=told.seconds)

    def tell(self, session: Session, told: Round) -> None:
        """Tell a person how much it was, and everybody what is missing."""
        from bpfctl.views.stacks import remarks, summary

        session.out.note(summary(told))
        for remark in remarks(told):
            session.out.warn(remark)


def _nanoseconds(word: str | None) -> int:
    if word is None:
        return 0
    from bpfctl.cli.times import nanoseconds

    return nanoseconds(word, "--over")


def _file(path: str) -> NewFile:
    from bpfctl.cli.new_file import NewFile

    return NewFile(path)
