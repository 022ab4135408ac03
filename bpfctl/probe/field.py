"""Fields: what can be read where a probe is, each with the instructions that read it and what its bytes mean.

A field is loaded into a register or stored where an action wants it; both may use r0 to r5 as they like, and leave the
others as they are.
"""

from __future__ import annotations

import sys
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bpfctl.asm.insn import R0, R1, R2, R3, R10
from bpfctl.probe import duration
from bpfctl.probe.code import CTX
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.asm.insn import Reg
    from bpfctl.probe.code import Code

    Load: TypeAlias = Callable[[Code, Reg], object]
    Store: TypeAlias = Callable[[Code, Reg, int], object]

#: Bytes of a string of unknown length that are read, with the zero that ends it.
TEXT = 64


class Integer(NamedTuple):
    """A number of 1, 2, 4 or 8 bytes in the order of this machine."""

    size: int = 8
    signed: bool = False
    hexadecimal: bool = False  # as people want to see it, such as an address
    names: tuple[tuple[int, str], ...] = ()  # of values that have one

    def decode(self, data: bytes) -> int:
        """Return the number."""
        return int.from_bytes(data, sys.byteorder, signed=self.signed)

    def spell(self, value: int) -> str:
        """Return what people read."""
        name = next((name for number, name in self.names if number == value), "")
        return name or (f"{value:#x}" if self.hexadecimal else str(value))


class Duration(NamedTuple):
    """Nanoseconds, which people read in the unit that suits them, or in a given one."""

    unit: str = ""
    size: int = 8

    def decode(self, data: bytes) -> int:
        """Return the number."""
        return int.from_bytes(data, sys.byteorder)

    def spell(self, value: int) -> str:
        """Return what people read."""
        return duration.spell(value, self.unit)


class Text(NamedTuple):
    """A string that ends at its first zero, or at its last byte."""

    size: int = TEXT
    may_be_cut: bool = False  # whether one that fills its room may be longer in truth

    def decode(self, data: bytes) -> str:
        """Return the string; bytes that are not UTF-8 as surrogates, and three dots behind one that may be cut."""
        text, _, _ = data.partition(b"\0")
        return text.decode(errors="surrogateescape") + "..." * (self.may_be_cut and len(text) == self.size - 1)

    def spell(self, value: str) -> str:
        """Return what people read; blanks at its end so that nobody takes it for one without."""
        shown = value.rstrip(" ")
        return shown + r"\x20" * (len(value) - len(shown))


class Blob(NamedTuple):
    """Bytes of no known meaning."""

    size: int

    def decode(self, data: bytes) -> str:
        """Return the bytes in hexadecimal."""
        return data.hex(" ")

    def spell(self, value: str) -> str:
        """Return what people read."""
        return value


class Bytes(NamedTuple):
    """As many bytes as a number of four bytes before them says; of more than there is room for, the first."""

    room: int

    @property
    def size(self) -> int:
        """Bytes with the number."""
        return 4 + self.room

    def decode(self, data: bytes) -> str:
        """Return the bytes in hexadecimal."""
        length = int.from_bytes(data[:4], sys.byteorder)
        return data[4 : 4 + length].hex(" ") + (" ..." if length > self.room else "")

    def spell(self, value: str) -> str:
        """Return what people read."""
        return value


class Numbers(NamedTuple):
    """Several numbers of one kind, one behind the other."""

    item: Integer
    length: int

    @property
    def size(self) -> int:
        """Bytes of all."""
        return self.item.size * self.length

    def decode(self, data: bytes) -> tuple[int, ...]:
        """Return the numbers."""
        step = self.item.size
        return tuple(self.item.decode(data[at : at + step]) for at in range(0, self.size, step))

    def spell(self, value: tuple[int, ...]) -> str:
        """Return what people read."""
        return f"[{', '.join(map(self.item.spell, value))}]"


class Addresses(NamedTuple):
    """The calls that led to a hit, the innermost first: their length in bytes, whose they are, and where each is."""

    depth: int

    @property
    def size(self) -> int:
        """Bytes with what stands before them."""
        return 16 + 8 * self.depth

    def decode(self, data: bytes) -> tuple[int, tuple[int, ...]]:
        """Return the number of the process, and the addresses; none where the kernel could not tell."""
        length, pid, *found = Struct(f"=qQ{self.depth}Q").unpack(data)
        return pid, tuple(found[: max(length, 0) // 8])

    def spell(self, value: tuple[int, tuple[int, ...]]) -> str:
        """Return what people read."""
        return f"{len(value[1])} calls"


class Opaque(NamedTuple):
    """What is there, but where nobody can read it."""

    size: int = 0

    def decode(self, data: bytes) -> None:
        """Return None."""
        del data

    def spell(self, value: None) -> str:
        """Return what people read."""
        del value
        return "?"


Type: TypeAlias = Integer | Duration | Addresses | Text | Blob | Bytes | Numbers | Opaque


class Field(NamedTuple):
    """Something that can be read at a point."""

    name: str
    type: Type
    store: Store  # (code, base, offset): writes all ``type.size`` bytes, but behind the end of a string
    load: Load | None  # (code, register): the number in 64 bits, its sign extended; None for what is no number
    told: str = ""  # its type in the words of the kernel's source


def number(name: str, load: Load, type_: Integer = Integer(), told: str = "") -> Field:  # noqa: B008 - immutable
    """Return a field that is a number."""

    def store(code: Code, base: Reg, offset: int) -> None:
        load(code, R0)
        code.stx(type_.size, base, offset, R0)

    return Field(name, type_, store, load, told)


def in_context(name: str, at: int, type_: Integer, told: str = "") -> Field:
    """Return a number that lies in the context of the program."""

    def load(code: Code, register: Reg) -> None:
        code.ldx(type_.size, register, CTX, at)
        extend(code, register, type_)

    return number(name, load, type_, told)


def extend(code: Code, register: Reg, type_: Integer) -> None:
    """Extend the sign of a number that was loaded without."""
    if type_.signed and type_.size < 8:
        shift = 64 - 8 * type_.size
        code.lsh(register, shift).arsh(register, shift)


def copied(name: str, at: int, type_: Text | Blob | Numbers, told: str = "") -> Field:
    """Return bytes that lie in the context of the program.

    Of a string nothing is copied from its end on: behind that lies what was in the memory before.
    """
    is_text = isinstance(type_, Text)
    units = (1,) if is_text else (8, 4, 2, 1)

    def store(code: Code, base: Reg, offset: int) -> None:
        done, end = 0, code.fresh()
        while done < type_.size:
            unit = next(unit for unit in units if done + unit <= type_.size and not (at | offset | done) % unit)
            code.ldx(unit, R0, CTX, at + done)
            if is_text:
                code.jump("jeq", R0, 0, end)
            code.stx(unit, base, offset + done, R0)
            done += unit
        code.label(end)

    return Field(name, type_, store, None, told)


def string(
    name: str, address: Load, *, user: bool = False, size: int = TEXT, may_be_cut: bool = True, told: str = ""
) -> Field:
    """Return a string that lies at an address, of the kernel or of the process; empty where nothing can be read."""
    helper = Helper.probe_read_user_str if user else Helper.probe_read_kernel_str

    def store(code: Code, base: Reg, offset: int) -> None:
        address(code, R3)
        code.mov(R1, base).add(R1, offset).mov(R2, size).call(helper)

    return Field(name, Text(size, may_be_cut), store, None, told)


def memory(code: Code, register: Reg, at: int, type_: Integer) -> None:
    """Load a number from ``register + at`` in the kernel's memory into the register; 0 where nothing can be read."""
    with code.scratch():
        place = code.room(8)
        code.mov(R3, register).add(R3, at).st(8, R10, place, 0)
        code.mov(R1, R10).add(R1, place).mov(R2, type_.size).call(Helper.probe_read_kernel)
        code.ldx(type_.size, register, R10, place)
    extend(code, register, type_)
