"""Declarations and definitions of C, as text of one character per byte.

The words and their spacing are libbpf's (src/btf_dump.c).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf._c_declarator import Chain, inlined, named
from btf._c_layout import Layout
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from btf._table import Table

    #: Alignment, size, and what stands before a name, before no name, and behind.
    Shape: TypeAlias = tuple[int, int, str, str, str]

_RECORDS = {_kind.STRUCT: "struct", _kind.UNION: "union"}
_ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
_QUALIFIERS = {_kind.CONST: "const", _kind.VOLATILE: "volatile", _kind.RESTRICT: "restrict"}
_MEMBER = Struct("=3I")
_MAX_TABS = 13
_MAX_NAME = 255  # of a name with a number
_BUILTIN_LIST, _GNU_LIST = "__builtin_va_list", "__gnuc_va_list"
#: Longest declarator and most text; a kernel's are 700 and a quarter of its type section.
_MAX_LENGTH, _MAX_TEXT = 1 << 14, 64


class Writer:
    """Writes the types of one header: names that C has room for once are numbered as they are met."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.layout = Layout(table)
        self._chains: dict[int, Chain] = {0: named("void")}
        self._shapes = _Shapes(self._shape)
        self._level = 0
        self._names: dict[int, str] = {}
        #: How often each tag (struct, union, enum), and each other name, was met.
        self._tags: dict[str, int] = {}
        self._idents: dict[str, int] = {}
        self._room = _MAX_TEXT * (len(table.words) + 256)

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
        words, start = self.table.words, self.table.starts[type_id]
        name = self.table.names[words[start]]
        info = words[start + 1]
        kind, vlen = info >> 24 & 0x7F, info & 0xFFFFFF
        # what is only declared may be declared again
        if name and kind != _kind.FWD and (kind != _kind.ENUM or vlen) and (count := _count(name, taken)) > 1:
            name = f"{name}___{count}"[:_MAX_NAME]
        self._names[type_id] = name
        return name

    # Declarations

    def declaration(self, type_id: int, name: str, level: int = 0) -> str:
        """Return the declaration of something of this type, without semicolon."""
        before, bare, after = self._chain(type_id, level).parts()
        return f"{before}{name}{after}" if name else bare + after

    def _chain(self, type_id: int, level: int) -> Chain:
        chain = self._chains.get(type_id)
        if chain is None:
            chain = self._make_chain(type_id, level)
            self.spend(len(chain.named))
            if chain.fixed:
                if len(chain.named) + len(chain.last) + len(chain.after) > _MAX_LENGTH:
                    raise BTFError(f"the declarator of type {type_id} is too long")
                self._chains[type_id] = chain
        return chain

    def _make_chain(self, type_id: int, level: int) -> Chain:  # noqa: C901 - one case for each kind
        table = self.table
        kind, target, rest = table.head(type_id)
        if kind == _kind.PTR:
            return self._chain(target, level).pointed_at()
        if kind in _RECORDS:
            tag = self.tag(type_id)
            return named(f"{_RECORDS[kind]} {tag}") if tag else inlined(self.record(type_id, level))
        if kind in _QUALIFIERS:
            return self._chain(target, level).qualified(_QUALIFIERS[kind])
        if kind == _kind.TYPEDEF:
            return named(self.ident(type_id))
        if kind == _kind.ARRAY:
            return self._chain(table.words[rest], level).times(table.words[rest + 2])
        if kind == _kind.FUNC_PROTO:
            result = self._chain(target, level)
            params, fixed = self._params(type_id, level)
            return result.called_with(params, fixed=fixed)
        if kind in (_kind.INT, _kind.FLOAT):
            return named(table.name(type_id))
        if kind in _ENUMS:
            tag = self.tag(type_id)
            return named(f"enum {tag}") if tag else inlined(self.enum(type_id, level))
        if kind == _kind.FWD:
            return named(self.forward(type_id))
        if kind == _kind.TYPE_TAG:
            name = table.name(type_id)
            attribute = name if table.words[rest - 2] >> 31 else f'btf_type_tag("{name}")'
            return self._chain(target, level).tagged(attribute)
        raise BTFError(f"type {type_id} ({_kind.NAMES[kind] if kind < len(_kind.NAMES) else kind}) has no values")

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
            chain = self._chain(param, level)
            before, bare, after = chain.parts()
            name = table.names[offset]
            texts.append(f"{before}{name}{after}" if name else bare + after)
            fixed &= chain.fixed
        if varargs:
            texts.append("...")
        return ", ".join(texts), fixed

    def _shape(self, type_id: int) -> Shape:
        """Return what a member of this type looks like in the record that is being written."""
        level = self._level
        chain = self._chain(type_id, level)
        self._level = level
        shape = (self.layout.alignment(type_id), self.layout.size(type_id), *chain.parts())
        if chain.fixed:
            self._shapes[type_id] = shape
        return shape

    # Definitions

    def forward(self, type_id: int) -> str:
        """Return the declaration of a struct or union."""
        words, start = self.table.words, self.table.starts[type_id]
        info = words[start + 1]
        kind = info >> 24 & 0x7F
        if kind == _kind.FWD:
            kind = _kind.UNION if info >> 31 else _kind.STRUCT
        return f"{_RECORDS[kind]} {self.tag(type_id)}"

    def typedef(self, type_id: int) -> str:
        """Return a typedef; nothing for a type that compilers have of their own and do not let define."""
        _, target, _ = self.table.head(type_id)
        name = self.table.name(type_id)
        if name == _BUILTIN_LIST:
            return ""
        name = self.ident(type_id)
        if not target and name == _GNU_LIST:
            # what old compilers say of it is void, of which there are no values
            return f"typedef {_BUILTIN_LIST} {_GNU_LIST};\n\n"
        return f"typedef {self.declaration(target, name)};\n\n"

    def enum(self, type_id: int, level: int = 0) -> str:
        """Return the definition of an enum."""
        table, words = self.table, self.table.words
        start = table.starts[type_id]
        offset, info, size = words[start : start + 3]
        head = f"enum {self.tag(type_id)}" if offset else "enum"
        rest = words[start + 3 : start + 3 + (info & 0xFFFFFF) * (2 if info >> 24 & 0x7F == _kind.ENUM else 3)].tolist()
        if not rest:
            return head
        wide = info >> 24 & 0x7F == _kind.ENUM64
        suffix = "" if not wide else "LL" if info >> 31 else "ULL"
        names, start_of_line = table.names, "\n" + _tabs(level + 1)
        lines = []
        for offset, value in _kind.enum_rows(info, rest):
            name = names[offset]
            if (count := _count(name, self._idents)) > 1:
                name += f"___{count}"
            lines.append(f"{start_of_line}{name} = {value}{suffix},")
        if size == 1:
            attribute = " __attribute__((mode(byte)))"
        elif size == 8 and table.pointer_size == 8 and not (wide and any(rest[2::3])):
            # no value says that the enum has 64 bits
            attribute = " __attribute__((mode(word)))"
        else:
            attribute = ""
        text = f"{head} {{{''.join(lines)}\n{_tabs(level)}}}{attribute}"
        if level:
            self.spend(len(text))
        return text

    def record(self, type_id: int, level: int = 0) -> str:  # noqa: C901, PLR0912 - in one loop for speed
        """Return the definition of a struct or union."""
        table, layout, names = self.table, self.layout, self.table.names
        start = table.starts[type_id]
        offset, info, size = table.words[start : start + 3]
        is_struct = info >> 24 & 0x7F == _kind.STRUCT
        lines = ["struct" if is_struct else "union"]
        if offset:
            lines[0] += " " + self.tag(type_id)
        lines[0] += " {"
        rows = table.words[start + 3 : start + 3 + 3 * (info & 0xFFFFFF)]
        new_line = "\n" + _tabs(level + 1)
        shapes, bitfields = self._shapes, info >> 31
        self._level = level + 1
        end, width, widest, packed = 0, 0, 8, False
        for offset, member, at in _MEMBER.iter_unpack(rows):
            alignment, bits, before, bare, after = shapes[member]
            last = width
            if bitfields:
                width, at = at >> 24, at & 0xFFFFFF  # noqa: PLW2901
            if at % alignment and not width:
                packed = True
            if alignment > widest:  # noqa: PLR1730 - half the time of max()
                widest = alignment
            if end < at:
                is_packed = is_struct and layout.is_packed(type_id)
                between = bool(last and width)
                lines += layout.padding(end, at, 8 if is_packed else alignment, new_line, bitfield=between)
            name = names[offset]
            if not name:
                before = bare
            if width:
                lines.append(f"{new_line}{before}{name}{after}: {width};")
            else:
                lines.append(f"{new_line}{before}{name}{after};")
            end = at + (width or bits)
        if size * 8 % widest:
            packed = True
        layout.note(type_id, 0 if packed else widest)
        if is_struct and end < size * 8:
            lines += layout.padding(end, size * 8, 8 if packed else widest, new_line, bitfield=False)
        lines.append(f"\n{_tabs(level)}}}" if rows or size else "}")
        if packed and is_struct:
            lines.append(" __attribute__((packed))")
        text = "".join(lines)
        if level:
            self.spend(len(text))
        return text


class _Shapes(dict[int, "Shape"]):
    """Type id -> what a member of this type looks like, made when it is first asked for."""

    __slots__ = ("__missing__",)

    def __init__(self, make: Callable[[int], Shape]) -> None:
        super().__init__()
        self.__missing__ = make


def _tabs(level: int) -> str:
    return "\t" * min(level, _MAX_TABS)


def _count(name: str, met: dict[str, int]) -> int:
    """Return how often the name was met, this time included."""
    count = met[name] = met.get(name, 0) + 1
    return count
