"""When a type of a program and a type of a kernel are close enough for CO-RE.

Three questions, with rules of their own (libbpf's src/relo_core.c has them in its comments): may a
member of one type be read as the other (`field_refusal`), are the types of one shape
(`shape_refusal`), and is the one a part of the other (`Matcher`). Typedefs and modifiers never count.
The answer is None, or the reason against it. BTFError stands for an answer that cannot be had.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from btf import types
from btf._core_spec import ENUMS, RECORDS
from btf._core_words import words
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable

    from btf.read import BTF

#: As deep as libbpf goes.
_MAX_DEPTH = 32
#: Comparisons before we give up: no struct of Linux 6.18 takes more than a thousand, an enemy's takes any number.
_MAX_STEPS = 20_000
_REFERENCES = (types.Pointer, types.Array)
#: Types that have a shape that does not depend on what is in them.
_SHAPES = (types.Void, types.Int, types.Fwd, *RECORDS, *ENUMS)


def essential(name: str) -> str:
    """Return a name without its flavour: ``sock`` for ``sock___old``, where ``___`` stands between other letters."""
    at = len(name)
    while (at := name.rfind("___", 0, at)) > 0:
        if name[at - 1] != "_" and name[at + 3 : at + 4] not in ("", "_"):
            return name[:at]
        at += 2  # "____" has two places to look at
    return name


def same_kind(one: types.Type, other: types.Type) -> bool:
    """Whether types are of one kind, the two kinds of enum being one."""
    return type(one) is type(other) or (isinstance(one, ENUMS) and isinstance(other, ENUMS))


def field_refusal(local: BTF, local_id: int, target: BTF, target_id: int) -> str | None:
    """Say why a member of type ``target_id`` cannot be what the program takes for ``local_id``."""
    first, second = local_id, target_id
    for _ in range(_MAX_DEPTH):
        one, other = local.type(local.resolve(local_id)), target.type(target.resolve(target_id))
        if isinstance(one, RECORDS) and isinstance(other, RECORDS):
            return None
        if isinstance(one, types.Array) and isinstance(other, types.Array):
            local_id, target_id = one.type_id, other.type_id
            continue
        if not same_kind(one, other) or not _field_ends_match(one, other):
            return _apart(local, first, target, second)
        return None
    raise BTFError(f"arrays are nested more than {_MAX_DEPTH} deep")


def _field_ends_match(one: types.Type, other: types.Type) -> bool:
    match one:
        case types.Pointer() | types.Float():
            return True
        case types.Fwd() | types.Enum() | types.Enum64():
            mine, theirs = essential(one.name), essential(other.name)
            return not mine or not theirs or mine == theirs
        case types.Int():
            return _is_plain(one) and _is_plain(other)
    return False


def _is_plain(of: types.Type) -> bool:
    """Whether an integer is not one of the bit fields of old compilers."""
    return isinstance(of, types.Int) and not of.bits_offset


def _apart(local: BTF, local_id: int, target: BTF, target_id: int) -> str:
    mine, theirs = words(local, local_id), words(target, target_id)
    if mine == theirs:
        mine, theirs = (words(btf, btf.resolve(of)) for btf, of in ((local, local_id), (target, target_id)))
    return f"is {theirs} here and {mine} in the program"


def shape_refusal(local: BTF, local_id: int, target: BTF, target_id: int) -> str | None:
    """Say why types, whose names are the same, are of different shape; names inside them do not count."""
    if not same_kind(local.type(local_id), target.type(target_id)):
        return _apart(local, local_id, target, target_id)
    return _Shapes(local, target).refusal(local_id, target_id, _MAX_DEPTH)


class _Shapes:
    """The comparisons of one pair of types, counted and remembered, as function types may branch."""

    def __init__(self, local: BTF, target: BTF) -> None:
        self._local = local
        self._target = target
        self._same: set[tuple[int, int]] = set()
        self._steps = 0

    def refusal(self, local_id: int, target_id: int, level: int) -> str | None:
        local, target = self._local, self._target
        if level < 0:
            raise BTFError(f"functions are nested more than {_MAX_DEPTH} deep")
        pair = local_id, target_id
        if pair in self._same:
            return None
        for _ in range(_MAX_DEPTH):
            self._steps = _count(self._steps)
            one, other = local.type(local.resolve(local_id)), target.type(target.resolve(target_id))
            if not same_kind(one, other):
                return _apart(local, one.id, target, other.id)
            if isinstance(one, _REFERENCES) and isinstance(other, _REFERENCES):
                local_id, target_id = one.type_id, other.type_id
            elif isinstance(one, types.FuncProto) and isinstance(other, types.FuncProto):
                refused = _params_refusal(one, other, lambda mine, theirs: self.refusal(mine, theirs, level - 1))
                if refused:
                    return refused
                local_id, target_id = one.ret_type_id, other.ret_type_id
            elif not isinstance(one, _SHAPES):
                return f"{words(target, other.id)} cannot be compared"
            elif isinstance(one, types.Int) and not (_is_plain(one) and _is_plain(other)):
                return "is a bit field of an old compiler"
            else:
                self._same.add(pair)
                return None
        raise BTFError(f"types are nested more than {_MAX_DEPTH} deep")


class Matcher:
    """Whether types of a program are part of types of a target, with all their members."""

    def __init__(self, local: BTF, target: BTF) -> None:
        self._local = local
        self._target = target
        self._known: dict[tuple[int, int, bool], str | None] = {}
        self._steps = 0

    def refusal(self, local_id: int, target_id: int, *, pointed: bool = False, level: int = _MAX_DEPTH) -> str | None:
        """Say why the types do not match; ``pointed`` if a pointer leads to them, so that members do not count."""
        asked = local_id, target_id, pointed
        if asked not in self._known:
            self._known[asked] = self._refusal(local_id, target_id, pointed=pointed, level=level)
        return self._known[asked]

    def _refusal(self, local_id: int, target_id: int, *, pointed: bool, level: int) -> str | None:
        local, target = self._local, self._target
        if level <= 0:
            raise BTFError(f"types are nested more than {_MAX_DEPTH} deep")
        for _ in range(_MAX_DEPTH):
            self._steps = _count(self._steps)
            one, other = local.type(local.resolve(local_id)), target.type(target.resolve(target_id))
            if not _same_name(one.name, other.name):
                return _apart(local, one.id, target, other.id)
            if isinstance(one, types.Pointer) and isinstance(other, types.Pointer):
                pointed = True
                local_id, target_id = one.type_id, other.type_id
            elif isinstance(one, types.Array) and isinstance(other, types.Array) and one.nr_elems == other.nr_elems:
                local_id, target_id = one.type_id, other.type_id
            elif isinstance(one, types.FuncProto) and isinstance(other, types.FuncProto):
                compare = partial(self.refusal, pointed=pointed, level=level - 1)
                refused = _params_refusal(one, other, compare)
                if refused:
                    return refused
                local_id, target_id = one.ret_type_id, other.ret_type_id
            else:
                return self._ends(one, other, pointed=pointed, level=level)
        raise BTFError(f"types are nested more than {_MAX_DEPTH} deep")

    def _ends(self, one: types.Type, other: types.Type, *, pointed: bool, level: int) -> str | None:
        """Compare types that lead to no other, or through members only."""
        match one, other:
            case types.Void(), types.Void():
                return None
            case types.Int(), types.Int() if one.size == other.size and one.signed == other.signed:
                return None
            case types.Fwd(), types.Fwd() if one.is_union == other.is_union:
                return None
            case (types.Fwd(), types.Struct() | types.Union()) if pointed and one.is_union == _is_union(other):
                return None
            case (types.Struct() | types.Union(), types.Fwd()) if pointed and _is_union(one) == other.is_union:
                return None
            case types.Struct(), types.Struct():
                return None if pointed else self._members(one, other, level)
            case types.Union(), types.Union():
                return None if pointed else self._members(one, other, level)
            case (types.Enum() | types.Enum64(), types.Enum() | types.Enum64()) if one.size == other.size:
                return _values_missing(one, other)
        if one.name == other.name and hasattr(one, "size") and hasattr(other, "size"):
            return f"{words(self._target, other.id)} is of another size or sign"
        return _apart(self._local, one.id, self._target, other.id)

    def _members(self, one: types.Struct | types.Union, other: types.Struct | types.Union, level: int) -> str | None:
        by_name: dict[str, list[types.Member]] = {}
        for member in other.members:
            by_name.setdefault(essential(member.name), []).append(member)
        for member in one.members:
            if essential(member.name) not in by_name:
                return f"has no member {member.name or 'without a name'}"
        if len(one.members) > len(other.members):
            return f"has {len(other.members)} members here and {len(one.members)} in the program"
        for member in one.members:
            refused = None
            for candidate in by_name[essential(member.name)]:
                refused = self.refusal(member.type_id, candidate.type_id, level=level - 1)
                if refused is None:
                    break
            if refused is not None:
                return f"member {member.name or 'without a name'} {refused}"
        return None


def _params_refusal(
    one: types.FuncProto, other: types.FuncProto, compare: Callable[[int, int], str | None]
) -> str | None:
    if len(one.params) != len(other.params):
        return f"function has {len(other.params)} parameters here and {len(one.params)} in the program"
    for number, (mine, theirs) in enumerate(zip(one.params, other.params, strict=True), 1):
        refused = compare(mine.type_id, theirs.type_id)
        if refused:
            return f"parameter {number} {refused}"
    return None


def _same_name(mine: str, theirs: str) -> bool:
    return essential(mine) == essential(theirs)


def _is_union(of: types.Type) -> bool:
    return isinstance(of, types.Union)


def _values_missing(one: types.Enum | types.Enum64, other: types.Enum | types.Enum64) -> str | None:
    names = {essential(value.name) for value in other.values}
    missing = [value.name for value in one.values if essential(value.name) not in names]
    if missing:
        return f"has no value {missing[0]}"
    if len(one.values) > len(other.values):
        return f"has {len(other.values)} values here and {len(one.values)} in the program"
    return None


def _count(steps: int) -> int:
    if steps >= _MAX_STEPS:
        raise BTFError("the types are too large to compare")
    return steps + 1
