"""Where functions of processes have what they are called with, and what they return: fields by names and types.

Which registers: the System V psABI of x86-64, 3.2.3, and AAPCS64, 6.8. Floating-point numbers have registers of their
own, which no program can read. What comes after something whose way nobody can tell is left out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bpfctl.errors import NotFound
from bpfctl.probe.code import CTX
from bpfctl.probe.field import Field, Integer, Opaque, in_context
from bpfctl.probe.registers import ARM64, registers, user_memory, word
from bpfctl.probe.typed import Argument, is_char, reach, whole
from btf import types
from btf.declare import declare
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.asm.insn import Reg
    from bpfctl.elf.prototype import Prototype
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Load

#: What is returned.
RETURNED = "retval"
_IN_REGISTERS = 16  # bytes of a structure that registers return
_FLOATING = 8  # registers for floating-point numbers
_ON_STACK = 16  # parameters there that are looked for


def called_with(prototype: Prototype) -> list[Argument | Field]:
    """Return the parameters of a function as far as it is known where they are; a field is one that nobody can read."""
    try:
        return list(_parameters(prototype)) if prototype.is_plain else []
    except BTFError:  # types that go round in a circle
        return []


def _parameters(prototype: Prototype) -> Iterator[Argument | Field]:
    btf, here = prototype.btf, registers()
    left: list[Load] = [word(here.at[name]) for name in here.arguments]
    stack: list[Load] = [partial(_on_stack, number) for number in range(_ON_STACK)]
    floating = 0
    if _is_record(prototype, prototype.returned):
        if prototype.is_object or isinstance(btf.type(btf.resolve(prototype.returned)), types.Fwd):
            return
        if here is not ARM64 and btf.size_of(prototype.returned) > _IN_REGISTERS:
            del left[0]  # it gets the address where to put it
    for at, (name, type_id) in enumerate(prototype.params):
        of = btf.type(btf.resolve(type_id))
        known_as = name if name.isascii() and name.isidentifier() else f"arg{at}"
        if isinstance(of, types.Float):
            yield _unreadable(known_as, declare(btf, type_id))
            floating += 1
            if of.size > 8 or floating > _FLOATING:  # which may be among those on the stack
                stack = []
            continue
        is_word = isinstance(of, (types.Int, types.Enum, types.Enum64, types.Pointer)) and btf.size_of(type_id) <= 8
        if not is_word or not (left or stack):
            return
        yield Argument(known_as, btf, type_id, (left or stack).pop(0), user=True)


def _on_stack(number: int, code: Code, register: Reg) -> None:
    """Load what was put there for a function that is just entered; x86's call puts an address before it."""
    here = registers()
    code.ldx(8, register, CTX, here.at[here.sp])
    user_memory(code, register, 8 * (number + (here is not ARM64)), Integer(8))


def _is_record(prototype: Prototype, type_id: int) -> bool:
    of = prototype.btf.type(prototype.btf.resolve(type_id)) if type_id else None
    return isinstance(of, (types.Struct, types.Union, types.Fwd))


def returned(prototype: Prototype) -> list[Argument | Field]:
    """Return what a function returns: one value, or none."""
    if not prototype.returned or not prototype.is_plain:
        return []
    btf, here = prototype.btf, registers()
    try:
        of = btf.type(btf.resolve(prototype.returned))
    except BTFError:
        return []
    at, told = here.at[here.returned], declare(btf, prototype.returned)
    if isinstance(of, types.Pointer) and is_char(btf, of.type_id):
        return [in_context(RETURNED, at, Integer(8, hexadecimal=True), told)]  # the string has a name of its own
    if isinstance(of, (types.Int, types.Enum, types.Enum64, types.Pointer)):
        return [Argument(RETURNED, btf, prototype.returned, word(at), user=True)]
    return [_unreadable(RETURNED, told)]


def fields_of(values: Sequence[Argument | Field]) -> list[Field]:
    """Return what each value is as a whole."""
    found = []
    for one in values:
        try:
            found.append(whole(one) if isinstance(one, Argument) else one)
        except NotFound:  # one of sixteen bytes
            found.append(_unreadable(one.name, ""))
    return found


def field_of(values: Sequence[Argument | Field], path: str, name: str) -> Field | None:
    """Return the field at a path that begins with the name of a value; None where none has it."""
    for one in values:
        if one.name == name:
            return reach(one, path) if isinstance(one, Argument) else one
    return None


def _unreadable(name: str, told: str) -> Field:
    return Field(name, Opaque(), lambda *_: None, None, told)
