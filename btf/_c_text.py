"""Declarations and definitions of C, as text of one character per byte.

The words and their spacing are libbpf's (src/btf_dump.c).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf._c_declarator import Chain, named
from btf._c_layout import Layout
from btf.errors import BTFError

if TYPE_CHECKING:
    from typing import TypeAlias

    from btf._table import Table

    #: Alignment, size, and the line of a member: what stands before a name, before no name, and behind.
    Shape: TypeAlias = tuple[int, int, str, str, str]

_RECORDS = {_kind.STRUCT: "struct", _kind.UNION: "union"}
_ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
_QUALIFIERS = {_kind.CONST: "const", _kind.VOLATILE: "volatile", _kind.RESTRICT: "restrict"}
_MEMBERS = Struct("=3I").iter_unpack
_BUILTIN_LIST, _GNU_LIST = "__builtin_va_list", "__gnuc_va_list"
_MAX_TABS = 13
_MAX_NAME = 255  # of a name with a number
#: Longest declarator, and most text for each four bytes of types and strings; in a kernel 700 and 3.
_MAX_LENGTH, _MAX_TEXT = 1 << 14, 64


class Writer:
    """Writes the types of one header: names that C has room for once are numbered as they are met."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.layout = Layout(table)
        self._chains: dict[int, Chain] = {0: named("void")}
        #: What members look like, by depth.
        self._shapes: list[_Shapes] = []
        self._names: dict[int, str] = {}
        #: How often each tag (struct, union, enum), and each other name, was met.
        self._tags: dict[str, int] = {}
        self._idents: dict[str, int] = {}
        self._room = _MAX_TEXT * (len(table.words) + table.names.size // 4 + 256)

    def spend(self, characters: int) -> None:
        """Note how much was written; BTFError when the types expand into much more than they are."""
        self._room -= characters
        if self._room < 0:
            raise BTFError("the types expand into too much text")

    # Names

    def tag(self, type_id: int) -> str:
        """Return the name of a struct, union or enum."""
        return self._names.get(type_id) or self._name(type_id, self._tags)

    def ident(self, type_id: int) -> str:
        """Return the name of a typedef."""
        return self._names.get(type_id) or self._name(type_id, self._idents)

    def _name(self, type_id: int, taken: dict[str, int]) -> str:
        name, kind = self.table.name(type_id), self.table.kinds[type_id]
        # what is only declared may be declared again
        declared = kind == _kind.FWD or (kind == _kind.ENUM and not self.table.column(type_id, 2, 0))
        if name and not declared and (count := _count(name, taken)) > 1:
            name = f"{name}___{count}"[:_MAX_NAME]
        self._names[type_id] = name
        return name

    # Declarations

    def declaration(self, type_id: int, name: str, level: int = 0) -> str:
        """Return the declaration of something of this type, without semicolon."""
        before, bare, after, _ = self._parts(type_id, level)
        return f"{before}{name}{after}" if name else bare + after

    def _parts(self, type_id: int, level: int) -> tuple[str, str, str, bool]:
        """Return what stands before a name, before no name, and behind, and whether wherever it stands."""
        chain = self._chains.get(type_id) or self._chain(type_id, level)
        parts = chain.parts()
        if not chain.fixed:
            # what has definitions without a name in it is written anew wherever it is mentioned
            self.spend(len(parts[1]) + len(parts[2]))
        return *parts, chain.fixed

    def _chain(self, type_id: int, level: int) -> Chain:
        chain = self._chains.get(type_id)
        if chain is None:
            chain = self._make_chain(type_id, level)
            if chain.fixed:
                before, _, after, _, _, last, _ = chain
                length = len(before) + len(after) + len(last)
                if length > _MAX_LENGTH:
                    raise BTFError(f"the declarator of type {type_id} is too long")
                self._room -= length
                self._chains[type_id] = chain
        return chain

    def _make_chain(self, type_id: int, level: int) -> Chain:  # noqa: C901 - one case for each kind
        table = self.table
        kind, start = table.kinds[type_id], table.starts[type_id]
        target = table.words[start + 2]
        if kind == _kind.PTR:
            return self._chain(target, level).pointed_at()
        if kind in _RECORDS:
            tag = self.tag(type_id)
            return named(f"{_RECORDS[kind]} {tag}") if tag else named(self.record(type_id, level), fixed=False)
        if kind in _QUALIFIERS:
            return self._chain(target, level).qualified(_QUALIFIERS[kind])
        if kind == _kind.TYPEDEF:
            return named(self.ident(type_id))
        if kind == _kind.ARRAY:
            return self._chain(table.words[start + 3], level).times(table.words[start + 5])
        if kind == _kind.FUNC_PROTO:
            result = self._chain(target, level)
            params, fixed = self._params(type_id, level)
            return result.called_with(params, fixed=fixed)
        if kind in (_kind.INT, _kind.FLOAT):
            return named(table.name(type_id))
        if kind in _ENUMS:
            tag = self.tag(type_id)
            return named(f"enum {tag}") if tag else named(self.enum(type_id, level), fixed=False)
        if kind == _kind.FWD:
            return named(self.forward(type_id))
        if kind == _kind.TYPE_TAG:
            name = table.name(type_id)
            attribute = name if table.words[start + 1] >> 31 else f'btf_type_tag("{name}")'
            return self._chain(target, level).tagged(attribute)
        raise BTFError(f"type {type_id} is no type of a value")

    def _params(self, type_id: int, level: int) -> tuple[str, bool]:
        """Return the parameters of a function, and whether they are the same wherever they stand."""
        table, words = self.table, self.table.words
        start = table.starts[type_id] + 3
        pairs = words[start : start + 2 * (words[start - 2] & 0xFFFFFF)].tolist()
        if not pairs or pairs[1:] == [0]:
            return "void", True
        texts, fixed, varargs = [], True, not pairs[-1]
        if varargs:
            del pairs[-2:]
        for offset, param in zip(pairs[::2], pairs[1::2], strict=True):
            before, bare, after, always = self._parts(param, level)
            name = table.names[offset]
            texts.append(f"{before}{name}{after}" if name else bare + after)
            fixed &= always
        if varargs:
            texts.append("...")
        return ", ".join(texts), fixed

    def _at(self, level: int) -> _Shapes:
        """Return what members look like at a depth."""
        while len(self._shapes) <= level:
            self._shapes.append(_Shapes(self, len(self._shapes)))
        return self._shapes[level]

    def shape(self, type_id: int, level: int, line: str) -> tuple[Shape, bool]:
        """Return what a member of this type looks like on a new line, and whether always."""
        before, bare, after, fixed = self._parts(type_id, level)
        alignment, size = self.layout.measure(type_id)
        return (alignment, size, line + before, line + bare, after + ";"), fixed

    # Definitions

    def forward(self, type_id: int) -> str:
        """Return the declaration of a struct or union."""
        table = self.table
        kind = table.kinds[type_id]
        if kind == _kind.FWD:
            kind = _kind.UNION if table.words[table.starts[type_id] + 1] >> 31 else _kind.STRUCT
        return f"{_RECORDS[kind]} {self.tag(type_id)}"

    def typedef(self, type_id: int) -> str:
        """Return a typedef; nothing for a type that compilers have of their own and do not let define."""
        if self.table.name(type_id) == _BUILTIN_LIST:
            return ""
        target, name = self.table.words[self.table.starts[type_id] + 2], self.ident(type_id)
        if not target and name == _GNU_LIST:
            # what old compilers say of it is void, of which there are no values
            return f"typedef {_BUILTIN_LIST} {_GNU_LIST};\n\n"
        return f"typedef {self.declaration(target, name)};\n\n"

    def enum(self, type_id: int, level: int = 0) -> str:
        """Return the definition of an enum."""
        table = self.table
        start = table.starts[type_id]
        info, size = table.words[start + 1 : start + 3]
        wide = table.kinds[type_id] == _kind.ENUM64
        tag = self.tag(type_id)
        head = f"enum {tag}" if tag else "enum"
        rest = table.words[start + 3 : start + 3 + (3 if wide else 2) * (info & 0xFFFFFF)].tolist()
        if not rest:
            return head
        end = "," if not wide else "LL," if info >> 31 else "ULL,"
        names, met, line = table.names, self._idents, self._at(level + 1).line
        text = [head, " {"]
        for offset, value in _kind.enum_rows(info, rest):
            name = names[offset]
            if name in met:
                name = f"{name}___{_count(name, met)}"
            else:
                met[name] = 1
            text.append(f"{line}{name} = {value}{end}")
        text.append(f"{self._at(level).line}}}")
        if size == 1:
            text.append(" __attribute__((mode(byte)))")
        elif size == 8 and table.pointer_size == 8 and not (wide and any(rest[2::3])):
            # no value says that the enum has 64 bits
            text.append(" __attribute__((mode(word)))")
        return "".join(text)

    def record(self, type_id: int, level: int = 0) -> str:
        """Return the definition of a struct or union."""
        table, layout, names, shapes = self.table, self.layout, self.table.names, self._at(level + 1)
        start = table.starts[type_id]
        info, size = table.words[start + 1 : start + 3]
        rows = table.words[start + 3 : start + 3 + 3 * (info & 0xFFFFFF)]
        word = _RECORDS[table.kinds[type_id]]
        tag = self.tag(type_id)
        text = [f"{word} {tag} {{" if tag else f"{word} {{"]
        write, gaps, bitfields = text.append, [], info >> 31
        end, widest, packed, width, last = 0, 8, False, 0, 0
        for offset, member, at in _MEMBERS(rows):
            alignment, bits, before, bare, after = shapes[member]
            if bitfields:
                last, width, at = width, at >> 24, at & 0xFFFFFF  # noqa: PLW2901
            if end < at:
                gaps.append((len(text), end, at, alignment, last and width))
            if at % alignment and not width:
                packed = True
            if alignment > widest:  # noqa: PLR1730 - half the time of max()
                widest = alignment
            name = names[offset]
            if width:
                write(f"{before if name else bare}{name}{after[:-1]}: {width};")
                end = at + width
            else:
                write(f"{before}{name}{after}" if name else bare + after)
                end = at + bits
        packed = packed or size * 8 % widest != 0
        layout.note(type_id, widest, packed=packed)
        is_struct = word == "struct"
        if is_struct and end < size * 8:
            gaps.append((len(text), end, size * 8, widest, 0))
        for index, end, at, alignment, between in reversed(gaps):
            filling = layout.filling(end, at, 8 if packed and is_struct else alignment, bitfield=between > 0)
            text[index:index] = [shapes.line + field for field in filling]
        write(f"{self._at(level).line}}}" if rows or size else "}")
        if packed and is_struct:
            write(" __attribute__((packed))")
        return "".join(text)


class _Shapes(dict[int, "Shape"]):
    """Type id -> what a member of this type looks like at a depth, made when it is first asked for."""

    __slots__ = ("_level", "_make", "line")

    def __init__(self, writer: Writer, level: int) -> None:
        super().__init__()
        self._make = writer.shape
        self._level = level
        #: How a line of a member begins.
        self.line = "\n" + "\t" * min(level, _MAX_TABS)

    def __missing__(self, type_id: int) -> Shape:
        shape, fixed = self._make(type_id, self._level, self.line)
        if fixed:
            self[type_id] = shape
        return shape


def _count(name: str, met: dict[str, int]) -> int:
    """Return how often the name was met, this time included."""
    count = met[name] = met.get(name, 0) + 1
    return count
