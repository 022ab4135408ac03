"""What a program's types tell of its code, whether xlated or machine code: prototypes and lines of source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from btf.ext import LineInfo
    from btf.read import BTF

_BLANKS = " \t\n\v\f\r"  # of C's isspace()


class Source(NamedTuple):
    """A line of the program's source."""

    text: str | None  # None: the types do not have it
    file: str | None
    line: int
    column: int


class Options(NamedTuple):
    """What is shown besides the text of instructions."""

    opcodes: bool = False
    linum: bool = False


class Told:
    """What the types tell of code, and how it is written before an instruction."""

    def __init__(self, types: BTF | None, options: Options) -> None:
        self.types = types
        self.options = options

    def prototype(self, type_id: int) -> str:
        """Return the prototype of a function; empty when there is none."""
        from btf.prototype import prototype  # noqa: PLC0415 - only programs with types have any

        try:
            return prototype(self.types, type_id) if self.types else ""
        except BTFError:
            return ""

    def source(self, info: LineInfo) -> Source:
        """Return a line of source."""
        line = self._string(info.line_off)
        return Source(line and line.lstrip(_BLANKS), self._string(info.file_name_off), info.line, info.column)

    def _string(self, offset: int) -> str | None:
        try:
            return self.types.string(offset) if self.types else None
        except BTFError:
            return None

    def source_plain(self, source: Source, safe: Callable[[str], str]) -> str:
        """Return the line of plain text about a line of source; empty where the types have none."""
        if source.text is None:
            return ""
        # Tabs are part of source.
        text = source.text if source.text.isprintable() else "\t".join(map(safe, source.text.split("\t")))
        return f"; {text}{self._place(source, safe)}\n"

    def _place(self, source: Source, safe: Callable[[str], str]) -> str:
        if not self.options.linum:
            return ""
        return f" [file:{safe(source.file or '')} line_num:{source.line} line_col:{source.column}]"

    def source_json(self, source: Source, spell: Callable[[Any], str]) -> Iterator[tuple[str, str]]:
        """Yield the members, spelled already, about a line of source."""
        if source.text is not None:
            yield "src", spell(source.text)
        if self.options.linum:
            if source.file is not None:
                yield "file", spell(source.file)
            if source.line:
                yield "line_num", str(source.line)
            if source.column:
                yield "line_col", str(source.column)

    def source_toned(self, source: Source) -> list[tuple[str, str]]:
        """Return the pieces of a line of a terminal about a line of source; none where there is nothing to read."""
        if not source.text:
            return []
        pieces = [("; ", "quiet"), (source.text.expandtabs(4), "source")]
        if self.options.linum:
            pieces.append((f"  {source.file or '?'}:{source.line}:{source.column}", "quiet"))
        return pieces


class Sources:
    """Which lines of source start where: libbpf's search (bpf_prog_linfo__lfind), each time with one record less."""

    def __init__(self, of: Told, records: Sequence[LineInfo]) -> None:
        self._of = of
        self._records = records
        self._skip = 0

    def at(self, place: int) -> Source | None:
        """Return the line of source that starts at a place, each of which is asked for once, by address."""
        records, at = self._records, self._skip
        if at >= len(records) or place < records[at].insn_off:
            return None
        self._skip += 1
        while at + 1 < len(records) and records[at + 1].insn_off <= place:
            at += 1
        return self._of.source(records[at])
