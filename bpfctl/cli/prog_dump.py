"""bpfctl prog dump: the code of programs."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import grammar, opt
from bpfctl.errors import KernelError, UsageError
from bpfctl.host.lasting_symbols import LastingSymbols
from bpfctl.kernel import code
from bpfctl.kernel.prog import Program
from bpfctl.render.text import safe
from bpfctl.views import prog as prog_view
from bpfctl.views.code import CodeText
from bpfctl.views.source import Options
from bpfctl.views.view import Document
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.host.kallsyms import Symbols
    from bpfctl.kernel.jited import Machine
    from bpfctl.kernel.prog import ProgramInfo
    from bpfctl.render.output import Output
    from bpfctl.views.jited import MachineText
    from bpfctl.views.view import Listing
    from btf.read import BTF


class _Wanted(NamedTuple):
    """What the words behind the handle say."""

    file: str | None = None
    visual: bool = False
    options: Options = Options()


def dump(ctx: opt.Context, words: opt.Words = None, *, svg: opt.Svg = None) -> None:
    """Show the code of programs.

    Of several programs of a tag or name each says first which one it is. Machine code needs capstone, and is kept
    from those who lack CAP_SYSLOG.
    """
    left = grammar.Words(words)
    left.at_least(1, "dump")
    given = left.peek()
    kind = left.keyword("jited", "xlated")
    if kind is None:
        raise UsageError(f"expected 'xlated' or 'jited', got: {given}")
    left.at_least(2, kind)
    which = grammar.prog(left)
    with ExitStack() as opened:
        programs = [opened.enter_context(program) for program in Program.select(which)]
        wanted = _wanted(left, svg, several=len(programs) > 1)
        if wanted.visual and ctx.obj.options.json and svg is None:
            raise UsageError("'visual' is not compatible with JSON output")
        if wanted.visual and kind == "jited":
            raise UsageError("'visual' shows xlated code, not jited")
        if wanted.file is not None:
            _write(wanted.file, code.read(programs[0]).insns if kind == "xlated" else _machine(programs[0]).code)
            ctx.obj.out.done()
            return
        symbols = LastingSymbols.of_this_boot()
        opened.callback(symbols.save)
        told = [(program, program.info()) for program in programs]
        if wanted.visual:
            _graph(ctx.obj.out, _text(*told[0], symbols, wanted.options), svg)
            return
        texts: Iterable[CodeText | MachineText]
        if kind == "xlated":
            texts = (_text(program, info, symbols, wanted.options) for program, info in told)
        else:
            texts = _machine_texts(told, symbols, wanted.options, extra=ctx.obj.options.extra)
        ctx.obj.out.listings([_listing(*one, text) for one, text in zip(told, texts, strict=True)])


def _wanted(words: grammar.Words, svg: str | None, *, several: bool) -> _Wanted:
    """Read what follows the handle, as do_dump() in bpftool's src/prog.c does."""
    if svg is not None and several:
        raise UsageError("several programs matched, and a drawing is of one")
    file, visual, options = None, svg is not None, Options()
    while words:
        word = words.keyword("file", "opcodes", "visual", "linum")
        if word in {"file", "visual"} and several:
            raise UsageError("several programs matched" if words or word == "visual" else "expected file path")
        match word:
            case "file":
                if not words:
                    raise UsageError("expected file path")
                file = words.next("the file")
            case "opcodes":
                options = options._replace(opcodes=True)
            case "visual":
                visual = True
            case "linum":
                options = options._replace(linum=True)
            case _:
                words.end()
    if file is not None and (visual or any(options)):
        told = "--svg" if svg is not None else "opcodes', 'visual', or 'linum"
        raise UsageError(f"'file' is not compatible with '{told}'")
    return _Wanted(file, visual, options)


def _listing(program: Program, info: ProgramInfo, text: CodeText | MachineText) -> Listing:
    name = program.full_name(info)
    return text.listing(prog_view.head_json(info, name), prog_view.head_plain(info, name))


def _graph(out: Output, text: CodeText, svg: str | None) -> None:
    from bpfctl.views import code_graph

    graph = code_graph.Graph(text).text
    if svg is None:
        out.document(Document(graph))
        return
    from bpfctl.host import graphviz

    _write(svg, graphviz.svg("".join(graph(safe))))
    out.done()


def _text(program: Program, info: ProgramInfo, symbols: Symbols, options: Options) -> CodeText:
    found = code.read(program)
    return CodeText(found, code.References(found, symbols), _types(info), options)


def _machine(program: Program) -> Machine:
    from bpfctl.kernel import jited

    return jited.read(program)


def _machine_texts(
    programs: Iterable[tuple[Program, ProgramInfo]], symbols: Symbols, options: Options, *, extra: bool
) -> Iterator[MachineText]:
    from bpfctl.asm.native import Disassembler
    from bpfctl.kernel.jited import Names
    from bpfctl.views.jited import MachineText

    disassembler = Disassembler(os.uname().machine)
    for program, info in programs:
        found = _machine(program)
        if found.offloaded:
            raise UsageError("the machine code is that of a network device: 'file FILE' writes it")
        yield MachineText(found, Names(found, symbols), disassembler, _types(info), options, extra=extra)


def _types(info: ProgramInfo) -> BTF | None:
    id_ = info.btf_id
    if not id_:
        return None
    from bpfctl.kernel import btf

    try:
        return btf.load(id_)
    except BTFError as error:
        raise UsageError(f"failed to get btf: {error}") from None
    except KernelError as error:
        raise KernelError("failed to get btf", error.errno or 0, hint=error.hint) from None


def _write(path: str, raw: bytes) -> None:
    """Write a file that only its owner may read; an existing one is overwritten and keeps its mode."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KernelError(f"can't open file {path}", error.errno or 0) from None
    try:
        with open(fd, "wb") as file:
            file.write(raw)
    except OSError as error:
        raise KernelError("error writing output file", error.errno or 0) from None
