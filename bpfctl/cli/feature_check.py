"""bpfctl feature check: whether a kernel has what BPF objects need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import opt  # noqa: TC001 - Typer reads the annotations
from bpfctl.errors import KernelError, Nothing, ObjectError, UsageError
from bpfctl.feature import check as checking
from bpfctl.feature.running import Running
from bpfctl.render.text import safe
from bpfctl.views import need

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfctl.feature.check import Kernel

_NOT_ALL_MET = 1
_HERE = "this kernel"


def check(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    unmet: opt.Unmet = False,
) -> None:
    """Tell whether a kernel has what BPF objects need: OBJ...

    Exit code 1 when something is not met, or cannot be told.
    """
    if not words:
        raise UsageError("no BPF object to check")
    session = ctx.obj
    checks = list(_checks(words, Running(), _HERE))
    session.out.parts(need.streams(checks, safe, unmet=unmet))
    if any(one.count(checking.MET) < len(one.verdicts) for one in checks):
        raise Nothing(_NOT_ALL_MET)


def _checks(paths: Iterable[str], kernel: Kernel, name: str) -> Iterable[need.Check]:
    for path in paths:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise KernelError(f"can't read {path}", error.errno or 0) from None
        try:
            verdicts = checking.check(data, kernel)
        except ObjectError as error:
            raise ObjectError(f"{path} cannot be checked: {error}") from None
        yield need.Check(path, name, verdicts)
