"""Fields out of BTF: arguments by the names of a prototype, and what their pointers lead to, by its path.

``file->f_path.dentry->d_name.name`` begins with an argument that is a pointer; each pointer on the way is followed by
bpf_probe_read_kernel(), in a process by bpf_probe_read_user(), so that a bad one makes the field 0 or empty, and never
stops the program.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.insn import R0, R1, R2, R3
from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.field import TEXT, Blob, Field, Integer, extend, memory, number, string
from bpfctl.probe.registers import user_memory
from bpfctl.uapi.helpers import Helper
from btf import place, types
from btf.declare import declare
from btf.errors import BTFError

if TYPE_CHECKING:
    from bpfctl.asm.insn import Reg
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Load
    from btf.read import BTF

_STEP = re.compile(r"(?:^|\.|->)([A-Za-z_]\w*)|\[(\d{1,19})\]", re.ASCII)
_CHARS = frozenset({"char", "unsigned char", "signed char"})
_ADDRESS = Integer(8, hexadecimal=True)
_SIZES = (1, 2, 4, 8)
_LONGEST = 256  # bytes of an array that are read
_FARTHEST = 1 << 31  # bytes that one instruction moves an address by


class Argument(NamedTuple):
    """A value that is in a register when the program has loaded it, and its type."""

    name: str
    btf: BTF
    type_id: int
    load: Load
    user: bool = False  # whether what it points to is memory of the process, or else of the kernel

    def read(self, code: Code, register: Reg, at: int, type_: Integer) -> None:
        """Append what loads a number from ``register + at`` of that memory into the register."""
        (user_memory if self.user else memory)(code, register, at, type_)


def first(path: str) -> str:
    """Return the argument with which a path begins."""
    found = _STEP.match(path)
    return found[1] if found and found[1] else path


def reach(argument: Argument, path: str) -> Field:
    """Return the field at a path that begins with an argument's name; NotFound says which members there are."""
    try:
        return _reach(argument, path, _steps(path)[1:])
    except BTFError as error:
        raise NotFound(f"{path}: {error}") from None


def whole(argument: Argument) -> Field:
    """Return the field that an argument itself is."""
    return reach(argument, argument.name)


def _steps(path: str) -> list[str]:
    steps, at = [], 0
    while at < len(path):
        found = _STEP.match(path, at)
        if not found:
            raise UsageError(f"'{path}' is no path such as arg->member.name[2]")
        steps.append(found[1] or f"[{found[2]}]")
        at = found.end()
    return steps


def _reach(argument: Argument, path: str, steps: list[str]) -> Field:
    btf = argument.btf
    told = _declared(btf, argument.type_id)
    if not steps:
        return _in_register(argument, path, told)
    followed: list[int] = []  # where the pointers lie that are followed, each in what the one before points to
    here = place.Place("", btf.resolve(argument.type_id), 0)
    is_memory = False
    for step in steps:
        of = btf.type(here.type_id)
        if isinstance(of, types.Pointer):
            if is_memory:
                followed.append(here.offset)
            is_memory = True
            here = place.Place("", btf.resolve(of.type_id), 0)
            if step.startswith("["):
                here = here._replace(offset=int(step[1:-1]) * btf.size_of(of.type_id))
                continue
        elif not is_memory:
            raise BTFError(f"{argument.name} is no pointer, but {told}")
        here = _part(btf, here, step)
    if max(here.offset, *followed, 0) >= _FARTHEST:
        raise BTFError("there is no item so far away")

    def address(code: Code, register: Reg) -> None:
        argument.load(code, register)
        for offset in followed:
            argument.read(code, register, offset, _ADDRESS)

    return _in_memory(argument, path, here, address)


def _part(btf: BTF, whole_: place.Place, step: str) -> place.Place:
    """Return a part of something, which itself may lie anywhere behind a pointer."""
    of = btf.type(whole_.type_id)
    if isinstance(of, types.Array) and not of.nr_elems and step.startswith("["):  # as long as its struct was made
        offset = whole_.offset + int(step[1:-1]) * btf.size_of(of.type_id)
        return whole_._replace(type_id=btf.resolve(of.type_id), offset=offset)
    found = place.find(btf, whole_.type_id, step)
    return found._replace(offset=whole_.offset + found.offset)


def _in_register(argument: Argument, path: str, told: str) -> Field:
    btf = argument.btf
    of = btf.type(btf.resolve(argument.type_id))
    type_ = _number(of)
    if isinstance(of, types.Pointer) and is_char(btf, of.type_id):
        return string(path, argument.load, user=argument.user, told=told)
    if type_ is None:
        raise BTFError(f"{argument.name} is {told}, which no register holds")

    def load(code: Code, register: Reg) -> None:
        argument.load(code, register)
        if type_.signed:
            extend(code, register, type_)
        elif type_.size < 8:
            shift = 64 - 8 * type_.size
            code.lsh(register, shift).rsh(register, shift)

    return number(path, load, type_, told)


def _in_memory(argument: Argument, path: str, at: place.Place, address: Load) -> Field:
    btf = argument.btf
    of, told = btf.type(at.type_id), _declared(btf, at.type_id)
    type_ = _number(of)
    if isinstance(of, types.Pointer) and is_char(btf, of.type_id):
        return string(path, _value(argument, address, at.offset, _ADDRESS), user=argument.user, told=told)
    if isinstance(of, types.Array):
        size = btf.size_of(at.type_id)
        if is_char(btf, of.type_id):
            room = min(size, _LONGEST) or TEXT  # without a length, it goes on behind its struct
            place_ = partial(_moved, address, at.offset)
            return string(path, place_, user=argument.user, size=room, may_be_cut=room != size, told=told)
        return _bytes(argument, path, partial(_moved, address, at.offset), size, told)
    if type_ is None:
        names = [part.path for part in place.members(btf, at._replace(path=""))]
        has = f": it has {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}" if names else ""
        raise BTFError(f"{told} is no single value{has}")

    if not at.width:
        return number(path, _value(argument, address, at.offset, type_), type_, told)
    whole_ = next((size for size in _SIZES if at.bit + at.width <= 8 * size), 0)  # more than its type, if packed
    if not whole_:
        raise BTFError(f"{told}:{at.width} lies in more bytes than a register holds")

    bits = _value(argument, address, at.offset, Integer(whole_))

    def load(code: Code, register: Reg) -> None:
        """Keep the bits of a bitfield; ``bit`` counts from the lowest where the lowest byte is the first."""
        bits(code, register)
        code.lsh(register, 64 - at.bit - at.width)
        code.alu("arsh" if type_.signed else "rsh", register, 64 - at.width)

    return number(path, load, type_, f"{told}:{at.width}")


def _value(argument: Argument, address: Load, offset: int, type_: Integer) -> Load:
    def load(code: Code, register: Reg) -> None:
        address(code, register)
        argument.read(code, register, offset, type_)

    return load


def _moved(address: Load, offset: int, code: Code, register: Reg) -> None:
    address(code, register)
    code.add(register, offset)


def _bytes(argument: Argument, path: str, address: Load, size: int, told: str) -> Field:
    if not 0 < size <= _LONGEST:
        raise BTFError(f"{told} has {size} bytes, and only 1 to {_LONGEST} can be read: name an item, as in {path}[0]")

    helper = Helper.probe_read_user if argument.user else Helper.probe_read_kernel

    def store(code: Code, base: Reg, at: int) -> None:
        address(code, R0)
        code.mov(R3, R0).mov(R1, base).add(R1, at).mov(R2, size).call(helper)

    return Field(path, Blob(size), store, None, told)


def _number(of: types.Type) -> Integer | None:
    """Return what a type is as a number; None where it is none, or none that a register holds."""
    match of:
        case types.Int() if of.size in _SIZES:
            return Integer(of.size, signed=of.signed)
        case types.Enum() | types.Enum64() if of.size in _SIZES:
            return Integer(of.size, of.signed, names=tuple((value.val, value.name) for value in of.values))
        case types.Pointer():
            return _ADDRESS
    return None


def is_char(btf: BTF, type_id: int) -> bool:
    """Return whether a type is ``char`` as it stands: by another name, such as u8, bytes are no text."""
    of = btf.type(type_id)
    while isinstance(of, (types.Const, types.Volatile, types.TypeTag)):
        of = btf.type(of.type_id)
    return isinstance(of, types.Int) and of.name in _CHARS


def _declared(btf: BTF, type_id: int) -> str:
    try:
        return declare(btf, type_id)
    except BTFError:
        return "something"
