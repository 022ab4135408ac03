"""Which type is meant, and where it is looked for: what the commands on types have in common."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli.btf_dump import base_of, read_files, read_source
from bpfctl.errors import NotFound, ObjectError
from bpfctl.host.vmlinux import VMLINUX
from bpfctl.kernel import btf as objects
from btf import kind as _kind
from btf.errors import BTFError
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.grammar import Words
    from bpfctl.cli.session import Session

_ID = re.compile(r"\[(\d{1,10})\]", re.ASCII)
_NEAR = 2  # letters by which a name that is meant may be longer or shorter
_SOURCES = frozenset({"id", "prog", "map", "file"})
#: The words that may stand before a name, as in C.
KINDS: dict[str, frozenset[int]] = {
    "struct": frozenset({_kind.STRUCT}),
    "union": frozenset({_kind.UNION}),
    "enum": frozenset({_kind.ENUM, _kind.ENUM64}),
    "typedef": frozenset({_kind.TYPEDEF}),
    "func": frozenset({_kind.FUNC}),
    "function": frozenset({_kind.FUNC}),
    "var": frozenset({_kind.VAR}),
}


class Named(NamedTuple):
    """A type by its name and kinds (any if empty), or by its id."""

    name: str
    kinds: frozenset[int] = frozenset()
    id: int | None = None

    def __str__(self) -> str:
        if self.id is not None:
            return f"[{self.id}]"
        word = next((word for word, kinds in KINDS.items() if kinds == self.kinds), "")
        return f"{word} {self.name}".strip()

    def ids(self, btf: BTF) -> list[int]:
        """Return the ids of the types that are meant, those of a base first."""
        if self.id is not None:
            if not 0 < self.id < btf.ids.stop:
                raise NotFound(f"there is no type [{self.id}]; the last is [{btf.ids.stop - 1}]")
            return [self.id]
        return [one for one in btf.ids_named(self.name) if not self.kinds or btf.kind(one) in self.kinds]


class Place(NamedTuple):
    """Types and where they come from: the name of a module, or nothing; and what people are told has them."""

    where: str
    btf: BTF
    name: str


def named(words: Words) -> Named:
    """Read TYPE: a name, struct NAME, or [ID]."""
    word = words.next("the type")
    return _read(word, words)


def one_word(text: str) -> Named:
    """Read TYPE where it is the value of an option."""
    from bpfctl.cli.grammar import Words

    words = Words(text.split())
    found = named(words)
    words.end()
    return found


def _read(word: str, words: Words) -> Named:
    number = _ID.fullmatch(word)
    if number:
        return Named("", id=int(number[1]))
    kind, _, name = word.partition(" ")
    if name and kind in KINDS:
        return Named(name.strip(), KINDS[kind])
    if word in KINDS and words:
        return Named(words.next("the name"), KINDS[word])
    return Named(word)


def near(btf: BTF, name: str) -> list[str]:
    """Return the name of a type that is almost this one, if there is any."""
    from difflib import get_close_matches

    begin = name[:1].encode(errors="surrogateescape")
    alike = [text for text in btf.strings.split(b"\0") if text[:1] == begin and abs(len(text) - len(name)) <= _NEAR]
    close = get_close_matches(name, [text.decode(errors="surrogateescape") for text in alike], 5, 0.8)
    return [one for one in close if btf.ids_named(one)]


def places(session: Session, words: Words, name: str = "") -> Iterator[Place]:
    """Yield the types of a SOURCE; without one those of the running kernel, then those of its modules.

    What the words say wrong is told at once, modules are read when they are asked for, and only those that have the
    string ``name`` if that is given.
    """
    if words:
        source = read_source(session, words)
        words.end()
        return iter([Place("", source.load(), source.name)])
    base = base_of(session)
    if base is not None:
        return iter([Place("", base, str(session.options.base_btf))])
    return _running(name)


@contextmanager
def understood(place: Place) -> Iterator[None]:
    """Tell of damage that is found in the types of a place by its name."""
    try:
        yield
    except BTFError as error:
        raise ObjectError(f"{place.name} cannot be understood: {error}") from None


def side(session: Session, words: Words) -> tuple[str, BTF]:
    """Read one of several sources: SOURCE with a single file, or a path; return it as it was given, and its types."""
    given = words.peek()
    if given in _SOURCES and words.peek(1):
        before = len(words)
        told = [words.peek(at) for at in range(before)]
        if given == "file":
            words.next("the file")
            return words.peek(), read_files(session, [words.next("the file")])
        source = read_source(session, words)
        return " ".join(told[: before - len(words)]), source.load()
    return given, read_files(session, [words.next("what to compare")])


def _running(name: str) -> Iterator[Place]:
    vmlinux = objects.vmlinux()
    yield Place("", vmlinux, VMLINUX)
    yield from modules(vmlinux, name)


def modules(vmlinux: BTF, needle: str = "") -> Iterator[Place]:
    """Yield the types of each loaded module over those of the kernel; one that goes meanwhile is left out."""
    for name, data in objects.module_blobs(needle):
        told = f"module {name}"
        try:
            types = BTF.from_bytes(data, vmlinux)
        except BTFError as error:
            raise ObjectError(f"the types of {told} are damaged: {error}") from None
        yield Place(name, types, told)
