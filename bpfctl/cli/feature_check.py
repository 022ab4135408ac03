"""bpfctl feature check: whether a kernel has what BPF objects need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.cli import opt  # noqa: TC001 - Typer reads the annotations
from bpfctl.errors import KernelError, Nothing, ObjectError, SavedError, UsageError
from bpfctl.feature import check as checking
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
) -> None:
    """Tell whether a kernel has what BPF objects need: OBJ... [--report FILE [--btf FILE]].

    Exit code 1 when something is not met, or cannot be told.
    """
    session = ctx.obj
    if not words:
        raise UsageError("no BPF object to check")
    if btf is not None and report is None:
        raise UsageError("--btf is for the kernel of a --report")
    checks = list(_checks(words, _kernel(session, report, btf), os.path.basename(report) if report else _HERE))
    session.out.parts(need.streams(checks, safe, unmet=unmet))
    if any(one.count(checking.MET) < len(one.verdicts) for one in checks):
        raise Nothing(_NOT_ALL_MET)


def _kernel(session: Session, report: str | None, btf: str | None) -> Kernel:
    if report is None:
        from bpfctl.feature.running import Running

        return Running()
    from bpfctl.cli.btf_dump import read_files
    from bpfctl.feature.elsewhere import read

    vmlinux = read_files(session, [btf]) if btf is not None else None
    try:
        return read(_content(report), vmlinux)
    except SavedError as error:
        raise SavedError(f"{report} cannot be used: {error}") from None


def _checks(paths: Sequence[str], kernel: Kernel, name: str) -> Iterator[need.Check]:
    for path in paths:
        try:
            yield need.Check(path, name, checking.check(_content(path), kernel))
        except ObjectError as error:
            raise ObjectError(f"{path} cannot be checked: {error}") from None


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise KernelError(f"can't read {path}", error.errno or 0) from None
