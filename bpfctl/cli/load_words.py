"""The words behind ``prog load`` and ``prog loadall``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import grammar
from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from bpfctl.elf.section import Section
    from bpfctl.kernel.select import Select

_EXPECTED = (
    "expected no more arguments, 'type', 'map', 'offload_dev', 'xdpmeta_dev', 'pinmaps', 'autoattach', or "
    "'kernel_btf', got: '{}'?"
)
_KEYWORDS = ("type", "map", "dev", "offload_dev", "xdpmeta_dev", "pinmaps", "autoattach", "kernel_btf")


class Replaced(NamedTuple):
    """A map of the object, by its number or its name, and the one that is used in its place."""

    number: int  # -1: by its name
    name: str
    by: Select


class Wanted(NamedTuple):
    """What the words say."""

    file: str
    pin: str
    type: Section | None = None
    replaced: tuple[Replaced, ...] = ()
    offload: int = 0
    xdpmeta: int = 0
    pinmaps: str | None = None
    autoattach: bool = False
    kernel_btf: str | None = None
    is_old: bool = False  # dev was written for offload_dev


def read(left: grammar.Words, command: str) -> Wanted:
    """Read them as load_with_options() in bpftool's src/prog.c does; UsageError."""
    left.at_least(2, command)
    wanted = Wanted(left.next("the object"), left.next("the path"))
    while left:
        given = left.peek()
        word = left.keyword(*_KEYWORDS)
        if word is None:
            raise UsageError(_EXPECTED.format(given))
        if word == "autoattach":
            wanted = wanted._replace(autoattach=True)
        elif word == "map":
            left.at_least(4, given)
            wanted = wanted._replace(replaced=(*wanted.replaced, _replaced(left)))
        elif word in ("dev", "offload_dev", "xdpmeta_dev"):
            wanted = _device(wanted, left, word, given)
        elif word == "type" and wanted.type is not None:
            raise UsageError("program type already specified")
        else:
            left.at_least(1, given)
            wanted = _with(wanted, word, left.next(word))
    return wanted


def _with(wanted: Wanted, word: str, value: str) -> Wanted:
    if word == "type":
        return wanted._replace(type=_type(value))
    return wanted._replace(pinmaps=value) if word == "pinmaps" else wanted._replace(kernel_btf=value)


def _replaced(left: grammar.Words) -> Replaced:
    given = left.peek()
    match left.keyword("idx", "name"):
        case "idx":
            number, name = grammar.number(left.next("the number"), "IDX"), ""
        case "name":
            number, name = -1, left.next("the name")
        case _:
            raise UsageError(f"expected 'idx' or 'name', got: '{given}'?")
    return Replaced(number, name, grammar.map_(left))


def _device(wanted: Wanted, left: grammar.Words, word: str, given: str) -> Wanted:
    ours, other = ("xdpmeta", "offload") if word == "xdpmeta_dev" else ("offload", "xdpmeta")
    if getattr(wanted, ours):
        raise UsageError(f"{ours}_dev already specified")
    if getattr(wanted, other):
        raise UsageError("xdpmeta_dev and offload_dev are mutually exclusive")
    left.at_least(1, given)
    number = grammar.device(left.next("the device"))
    if ours == "xdpmeta":
        return wanted._replace(xdpmeta=number)
    return wanted._replace(offload=number, is_old=wanted.is_old or word == "dev")


def _type(word: str) -> Section:
    """Return what programs of a section of this name are."""
    from bpfctl.elf import section

    found = section.find(word) or section.find(f"{word}/")
    if found is None:
        from difflib import get_close_matches

        known = sorted({name.removesuffix("+") for name in section.SECTIONS})
        near = get_close_matches(word, known, 1)
        raise UsageError(f"'{word}' is no program type" + (f", did you mean '{near[0]}'?" if near else ""))
    return found[0]
