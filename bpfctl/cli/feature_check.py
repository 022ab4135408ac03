"""bpfctl feature check: whether a kernel has what BPF objects need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.cli import feature_file, opt
from bpfctl.errors import Nothing, ObjectError, UsageError
from bpfctl.feature import check as checking
from bpfctl.render.progress import Progress
from bpfctl.render.text import safe
from bpfctl.views import need

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.cli.session import Session
    from bpfctl.feature.check import Kernel

_NOT_ALL_MET = 1
_HERE = "this kernel"


def check(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    unmet: opt.Unmet = False,
    report: opt.Report = None,
    btf: opt.ReportBtf = None,
    reports: opt.Reports = None,
    every: opt.EveryNeed = False,
    load: opt.TryLoad = False,
) -> None:
    """Tell whether a kernel has what BPF objects need.

    Each need is met, not met, or cannot be told, with the reason and the lines of source that need it. Exit code 1
    when something is not met, or cannot be told.
    """
    session = ctx.obj
    if not words:
        raise UsageError("no BPF object to check", is_short=True)
    if load and (report is not None or reports is not None):
        raise UsageError("--load is for the kernel that runs, and not for a report of another one")
    if reports is not None:
        _check_fleet(every=every, unmet=unmet, report=report, btf=btf)
        _fleet(session, words, reports, every=every)
        return
    if every:
        raise UsageError("--all is for --reports; of one kernel all needs are told")
    if btf is not None and report is None:
        raise UsageError("--btf is for the kernel of a --report")
    if report is None:
        checks = _all(session, _here(words, load=load), len(words))
    else:
        kernel, name = _elsewhere(session, report, btf), os.path.basename(report)
        there = (need.Check(path, name, one.check(kernel)) for path, one in _objects(words).items())
        checks = _all(session, there, len(words))
    session.out.parts(need.streams(checks, safe, unmet=unmet))
    if any(one.count(checking.MET) < len(one.verdicts) for one in checks):
        raise Nothing(_NOT_ALL_MET)


def _all(session: Session, checks: Iterator[need.Check], count: int) -> list[need.Check]:
    """Make all checks, and tell how many of them are made."""
    with Progress(session.out, hidden=session.options.debug) as progress:
        return list(progress.over(checks, lambda done: f"checking objects: {done} of {count} are done"))


def _check_fleet(*, every: bool, unmet: bool, report: str | None, btf: str | None) -> None:
    """Raise UsageError for options that say otherwise than --reports."""
    if report is not None:
        raise UsageError("--report is for one kernel, and --reports for those of a folder")
    if btf is not None:
        raise UsageError("--btf is for the kernel of a --report; with --reports, the types are in NAME.btf")
    if every and unmet:
        raise UsageError("--all and --unmet contradict each other")


def _fleet(session: Session, paths: Sequence[str], folder: str, *, every: bool) -> None:
    """Check objects against all kernels of a folder."""
    from bpfctl.feature import fleet
    from bpfctl.views import fleet as view

    objects = _objects(paths)
    hosts = fleet.hosts(folder)
    with Progress(session.out, hidden=session.options.debug) as progress:
        progress.say(f"checking objects against {len(hosts)} kernels")
        outcomes = fleet.check(objects, hosts)
        rows = fleet.rows(outcomes)
    session.out.parts(view.streams(list(objects), outcomes, rows, safe, every=every))
    unmet = any(verdict.status != checking.MET for row in rows for verdict in row.verdicts)
    if unmet or any(outcome.complaint for outcome in outcomes):
        raise Nothing(_NOT_ALL_MET)


def _here(paths: Sequence[str], *, load: bool) -> Iterator[need.Check]:
    """Check objects against the kernel that runs."""
    from bpfctl.feature.here import Here
    from bpfctl.feature.running import Running

    here = Here()
    kernel = Running(here)
    for path, one in _objects(paths).items():
        verdicts = one.check(kernel)
        if load:
            from bpfctl.load.attempt import attempt

            verdicts = [*verdicts, attempt(one.spec, here)]
        yield need.Check(path, _HERE, verdicts)


def _elsewhere(session: Session, report: str, btf: str | None) -> Kernel:
    from bpfctl.cli.btf_dump import read_files
    from bpfctl.feature.elsewhere import Elsewhere
    from bpfctl.feature.types import Types

    known = Types(read_files(session, [btf])) if btf is not None else None
    return Elsewhere(feature_file.report(report), known)


def _objects(paths: Sequence[str]) -> dict[str, checking.Object]:
    found = {}
    for path in paths:
        try:
            found[path] = checking.Object(feature_file.content(path))
        except ObjectError as error:
            raise ObjectError(f"{path} cannot be checked: {error}") from None
    return found
