"""CO-RE: what the relocations of a BPF object come to on a kernel.

An object holds facts about types of the kernel it was compiled for, and a relocation for each. Here
the fact is computed for another kernel's types, without patching anything::

    image = btf.elf.read(Path("prog.o").read_bytes())
    target = Target(BTF.from_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes()))
    resolver = Resolver(image.btf, target)
    for section, relos in image.ext.core_relos.items():
        for relo in relos:
            result = resolver.resolve(relo)
            print(section, result.wanted, result.value, result.reason)

The rules are libbpf's (src/relo_core.c). A candidate is a type of the kernel whose name, without a
flavour (``sock___old`` is a flavour of ``sock``), and kind are those of the program's type. All
candidates on which the program's path of members leads somewhere must give the same value, and those
on which it does not are out for whatever else the object asks of that type of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import relo_kind, types
from btf._core_compat import essential, same_kind
from btf._core_match import match
from btf._core_spec import Accessor, Spec, parse, spell
from btf._core_value import Fact, can_resize, fact
from btf._core_words import keyword, listed, words
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from btf.ext import CoreRelo
    from btf.read import BTF

#: How the reason against a candidate starts that an earlier relocation did without.
_OUT = "is out since the"
#: Types looked for one by one, 2 ms each in those of a kernel; an index of all names takes some 100.
_SCANS = 8

__all__ = ["Accessor", "Candidate", "Resolver", "Result", "Spec", "Target"]


class Candidate(NamedTuple):
    """A type of the target that may be the one meant; ``where`` is vmlinux or a module.

    Either ``spec`` says where the access leads on it, and ``value`` what it comes to (None if it
    cannot be computed), or ``refusal`` says why it is not the one.
    """

    where: str
    btf: BTF
    type_id: int
    name: str
    spec: Spec | None = None
    value: int | None = None
    refusal: str | None = None

    @property
    def title(self) -> str:
        """Name, id and place of the type."""
        return f"{self.name} [{self.type_id}] in {self.where}"


class Result(NamedTuple):
    """What one relocation comes to.

    ``value`` is the number for the instruction, negative for an enumerator with the highest of 32
    bits. It is None with ``poison``, when the fact is not to be had and the instruction must not be
    reached; and with ``error``, when no loader can go on. ``reason`` says why for these, and for a
    value of 0 that means "not found"; else it is empty.

    ``local`` is what the object's own types say; the instruction holds this if ``exact``. When the
    instruction is a load or store, ``local_size`` and ``size`` are the bytes that it has to move; with
    ``resizable`` false and sizes that differ, it cannot.
    """

    relo: CoreRelo
    wanted: str
    value: int | None = None
    poison: bool = False
    error: str | None = None
    reason: str = ""
    local: int | None = None
    exact: bool = False
    local_size: int = 0
    size: int = 0
    resizable: bool = True
    candidates: tuple[Candidate, ...] = ()

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that gave the value."""
        return next((candidate for candidate in self.candidates if candidate.refusal is None), None)


class Target:
    """The types of a kernel: those of vmlinux, and those of modules where vmlinux has no candidate.

    ``modules`` are pairs of a name and a BTF split off ``btf``; they are gone through when they are
    first needed, so that a generator need not read what nobody asks for.
    """

    def __init__(self, btf: BTF, modules: Iterable[tuple[str, BTF]] = (), *, name: str = "vmlinux") -> None:
        self.btf = btf
        self.name = name
        self._modules = iter(modules)
        self._main = [_Index(name, part) for part in btf.parts]
        self._more: list[_Index] | None = None

    def named(self, name: str, like: types.Type | None = None) -> list[tuple[str, BTF, int]]:
        """Return (where, BTF, type id) of the types called ``name`` but for flavours, and of the kind of ``like``."""
        wanted = essential(name)
        return _named(self._main, wanted, like) or _named(self._in_modules(), wanted, like)

    def _in_modules(self) -> list[_Index]:
        if self._more is None:
            self._more = [_Index(name, btf) for name, btf in self._modules]
        return self._more

    def places(self) -> list[str]:
        """Return the names of vmlinux and of the modules gone through so far."""
        return [self.name, *(index.where for index in self._more or ())]


class _Index:
    """The own types of a BTF by essential name: looked for one by one, or if many are, in an index."""

    def __init__(self, where: str, btf: BTF) -> None:
        self.where = where
        self.btf = btf
        self._scans = 0
        self._flavours: dict[str, list[str]] | None = None

    def ids(self, wanted: str) -> list[int]:
        self._scans += 1
        if self._scans <= _SCANS:
            return self._found(wanted)
        names = self.btf._names()  # noqa: SLF001 - same library
        if self._flavours is None:
            self._flavours = {}
            for name in names:
                if "___" in name and (plain := essential(name)) != name:
                    self._flavours.setdefault(plain, []).append(name)
        found = names.get(wanted, [])
        for flavour in self._flavours.get(wanted, ()):
            found = found + names[flavour]
        return sorted(found)

    def _found(self, wanted: str) -> list[int]:
        """Return the ids without an index of all names."""
        btf, begin = self.btf, f"{wanted}___".encode(errors="surrogateescape")
        names, at = {wanted}, btf.strings.find(begin)
        while at >= 0:
            name = btf.strings[at : btf.strings.find(b"\0", at)].decode(errors="surrogateescape")
            if essential(name) == wanted:
                names.add(name)
            at = btf.strings.find(begin, at + 1)
        own = btf.ids
        return sorted(found for name in names for found in btf.ids_named(name) if found in own)


def _named(indexes: list[_Index], wanted: str, like: types.Type | None) -> list[tuple[str, BTF, int]]:
    return [
        (index.where, index.btf, type_id)
        for index in indexes
        for type_id in index.ids(wanted)
        if like is None or same_kind(like, index.btf.type(type_id))
    ]


class Resolver:
    """Resolves the relocations of one object, whose types are ``local``, against one target.

    Relocations are to come in the order of the object, as that decides which candidates are left.
    """

    def __init__(self, local: BTF, target: Target) -> None:
        self._local = local
        self._target = target
        self._known: dict[tuple[int, str, int], Result] = {}
        self._left: dict[int, list[Candidate]] = {}

    def resolve(self, relo: CoreRelo) -> Result:
        """Return what a relocation comes to.

        Nothing is raised: one that makes no sense, or meets damaged types, has an ``error``.
        """
        key = relo.type_id, relo.access, relo.kind
        if key not in self._known:
            self._known[key] = self._resolve(relo)
        return self._known[key]._replace(relo=relo)

    def _resolve(self, relo: CoreRelo) -> Result:
        local, kind = self._local, relo.kind
        result = Result(relo, f"type {relo.type_id}, access {relo.access!r}, kind {kind}")
        try:
            spec = parse(local, relo)
            result = result._replace(wanted=f"{relo_kind.WORDS[kind]} {spell(local, spec, kind)}")
            mine = fact(local, spec, kind)
            if kind == relo_kind.TYPE_ID_LOCAL:
                return result._replace(value=mine.value, local=mine.value)
            result = result._replace(local=mine.value, exact=mine.sure, local_size=mine.size)
            return self._on_target(spec, mine, result)
        except BTFError as error:
            return _failed(result, str(error))

    def _on_target(self, spec: Spec, mine: Fact, result: Result) -> Result:
        local, kind = self._local, result.relo.kind
        candidates: list[Candidate] = []
        facts: list[tuple[Candidate, Fact]] = []
        for candidate in self._candidates(spec.root):
            if candidate.refusal is not None:
                candidates.append(candidate)
                continue
            try:
                found = match(local, spec, kind, candidate.btf, candidate.type_id)
                if isinstance(found, str):
                    candidates.append(candidate._replace(refusal=found))
                    continue
                theirs = fact(candidate.btf, found, kind)
            except BTFError as error:
                candidates.append(candidate._replace(refusal=str(error)))
                result = result._replace(candidates=tuple(candidates))
                return _failed(result, f"{candidate.title} {error}")
            candidate = candidate._replace(spec=found, value=theirs.value)  # noqa: PLW2901 - the same, now known better
            candidates.append(candidate)
            facts.append((candidate, theirs))
        result = result._replace(candidates=tuple(candidates))
        if not facts:
            return _not_found(result, self._missing(spec.root, result))
        clash = _clash(facts)
        if clash:
            return _failed(result, clash)
        self._left[spec.root] = [_without(candidate, result.wanted) for candidate in candidates]
        chosen, theirs = facts[0]
        resizable = mine.size == theirs.size or can_resize(local, mine, chosen.btf, theirs)
        return result._replace(value=theirs.value, size=theirs.size, resizable=resizable)

    def _candidates(self, type_id: int) -> list[Candidate]:
        """Return the candidates for a type of the object, those that are out with the reason for that."""
        if type_id not in self._left:
            of = self._local.type(type_id)
            if not of.name:
                raise BTFError(f"{words(self._local, type_id)} has no name to look for")
            self._left[type_id] = [
                Candidate(where, btf, other, words(btf, other)) for where, btf, other in self._target.named(of.name, of)
            ]
        return self._left[type_id]

    def _missing(self, type_id: int, result: Result) -> str:
        """Say why no candidate is the one."""
        if result.candidates:
            return "; ".join(f"{candidate.title} {candidate.refusal}" for candidate in result.candidates)
        of = self._local.type(type_id)
        others = [f"{words(btf, other)} [{other}]" for _, btf, other in self._target.named(of.name)]
        text = f"no {keyword(of) or type(of).__name__.lower()} {essential(of.name)} in {listed(self._target.places())}"
        return f"{text}, only {listed(others)}" if others else text


def _without(candidate: Candidate, wanted: str) -> Candidate:
    """Return a candidate for the next relocation: as new, or out for good."""
    if candidate.refusal is None or candidate.refusal.startswith(_OUT):
        return candidate._replace(spec=None, value=None)
    return candidate._replace(refusal=f"{_OUT} {wanted}, as it {candidate.refusal}")


def _failed(result: Result, reason: str) -> Result:
    return result._replace(value=None, error=reason, reason=reason)


def _clash(facts: list[tuple[Candidate, Fact]]) -> str | None:
    """Say which candidates do not agree; those of a member must also agree in its offset."""
    first, theirs = facts[0]
    for other, fact_ in facts[1:]:
        places = [candidate.spec.bit_offset if candidate.spec else 0 for candidate in (first, other)]
        if theirs.value != fact_.value or places[0] != places[1]:
            values = (theirs.value, fact_.value) if theirs.value != fact_.value else [f"bit {bit}" for bit in places]
            return f"ambiguous: {values[0]} by {first.title}, {values[1]} by {other.title}"
    return None


def _not_found(result: Result, reason: str) -> Result:
    """Return the result when no candidate is the one: questions for existence are answered, others are poison."""
    kind = result.relo.kind
    if kind in relo_kind.TYPE or kind in (relo_kind.FIELD_EXISTS, relo_kind.ENUMVAL_EXISTS):
        return result._replace(value=0, reason=reason)
    return result._replace(poison=True, reason=reason)
