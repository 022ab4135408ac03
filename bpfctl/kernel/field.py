"""What a path in a condition means on one map: which bytes of a key or value, and how they are compared.

A field is compiled once, into a function that reads it out of the packed keys or values of a whole chunk, mostly by
one strided view of the bytes. Nothing else of a record is looked at, so that a condition on one field of a million
entries costs about what one column of a table costs.

What a field is compared with goes through the type's encoder first (btf.encode): the names of an enum, numbers out of
range and addresses mean the same as where values are written, and are refused in the same words.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.errors import UsageError
from bpfctl.kernel.address import address, network
from bpfctl.kernel.column import CODES, numbers, unpacked
from bpfctl.kernel.map import PER_CPU
from btf import place as places
from btf import types
from btf.encode import Encoder
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.kernel.column import Column
    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.map_types import Types
    from bpfctl.kernel.where import Word
    from btf.place import Place
    from btf.read import BTF

KEY, VALUE = 0, 1

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,99})")
_BYTE = re.compile(r"\[([0-9]{1,9})\]")
# A comprehension for each sign: a function for each record would take three times as long.
_ASK: dict[str, Callable[[Column, Any], Callable[[bytes], bytes]]] = {
    "==": lambda column, wanted: lambda packed: bytes([value == wanted for value in column(packed)]),
    "!=": lambda column, wanted: lambda packed: bytes([value != wanted for value in column(packed)]),
    "<": lambda column, wanted: lambda packed: bytes([value < wanted for value in column(packed)]),
    "<=": lambda column, wanted: lambda packed: bytes([value <= wanted for value in column(packed)]),
    ">": lambda column, wanted: lambda packed: bytes([value > wanted for value in column(packed)]),
    ">=": lambda column, wanted: lambda packed: bytes([value >= wanted for value in column(packed)]),
}


class Grid(NamedTuple):
    """How the bytes of a chunk are laid out: the slot of each value has ``step`` bytes, of which CPUs have one each."""

    key_size: int
    value_size: int
    step: int
    cpus: int  # 0 where there is one value for all

    @classmethod
    def of(cls, info: MapInfo) -> Grid:
        """Return the layout of a map's chunks."""
        if info.type not in PER_CPU:
            return cls(info.key_size, info.value_size, info.value_size, 0)
        room = info.value_room()
        step = info.value_size + 7 & ~7
        return cls(info.key_size, info.value_size, step, room // step if step else 0)


class Field:
    """A field of a map's keys or values; ``where`` is its place in the type, None where there are no types."""

    def __init__(self, part: str, stream: int, stride: int, size: int) -> None:
        self.part = part
        self.stream = stream
        self.stride = stride
        self.size = size
        self.offset = 0
        self.where: Place | None = None
        self._btf: BTF | None = None
        self._root = 0
        self._whole = True  # whether it is all of the key or value
        self.name = part

    def typed(self, btf: BTF, root: int, path: str) -> Field:
        """Return this field as the part of a type at a path; UsageError when there is none."""
        self._btf, self._root, self._whole = btf, root, not path
        try:
            self.where = places.find(btf, root, path)
            self.size = (self.where.bit + self.where.width + 7) // 8 or btf.size_of(self.where.type_id)
        except BTFError as error:
            raise self.refused(str(error)) from None
        self.offset = self.where.offset
        self.name = self.where.path or self.part
        return self

    def byte(self, number: int) -> Field:
        """Return the field of one byte of what has no types."""
        if number >= self.size:
            raise UsageError(f"{self.part} has {self.size} bytes, and no {self.part}[{number}]")
        self.offset, self.size, self._whole = number, 1, False
        self.name = f"{self.part}[{number}]"
        return self

    def refused(self, why: str) -> UsageError:
        """Return the error about this field."""
        return UsageError(f"{self.part}: {why}")

    @property
    def _type(self) -> types.Type | None:
        return self._btf.type(self.where.type_id) if self._btf and self.where else None

    @property
    def what(self) -> str:
        """The type in words."""
        if self._btf is None or self.where is None:
            return f"{self.size} bytes without types"
        return places.what(self._btf, self.where.type_id)

    def numbers(self) -> Column | None:
        """Return what reads the field as numbers; None when it is none."""
        if self._btf is not None and self.where is not None:
            return numbers(self._btf, self.where, self.stride)
        code = CODES.get(self.size)
        return unpacked("=", self.offset, code.upper(), self.stride) if code else None

    def number(self) -> Column:
        """Return what reads the field as numbers; UsageError when it is none."""
        found = self.numbers()
        if found is None:
            raise self._no_single("is no number")
        return found

    def compare(self, sign: str, word: Word) -> Callable[[bytes], bytes]:
        """Return what compares the field with a word; UsageError in the type's words where that makes no sense."""
        if sign == "=~":
            return self._matches(word)
        if self._btf is None:
            column, wanted = self._untyped(word)
        else:
            column, wanted = self._by_type(self._btf, word)
        return _ASK[sign](column, wanted)

    def holds(self) -> Callable[[bytes], bytes]:
        """Return what asks whether the field is not zero, or not empty."""
        column = self.numbers() or (self._text() if self._is_text() else None)
        if column is None:
            raise self._no_single("cannot be asked for alone")
        return lambda packed: bytes(map(bool, column(packed)))

    def comparable(self) -> tuple[Column, bool]:
        """Return what reads the field for a comparison with another, and whether as text."""
        found = self.numbers()
        if found is None and not self._is_text():
            raise self._no_single("cannot be compared")
        return (found, False) if found is not None else (self._text(), True)

    def _no_single(self, why: str) -> UsageError:
        more = ""
        if self._btf is not None and self.where is not None and not isinstance(self._type, types.Int):
            inside = [each.path for _, each in zip(range(8), places.members(self._btf, self.where), strict=False)]
            more = f": name a part of it, such as {', '.join(inside)}" if inside else ""
        elif self._btf is None and self.size:
            more = f": name a byte, {self.part}[0] to {self.part}[{self.size - 1}]"
        return UsageError(f"{self.name} {why}, being {self.what}{more}")

    def _raw(self) -> Column:
        return unpacked("=", self.offset, f"{self.size}s", self.stride)

    def _text(self) -> Column:
        raw = self._raw()
        return lambda packed: [piece.partition(b"\0")[0].decode(errors="surrogateescape") for piece in raw(packed)]

    def _is_text(self) -> bool:
        """Return whether this may be text: an array of bytes, or anything without types."""
        of = self._type
        if self._btf is None or of is None:
            return True
        if not isinstance(of, types.Array):
            return False
        item = self._btf.type(self._btf.resolve(of.type_id))
        return isinstance(item, types.Int) and item.size == 1

    def _by_type(self, btf: BTF, word: Word) -> tuple[Column, Any]:
        of = self._type
        found = (
            address(word.text, self.size) if word.kind == "word" and isinstance(of, types.Int | types.Array) else None
        )
        if found is not None and (isinstance(of, types.Int) or self._is_text()):
            return self._raw(), found  # the order of addresses is that of their bytes
        if isinstance(of, types.Array) and self._is_text():
            encoder, path = self._encoder(btf)
            if encoder.holds_text(path) if path else encoder.text:
                self._data(encoder, path, word.text)  # refuses what cannot be there
            return self._text(), word.text
        column = self.numbers()
        if column is None:
            raise self._no_single("cannot be compared")
        return column, self._encoded(btf, column, word)

    def _encoded(self, btf: BTF, column: Column, word: Word) -> Any:
        """Return what a word is as a value of the type."""
        value: Any = word.text
        if word.kind == "word" and _DECIMAL.fullmatch(value):
            value = int(value)
        elif isinstance(self._type, types.Float) and word.kind == "word":
            try:
                value = float(value)
            except ValueError:
                value = word.text
        data = self._data(*self._encoder(btf), value)
        return next(iter(column(data[: self.stride].ljust(self.stride, b"\0"))))

    def _encoder(self, btf: BTF) -> tuple[Encoder, str]:
        try:
            return Encoder(btf, self._root, address), self.where.path if self.where else ""
        except BTFError as error:
            raise self.refused(str(error)) from None

    def _data(self, encoder: Encoder, path: str, value: Any) -> bytes:
        try:
            return encoder.patch(b"", path, value) if path else encoder(value)
        except BTFError as error:
            raise self.refused(str(error)) from None

    def _untyped(self, word: Word) -> tuple[Column, Any]:
        found = address(word.text, self.size) if word.kind == "word" and self._whole else None
        if found is not None:
            return self._raw(), found
        if word.kind != "word":
            return self._text(), word.text
        code = CODES.get(self.size)
        if code is None:
            raise self._no_single("is no integer")
        try:
            number = int(word.text, 0)
        except ValueError:
            raise self.refused(f"'{word.text}' is no number, and the map has no types that would name it") from None
        low, high = -(1 << self.size * 8 - 1), (1 << self.size * 8) - 1
        if not low <= number <= high:
            raise self.refused(f"{word.text} is out of the range of {self.size} bytes ({low} to {high})")
        # A negative number can only mean that the bytes are to be read as a signed one.
        return unpacked("=", self.offset, code if number < 0 else code.upper(), self.stride), number

    def _matches(self, word: Word) -> Callable[[bytes], bytes]:
        of = self._type
        if word.kind == "word" and self.size in (4, 16) and "/" in word.text:
            net = network(word.text, self.size)
            if net is not None and (self._is_text() or isinstance(of, types.Int)):
                return self._inside(*net)
        test = _matcher(word)
        if isinstance(of, types.Enum | types.Enum64) and (column := self.numbers()) is not None:
            matching = frozenset(value.val for value in of.values if test(value.name))
            return lambda packed: bytes(map(matching.__contains__, column(packed)))
        if not self._is_text():
            raise self.refused(f"{self.name}: =~ is for text, and this is {self.what}")
        text = self._text()
        return lambda packed: bytes([test(each) is not None for each in text(packed)])

    def _inside(self, net: bytes, bits: int) -> Callable[[bytes], bytes]:
        column, shift = self._raw(), len(net) * 8 - bits
        wanted = int.from_bytes(net, "big") >> shift
        number = partial(int.from_bytes, byteorder="big")
        return lambda packed: bytes([number(each) >> shift == wanted for each in column(packed)])


def _matcher(word: Word) -> Callable[[str], Any]:
    """Return what matches text: a regular expression anywhere in it, a glob all of it."""
    if word.kind != "pattern":
        from fnmatch import translate  # noqa: PLC0415 - few conditions have one

        return re.compile(translate(word.text)).match
    try:
        return re.compile(word.text).search
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"--where: /{word.text}/ is no regular expression: {error}") from None


class Fields:
    """Finds the fields of one map by their paths."""

    def __init__(self, info: MapInfo, types_: Types | None) -> None:
        self.info = info
        self.types = types_
        self.grid = Grid.of(info)

    def find(self, path: str) -> Field:
        """Return a field; UsageError names what there is when there is none."""
        part, rest = "value", path
        for word in ("key", "value"):
            if path == word or path.startswith((f"{word}.", f"{word}[")):
                part, rest = word, path[len(word) :]
        return self._of(part, rest.removeprefix("."), path)

    def is_cpu(self, path: str) -> bool:
        """Return whether a path is the number of the CPU that a value is of."""
        return path == "cpu" and self.grid.cpus > 0

    def _of(self, part: str, rest: str, path: str) -> Field:
        key = part == "key"
        size, stride = (self.info.key_size,) * 2 if key else (self.info.value_size, self.grid.step)
        if not size:
            raise UsageError(f"map {self.info.id} has no {'keys' if key else 'values'}")
        field = Field(part, KEY if key else VALUE, stride, size)
        root = (self.types.key if key else self.types.value) if self.types else 0
        if self.types and root:
            try:
                return field.typed(self.types.btf, root, rest)
            except UsageError as error:
                raise self._elsewhere(error, part, rest) from None
        index = _BYTE.fullmatch(rest)
        if index:
            return field.byte(int(index[1]))
        if rest:
            there = "key, value, and their bytes such as value[3]"
            raise UsageError(f"no field '{path}': the {part}s of map {self.info.id} have no types, only {there}")
        return field

    def _elsewhere(self, error: UsageError, part: str, rest: str) -> UsageError:
        """Return the error, with a hint when the key has what the value lacks."""
        if part == "value" and self.types and self.types.key and "did you mean" not in str(error):
            try:
                places.find(self.types.btf, self.types.key, rest)
            except BTFError:
                return error
            return UsageError(f"{error}, did you mean 'key.{rest}'?")
        return error


def cpu_word(word: Word | None, cpus: int) -> int:
    """Return the number of a CPU that a condition asks for."""
    text = word.text if word else ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise UsageError(f"cpu: '{text}' is no number of a CPU (0 to {cpus - 1})")
    return int(text)
