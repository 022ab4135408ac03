"""bpfctl gen: what is made of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import feature_file, grammar, opt
from bpfctl.cli.new_file import NewFile
from bpfctl.errors import KernelError, ObjectError, status
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf.read import BTF


def min_core_btf(ctx: opt.Context, words: opt.Words = None) -> None:
    """Write as much of a kernel's types as objects need to be relocated against: INPUT OUTPUT OBJECT...

    It goes with the objects to a kernel that has no types of its own, for prog load with kernel_btf OUTPUT.
    """
    from btf import elf
    from btf.minimal import Minimal

    left = grammar.Words(words)
    left.at_least(3, "min_core_btf")
    kernel, output = left.next("the types"), left.next("the file")
    minimal = Minimal(_types(kernel))
    while left:
        path = left.next("an object")
        try:
            minimal.add(elf.read(_content(path)))
        except BTFError as error:
            raise ObjectError(f"{path}: {error}") from None
    try:
        with NewFile(output) as file:
            file.write([minimal.build()])
    except KernelError as error:
        error.exit_code = status(error.errno or 0)
        raise
    ctx.obj.out.done()


def _types(path: str) -> BTF:
    from bpfctl.kernel.btf import read

    try:
        return read(path)
    except OSError as error:
        number = error.errno or 0
        raise KernelError(f"can't read {path}", number, exit_code=status(number)) from None
    except BTFError as error:
        raise ObjectError(f"{path}: {error}") from None


def _content(path: str) -> bytes:
    try:
        return feature_file.content(path)
    except KernelError as error:
        error.exit_code = status(error.errno or 0)
        raise
