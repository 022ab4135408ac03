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

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from btf import types
from btf._encode_one import Target, error, told
from btf._encode_plan import Writers, written
from btf.errors import BTFError
from btf.value import Enumerator, Record, _Compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from btf._encode_plan import Plan, Write
    from btf.read import BTF
    from btf.value import Read

T = TypeVar("T")

_ADDRESSES = {"IPv4Address": 4, "IPv6Address": 16}  # bytes


class Codec(Generic[T]):
    """Reads and writes values of one type; BTFError when made for a type, or with a class, that does not fit."""

    __slots__ = ("_way", "size")

    def __init__(self, btf: BTF, type_id: int, as_: type[T] | Any = Any) -> None:
        compiler = _Ways(btf)
        #: The bytes that a value takes.
        self.size = compiler.reads.plan(type_id).size
        self._way = compiler.way(types.Member("", type_id, 0), as_)

    def decode(self, data: bytes) -> T:
        """Read the value at the start of ``data``; BTFError when that is too short, or no value of the class."""
        if len(data) < self.size:
            raise BTFError(f"a value of {self.size} bytes does not fit into {len(data)}")
        result: T = self._way.read(data, 0)
        return result

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

    Those of members without name are among them.
    """
    return dict(_fields(btf, type_id, 0))


def _fields(btf: BTF, type_id: int, first: int) -> Iterator[tuple[str, types.Member]]:
    of = btf.type(btf.resolve(type_id))
    if isinstance(of, types.Datasec):
        members = [types.Member(btf.name(var.type_id), var.type_id, var.offset * 8) for var in of.vars]
    elif isinstance(of, types.Struct | types.Union):
        members = list(of.members)
    else:
        return
    for member in members:
        place = member._replace(bits_offset=first + member.bits_offset)
        if member.name:
            yield member.name, place
        else:
            yield from _fields(btf, member.type_id, place.bits_offset)


class _Way(NamedTuple):
    """How to read and write a value that is of some class."""

    read: Callable[[bytes, int], Any]
    write: Write


class _Ways:
    """Compiles pairs of a type and what it shall be in Python."""

    def __init__(self, btf: BTF) -> None:
        self.btf = btf
        self.reads = _Compiler(btf)
        self.writes = Writers(btf, self.reads, None)

    def way(self, member: types.Member, as_: Any) -> _Way:
        """Compile what is at the place of a member."""
        offset, reads = self.reads.member(member)
        _, writes = self.writes.place(member)
        way = self._way(member, as_, reads.read, writes)
        if not offset:
            return way
        return _Way(
            lambda data, at: way.read(data, at + offset),
            lambda target, at, value, path: way.write(target, at + offset, value, path),
        )

    def _way(self, member: types.Member, as_: Any, read: Read, writes: Plan) -> _Way:
        as_ = _behind(as_)
        of = self.btf.type(self.btf.resolve(member.type_id))
        if as_ in (Any, object, Record, Enumerator):
            return _Way(read, writes.write)
        if as_ in (int, bool, float):
            return self._number(as_, of, read, writes)
        if as_ is str:
            return self._text(of, read, writes)
        origin, arguments = _generic(as_)
        if isinstance(of, types.Array) and origin in (list, tuple):
            return self._array(of, origin, arguments, writes.what)
        if isinstance(of, types.Struct | types.Union | types.Datasec):
            if origin is dict:
                return _Way(lambda data, at: plain(read(data, at)), writes.write)
            if names := class_fields(as_):
                return self._record(of, as_, names, writes.what)
        way = self._object(member, as_, read, writes) if isinstance(as_, type) else None
        if way is None:
            raise error(member.name, f"{writes.what} cannot be {_name(as_)}")
        return way

    def _object(self, member: types.Member, as_: Any, read: Read, writes: Plan) -> _Way | None:
        """Compile bytes, addresses and members of enums."""
        of = self.btf.type(self.btf.resolve(member.type_id))
        if _is_enum(as_) and _is_number(of):
            return _Way(_Member(as_, read).read, _value_of(writes.write))
        size = 0 if member.bitfield_size else self.btf.size_of(of.id)
        if as_ is bytes and isinstance(of, types.Array) and size and self.btf.size_of(of.type_id) == 1:
            return _Way(lambda data, at: data[at : at + size], writes.write)
        if as_.__module__ == "ipaddress" and size and size == _ADDRESSES.get(as_.__name__):
            return _Way(lambda data, at: as_(data[at : at + size]), _Packed(as_, size, writes.what).write)
        return None

    def _number(self, as_: type, of: types.Type, read: Read, writes: Plan) -> _Way:
        if not _is_number(of) or (isinstance(of, types.Float) and (as_ is not float or of.size > 8)):
            raise BTFError(f"{writes.what} cannot be {_name(as_)}")
        if as_ is float:
            return _Way(lambda data, at: float(read(data, at)), writes.write)  # type: ignore[arg-type]
        if as_ is int and isinstance(of, types.Int) and not of.encoding and of.nr_bits in (8, 16, 32, 64):
            return _Way(read, _value_of(writes.write))
        return _Way(lambda data, at: as_(read(data, at)), _value_of(writes.write))

    def _text(self, of: types.Type, read: Read, writes: Plan) -> _Way:
        if isinstance(of, types.Enum | types.Enum64):
            return _Way(lambda data, at: str(plain(read(data, at))), writes.write)
        if not isinstance(of, types.Array) or self.btf.size_of(of.type_id) != 1:
            raise BTFError(f"{writes.what} cannot be str")
        size = of.nr_elems

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if not isinstance(value, str):
                raise error(path, f"{told(value)} is no text")
            data = value.encode(errors="surrogateescape")
            if len(data) > size or b"\0" in data:
                raise error(path, f"text of {len(data)} bytes does not fit into {writes.what}")
            target.data[at : at + size] = data.ljust(size, b"\0")

        return _Way(
            lambda data, at: data[at : at + size].partition(b"\0")[0].decode(errors="surrogateescape"),
            write,
        )

    def _array(self, of: types.Array, origin: type, arguments: tuple[Any, ...], what: str) -> _Way:
        number, step = of.nr_elems, self.btf.size_of(of.type_id)
        item = self.way(types.Member("", of.type_id, 0), arguments[0] if arguments else Any)
        read_one, write_one = item

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if not isinstance(value, list | tuple):
                raise error(path, f"{told(value)} is no list, as {what} is")
            if len(value) != number:
                raise error(path, f"{what} has {number} items, not {len(value)}")
            for index in reversed(range(number)) if target.backwards else range(number):
                write_one(target, at + index * step, value[index], f"{path}[{index}]")

        if not step:
            raise BTFError(f"{what} cannot be {_name(origin)}: its items have no bytes")
        return _Way(lambda data, at: origin(read_one(data, at + index * step) for index in range(number)), write)

    def _record(self, of: types.Type, as_: Any, names: dict[str, Any], what: str) -> _Way:
        found = fields(self.btf, of.id)
        ways: list[tuple[str, _Way]] = []
        for name, hint in names.items():
            member = found.get(name) or found.get(name.removesuffix("_"))
            if member is None:
                raise BTFError(f"{what} has no member '{name}', as {_name(as_)} has")
            ways.append((name, self.way(member, hint)))
        reads = [(name, way.read) for name, way in ways]
        make, given = maker(as_), _given(as_)

        def read(data: bytes, at: int) -> Any:
            return make([(name, read_one(data, at)) for name, read_one in reads])

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if not isinstance(value, dict if given is _item else as_):
                raise error(path, f"{_name(type(value))} is no {_name(as_)}")
            before = bytes(target.data) if target.backwards else b""
            for name, way in reversed(ways) if target.backwards else ways:
                item = given(value, name)
                if item is not None:
                    way.write(target, at, item, f"{path}.{name}" if path else name)
            if target.backwards and target.data != before:
                raise error(path, f"fields of {_name(as_)} that share their bytes are given different values")

        return _Way(read, write)


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
            raise BTFError(f"{number} is no {_name(self.enum)}") from None


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


def _behind(as_: Any) -> Any:
    """Return what is annotated, or what stands behind a new name or ``| None``."""
    from types import UnionType  # noqa: PLC0415 - only those who read with classes need it
    from typing import Annotated, Union, get_args, get_origin  # noqa: PLC0415 - likewise

    while True:
        if get_origin(as_) is Annotated:
            as_ = get_args(as_)[0]
        elif get_origin(as_) in (Union, UnionType):
            others = [each for each in get_args(as_) if each is not type(None)]
            if len(others) != 1:
                return as_
            as_ = others[0]
        elif hasattr(as_, "__supertype__"):
            as_ = as_.__supertype__
        else:
            return as_


def _generic(as_: Any) -> tuple[Any, tuple[Any, ...]]:
    from typing import get_args, get_origin  # noqa: PLC0415 - only those who read with classes need it

    return get_origin(as_) or as_, get_args(as_)


def _name(as_: Any) -> str:
    return as_.__name__ if isinstance(as_, type) else str(as_)


def class_fields(as_: Any) -> dict[str, Any]:
    """Return the fields of a class and what they are said to be; nothing for a class without fields."""
    if not isinstance(as_, type):
        return {}
    if hasattr(as_, "__dataclass_fields__"):
        names: Iterable[str] = (each.name for each in as_.__dataclass_fields__.values() if each.init)
    elif hasattr(as_, "__attrs_attrs__"):
        names = (each.name for each in as_.__attrs_attrs__ if each.init)
    elif issubclass(as_, tuple) and hasattr(as_, "_fields"):
        names = as_._fields
    elif hasattr(as_, "__total__"):  # a TypedDict
        names = as_.__annotations__
    else:
        return {}
    from typing import get_type_hints  # noqa: PLC0415 - only those who read with classes need it

    try:
        hints = get_type_hints(as_, include_extras=True)
    except NameError as wrong:
        raise BTFError(f"a field of {_name(as_)} is of an unknown class: {wrong}") from None
    return {name: hints.get(name, Any) for name in names}


def maker(as_: Any) -> Callable[[list[tuple[str, Any]]], Any]:
    """Return what makes an object of a class out of pairs of a field and its value, in the order of the fields."""
    by_name = hasattr(as_, "__total__") or any(
        each.kw_only for each in getattr(as_, "__dataclass_fields__", {}).values()
    )
    if hasattr(as_, "__attrs_attrs__"):
        aliases = {each.name: each.alias for each in as_.__attrs_attrs__}
        return lambda pairs: as_(**{aliases[name]: value for name, value in pairs})
    if by_name:
        return lambda pairs: as_(**dict(pairs))
    return lambda pairs: as_(*[value for _, value in pairs])


def _item(value: Any, name: str) -> Any:
    return value.get(name)


def _given(as_: Any) -> Callable[[Any, str], Any]:
    return _item if hasattr(as_, "__total__") else getattr
