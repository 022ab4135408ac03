"""Values as objects of classes of yours: a dataclass, a NamedTuple, plain dicts, both ways.

::

    @dataclass
    class Flow:
        source: IPv4Address
        packets: int

    codec = Codec(btf, type_id, Flow)
    flow = codec.decode(data)
    data = codec.encode(replace(flow, packets=0))

A class has fields named like members, also like those of members without name; one that would be a word of Python, or
is one of the class's own, may end in ``_``. It need not have them all: the others are not read, and are zero when a
value is written, as are fields that are None. What a field is said to be decides what it becomes:

=========================  ============================================================================
``Any``, ``object``        what `btf.value` makes of it
``int, bool, float``       a number, also of an enum, a pointer or a bitfield
``str``                    text up to its NUL, the name of an enumerator
``bytes``                  the bytes of an array of bytes
an ``Enum``                its member with the number
``IPv4Address`` and so on  what has 4 or 16 bytes, in network order
``list[X], tuple[X, ...]`` an array
``dict``                   a struct or union as a dict of plain values, see `plain`
a class with fields        a struct or union
=========================  ============================================================================

Classes with fields are dataclasses, NamedTuples, TypedDicts and those of attrs.
"""

from __future__ import annotations

from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from btf import types
from btf._codec_record import Way, code_of, layout_of, reader, rows_of, writer
from btf._encode_one import Target, bytes_of, error, told
from btf._encode_plan import Writers, written
from btf.class_fields import behind, class_fields, generic, maker, name_of
from btf.errors import BTFError
from btf.place import MOST_MEMBERS
from btf.value import Enumerator, Record, _Compiler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from btf._encode_plan import Plan, Write
    from btf.read import BTF
    from btf.value import Read

T = TypeVar("T")

_ADDRESSES = {"IPv4Address": 4, "IPv6Address": 16}  # bytes


class Codec(Generic[T]):
    """Reads and writes values of one type; BTFError when made for a type, or with a class, that does not fit."""

    __slots__ = ("_sign", "_way", "size")

    def __init__(self, btf: BTF, type_id: int, as_: type[T] | Any = Any) -> None:
        compiler = _Ways(btf)
        #: The bytes that a value takes.
        self.size = compiler.reads.plan(type_id).size
        self._sign = compiler.sign
        self._way = compiler.way(types.Member("", type_id, 0), as_)

    def decode(self, data: bytes) -> T:
        """Read the value at the start of ``data``; BTFError when that is too short, or no value of the class."""
        if len(data) < self.size:
            raise BTFError(f"a value of {self.size} bytes does not fit into {len(data)}")
        result: T = self._way.read(data, 0)
        return result

    def each(self, packed: bytes, step: int) -> Iterable[T]:
        """Read many values that are ``step`` bytes apart, faster than one by one."""
        if step < self.size or not step:
            raise BTFError(f"values of {self.size} bytes are not {step} bytes apart")
        if len(packed) % step:
            raise BTFError(f"{len(packed)} bytes are no values of {step} bytes")
        rows, code = self._way.rows, self._way.code
        if rows:
            found = layout_of(rows.layout, step).iter_unpack(packed)
            if not any(rows.convert):
                return starmap(rows.make, found)
            # By columns, so that there is no Python between the values of one that are just what they shall be.
            columns = zip(*found, strict=True)
            told = (map(as_, column) if as_ else column for as_, column in zip(rows.convert, columns, strict=False))
            return starmap(rows.make, zip(*told, strict=True))
        if code:
            return chain.from_iterable(layout_of(self._sign + code, step).iter_unpack(packed))
        read = self._way.read
        return (read(packed, at) for at in range(0, len(packed), step))

    def encode(self, value: T, old: bytes = b"") -> bytes:
        """Return the bytes of a value; what is not given stays as in ``old``. BTFError says what does not fit."""
        return written(self._way.write, 0, value, "", old.ljust(self.size, b"\0"))


def plain(value: Any) -> Any:
    """Return a decoded value as JSON has it: dicts, lists, str, float, bool, int; enumerators by their names.

    The members of members without name are among those around them.
    """
    match value:
        case Enumerator():
            return value.signed if value.name is None else value.name
        case Record():
            found: dict[str, Any] = {}
            for name, item in value.fields:
                shown = plain(item)
                found.update(shown if not name and isinstance(shown, dict) else {name: shown})
            return found
        case list():
            return [plain(item) for item in value]
        case bool():
            return value
        case int():
            return int(value)
    return value


def fields(btf: BTF, type_id: int) -> dict[str, types.Member]:
    """Return the members of a struct, union or section by name, each at its place in the whole.

    Those of members without name are among them. Raises BTFError when these lead to more members than any
    sound type has.
    """
    return dict(_fields(btf, type_id))


def _fields(btf: BTF, type_id: int) -> Iterator[tuple[str, types.Member]]:
    waiting, met = [types.Member("", type_id, 0)], 0
    while waiting:
        at = waiting.pop()
        if at.name:
            yield at.name, at
            continue
        members = () if at.bitfield_size else _members(btf, at.type_id)
        met += len(members)
        if met > MOST_MEMBERS:
            raise BTFError(f"type {type_id} has more than {MOST_MEMBERS} members")
        waiting += [each._replace(bits_offset=at.bits_offset + each.bits_offset) for each in reversed(members)]


def _members(btf: BTF, type_id: int) -> Sequence[types.Member]:
    """Return the members of a type, which only structs, unions and sections have."""
    of = btf.type(btf.resolve(type_id))
    if isinstance(of, types.Datasec):
        return [types.Member(*_variable(btf, place.type_id), place.offset * 8) for place in of.vars]
    return of.members if isinstance(of, types.Struct | types.Union) else ()


def _variable(btf: BTF, type_id: int) -> tuple[str, int]:
    """Return the name of a variable and its type; BTFError when it is none."""
    var = btf.type(type_id)
    if not isinstance(var, types.Var):
        raise BTFError(f"type {type_id} is no variable")
    return var.name, var.type_id


class _Ways:
    """Compiles pairs of a type and what it shall be in Python."""

    def __init__(self, btf: BTF) -> None:
        self.btf = btf
        self.reads = _Compiler(btf)
        self.writes = Writers(btf, self.reads, None)
        self.sign = self.reads.sign

    def way(self, member: types.Member, as_: Any) -> Way:
        """Compile what is at the place of a member."""
        offset, reads = self.reads.member(member)
        _, writes = self.writes.place(member)
        way = self._way(member, as_, reads.read, writes)
        if not offset:
            return way
        read, write = way.read, way.write
        return way._replace(
            read=lambda data, at: read(data, at + offset),
            write=lambda target, at, value, path: write(target, at + offset, value, path),
            offset=offset,
        )

    def _way(self, member: types.Member, as_: Any, read: Read, writes: Plan) -> Way:
        as_ = behind(as_)
        of = self.btf.type(self.btf.resolve(member.type_id))
        code = "" if member.bitfield_size else code_of(of)
        if as_ in (Any, object, Record, Enumerator):
            return Way(read, writes.write, code)
        if as_ is plain and not isinstance(of, types.Struct | types.Union):
            return Way(lambda data, at: plain(read(data, at)), writes.write, code)
        if as_ in (int, bool, float):
            exact = as_ is (float if isinstance(of, types.Float) else int)
            return self._number(as_, of, read, writes)._replace(code=code if exact else "")
        if as_ is str:
            return self._text(of, read, writes)
        origin, arguments = generic(as_)
        if isinstance(of, types.Array) and origin in (list, tuple):
            return self._array(of, origin, arguments, writes.what)
        way = self._struct(of, origin, writes) or (
            self._object(member, as_, read, writes) if isinstance(as_, type) else None
        )
        if way is None:
            raise error(member.name, f"{writes.what} cannot be {name_of(as_)}")
        return way

    def _struct(self, of: types.Type, as_: Any, writes: Plan) -> Way | None:
        """Compile what has members."""
        if not isinstance(of, types.Struct | types.Union | types.Datasec):
            return None
        if as_ in (dict, plain):
            names = dict.fromkeys(fields(self.btf, of.id), plain)
            return self._record(of, dict, names, writes.what)._replace(write=writes.write)
        names = class_fields(as_)
        return self._record(of, as_, names, writes.what) if names else None

    def _object(self, member: types.Member, as_: Any, read: Read, writes: Plan) -> Way | None:
        """Compile bytes, addresses and members of enums."""
        of = self.btf.type(self.btf.resolve(member.type_id))
        if _is_enum(as_) and _is_number(of):
            return Way(_Member(as_, read).read, _value_of(writes.write))
        size = 0 if member.bitfield_size else self.btf.size_of(of.id)
        if as_ is bytes and isinstance(of, types.Array) and size and self.btf.size_of(of.type_id) == 1:
            return Way(lambda data, at: data[at : at + size], writes.write)
        if as_.__module__ == "ipaddress" and size and size == _ADDRESSES.get(as_.__name__):
            return Way(lambda data, at: as_(data[at : at + size]), _Packed(as_, size, writes.what).write)
        return None

    def _number(self, as_: type, of: types.Type, read: Read, writes: Plan) -> Way:
        if not _is_number(of) or (isinstance(of, types.Float) and (as_ is not float or of.size > 8)):
            raise BTFError(f"{writes.what} cannot be {name_of(as_)}")
        if as_ is float:
            return Way(lambda data, at: float(read(data, at)), writes.write)  # type: ignore[arg-type]
        return Way(lambda data, at: as_(read(data, at)), _value_of(writes.write))

    def _text(self, of: types.Type, read: Read, writes: Plan) -> Way:
        if isinstance(of, types.Enum | types.Enum64):
            return Way(lambda data, at: str(plain(read(data, at))), writes.write)
        if not isinstance(of, types.Array) or self.btf.size_of(of.type_id) != 1:
            raise BTFError(f"{writes.what} cannot be str")
        size = of.nr_elems

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if not isinstance(value, str):
                raise error(path, f"{told(value)} is no text")
            data = bytes_of(value, path)
            if len(data) > size or b"\0" in data:
                raise error(path, f"text of {len(data)} bytes does not fit into {writes.what}")
            target.data[at : at + size] = data.ljust(size, b"\0")

        return Way(
            lambda data, at: data[at : at + size].partition(b"\0")[0].decode(errors="surrogateescape"),
            write,
        )

    def _array(self, of: types.Array, origin: type, arguments: tuple[Any, ...], what: str) -> Way:
        number, step = of.nr_elems, self.btf.size_of(of.type_id)
        item = self.way(types.Member("", of.type_id, 0), arguments[0] if arguments else Any)
        read_one, write_one = item.read, item.write

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if not isinstance(value, list | tuple):
                raise error(path, f"{what} takes a list, not {told(value)}")
            if len(value) != number:
                raise error(path, f"{what} has {number} items, not {len(value)}")
            for index in reversed(range(number)) if target.backwards else range(number):
                write_one(target, at + index * step, value[index], f"{path}[{index}]")

        if not step:
            raise BTFError(f"{what} cannot be {name_of(origin)}: its items have no bytes")
        return Way(lambda data, at: origin(read_one(data, at + index * step) for index in range(number)), write)

    def _record(self, of: types.Type, as_: Any, names: dict[str, Any], what: str) -> Way:
        found = fields(self.btf, of.id)
        ways: list[tuple[str, Way]] = []
        sizes: list[int] = []
        for name, hint in names.items():
            member = found.get(name) or found.get(name.removesuffix("_"))
            if member is None:
                raise BTFError(f"{what} has no member '{name}', as {name_of(as_)} has")
            ways.append((name, self.way(member, hint)))
            sizes.append(0 if member.bitfield_size else self.reads.plan(member.type_id).size)
        alone, make = [way for _, way in ways], maker(as_, names)
        rows = rows_of(self.sign, zip(alone, sizes, strict=True), make)
        return Way(reader(alone, rows, make), writer(as_, ways), rows=rows)


class _Member:
    """Reads members of an enum class."""

    def __init__(self, enum: Any, read: Read) -> None:
        self.enum = enum
        self.number = read

    def read(self, data: bytes, at: int) -> Any:
        number = int(self.number(data, at))  # type: ignore[arg-type]
        try:
            return self.enum(number)
        except ValueError:
            raise BTFError(f"{number} is no {name_of(self.enum)}") from None


class _Packed(NamedTuple):
    """Writes addresses."""

    kind: Any
    size: int
    what: str

    def write(self, target: Target, at: int, value: Any, path: str) -> None:
        if not isinstance(value, self.kind):
            try:
                value = self.kind(value)
            except ValueError as wrong:
                raise error(path, str(wrong)) from None
        target.data[at : at + self.size] = value.packed


def _value_of(write: Write) -> Write:
    """Write the numbers of enum members."""

    def write_value(target: Target, at: int, value: Any, path: str) -> None:
        write(target, at, value.value if _is_enum(type(value)) else value, path)

    return write_value


def _is_number(of: types.Type) -> bool:
    return isinstance(of, types.Int | types.Float | types.Pointer | types.Enum | types.Enum64)


def _is_enum(kind: type) -> bool:
    import enum  # noqa: PLC0415 - only those who read with classes need it

    return issubclass(kind, enum.Enum)
