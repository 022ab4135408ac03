"""Random BTF types as plain trees, which can be made smaller, and what fits into them.

A tree is ``(kind, ...)``: ``("int", bytes, signed, bits)``, ``("struct", [(name, tree, width, gap), ...])`` and so on.
"""

from __future__ import annotations

import struct
from functools import cached_property
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from bpfctl.kernel.address import address
from btf import types
from btf.encode import Encoder
from btf.read import BTF
from btf.value import Bits, Decoder, Enumerator, Record
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

SCALARS = ("int", "int", "odd", "bool", "char", "enum", "enum64", "float", "pointer", "text", "bytes")
WRAPPERS = ("typedef", "const", "volatile", "restrict")
NAMES = ("RUNNING", "STOPPED", "DEAD", "true", "A", "B", "inf")
FLOATS = {2: "e", 4: "f", 8: "d"}


def random_shape(rng: Random, depth: int = 3) -> Any:
    """Return a tree."""
    kind = rng.choice(SCALARS)
    if depth and rng.random() < 0.7:
        kind = rng.choice(("struct", "struct", "union", "array", "wrapped"))
    match kind:
        case "int":
            size = rng.choice((1, 2, 4, 8, 16))
            return (kind, size, rng.random() < 0.5, size * 8)
        case "odd":
            size = rng.choice((1, 2, 4, 8))
            return ("int", size, rng.random() < 0.5, rng.randint(1, size * 8))
        case "enum" | "enum64":
            size, signed = rng.choice((1, 2, 4, 8)) if kind == "enum" else 8, rng.random() < 0.5
            bits = min(size * 8, 32 if kind == "enum" else 64)
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            return (kind, size, signed, tuple((name, _number(rng, low, high)) for name in _some(rng, NAMES)))
        case "float":
            return (kind, rng.choice((2, 4, 8, 12, 16)))
        case "text" | "bytes":
            return (kind, rng.choice((0, 1, 2, 4, 6, 8, 16)))
        case "array":
            return (kind, rng.choice((0, 1, 2, 2, 3, 5)), random_shape(rng, depth - 1))
        case "struct" | "union":
            return (kind, [_member(rng, depth, number) for number in range(rng.choice((0, 1, 2, 2, 3, 4, 6)))])
        case "wrapped":
            return (rng.choice(WRAPPERS), random_shape(rng, depth - 1))
    return (kind,)


def _some(rng: Random, names: tuple[str, ...]) -> list[str]:
    return rng.sample(names, rng.randrange(len(names) + 1))


def _member(rng: Random, depth: int, number: int) -> tuple[str, Any, int, int]:
    of = random_shape(rng, depth - 1)
    width = 0
    if of[0] in ("int", "enum", "enum64") and rng.random() < 0.4:
        width = rng.randint(1, of[3] if of[0] == "int" else of[1] * 8)
    if of[0] == "bool" and rng.random() < 0.4:
        width = 1
    name = f"m{number}_{rng.getrandbits(32):x}"  # members of members without name must not have the same
    if of[0] in ("struct", "union") and rng.random() < 0.3:
        name = ""
    return name, of, width, rng.choice((0, 0, 0, 1, 8)) if not width else rng.choice((0, 0, 0, 3, 9))


class Made:
    """The BTF of a tree: ``btf``, its ``id`` there, and that of an ``index`` of 4 bytes.

    ``decoder`` and ``encoder`` are BTFError for a type that has no values.
    """

    def __init__(self, shape: Any, order: str) -> None:
        self.shape, self.order = shape, order
        self._b = Builder(byteorder=order)  # type: ignore[arg-type]
        self.index = self._b.add_int("unsigned int", 4)
        self._names = 0
        self.id, self.size = self._add(shape)
        self.blob = self._b.build()
        self.btf = BTF.from_bytes(self.blob)

    @cached_property
    def decoder(self) -> Decoder:
        return Decoder(self.btf, self.id)

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(self.btf, self.id, address)

    def _name(self, word: str) -> str:
        self._names += 1
        return f"{word}{self._names}"

    def _add(self, shape: Any) -> tuple[int, int]:
        """Return a type's id and the bytes that it takes."""
        b = self._b
        match shape:
            case ("int", size, signed, bits):
                return b.add_int(self._name("i"), size, encoding=types.SIGNED * signed, nr_bits=bits), size
            case ("bool",):
                return b.add_int("_Bool", 1, encoding=types.BOOL), 1
            case ("char",):
                return b.add_int("letter", 1, encoding=types.CHAR), 1
            case ("enum", size, signed, values):
                return b.add_enum(self._name("e"), values, size=size, signed=signed), size
            case ("enum64", size, signed, values):
                return b.add_enum64(self._name("e"), values, size=size, signed=signed), size
            case ("float", size):
                return b.add_float(f"float{size}", size), size
            case ("pointer",):
                return b.add_ptr(0), 8
            case ("text" | "bytes" as kind, number):
                item = b.add_int("char" if kind == "text" else "unsigned char", 1)
                return b.add_array(item, self.index, number), number
            case ("array", number, item):
                id_, size = self._add(item)
                return b.add_array(id_, self.index, number), number * size
            case ("struct" | "union" as kind, members):
                return self._record(kind, members)
            case ("typedef", of):
                id_, size = self._add(of)
                return b.add_typedef(self._name("t"), id_), size
        id_, size = self._add(shape[1])
        return getattr(b, f"add_{shape[0]}")(id_), size

    def _record(self, kind: str, members: list[Any]) -> tuple[int, int]:
        placed, at, size = [], 0, 0
        for name, of, width, gap in members:
            id_, length = self._add(of)
            if kind == "union":
                at = 0
            elif width:
                at = _fitting(at + gap, width, length)
            else:
                align = _alignment(of)
                at = -(-(at + gap * 8) // (8 * align)) * 8 * align
            placed.append((name, id_, at, width))
            at += width or length * 8
            # a bitfield is read out of the unit of its type, which must lie inside
            size = max(size, -(-at // 8), (at - 1) // (8 * length) * length + length if width else 0)
        align = max((_alignment(of) for _, of, _, _ in members), default=1)
        size = -(-size // align) * align
        add = self._b.add_union if kind == "union" else self._b.add_struct
        return add(self._name("s"), size, placed), size


def _fitting(at: int, width: int, length: int) -> int:
    """Return where a bitfield begins that does not cross a unit of its type."""
    unit = length * 8
    return at if at // unit == (at + width - 1) // unit else -(-at // unit) * unit


def _alignment(shape: Any) -> int:
    match shape:
        case ("int" | "enum" | "enum64", size, *_):
            return min(size, 8)
        case ("float", size):
            return 4 if size == 12 else min(size, 16)
        case ("pointer",):
            return 8
        case ("array", _, item):
            return _alignment(item)
        case ("struct" | "union", members):
            return max((_alignment(of) for _, of, _, _ in members), default=1)
        case (word, of) if word in WRAPPERS:
            return _alignment(of)
    return 1


def smaller(shape: Any) -> Iterator[Any]:
    """Yield trees that are a little simpler."""
    match shape:
        case ("struct" | "union" as kind, members):
            for name, of, width, gap in members:
                yield of
                if len(members) > 1 or gap or width:
                    yield (kind, [(name, of, 0, 0)])
            for at, (name, of, width, gap) in enumerate(members):
                before, after = members[:at], members[at + 1 :]
                yield (kind, before + after)
                if gap:
                    yield (kind, [*before, (name, of, width, 0), *after])
                for less in smaller(of):
                    keeps = less[0] == of[0] or not width
                    yield (kind, [*before, (name or "n", less, width if keeps else 0, gap), *after])
        case ("array", number, item):
            yield item
            if number > 1:
                yield ("array", 1, item)
            for less in smaller(item):
                yield ("array", number, less)
        case ("text" | "bytes" as kind, number) if number > 1:
            yield (kind, number // 2)
        case ("enum" | "enum64" as kind, size, signed, values) if values:
            for at in range(len(values)):
                yield (kind, size, signed, values[:at] + values[at + 1 :])
        case (word, of) if word in WRAPPERS:
            yield of
            for less in smaller(of):
                yield (word, less)


def _number(rng: Random, low: int, high: int) -> int:
    """Return a number that is often one at an edge."""
    edges = (low, low + 1, -1, 0, 1, 7, high - 1, high)
    number = rng.choice(edges) if rng.random() < 0.5 else rng.randint(low, high)
    return min(max(number, low), high)


def seen(value: Any) -> Any:
    """Return what was decoded in a form that can be compared with what was said."""
    match value:
        case Bits():
            return value.unsigned
        case Enumerator():
            return int(value) % (1 << value.width)
        case Record():
            found: dict[str, Any] = {}
            for name, item in value.fields:
                found |= seen(item) if not name and isinstance(item, Record) else {name: seen(item)}
            return found
        case list():
            return [seen(item) for item in value]
        case float():
            return "nan" if isnan(value) else struct.pack("<d", value)  # by which -0.0 is not 0.0
    return value


def agrees(heard: Any, found: Any) -> bool:
    """Tell whether all that was said is what was read back."""
    if isinstance(heard, dict):
        return all(name in found and agrees(item, found[name]) for name, item in heard.items())
    if isinstance(heard, list) and isinstance(found, str):  # an array of char with a NUL is text
        return bytes(heard).partition(b"\0")[0] == found.encode()
    if isinstance(heard, list):
        return len(heard) == len(found) and all(map(agrees, heard, found))
    return bool(seen(heard) == found)


def spoken(rng: Random, shape: Any, order: str) -> tuple[Any, Any]:
    """Return something that JSON may say of a type, and what reading it back must give (`seen`)."""
    match shape:
        case ("int", _, signed, bits):
            return _integer(rng, bits, signed=signed)
        case ("bool",):
            value = rng.random() < 0.5
            return rng.choice((value, int(value), str(value).lower())), value
        case ("char",):
            code = rng.randrange(256)
            return rng.choice((code, chr(code))), code
        case ("enum" | "enum64" as kind, size, signed, values):
            # an enum of 8 bytes whose enumerators have 4 continues their sign, see btf.value
            wide = kind == "enum" and size == 8 and not signed
            known = {name: number - (wide * (number >> 31) << 32) for name, number in values}
            said, heard = _integer(rng, size * 8, signed=signed, modulo=True)
            if known and rng.random() < 0.7:
                said = rng.choice(list(known))
            return said, known.get(said, heard) % (1 << size * 8)
        case ("float", size) if size not in FLOATS:
            return _integer(rng, size * 8, signed=False)
        case ("float", size):
            return _float(rng, size, order)
        case ("pointer",):
            return _integer(rng, 64, signed=False)
        case ("text", number):
            text = "".join(chr(rng.randrange(0x20, 0x7F)) for _ in range(rng.randrange(max(number, 1))))
            return (text, text) if number else ([], [])
        case ("bytes", number):
            items = [rng.randrange(256) for _ in range(number)]
            return items, items
        case ("array", number, item):
            pairs = [spoken(rng, item, order) for _ in range(number)]
            return [said for said, _ in pairs], [heard for _, heard in pairs]
        case ("struct" | "union" as kind, members):
            return _record(
                rng, members if kind == "struct" else members[: 1 if members and members[0][0] else 0], order
            )
    return spoken(rng, shape[1], order)


def _record(rng: Random, members: list[Any], order: str) -> tuple[dict[str, Any], dict[str, Any]]:
    said: dict[str, Any] = {}
    heard: dict[str, Any] = {}
    for name, of, width, _ in members:
        if rng.random() < 0.1:
            continue
        one, other = _bitfield(rng, of, width) if width else spoken(rng, of, order)
        if name:
            said[name], heard[name] = one, other
        else:
            said.update(one)
            heard.update(other)
    return said, heard


def _bitfield(rng: Random, of: Any, width: int) -> tuple[Any, Any]:
    signed = of[0] == "int" and of[2]
    modulo = of[0] in ("enum", "enum64")
    said, heard = _integer(rng, width, signed=signed, modulo=modulo)
    return said, heard % (1 << width)


def _integer(rng: Random, bits: int, *, signed: bool, modulo: bool = False) -> tuple[Any, int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    number = _number(rng, low, high)
    said = rng.choice((number, number, str(number), hex(number)))
    return said, number % (1 << bits) if modulo or bits not in (8, 16, 32, 64) else number


def _float(rng: Random, size: int, order: str) -> tuple[Any, float]:
    code = (">" if order == "big" else "<") + FLOATS[size]
    if rng.random() < 0.2:
        said = rng.choice(("inf", "-inf", 0, 1, -0.0, "-0"))
        return said, float(said)
    number = struct.unpack(code, rng.randbytes(size))[0]
    number = number if isfinite(number) else 1.5
    return rng.choice((number, repr(number))), number
