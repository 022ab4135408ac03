"""bpfctl btf check: which CO-RE relocations of objects resolve on which kernels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.cli import opt  # noqa: TC001 - Typer reads the annotations
from bpfctl.cli.btf_dump import base_of, read_files
from bpfctl.cli.btf_type import modules
from bpfctl.errors import KernelError, Nothing, ObjectError, UsageError
from bpfctl.kernel import btf as objects
from bpfctl.render.text import safe
from bpfctl.views import fit
from btf import elf
from btf.check import FAILED, Object, Target
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.cli.session import Session
    from btf.check import Verdict

_FAILS = 1
_HERE = "this kernel"


def check(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    against: opt.Against = None,
    every: opt.Every = False,
) -> None:
    """Tell which CO-RE relocations of BPF objects resolve, and why not.

    Exit code 1 when one fails that no check for existence keeps from being reached.
    """
    session = ctx.obj
    found, kernels = _sort(words or ())
    if not found:
        raise UsageError(f"no BPF object to check{f': {kernels[0]} is none' if kernels else ''}", is_short=True)
    paths = [*(against or ()), *kernels]
    names = _short(paths)
    checks = [
        fit.Check(name, kernel, [_lighter(verdict) for verdict in program.check(target)])
        for kernel, target in _targets(session, paths, names)
        for name, program in found.items()
    ]
    session.out.parts(fit.streams(checks, safe, every=every))
    if any(one.count(FAILED) for one in checks):
        raise Nothing(_FAILS)


def _lighter(verdict: Verdict) -> Verdict:
    """Return a verdict that keeps no kernel's types in memory: there may be forty kernels."""
    return verdict._replace(result=verdict.result._replace(candidates=()))


def _sort(words: Iterable[str]) -> tuple[dict[str, Object], list[str]]:
    """Return the objects, and the other files, which a shell has made of ``--against *.btf``: kernels."""
    found: dict[str, Object] = {}
    kernels = []
    for path in words:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise KernelError(f"can't read {path}", error.errno or 0) from None
        if not elf.is_bpf(data):
            kernels.append(path)
            continue
        try:
            found[path] = Object(data)
        except BTFError as error:
            raise ObjectError(f"{path} cannot be checked: {error}") from None
    return found, kernels


def _short(paths: list[str]) -> list[str]:
    """Return the names of files without their folders, if that leaves them different."""
    names = [os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(names) else paths


def _targets(session: Session, paths: list[str], names: list[str]) -> Iterator[tuple[str, Target]]:
    base = base_of(session) if not paths else None
    if base is not None:
        yield str(session.options.base_btf), Target(base)
    elif not paths:
        vmlinux = objects.vmlinux()
        yield _HERE, Target(vmlinux, ((place.where, place.btf) for place in modules(vmlinux)))
    for path, name in zip(paths, names, strict=True):
        yield name, Target(read_files(session, [path]), name=name)
