"""bpfctl probe stacks."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from bpfctl.cli import opt  # noqa: TC001 - the annotations are read
from bpfctl.cli.probe_run import is_watched, listed, positive, probing, rounds
from bpfctl.cli.stop import hurry, wait
from bpfctl.errors import UsageError
from bpfctl.probe.actions.stacks import Stacks
from bpfctl.views.view import Document

if TYPE_CHECKING:
    from bpfctl.cli.new_file import NewFile
    from bpfctl.cli.session import Session
    from bpfctl.views.stacks import Round

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
    """Count hits by the calls that led to them, or add up a number (--of) or the time off CPU (--off-cpu).

    With --of a number is added up instead, and with --off-cpu the time until a thread is back. Processes need frame
    pointers for it.
    """
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
        from bpfctl.gauge.stacks import Stacked

        gauge = held.enter_context(Stacked(action, run, pid))
        if folded or files_alone:
            wait(duration)
            hurry()
        else:
            ask = partial(gauge.round, top or (_SHOWN if is_watched(session) else None), exact=session.options.json)
            rounds(session, Stacked.board, ask, run, interval=interval, duration=duration)
        if not (folded or drawing or profile):
            return
        run.stop()
        whole = gauge.round()
        if folded:
            lines = gauge.folded(whole)
            session.out.document(Document(lambda _: (f"{line}\n" for line in lines)))
        if drawing:
            drawing.write([gauge.svg(" ".join(words or ()), whole).encode(errors="replace")])
        if profile:
            profile.write([gauge.pprof(whole)])
        if folded or files_alone:
            _tell(session, whole)


def _tell(session: Session, told: Round) -> None:
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
