"""bpfctl prog diff: what differs between the code of two programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.errors import KernelError, Nothing
from bpfctl.host.lasting_symbols import LastingSymbols
from bpfctl.kernel import code
from bpfctl.kernel.prog import Program
from bpfctl.views import prog as prog_view
from bpfctl.views.code_diff import CodeDiff, Side
from btf.errors import BTFError

if TYPE_CHECKING:
    from bpfctl.host.kallsyms import Symbols
    from btf.read import BTF

_DIFFERENT = 1


def diff(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show what differs between xlated code, with exit code 1 if anything does.

    Exit code 1 if anything differs. What another load of the same program would change, such as addresses and ids
    of maps, is no difference.
    """
    left = grammar.Words(words)
    left.at_least(4, "diff")
    symbols = LastingSymbols.of_this_boot()
    first = _side(left, symbols)
    second = _side(left, symbols)
    left.end()
    found = CodeDiff(first, second)
    ctx.obj.out.listings([found.listing()])
    symbols.save()
    if found.hunks:
        raise Nothing(_DIFFERENT)


def _side(words: grammar.Words, symbols: Symbols) -> Side:
    with Program.one(grammar.prog(words)) as program:
        info = program.info()
        title = prog_view.head_plain(info, program.full_name(info))
        return Side(title, code.read(program), symbols, _types(info.btf_id))


def _types(id_: int | None) -> BTF | None:
    """Return a program's types; they only tell names here, so that code without them differs all the same."""
    if not id_:
        return None
    from bpfctl.kernel import btf

    try:
        return btf.load(id_)
    except (BTFError, KernelError):
        return None
