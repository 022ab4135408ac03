"""bpfctl feature diff: what differs between two kernels, as reports tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import feature, feature_file, grammar, opt
from bpfctl.errors import Nothing, UsageError
from bpfctl.feature import saved
from bpfctl.feature.diff import compare
from bpfctl.render.text import safe
from bpfctl.views import feature_diff

if TYPE_CHECKING:
    from bpfctl.cli.session import Session
    from bpfctl.feature.saved import Saved

_DIFFERENT = 1


def diff(ctx: opt.Context, words: opt.Words = None, *, fresh: opt.Fresh = False) -> None:
    """Show what differs between two reports of 'feature probe -j', or one and this kernel.

    Exit code 1 if anything differs.
    """
    left = grammar.Words(words)
    left.at_least(1, "diff")
    first = feature_file.report(left.next("the report"))
    if left and fresh:
        raise UsageError("--fresh is for the kernel that runs, which is not asked about two reports")
    second = feature_file.report(left.next("the report")) if left else _running(ctx.obj, full=first.full, fresh=fresh)
    left.end()
    found = compare(first, second)
    if not found.compared:
        raise UsageError("the reports have nothing in common that could be compared")
    ctx.obj.out.parts(feature_diff.streams(found, safe))
    if found.differences:
        raise Nothing(_DIFFERENT)


def _running(session: Session, *, full: bool, fresh: bool) -> Saved:
    """Ask the running kernel, in the form of a full report or of bpftool's."""
    return saved.of(
        {section.name: section.json() for section in feature.everything(session, full_report=full, fresh=fresh)}
    )
