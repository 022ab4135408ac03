"""bpfctl feature diff: what differs between two kernels, as reports tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import feature, grammar, opt
from bpfctl.errors import KernelError, Nothing, SavedError, UsageError
from bpfctl.feature import saved
from bpfctl.feature.diff import compare
from bpfctl.render.text import safe
from bpfctl.views import feature_diff

if TYPE_CHECKING:
    from bpfctl.cli.session import Session
    from bpfctl.feature.saved import Saved

_DIFFERENT = 1


def diff(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show what differs between two reports of 'feature probe -j', or one and this kernel: A [B].

    Exit code 1 when anything does.
    """
    left = grammar.Words(words)
    left.at_least(1, "diff")
    first = load(left.next("the report"))
    second = load(left.next("the report")) if left else running(ctx.obj, full=first.full)
    left.end()
    found = compare(first, second)
    if not found.compared:
        raise UsageError("the reports have nothing in common that could be compared")
    ctx.obj.out.parts(feature_diff.streams(found, safe))
    if found.differences:
        raise Nothing(_DIFFERENT)


def load(path: str) -> Saved:
    """Read a saved report; a SavedError has its path."""
    try:
        return saved.read(content(path))
    except SavedError as error:
        raise SavedError(f"{path} cannot be used: {error}") from None


def content(path: str) -> bytes:
    """Read a file; KernelError when that fails."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise KernelError(f"can't read {path}", error.errno or 0) from None


def running(session: Session, *, full: bool) -> Saved:
    """Ask the running kernel, in the form of a full report or of bpftool's."""
    return saved.of({section.name: section.json() for section in feature.everything(session, full_report=full)})
