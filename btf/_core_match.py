"""The way that a relocation takes through the program's types, taken again through those of a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import relo_kind, types
from btf._core_compat import Matcher, essential, field_refusal, shape_refusal
from btf._core_spec import ENUMS, MAX_LENGTH, RECORDS, Accessor, Spec, is_flexible, within
from btf._core_words import words
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf.read import BTF


def match(local: BTF, spec: Spec, kind: int, target: BTF, type_id: int) -> Spec | str:
    """Return the spec on ``type_id`` of ``target``, or the reason why that type is not what is meant.

    Raises BTFError when an answer cannot be had, because types are damaged or nested too deep.
    """
    if kind in relo_kind.FIELD:
        return _Walk(local, target, type_id).along(spec)
    if kind in relo_kind.ENUMVAL:
        return _enumerator(spec, target, type_id)
    if kind == relo_kind.TYPE_MATCHES:
        refused = Matcher(local, target).refusal(spec.root, type_id)
    else:
        refused = shape_refusal(local, spec.root, target, type_id)
    return refused or Spec(type_id)


def _enumerator(spec: Spec, target: BTF, type_id: int) -> Spec | str:
    of = target.type(target.resolve(type_id))
    name = spec.path[0].name or ""
    if not isinstance(of, ENUMS):
        return f"is {words(target, of.id)}, which has no values"
    for index, value in enumerate(of.values):
        if essential(value.name) == essential(name):
            return Spec(type_id, (Accessor(of.id, index, value.name),), (index,))
    return f"has no value {name}"


class _Walk:
    """A walk from ``root`` along the path of a spec."""

    def __init__(self, local: BTF, target: BTF, root: int) -> None:
        self._local = local
        self._target = target
        self._root = self._at = root
        self._path: list[Accessor] = []
        self._raw: list[int] = []
        self._bits = 0

    def along(self, spec: Spec) -> Spec | str:
        for step in spec.path:
            refused = self._element(step) if step.name is None else self._member(step, step.name)
            if refused is not None:
                return refused
            if len(self._raw) > MAX_LENGTH:
                raise BTFError(f"access through more than {MAX_LENGTH} members")
        return Spec(self._root, tuple(self._path), tuple(self._raw), within(self._bits))

    def _element(self, step: Accessor) -> str | None:
        target = self._target
        at = target.resolve(self._at)
        if self._path:
            array = target.type(at)
            if not isinstance(array, types.Array):
                return f"{self._where()} is {words(target, self._at)}, which has no elements"
            if step.idx >= array.nr_elems and not is_flexible(target, self._path[-1], array):
                return f"{self._where()} is {words(target, self._at)}, which has no element {step.idx}"
            at = target.resolve(array.type_id)
        self._at = at
        self._path.append(Accessor(at, step.idx))
        self._raw.append(step.idx)
        self._bits += step.idx * target.size_of(at) * 8
        return None

    def _member(self, step: Accessor, name: str) -> str | None:
        local, target = self._local, self._target
        if not isinstance(target.type(target.resolve(self._at)), RECORDS):
            return f"{self._where()} is {words(target, self._at)}, which has no members"
        holder = local.type(step.type_id)
        assert isinstance(holder, RECORDS)  # noqa: S101 - as the spec was made
        search = _Search(local, holder.members[step.idx].type_id, target, name)
        way = search.below(self._at, MAX_LENGTH - len(self._raw))
        if way is None:
            if search.refused:
                return search.refused
            return f"{words(target, self._at)} has no member {name}" if len(self._path) > 1 else f"has no member {name}"
        for _, index, member in way:
            self._bits += member.bits_offset
            self._raw.append(index)
            self._at = member.type_id
        self._path.append(Accessor(*way[-1][:2], name))
        return None

    def _where(self) -> str:
        name = next((step.name for step in reversed(self._path) if step.name), None)
        return f"member {name}" if name else "it"


class _Search:
    """A search for the first member called ``name`` that can be read as the program's.

    A struct in which the first one cannot be is left at once. If another one follows outside, as no C
    compiler allows, libbpf goes on with the offset of the first; here it is that of the one found.
    """

    def __init__(self, local: BTF, local_id: int, target: BTF, name: str) -> None:
        self._local = local
        self._local_id = local_id
        self._target = target
        self._name = name
        #: Why a member of this name was not taken.
        self.refused: str | None = None
        self._seen: set[int] = set()

    def below(self, type_id: int, room: int) -> list[tuple[int, int, types.Member]] | None:
        """Return the way to the member, through nested structs without a name: (type id, index, member) each."""
        target, name = self._target, self._name
        of = target.type(target.resolve(type_id))
        if not isinstance(of, RECORDS) or of.id in self._seen:
            return None
        if not room:
            raise BTFError(f"access through more than {MAX_LENGTH} members")
        self._seen.add(of.id)
        for index, member in enumerate(of.members):
            if not member.name:
                rest = self.below(member.type_id, room - 1)
                if rest is not None:
                    return [(of.id, index, member), *rest]
            elif member.name == name:
                refused = field_refusal(self._local, self._local_id, target, member.type_id)
                if refused is None:
                    return [(of.id, index, member)]
                self.refused = f"member {name} {refused}"
                return None
        return None
