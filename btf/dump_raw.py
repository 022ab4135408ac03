"""Types in words, byte for byte those of ``bpftool btf dump`` (src/btf.c dump_btf_type): text or JSON.

::

    print("".join(text(btf, [1, 2])), end="")

Both voices name the same fields in the same order, so that a type is taken apart once and put into
the templates of a voice. A kernel has 300,000 of these lines: the templates are made once, and types
are read from the words of the type section.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from btf import kind as _kind
from btf._table import Names, Table, decode
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from btf.read import BTF

_Row: TypeAlias = tuple[str, ...]
_REFERENCE: _Row = ("type_id",)
#: Kind -> the fields that follow its name.
_FIELDS: dict[int, _Row] = {
    _kind.INT: ("size", "bits_offset", "nr_bits", "encoding"),
    _kind.PTR: _REFERENCE,
    _kind.ARRAY: ("type_id", "index_type_id", "nr_elems"),
    _kind.STRUCT: ("size", "vlen"),
    _kind.UNION: ("size", "vlen"),
    _kind.ENUM: ("encoding", "size", "vlen"),
    _kind.FWD: ("fwd_kind",),
    _kind.TYPEDEF: _REFERENCE,
    _kind.VOLATILE: _REFERENCE,
    _kind.CONST: _REFERENCE,
    _kind.RESTRICT: _REFERENCE,
    _kind.FUNC: ("type_id", "linkage"),
    _kind.FUNC_PROTO: ("ret_type_id", "vlen"),
    _kind.VAR: ("type_id", "linkage"),
    _kind.DATASEC: ("size", "vlen"),
    _kind.FLOAT: ("size",),
    _kind.DECL_TAG: ("type_id", "component_idx"),
    _kind.TYPE_TAG: _REFERENCE,
    _kind.ENUM64: ("encoding", "size", "vlen"),
}
_REFERENCES = frozenset(kind for kind, fields in _FIELDS.items() if fields == _REFERENCE)
_WORDS = frozenset({"kind", "name", "encoding", "fwd_kind", "linkage"})
#: Kind -> what JSON calls the list of its members.
_LISTS = {
    _kind.STRUCT: "members",
    _kind.UNION: "members",
    _kind.ENUM: "values",
    _kind.ENUM64: "values",
    _kind.FUNC_PROTO: "params",
    _kind.DATASEC: "vars",
}
_MEMBER: _Row = ("name", "type_id", "bits_offset")
_BITFIELD: _Row = (*_MEMBER, "bitfield_size")
_VALUE: _Row = ("name", "val")
_PARAM: _Row = ("name", "type_id")
_VAR: _Row = ("type_id", "offset", "size")
#: What text has behind it: the kind and the name of the variable.
_VARIABLE = " (%s '%s')"
_ROWS = (_MEMBER, _BITFIELD, _VALUE, _PARAM, _VAR)

_ENCODINGS = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
_LINKAGES, _UNKNOWN = ("static", "global", "extern"), "(unknown)"
_ANONYMOUS = "(anon)"
_HIGH = 0xFFFFFFFF << 32
_KINDS = ("UNKNOWN", *_kind.NAMES[1:])
_PAIRS, _TRIPLES, _HEAD = Struct("=2I").iter_unpack, Struct("=3I").iter_unpack, Struct("=3I").unpack_from
#: How many types a piece has.
_ENOUGH = 512


class _Voice(NamedTuple):
    """Templates of one form."""

    types: dict[int, str]
    rows: dict[_Row, str]
    #: What stands between members, after the last one, and instead of any.
    between: str
    after: str
    nothing: str
    #: The same for 64-bit values, signed and unsigned, which C needs a suffix for.
    wide: tuple[str, str]
    is_json: bool

    @property
    def separator(self) -> str:
        """What stands between types."""
        return "," if self.is_json else ""

    def templates(self) -> tuple[bytes, ...]:
        """Return the templates in the order of btf/_fast.c, with zeros where something is put in."""
        rows = [self.rows[row] for row in (_MEMBER, _BITFIELD, _VALUE)]
        rows += [*self.wide, self.rows[_PARAM], self.rows[_VAR] + ("" if self.is_json else _VARIABLE)]
        every = (*self.types.values(), *rows, self.between, self.after, self.nothing, self.separator)
        return tuple(template.replace("%s", "\0").encode() for template in every)


def text(btf: BTF, type_ids: Iterable[int] | None = None, *, safe: Callable[[str], str] | None = None) -> Iterator[str]:
    """Yield lines on the types, or on BTF's own types in order, in pieces of many.

    ``safe`` is asked for each name, if names are to be shown where control characters do harm.
    Raises BTFError when a type or a name does not exist.
    """
    yield from _Writer(Table(btf), _text(), safe).pieces(_ids(btf, type_ids))


def json(
    btf: BTF,
    type_ids: Iterable[int] | None = None,
    *,
    quote: Callable[[str], str] | None = None,
    pretty: bool = False,
) -> Iterator[str]:
    """Yield a JSON document of the types, or of BTF's own types in order, in pieces of many.

    ``quote`` makes a string of JSON out of a name, character by character, as `json.dumps` does;
    ``pretty`` is bpftool's ``-p``. Raises BTFError as `text` does.
    """
    if quote is None:
        from json import dumps  # noqa: PLC0415 - callers with a quote of their own need none

        quote = dumps
    before = f'{{{_line(1)}"types": [' if pretty else '{"types":['
    filled = False
    for piece in items(btf, type_ids, quote=quote, depth=2 if pretty else None):
        yield before + piece
        before, filled = ",", True
    end = f"{_line(1) if pretty else ''}]" if filled else f"{before}]"
    yield f"{end}{_line(0) if pretty else ''}}}"


def items(btf: BTF, type_ids: Iterable[int] | None, *, quote: Callable[[str], str], depth: int | None) -> Iterator[str]:
    """Yield the items of the array that `json` has, in pieces of many with commas between the items.

    ``depth`` is how deep the items stand in an indented document, None for one without indent.
    """
    yield from _Writer(Table(btf), _json(depth), lambda name: quote(name)[1:-1]).pieces(_ids(btf, type_ids))


def _ids(btf: BTF, type_ids: Iterable[int] | None) -> list[int]:
    ids = btf.ids if type_ids is None else type_ids
    wanted = list(ids)
    for type_id in wanted:
        if not 0 <= type_id < btf.ids.stop:
            raise BTFError(f"type id {type_id} is out of range")
    return wanted


def _text() -> _Voice:
    types = {}
    for kind, name in enumerate(_KINDS):
        fields = "".join(f" {field}=%s" for field in _FIELDS.get(kind, ()))
        types[kind] = f"[%s] {name} '%s'{fields.replace(' linkage', ', linkage') if kind == _kind.VAR else fields}"
        if kind not in _LISTS:
            types[kind] += "\n"
    rows = {row: "\n\t" + " ".join("'%s'" if field == "name" else f"{field}=%s" for field in row) for row in _ROWS}
    return _Voice(types, rows, "", "\n", "\n", (rows[_VALUE] + "ULL", rows[_VALUE] + "LL"), is_json=False)


def _json(depth: int | None) -> _Voice:
    def line(deeper: int) -> str:
        return "" if depth is None else _line(depth + deeper)

    def members(fields: _Row, deeper: int) -> str:
        colon = ":" if depth is None else ": "
        return ",".join(f'{line(deeper)}"{field}"{colon}' + ('"%s"' if field in _WORDS else "%s") for field in fields)

    types = {}
    for kind, name in enumerate(_KINDS):
        fields = members(("id", "kind", "name", *_FIELDS.get(kind, ())), 1).replace('"%s"', f'"{name}"', 1)
        end = f",{members((_LISTS[kind],), 1)}".replace("%s", "[") if kind in _LISTS else f"{line(0)}}}"
        types[kind] = f"{{{fields}{end}"
    rows = {row: f"{{{members(row, 3)}{line(2)}}}" for row in _ROWS}
    end = f"]{line(0)}}}"
    return _Voice(types, rows, ",", line(1) + end, end, (rows[_VALUE], rows[_VALUE]), is_json=True)


def _line(depth: int) -> str:
    return "\n" + "    " * depth


class _Writer:
    """Puts types into the templates of a voice."""

    def __init__(self, table: Table, voice: _Voice, spell: Callable[[str], str] | None) -> None:
        self.table = table
        self.voice = voice
        self.names = _Spelled(table.names, spell)
        self._params = _Params(self.names, voice.rows[_PARAM])
        self._fast = table.fast if self.names.are_plain else None

    def pieces(self, type_ids: list[int]) -> Iterator[str]:
        """Yield the texts of the types, many at once."""
        if self._fast:
            ids, templates, at = array("I", type_ids).tobytes(), self.voice.templates(), 0
            while at < len(type_ids):
                text, at = self._fast.lines(ids, at, templates, self.voice.is_json)
                yield str(text, "ascii")
            return
        separator = self.voice.separator
        for first in range(0, len(type_ids), _ENOUGH):
            yield separator.join(self._types(type_ids[first : first + _ENOUGH]))

    def _types(self, type_ids: list[int]) -> Iterator[str]:
        table, voice, spell = self.table, self.voice, self.names.spell
        words, kinds, starts, templates = table.words, table.kinds, table.starts, self.voice.types
        function, params, linkages = templates[_kind.FUNC], self._params.__getitem__, _LINKAGES
        between, after = voice.between.join, voice.after
        for type_id in type_ids:
            kind, start = kinds[type_id], starts[type_id]
            name, info, target = _HEAD(words, 4 * start)
            if kind == _kind.FUNC:
                # half of all types, each with a name of its own, which is not worth remembering
                linkage = info & 0xFFFFFF
                word = linkages[linkage] if linkage < 3 else _UNKNOWN
                yield function % (type_id, spell(name) if name else _ANONYMOUS, target, word)
            elif kind == _kind.FUNC_PROTO and (vlen := info & 0xFFFFFF):
                head = templates[kind] % (type_id, self.names[name], target, vlen)
                rows = map(params, _PAIRS(words[start + 3 : start + 3 + 2 * vlen]))
                yield f"{head}{between(rows)}{after}"
            elif kind in _REFERENCES:
                yield templates[kind] % (type_id, self.names[name], target)
            elif kind in _LISTS:
                yield self._list(kind, start, type_id)
            else:
                # a kind that is newer than this table has its number alone
                template = templates.get(kind, templates[_kind.UNKN])
                yield template % (type_id, self.names[name], *self._fields(kind, start))

    def _list(self, kind: int, start: int, type_id: int) -> str:
        """Return a type with members."""
        voice, words = self.voice, self.table.words
        name, info, target = words[start : start + 3]
        vlen = info & 0xFFFFFF
        fields: tuple[int | str, ...] = target, vlen
        if kind in (_kind.STRUCT, _kind.UNION):
            rows = self._members(words[start + 3 : start + 3 + 3 * vlen], bitfields=info >> 31 > 0)
        elif kind in (_kind.ENUM, _kind.ENUM64):
            rows = self._values(start, info)
            fields = "SIGNED" if info >> 31 else "UNSIGNED", target, vlen
        elif kind == _kind.DATASEC:
            rows = self._vars(words[start + 3 : start + 3 + 3 * vlen])
        else:
            rows = []  # a function without parameters
        head = voice.types[kind] % (type_id, self.names[name], *fields)
        return f"{head}{voice.between.join(rows)}{voice.after}" if vlen else head + voice.nothing

    def _fields(self, kind: int, start: int) -> tuple[int | str, ...]:
        words = self.table.words
        if kind == _kind.INT:
            number = words[start + 3]
            encoding = _ENCODINGS.get(number >> 24 & 0xF, "UNKN")
            return words[start + 2], number >> 16 & 0xFF, number & 0xFF, encoding
        if kind == _kind.ARRAY:
            return tuple(words[start + 3 : start + 6])
        if kind == _kind.FWD:
            return ("union" if words[start + 1] >> 31 else "struct",)
        if kind == _kind.VAR:
            linkage = words[start + 3]
            return words[start + 2], _LINKAGES[linkage] if linkage < 3 else _UNKNOWN
        if kind == _kind.DECL_TAG:
            return words[start + 2], _kind.signed(words[start + 3], 32)
        return (words[start + 2],) if kind in _FIELDS else ()

    def _members(self, words: memoryview, *, bitfields: bool) -> list[str]:
        names, member, bitfield = self.names, self.voice.rows[_MEMBER], self.voice.rows[_BITFIELD]
        if not bitfields:
            return [member % (names[name], type_id, offset) for name, type_id, offset in _TRIPLES(words)]
        return [
            bitfield % (names[name], type_id, place & 0xFFFFFF, place >> 24)
            if place >> 24
            else member % (names[name], type_id, place)
            for name, type_id, place in _TRIPLES(words)
        ]

    def _values(self, start: int, info: int) -> list[str]:
        spell, voice, row = self.names.spell, self.voice, self.voice.rows[_VALUE]
        signed, wide = info >> 31, info >> 24 & 0x7F == _kind.ENUM64
        rest = self.table.words[start + 3 : start + 3 + (3 if wide else 2) * (info & 0xFFFFFF)].tolist()
        if wide:
            row = voice.wide[signed]
        elif voice.is_json and not signed:
            # bpftool reads the value as signed before it prints it as an unsigned 64-bit number
            rest[1::2] = [value | -(value >> 31) << 32 & _HIGH for value in rest[1::2]]
        return [row % (spell(name) if name else _ANONYMOUS, value) for name, value in _kind.enum_rows(info, rest)]

    def _vars(self, words: memoryview) -> list[str]:
        rows, table = [], self.table
        for type_id, offset, size in _TRIPLES(words):
            row = self.voice.rows[_VAR] % (type_id, offset, size)
            if not self.voice.is_json and type_id < len(table.starts):
                kind = table.kinds[type_id]
                name = self.names[table.words[table.starts[type_id]]]
                row += _VARIABLE % (_KINDS[kind if kind < len(_KINDS) else 0], name)
            rows.append(row)
        return rows


class _Spelled(dict[int, str]):
    """String offset -> name as it is printed, remembered."""

    __slots__ = ("_cut", "_spell", "are_plain", "spell")

    def __init__(self, names: Names, spell: Callable[[str], str] | None) -> None:
        super().__init__({0: _ANONYMOUS})
        self._cut = names.cut
        self._spell = spell
        #: Whether no name is printed differently.
        self.are_plain = names.are_plain(spell)
        #: A name as it is printed, without remembering it.
        self.spell = self._cut if self.are_plain else self._spelled

    def __missing__(self, offset: int) -> str:
        self[offset] = name = self.spell(offset)
        return name

    def _spelled(self, offset: int) -> str:
        name = decode(self._cut(offset))
        return self._spell(name) if self._spell else name


class _Params(dict[tuple[int, ...], str]):
    """Name offset and type id of a parameter -> how it is printed; a kernel has each three times."""

    __slots__ = ("_names", "_row")

    def __init__(self, names: dict[int, str], row: str) -> None:
        super().__init__()
        self._names = names
        self._row = row

    def __missing__(self, pair: tuple[int, ...]) -> str:
        name, type_id = pair
        self[pair] = text = self._row % (self._names[name], type_id)
        return text
