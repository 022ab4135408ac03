"""Fields out of the arguments of static probes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import (
    CTX,
    R1,
    R2,
    Field,
    Integer,
    Opaque,
    extend,
    in_context,
    number,
    registers,
    string,
    user_memory,
)
from bpfctl_usdt.operand import Constant, InMemory, InRegister

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.plugin import Code, Reg
    from bpfctl_usdt.operand import Argument, Operand

_TOLD = {1: "char", 2: "short", 4: "int", 8: "long"}
_HALF = 1 << 31
_ALL = (1 << 64) - 1


class Around(NamedTuple):
    """Where a site is, and the variables that its arguments name; addresses as the linker knows them."""

    site: int
    symbols: dict[str, int]

    def distance(self, symbol: str) -> int:
        """Return how far a variable is from the site, in the file as in a process."""
        return self.symbols[symbol] - self.site


def fields(arguments: Sequence[Argument], around: Around) -> tuple[Field, ...]:
    """Return ``arg0`` and so on as they are at a site; what cannot be read is opaque."""
    return tuple(_field(f"arg{at}", argument, around) for at, argument in enumerate(arguments))


def strings(arguments: Sequence[Argument], around: Around, *, size: int) -> Iterator[Field]:
    """Yield ``str0`` and so on: strings where arguments of the size of an address point to."""
    for at, argument in enumerate(arguments):
        if argument.operand is not None and argument.size == size:
            load = partial(_load, argument.operand, Integer(size), around)
            yield string(f"str{at}", load, user=True, told="char *")


def unreadable(name: str) -> Field:
    """Return a field that nobody can read here."""
    return Field(name, Opaque(), lambda *_: None, None, "opaque")


def _field(name: str, argument: Argument, around: Around) -> Field:
    if argument.operand is None:
        return unreadable(name)
    type_ = Integer(argument.size, argument.signed, hexadecimal=argument.size == 8 and not argument.signed)
    told = ("" if argument.signed else "unsigned ") + _TOLD[argument.size]
    if isinstance(argument.operand, InRegister):
        return in_context(name, argument.operand.at, type_, told)
    return number(name, partial(_load, argument.operand, type_, around), type_, told)


def _load(operand: Operand, type_: Integer, around: Around, code: Code, register: Reg) -> None:
    """Put the value of an operand into a register."""
    match operand:
        case InRegister():
            _register(code, register, operand.at, type_)
        case Constant():
            value = operand.value if operand.symbol else _as(operand.value, type_)
            _constant(code, register, value)
            if operand.symbol:
                _add_distance(code, register, around.distance(operand.symbol))
        case InMemory():
            _address(operand, around, code, register)
            user_memory(code, register, 0, type_)


def _address(operand: InMemory, around: Around, code: Code, register: Reg) -> None:
    other = R1 if register != R1 else R2
    if operand.base is None:
        code.mov(register, 0)
    else:
        code.ldx(8, register, CTX, operand.base)
    if operand.plus is not None:
        index = operand.plus
        _register(code, other, index.at, Integer(index.size, index.signed))
        code.lsh(other, index.shift).add(register, other)
    moved = operand.moved
    if operand.is_low:
        moved = around.symbols[operand.symbol] + moved & 0xFFF
    elif operand.symbol:
        _add_distance(code, register, around.distance(operand.symbol))
    if moved:
        _constant(code, other, moved)
        code.add(register, other)


def _register(code: Code, register: Reg, at: int, type_: Integer) -> None:
    code.ldx(type_.size, register, CTX, at)
    extend(code, register, type_)


def _add_distance(code: Code, register: Reg, distance: int) -> None:
    """Add where something is in the process, which is as far from the site as it is in the file."""
    here = registers()
    other = R1 if register != R1 else R2
    code.ldx(8, other, CTX, here.at[here.pc]).add(register, other)
    _constant(code, other, distance)
    code.add(register, other)


def _constant(code: Code, register: Reg, value: int) -> None:
    if -_HALF <= value < _HALF:
        code.mov(register, value)
    else:
        code.ld_imm64(register, value & _ALL)


def _as(value: int, type_: Integer) -> int:
    """Return a number as C converts it to a type."""
    value &= (1 << 8 * type_.size) - 1
    return value - (1 << 8 * type_.size) if type_.signed and value >> (8 * type_.size - 1) else value
