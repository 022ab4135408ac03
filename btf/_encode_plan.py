"""How the values of each type are written: types compiled into functions, as `btf.value` does for reading."""

from __future__ import annotations

import struct
from itertools import pairwise
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from btf import types
from btf._encode_one import Target, error, float_of, near, number_of, told, write_bool, write_char, write_text
from btf.errors import BTFError
from btf.value import Enumerator, Record, as_stored, located

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from btf.read import BTF
    from btf.value import _Compiler

    Write: TypeAlias = Callable[[Target, int, Any, str], None]
    #: Reads a string that a type itself has no meaning for: (text, size) -> bytes, or None.
    Words: TypeAlias = Callable[[str, int], bytes | None]

_FLOAT_CODES = {2: "e", 4: "f", 8: "d"}


class Plan(NamedTuple):
    """How to write a type: the function, its name in messages, and its members by name, if it has any."""

    write: Write
    what: str
    text: bool = False
    members: tuple[tuple[str, int, Any], ...] = ()  # (name, byte offset, plan)
    items: tuple[int, int, Any] | None = None  # (number, bytes apart, plan)


def written(write: Write, offset: int, value: Any, path: str, old: bytes) -> bytes:
    """Write a value; members that share their bytes must agree.

    Of two that share, the later one is written over the first. Both are written once more in the other order: some
    values have many spellings (text, behind its NUL; NaN; true), and leave alone what is one of theirs already. Then
    none of them may change anything.
    """
    target = Target(bytearray(old))
    write(target, offset, value, path)
    if target.shared:
        target.backwards = True
        write(target, offset, value, path)
        target.backwards, target.checks = False, True
        write(target, offset, value, path)
    return bytes(target.data)


def member(plan: Plan, name: str, path: str) -> tuple[int, Plan]:
    found = _find(plan, name)
    if found is None:
        names = list(_names(plan))
        raise error(path, f"{plan.what} has no member '{name}'{near(name, names)}")
    return found


def _find(plan: Plan, name: str) -> tuple[int, Plan] | None:
    """Find a member as C does, inside members without name too."""
    for field, offset, of in plan.members:
        if field == name:
            return offset, of
        if not field and (inner := _find(of, name)):
            return offset + inner[0], inner[1]
    return None


def _names(plan: Plan) -> Iterator[str]:
    for field, _, of in plan.members:
        if field:
            yield field
        else:
            yield from _names(of)


class Writers:
    """Compiles the types of one BTF, each once, beside the compiler of those who read."""

    def __init__(self, btf: BTF, reads: _Compiler, words: Words | None) -> None:
        self.btf = btf
        self.reads = reads
        self.words = words
        self.sign = "<" if btf.byteorder == "little" else ">"
        self.plans: dict[int, Plan] = {}

    def plan(self, type_id: int) -> Plan:
        """Compile a type that the reading compiler has taken, which is therefore finite."""
        type_id = self.btf.resolve(type_id)
        plan = self.plans.get(type_id)
        if plan is None:
            plan = self.plans[type_id] = self._compile(self.btf.type(type_id))
        return plan

    def _compile(self, of: types.Type) -> Plan:
        match of:
            case types.Int():
                return self._int(of)
            case types.Float():
                return self._float(of)
            case types.Pointer():
                size = self.btf.pointer_size
                return self._integer(0, size * 8, "a pointer", signed=False)
            case types.Enum() | types.Enum64():
                return self._enum(of, 0, of.size * 8)
            case types.Array():
                return self._array(of)
            case types.Struct() | types.Union():
                word = "union" if isinstance(of, types.Union) else "struct"
                members = tuple((member.name, *self.place(member)) for member in of.members)
                return self._record(members, f"{word} {of.name}".rstrip(), shared=self._share(of))
            case types.Var():
                return self._record(((of.name, 0, self.plan(of.type_id)),), f"variable {of.name}")
            case types.Datasec():
                return self._section(of)
        raise BTFError(f"type {of.id} ({type(of).__name__} {of.name!r}) has no values")

    def _int(self, of: types.Int) -> Plan:
        if of.encoding & types.BOOL:
            return Plan(write_bool, of.name)
        if of.encoding & types.CHAR and of.nr_bits == 8 and not of.bits_offset:
            return Plan(write_char, of.name)
        return self._integer(of.bits_offset, of.nr_bits, of.name, signed=of.signed)

    def _integer(self, first: int, width: int, what: str, *, signed: bool, bitfield: bool = False) -> Plan:
        """Write ``width`` bits after the first ones, counted from the end that comes first in memory."""
        # what a string stands for is bytes, of which a bitfield has none to itself
        put, words = self._bits(first, width), None if first or bitfield else self.words
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed and width else (0, (1 << width) - 1)
        # bits are shown as a number without sign, see Bits.unsigned
        plain = width in (8, 16, 32, 64) and not first and not bitfield
        pattern = high if plain else (1 << width) - 1

        def write(target: Target, at: int, value: Any, path: str) -> None:
            most = high
            if isinstance(value, str):
                number = number_of(value)
                if number is None and words and (data := words(value, (width + 7) // 8)) is not None:
                    target.data[at : at + len(data)] = data
                    return
                most = pattern
            else:
                number = None if isinstance(value, bool) else value
            if not isinstance(number, int):
                raise error(path, f"{what} takes a number, not {told(value)}")
            if not low <= number <= most:
                raise error(path, f"{told(number)} is out of the range of {what} ({low} to {high})")
            put(target.data, at, number)

        return Plan(write, what)

    def _bits(self, first: int, width: int) -> Callable[[bytearray, int, int], None]:
        size = (first + width + 7) // 8
        byteorder = self.btf.byteorder
        shift = first if byteorder == "little" else size * 8 - first - width
        mask = (1 << width) - 1

        def put(data: bytearray, at: int, number: int) -> None:
            old = int.from_bytes(data[at : at + size], byteorder)
            new = old & ~(mask << shift) | (number & mask) << shift
            data[at : at + size] = new.to_bytes(size, byteorder)

        return put

    def _float(self, of: types.Float) -> Plan:
        code = _FLOAT_CODES.get(of.size)
        if code is None:
            return self._integer(0, of.size * 8, of.name, signed=False)
        layout = struct.Struct(self.sign + code)

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if isinstance(value, str):
                value = float_of(value)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise error(path, f"{of.name} takes a number, not {told(value)}")
            if value != value and isnan(layout.unpack_from(target.data, at)[0]):  # noqa: PLR0124 - 10**400 is no NaN
                return  # there are many, and one is there already
            try:
                layout.pack_into(target.data, at, value)
            except (OverflowError, struct.error):
                raise error(path, f"{told(value)} is out of the range of {of.name}") from None

        return Plan(write, of.name)

    def _enum(self, of: types.Enum | types.Enum64, first: int, width: int) -> Plan:
        if of.size not in (1, 2, 4, 8):
            raise BTFError(f"enum {of.id} has {of.size} bytes")
        put = self._bits(first, width)
        names = {value.name: as_stored(of, value.val) for value in reversed(of.values)}
        what = f"enum {of.name}".rstrip()
        low, high = -(1 << width >> 1), (1 << width) - 1

        def write(target: Target, at: int, value: Any, path: str) -> None:
            number = value
            if isinstance(value, str):
                number = names.get(value, number_of(value))
                if number is None:
                    raise error(path, f"{what} has no member {told(value)}{near(value, list(names))}")
            if isinstance(value, bool) or not isinstance(number, int):
                raise error(path, f"{told(value)} is neither a name nor a number of {what}")
            # an enumerator may be wider than its bitfield, and is then cut as the compiler does
            if not low <= number <= high and not (isinstance(value, Enumerator) or value in names):
                raise error(path, f"{told(number)} is out of the range of {what} ({low} to {high})")
            put(target.data, at, number)

        return Plan(write, what)

    def _array(self, of: types.Array) -> Plan:
        number, item = of.nr_elems, self.plan(of.type_id)
        read = self.reads.plan(of.id)
        step = self.btf.size_of(of.type_id)
        wanted = number if step else min(number, len(read.read(b"\0" * read.size, 0)))  # type: ignore[arg-type]
        what = f"{item.what}[{number}]"
        text = self.reads.is_text(of)
        words = self.words

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if isinstance(value, str):
                if text:
                    write_text(target, at, value, path, (number, what, read.read))
                    return
                value = words(value, step * number) if words and step == 1 else value
            if isinstance(value, bytes | bytearray) and step == 1:
                if len(value) != number:
                    raise error(path, f"{what} has {number} bytes, not {len(value)}")
                target.data[at : at + number] = value
                return
            if not isinstance(value, list | tuple):
                raise error(path, f"{what} takes {'text' if text else 'a list'}, not {told(value)}")
            if len(value) != wanted:
                raise error(path, f"{what} has {wanted} items, not {len(value)}")
            for index in reversed(range(wanted)) if target.backwards else range(wanted):
                item.write(target, at + index * step, value[index], f"{path}[{index}]")

        return Plan(write, what, text, items=(number, step, item))

    def place(self, member: types.Member) -> tuple[int, Plan]:
        """Return a member's byte offset, and how to write it there; the counterpart of reading it."""
        of, offset, bit, width = located(self.btf, member)
        if not width:
            return offset, self.plan(member.type_id)
        if isinstance(of, types.Enum | types.Enum64):
            return offset, self._enum(of, bit, width)
        signed = isinstance(of, types.Int) and of.signed
        return offset, self._bitfield(bit, width, f"{of.name}:{width}", signed=signed)

    def _bitfield(self, bit: int, width: int, what: str, *, signed: bool) -> Plan:
        plan = self._integer(bit, width, what, signed=signed, bitfield=True)

        def write(target: Target, at: int, value: Any, path: str) -> None:
            # a bitfield is shown as bits, whatever its type; those of a _Bool are written as such too
            plan.write(target, at, int(value) if isinstance(value, bool) else value, path)

        return plan._replace(write=write)

    def _share(self, of: types.Struct | types.Union) -> bool:
        """Tell whether members may have bytes in common, their own members too if they have no name."""
        end = 0
        for member in of.members:
            if member.bits_offset < end or not member.name:
                return True
            end = member.bits_offset + (member.bitfield_size or 8 * self.btf.size_of(member.type_id))
        return False

    def _record(self, members: tuple[tuple[str, int, Plan], ...], what: str, *, shared: bool = False) -> Plan:
        plan: Plan

        def write(target: Target, at: int, value: Any, path: str) -> None:
            parts = list(_parts(plan, value, path))
            may_share = shared or (isinstance(value, dict) and "" in value)
            for name, offset, of, item in target.parts(parts, f"members of {what}", path, shared=may_share):
                of.write(target, at + offset, item, f"{path}.{name}" if path and name else path or name)

        plan = Plan(write, what, members=members)
        return plan

    def _section(self, of: types.Datasec) -> Plan:
        members = []
        for place in of.vars:
            var = self.btf.type(place.type_id)
            if not isinstance(var, types.Var):
                raise BTFError(f"section {of.name!r} holds type {var.id}, which is no variable")
            members.append((var.name, place.offset, self.plan(var.type_id)))
        share = any(after.offset < var.offset + var.size for var, after in pairwise(of.vars))
        plan = self._record(tuple(members), f"section {of.name}", shared=share)

        def write(target: Target, at: int, value: Any, path: str) -> None:
            if isinstance(value, dict) and len(value) == 1 and isinstance(value.get(of.name), list):
                pairs = value[of.name]
                if not all(isinstance(pair, dict) for pair in pairs):
                    raise error(path, f"section {of.name} is a list of objects, one for each variable")
                value = {name: item for pair in pairs for name, item in pair.items()}
            plan.write(target, at, value, path)

        return plan._replace(write=write)


def _parts(plan: Plan, value: Any, path: str) -> Iterator[tuple[str, int, Plan, Any]]:
    """Yield name, offset, plan and value of each member that is given."""
    if isinstance(value, Record):
        if [name for name, _, _ in plan.members] == [name for name, _ in value.fields]:
            # names may repeat: what was decoded is in the order of the members
            for (name, offset, of), (_, item) in zip(plan.members, value.fields, strict=True):
                yield name, offset, of, item
            return
        value = dict(value.fields)
    if not isinstance(value, dict):
        raise error(path, f"{plan.what} takes an object, not {told(value)}")
    for name, item in _spread(value):
        if name:
            yield (name, *member(plan, name, path), item)
        else:
            for field, offset, of in plan.members:
                if not field and not of.members:
                    yield name, offset, of, item


def _spread(value: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the members of members without name as if they were ours."""
    for name, item in value.items():
        if name == "" and isinstance(item, dict):
            yield from _spread(item)
        else:
            yield str(name), item
