"""Making BTF: types in order of their ids, out as the bytes that ``BPF_BTF_LOAD`` takes.

::

    builder = Builder()
    u32 = builder.add_int("unsigned int", 4)
    point = builder.add_struct("point", 8, [("x", u32), ("y", u32, 32)])
    blob = builder.build()

Nothing is checked against the kernel's rules, so that tests can write what a kernel must refuse.
"""

from __future__ import annotations

import sys
from array import array
from struct import pack
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf import types
from btf._section import HEADER, HEADER_WITH_LAYOUT, MAGIC, VERSION
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from btf.read import BTF

    Name = str | bytes
    Member = tuple[Name, int] | tuple[Name, int, int] | tuple[Name, int, int, int]

STATIC, GLOBAL, EXTERN = 0, 1, 2

_NATIVE = "<" if sys.byteorder == "little" else ">"


class Builder:
    """Collects types; each method adds one and returns its id.

    Names are text or, for what is no text, bytes. With ``base`` the result is a split BTF over it;
    ``reuse`` then looks for strings in the base first, which takes a while to prepare. ``strings`` are
    those of another BTF over the same base, whose offsets shall stay what they are. New strings come in
    the order of their use, a type's own name before those of its members, as libbpf lays them out.
    """

    def __init__(
        self,
        *,
        byteorder: Literal["little", "big"] = "little",
        base: BTF | None = None,
        reuse: bool = False,
        strings: bytes = b"",
    ) -> None:
        self._sign = "<" if byteorder == "little" else ">"
        self._types = array("I")
        self._strings = bytearray(strings or (b"\0" if base is None else b""))
        self._first_string = base.strings_end if base is not None else 0
        self._offsets: dict[bytes, int] = {b"": 0} if base is None or not reuse else _offsets(base)
        _enter(self._offsets, strings, self._first_string)
        self._next_id = base.ids.stop if base is not None else 1

    @property
    def next_id(self) -> int:
        """The id that the next type gets, for references forward."""
        return self._next_id

    def string(self, text: Name) -> int:
        """Return the offset of a string, added to the string section if it is new."""
        raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if raw not in self._offsets:
            self._offsets[raw] = self._first_string + len(self._strings)
            self._strings += raw + b"\0"
        return self._offsets[raw]

    def add(
        self,
        kind: int,
        name: Name = "",
        size_or_type: int = 0,
        *,
        vlen: int = 0,
        flag: bool = False,
        rest: Iterable[int] = (),
    ) -> int:
        """Add a type of any kind: its head, and the words after it."""
        info = (flag << 31) | (kind << 24) | vlen
        words = [self.string(name), info, size_or_type, *rest]
        return self.add_words([word & 0xFFFFFFFF for word in words])

    def add_words(self, words: Sequence[int]) -> int:
        """Add a type as words of the type section; its string offsets are those of `string`."""
        self._types.extend(words)
        self._next_id += 1
        return self._next_id - 1

    def add_int(
        self, name: Name, size: int, *, encoding: int = 0, nr_bits: int | None = None, bits_offset: int = 0
    ) -> int:
        """Add an integer; ``encoding`` is made of `btf.types.SIGNED`, ``CHAR`` and ``BOOL``."""
        bits = size * 8 if nr_bits is None else nr_bits
        return self.add(_kind.INT, name, size, rest=[encoding << 24 | bits_offset << 16 | bits])

    def add_float(self, name: Name, size: int) -> int:
        """Add a floating point type."""
        return self.add(_kind.FLOAT, name, size)

    def add_ptr(self, type_id: int) -> int:
        """Add a pointer."""
        return self.add(_kind.PTR, "", type_id)

    def add_array(self, type_id: int, index_type_id: int, nr_elems: int) -> int:
        """Add an array."""
        return self.add(_kind.ARRAY, rest=[type_id, index_type_id, nr_elems])

    def add_struct(self, name: Name, size: int, members: Sequence[Member], *, kind_flag: bool = False) -> int:
        """Add a struct; members are (name, type id, offset in bits = 0, width of a bitfield = 0).

        ``kind_flag``, which allows bitfields, is set where there are some.
        """
        return self._record(_kind.STRUCT, name, size, members, flag=kind_flag)

    def add_union(self, name: Name, size: int, members: Sequence[Member], *, kind_flag: bool = False) -> int:
        """Add a union; members are as in `add_struct`."""
        return self._record(_kind.UNION, name, size, members, flag=kind_flag)

    def _record(self, kind: int, name: Name, size: int, members: Sequence[Member], *, flag: bool = False) -> int:
        rest: list[int] = []
        self.string(name)
        for label, type_id, *place in members:
            offset, width = (*place, 0, 0)[:2]
            rest += self.string(label), type_id, width << 24 | offset
            flag |= width > 0
        return self.add(kind, name, size, vlen=len(members), flag=flag, rest=rest)

    def add_enum(self, name: Name, values: Sequence[tuple[Name, int]], *, size: int = 4, signed: bool = False) -> int:
        """Add an enum of values that fit 32 bits."""
        rest: list[int] = []
        self.string(name)
        for label, value in values:
            rest += self.string(label), value
        return self.add(_kind.ENUM, name, size, vlen=len(values), flag=signed, rest=rest)

    def add_enum64(self, name: Name, values: Sequence[tuple[Name, int]], *, size: int = 8, signed: bool = False) -> int:
        """Add an enum of 64-bit values."""
        rest: list[int] = []
        self.string(name)
        for label, value in values:
            rest += self.string(label), value, value >> 32
        return self.add(_kind.ENUM64, name, size, vlen=len(values), flag=signed, rest=rest)

    def add_fwd(self, name: Name, *, union: bool = False) -> int:
        """Add a forward declaration."""
        return self.add(_kind.FWD, name, flag=union)

    def add_typedef(self, name: Name, type_id: int) -> int:
        """Add a typedef."""
        return self.add(_kind.TYPEDEF, name, type_id)

    def add_volatile(self, type_id: int) -> int:
        """Add ``volatile``."""
        return self.add(_kind.VOLATILE, "", type_id)

    def add_const(self, type_id: int) -> int:
        """Add ``const``."""
        return self.add(_kind.CONST, "", type_id)

    def add_restrict(self, type_id: int) -> int:
        """Add ``restrict``."""
        return self.add(_kind.RESTRICT, "", type_id)

    def add_type_tag(self, tag: Name, type_id: int, *, attribute: bool = False) -> int:
        """Add a tag on a type."""
        return self.add(_kind.TYPE_TAG, tag, type_id, flag=attribute)

    def add_decl_tag(self, tag: Name, type_id: int, component_idx: int = -1, *, attribute: bool = False) -> int:
        """Add a tag on a declaration or on one of its members or parameters."""
        return self.add(_kind.DECL_TAG, tag, type_id, flag=attribute, rest=[component_idx])

    def add_func_proto(self, ret_type_id: int, params: Sequence[tuple[Name, int]] = ()) -> int:
        """Add a function type; a last parameter ("", 0) stands for ``...``."""
        rest: list[int] = []
        for label, type_id in params:
            rest += self.string(label), type_id
        return self.add(_kind.FUNC_PROTO, "", ret_type_id, vlen=len(params), rest=rest)

    def add_func(self, name: Name, type_id: int, linkage: int = STATIC) -> int:
        """Add a function of type ``type_id``."""
        return self.add(_kind.FUNC, name, type_id, vlen=linkage)

    def add_var(self, name: Name, type_id: int, linkage: int = STATIC) -> int:
        """Add a global variable."""
        return self.add(_kind.VAR, name, type_id, rest=[linkage])

    def add_datasec(self, name: Name, size: int, variables: Sequence[tuple[int, int, int]]) -> int:
        """Add a section; variables are (type id, offset, size)."""
        rest = [number for place in variables for number in place]
        return self.add(_kind.DATASEC, name, size, vlen=len(variables), rest=rest)

    def add_type(self, of: types.Type) -> int:  # noqa: C901, PLR0912 - one case for each kind
        """Add a type as it was read, all but its id; raises BTFError for void and unknown kinds."""
        kind, flag = types.KINDS.get(type(of), _kind.UNKN), getattr(of, "kind_flag", False)
        match of:
            case types.Int():
                word = of.encoding << 24 | of.bits_offset << 16 | of.nr_bits
                return self.add(kind, of.name, of.size, rest=[word])
            case types.Array():
                return self.add_array(of.type_id, of.index_type_id, of.nr_elems)
            case types.Struct() | types.Union():
                return self._record(kind, of.name, of.size, of.members, flag=of.kind_flag)
            case types.Enum():
                return self.add_enum(of.name, of.values, size=of.size, signed=of.signed)
            case types.Enum64():
                return self.add_enum64(of.name, of.values, size=of.size, signed=of.signed)
            case types.Fwd():
                return self.add_fwd(of.name, union=of.is_union)
            case types.Func():
                return self.add_func(of.name, of.type_id, of.linkage)
            case types.FuncProto():
                return self.add_func_proto(of.ret_type_id, of.params)
            case types.Var():
                return self.add_var(of.name, of.type_id, of.linkage)
            case types.Datasec():
                return self.add_datasec(of.name, of.size, of.vars)
            case types.Float():
                return self.add_float(of.name, of.size)
            case types.DeclTag():
                return self.add(kind, of.name, of.type_id, flag=flag, rest=[of.component_idx])
            case types.Void() | types.Unknown():
                raise BTFError(f"type {of.id} ({type(of).__name__}) cannot be written")
        return self.add(kind, of.name, of.type_id, flag=flag)

    def build(self, *, layout: bool = False) -> bytes:
        """Return header, types and strings, with ``layout`` also how long the records of each kind are.

        Kernels since Linux 7.1 take a layout; with it, who is older than a kind can step over its types.
        """
        sizes = b""
        if layout:
            sizes = bytes(4) + b"".join(
                pack(f"{self._sign}BBH", 4 * (fixed - 3), 4 * each, 0)
                for _, (fixed, each) in sorted(_kind.WORDS.items())
            )
        section = self._types[:]
        if self._sign != _NATIVE:
            section.byteswap()
        length = 4 * len(section)
        words = [0, length, length + len(sizes), len(self._strings)]
        if layout:
            words += length, len(sizes)
        hdr_len = HEADER_WITH_LAYOUT if layout else HEADER
        header = pack(f"{self._sign}HBBI{len(words)}I", MAGIC, VERSION, 0, hdr_len, *words)
        return header + section.tobytes() + sizes + self._strings


def _offsets(base: BTF) -> dict[bytes, int]:
    """Return where each string of a BTF and its bases is, at the lowest offset."""
    found: dict[bytes, int] = {}
    for part in base.parts:
        _enter(found, part.strings, part.strings_end - len(part.strings))
    return found


def _enter(offsets: dict[bytes, int], strings: bytes, offset: int) -> None:
    """Enter the strings of a section, which starts at ``offset``, unless they are known."""
    for string in strings.split(b"\0")[:-1]:
        offsets.setdefault(string, offset)
        offset += len(string) + 1
