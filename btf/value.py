"""(type, bytes) -> Python values that still know what C type they were.

A decoded value behaves as the plain Python value it is: integers, enums, pointers and bitfields are
ints, booleans bools, strings strs, arrays lists. Where a printer must know more than the number, the
value is of a subclass of int that says so:

========================  ============================================================
C type                    Python value
========================  ============================================================
integer of 8 to 64 bits   int
``_Bool``                 bool
``char``                  `Char`
bitfield, odd or 128 bit  `Bits`
enum                      `Enumerator`
pointer                   `Address`
float, double             float
``char[]`` with text      str, up to the NUL; as other arrays if it holds anything else
other array               list
struct, union             `Record`
variable                  `Record` with one field
section of variables      `Section`
========================  ============================================================

A type is compiled once into a function that reads it at an offset; `Decoder` keeps that function,
for callers with many values of one type. Everything about a hostile type is found out while
compiling: circles, what the value takes in bytes, and how many Python values would come out.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from btf import types
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Literal, Self

    from btf.read import BTF

    Read: TypeAlias = Callable[[bytes, int], "Value"]

Value: TypeAlias = "bool | int | float | str | list[Value] | Record"

#: Unions nested in unions and arrays of empty structs make any number of Python values out of a few
#: bytes; more than these for each byte, and so many besides, are taken for an attack.
_VALUES_PER_BYTE, _VALUES_OF_NOTHING = 64, 1024
_MAX_DEPTH = 64
_INT_CODES = {8: "b", 16: "h", 32: "i", 64: "q"}
_FLOAT_CODES = {2: "e", 4: "f", 8: "d"}


class Char(int):
    """One byte of type ``char``, 0 to 255."""

    __slots__ = ()


class Bits(int):
    """A bitfield, or an integer whose width is none of the usual four."""

    #: Its width in bits.
    width: int

    def __new__(cls, number: int, width: int) -> Self:
        """Attach the facts to the number."""
        self = super().__new__(cls, number)
        self.width = width
        return self

    @property
    def unsigned(self) -> int:
        """The bits as they are, without a sign."""
        return self & (1 << self.width) - 1


class Enumerator(int):
    """A value of an enum type."""

    #: The first name with this value, or None.
    name: str | None
    #: Width of the enum type in bits.
    width: int

    def __new__(cls, number: int, name: str | None, width: int) -> Self:
        """Attach the facts to the number."""
        self = super().__new__(cls, number)
        self.name = name
        self.width = width
        return self

    @property
    def signed(self) -> int:
        """The number as a signed one of its width."""
        sign = 1 << self.width - 1
        return (int(self) + sign) % (2 * sign) - sign


class Address(int):
    """A pointer."""

    #: The id of the type it points to.
    type_id: int

    def __new__(cls, number: int, type_id: int) -> Self:
        """Attach the facts to the number."""
        self = super().__new__(cls, number)
        self.type_id = type_id
        return self


class Record:
    """The members of a struct or union in order; names may be empty and may repeat.

    ``record["x"]`` finds a member as C does, inside members without name too.
    """

    __slots__ = ("fields",)

    def __init__(self, fields: Iterable[tuple[str, Value]]) -> None:
        self.fields = tuple(fields)

    def __getitem__(self, name: str) -> Value:
        for field, value in self.fields:
            if field == name:
                return value
            if not field and isinstance(value, Record) and name in value:
                return value[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(
            field == name or (not field and isinstance(value, Record) and name in value) for field, value in self.fields
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.fields == self.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={value!r}" for name, value in self.fields)
        return f"{type(self).__name__}({members})"


class Section(Record):
    """The variables of an ELF section."""

    __slots__ = ("name",)

    def __init__(self, name: str, fields: Iterable[tuple[str, Value]]) -> None:
        super().__init__(fields)
        self.name = name


class Decoder:
    """Reads values of one type; raises BTFError when made for a type that has no values."""

    __slots__ = ("_read", "size")

    def __init__(self, btf: BTF, type_id: int) -> None:
        plan = _Compiler(btf).plan(type_id)
        self._read = plan.read
        #: The bytes that a value takes.
        self.size = plan.size

    def __call__(self, data: bytes) -> Value:
        """Decode the value at the start of ``data``; raises BTFError when that is too short."""
        if len(data) < self.size:
            raise BTFError(f"a value of {self.size} bytes does not fit into {len(data)}")
        return self._read(data, 0)


def decode(btf: BTF, type_id: int, data: bytes) -> Value:
    """Decode one value; raises BTFError for a type without values and when ``data`` is too short."""
    return Decoder(btf, type_id)(data)


class _Plan(NamedTuple):
    """How to read a type: the function, the bytes it reads, and how many values it makes."""

    read: Read
    size: int
    values: int = 1


class _Compiler:
    """Compiles the types of one BTF, each once."""

    def __init__(self, btf: BTF) -> None:
        self.btf = btf
        self.byteorder: Literal["little", "big"] = btf.byteorder
        self.sign = "<" if btf.byteorder == "little" else ">"
        self.plans: dict[int, _Plan] = {}
        self.depth = 0

    def plan(self, type_id: int) -> _Plan:
        """Compile the type with this id, typedefs and modifiers left out."""
        type_id = self.btf.resolve(type_id)
        plan = self.plans.get(type_id)
        if plan is None:
            if self.depth == _MAX_DEPTH:
                raise BTFError(f"type {type_id} contains itself, or is nested too deeply")
            self.depth += 1
            plan = self._compile(self.btf.type(type_id))
            self.depth -= 1
            if plan.values > _VALUES_OF_NOTHING + _VALUES_PER_BYTE * plan.size:
                raise BTFError(f"type {type_id} makes {plan.values} values")
            self.plans[type_id] = plan
        return plan

    def _compile(self, of: types.Type) -> _Plan:
        match of:
            case types.Int():
                return self._int(of)
            case types.Float():
                return self._float(of)
            case types.Pointer():
                return self._pointer(of)
            case types.Enum() | types.Enum64():
                return self._enum(of)
            case types.Array():
                return self._array(of)
            case types.Struct() | types.Union():
                fields = [(member.name, *self.member(member)) for member in of.members]
                return _record(Record, fields, of.size)
            case types.Var():
                return _record(Record, [(of.name, 0, self.plan(of.type_id))], 0)
            case types.Datasec():
                return self._section(of)
        raise BTFError(f"type {of.id} ({type(of).__name__} {of.name!r}) has no values")

    def _scalar(self, code: str) -> _Plan:
        layout = Layout(self.sign + code)
        unpack_from = layout.unpack_from
        return _Plan(lambda data, offset: unpack_from(data, offset)[0], layout.size)

    def _int(self, of: types.Int) -> _Plan:
        if of.encoding & types.BOOL:
            return _Plan(lambda data, offset: data[offset] != 0, 1)
        code = _INT_CODES.get(of.nr_bits)
        if code is None or of.bits_offset:
            return self._bits(of.bits_offset, of.nr_bits, signed=of.signed)
        if of.encoding & types.CHAR and of.nr_bits == 8:
            return _Plan(lambda data, offset: Char(data[offset]), 1)
        return self._scalar(code if of.signed else code.upper())

    def _bits(self, first: int, width: int, *, signed: bool) -> _Plan:
        """Read ``width`` bits after the first ones, counted from the end that comes first in memory."""
        size = (first + width + 7) // 8
        byteorder = self.byteorder
        shift = first if byteorder == "little" else size * 8 - first - width
        mask = (1 << width) - 1
        sign = 1 << width >> 1 if signed else 0

        def read(data: bytes, offset: int) -> Bits:
            number = int.from_bytes(data[offset : offset + size], byteorder) >> shift & mask
            return Bits((number ^ sign) - sign, width)

        return _Plan(read, size)

    def _float(self, of: types.Float) -> _Plan:
        if of.size > 16:
            raise BTFError(f"type {of.id} is a floating point number of {of.size} bytes")
        code = _FLOAT_CODES.get(of.size)
        # Python has no long double: its bits are better than a rounded number
        return self._scalar(code) if code else self._bits(0, of.size * 8, signed=False)

    def _pointer(self, of: types.Pointer) -> _Plan:
        size, byteorder, type_id = self.btf.pointer_size, self.byteorder, of.type_id

        def read(data: bytes, offset: int) -> Address:
            return Address(int.from_bytes(data[offset : offset + size], byteorder), type_id)

        return _Plan(read, size)

    def _enum(self, of: types.Enum | types.Enum64) -> _Plan:
        size, byteorder, signed = of.size, self.byteorder, of.signed
        if size not in (1, 2, 4, 8):
            raise BTFError(f"enum {of.id} has {size} bytes")
        names = {as_stored(of, value.val): value.name for value in reversed(of.values)}

        def read(data: bytes, offset: int) -> Enumerator:
            number = int.from_bytes(data[offset : offset + size], byteorder, signed=signed)
            return Enumerator(number, names.get(number), size * 8)

        return _Plan(read, size)

    def _array(self, of: types.Array) -> _Plan:
        number = of.nr_elems
        read_one, size, values = self.plan(of.type_id)
        # elements are as far apart as the type is long, which may be more than is read of it
        step = self.btf.size_of(of.type_id)
        total = step * (number - 1) + max(step, size) if number else 0
        spans = range(0, step * number, step) if step else (0,) * min(number, _VALUES_OF_NOTHING)

        def read(data: bytes, offset: int) -> list[Value]:
            return [read_one(data, offset + at) for at in spans]

        def read_text(data: bytes, offset: int) -> Value:
            text, nul, _ = data[offset : offset + number].partition(b"\0")
            if nul and not text.translate(None, _PRINTABLE):
                return text.decode("ascii")
            return read(data, offset)

        return _Plan(read_text if self.is_text(of) else read, total, 1 + number * values)

    def is_text(self, of: types.Array) -> bool:
        """Tell whether elements are ``char`` itself: a typedef to it means bytes rather than text."""
        type_id = of.type_id
        while isinstance(element := self.btf.type(type_id), _QUALIFIERS):
            type_id = element.type_id
        return (
            isinstance(element, types.Int)
            and element.size == 1
            and (element.encoding == types.CHAR or element.name == "char")
        )

    def member(self, member: types.Member) -> tuple[int, _Plan]:
        """Return a member's byte offset, and how to read it there."""
        of, offset, bit, width = located(self.btf, member)
        if width:
            signed = isinstance(of, types.Int | types.Enum | types.Enum64) and of.signed
            return offset, self._bits(bit, width, signed=signed)
        if bit:
            raise BTFError(f"member {member.name!r} starts inside a byte")
        return offset, self.plan(member.type_id)

    def _section(self, of: types.Datasec) -> _Plan:
        fields = []
        for place in of.vars:
            var = self.btf.type(place.type_id)
            if not isinstance(var, types.Var):
                raise BTFError(f"section {of.name!r} holds type {var.id}, which is no variable")
            fields.append((var.name, place.offset, self.plan(var.type_id)))
        name = of.name
        return _record(lambda pairs: Section(name, pairs), fields, of.size)


def located(btf: BTF, member: types.Member) -> tuple[types.Type, int, int, int]:
    """Return a member's type, its byte, how many bits behind that it starts, and how many a bitfield has."""
    offset, bit = divmod(member.bits_offset, 8)
    of, width = btf.type(btf.resolve(member.type_id)), member.bitfield_size
    if bit and not width and isinstance(of, types.Int):
        # before Linux 5.0 the integer type itself said how wide a bitfield is
        width, bit = of.nr_bits, bit + of.bits_offset
    return of, offset, bit, width


def as_stored(of: types.Enum | types.Enum64, number: int) -> int:
    """Return an enumerator as the bytes of its enum have it.

    Before Linux 6.0 (commit 6089fb325cf7, "bpf: Add btf enum64 support") no enum was known to be signed: enumerators
    have 32 bits, of which a smaller enum has the lowest, and a larger one continues the sign.
    """
    if of.signed:
        return number
    if isinstance(of, types.Enum) and of.size == 8 and number >> 31:
        number -= 1 << 32
    return number & (1 << of.size * 8) - 1


def _record(
    make: Callable[[Iterable[tuple[str, Value]]], Record], fields: list[tuple[str, int, _Plan]], size: int
) -> _Plan:
    """Read fields at their offsets; a type may be longer than what its fields take."""
    parts = [(name, at, plan.read) for name, at, plan in fields]
    end = max((at + plan.size for _, at, plan in fields), default=0)

    def read(data: bytes, offset: int) -> Record:
        return make([(name, read_one(data, offset + at)) for name, at, read_one in parts])

    return _Plan(read, max(end, size), 1 + sum(plan.values for _, _, plan in fields))


_PRINTABLE = bytes(range(0x20, 0x7F))
_QUALIFIERS = (types.Const, types.Volatile, types.Restrict, types.TypeTag)
