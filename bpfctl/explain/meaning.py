"""What a word may mean: one word may be a type of programs, of maps and of links, and a section of an object file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.elf import section as elf_section
from bpfctl.explain import answer, capability, flag
from bpfctl.explain.attach_type import ATTACH_TYPES
from bpfctl.explain.helper import HELPERS
from bpfctl.explain.link_type import LINK_TYPES
from bpfctl.explain.map_type import MAP_TYPES
from bpfctl.explain.prog_type import PROGRAM_TYPES
from bpfctl.explain.prototype import PROTOTYPES
from bpfctl.feature import kfunc_names
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from enum import IntEnum

    from bpfctl.elf.section import Section
    from bpfctl.explain.answer import Cause

PROGRAM, MAP, LINK, ATTACH = "program type", "map type", "link type", "attach type"
HELPER, KFUNC, SECTION, ERRNO = "helper", "kernel function", "section", "error"
MAP_FLAG, PROGRAM_FLAG, ATTACH_FLAG = "map flag", "program flag", "attach flag"

#: Attach types that no section stands for.
_PROGRAMS_OF = {
    AttachType.PERF_EVENT: (ProgType.KPROBE, ProgType.TRACEPOINT, ProgType.PERF_EVENT),
    AttachType.STRUCT_OPS: (ProgType.STRUCT_OPS,),
}


class Entry(NamedTuple):
    """A line of a table: what there is a sentence on, as bpftool and as the kernel spell it."""

    kind: str
    name: str
    constant: str
    text: str
    number: int
    since: str = ""  # where no probe tells


class Meaning(NamedTuple):
    """One thing that a word stands for.

    ``since`` is the release of Linux that brought it, empty where that is not known; ``needs`` the capabilities that it
    takes, and ``free`` whether none are where kernel.unprivileged_bpf_disabled is 0.
    """

    kind: str
    name: str
    constant: str
    text: str
    number: int | None = None
    since: str = ""
    needs: tuple[str, ...] = ()
    free: bool = False
    gpl_only: bool = False  # whether it is for programs alone whose license is compatible with the GPL
    prototype: str = ""
    programs: tuple[str, ...] = ()  # the types of programs that it is for
    attach_types: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()


def entries() -> Iterator[Entry]:
    """Yield all that there is a sentence on, but for errors and sections."""
    tables: tuple[tuple[str, str, Iterable[tuple[IntEnum, str]]], ...] = (
        (PROGRAM, "BPF_PROG_TYPE_", PROGRAM_TYPES.items()),
        (MAP, "BPF_MAP_TYPE_", MAP_TYPES.items()),
        (LINK, "BPF_LINK_TYPE_", LINK_TYPES.items()),
        (ATTACH, "BPF_", ATTACH_TYPES.items()),
    )
    for kind, prefix, lines in tables:
        for member, text in lines:
            yield Entry(kind, member.name.lower(), prefix + member.name, text, member.value)
    for helper, told in HELPERS.items():
        yield Entry(HELPER, f"bpf_{helper.name}", f"BPF_FUNC_{helper.name}", told.text, helper.value, told.since)
    for of_map, text in flag.MAP_FLAGS.items():
        yield Entry(MAP_FLAG, str(of_map.name).lower(), f"BPF_F_{of_map.name}", text, of_map.value)
    for kind, flags in ((PROGRAM_FLAG, flag.PROGRAM_FLAGS), (ATTACH_FLAG, flag.ATTACH_FLAGS)):
        yield from (_of_flag(kind, one) for one in flags)
    yield from (_of_flag(kind, one) for kind, one in flag.others())


def _of_flag(kind: str, one: flag.Flag) -> Entry:
    name = one.name.removeprefix("BPF_").removeprefix("F_").lower()
    return Entry(kind, name, one.name, one.text, one.value, one.since)


def words() -> Iterator[tuple[str, str]]:
    """Yield every word of our tables, and what kind of thing it is."""
    for one in entries():
        yield one.name, one.kind
        yield one.constant, one.kind
    for name in elf_section.SECTIONS:
        yield name.removesuffix("+"), SECTION
    for number in answer.ANSWERS:
        yield answer.name_of(number), ERRNO
    yield from ((name, KFUNC) for name in kfunc_names.KNOWN)


def of(word: str) -> list[Meaning]:
    """Return all that a word means; functions that only a kernel's types tell are not among it."""
    wanted = word.removesuffix("()").lower()
    number = answer.number_of(wanted)
    found = [_errno(number)] if number is not None else []
    found += [_meaning(one) for one in entries() if wanted in _names(one)]
    section = elf_section.find(word) or elf_section.find(f"{word}/")
    if section is not None:
        types = [] if found else _types_of(section[0])
        found += [_section(word, section[0]), *types]
    return found


def _names(one: Entry) -> set[str]:
    return {one.name, one.constant.lower(), one.name.removeprefix("bpf_")}


def _types_of(section: Section) -> Iterator[Meaning]:
    """Yield what a section stands for: the type of its programs, and how they are attached."""
    kinds = {(PROGRAM, section.type.value)}
    if section.attach_type is not None:
        kinds.add((ATTACH, section.attach_type.value))
    yield from (_meaning(one) for one in entries() if (one.kind, one.number) in kinds)


def _meaning(one: Entry) -> Meaning:
    """Add what other tables know of it."""
    plain = Meaning(one.kind, one.name, one.constant, one.text, one.number, one.since)
    if one.kind == PROGRAM:
        return _program(plain, ProgType(one.number))
    if one.kind == MAP:
        kind = MapType(one.number)
        return plain._replace(needs=capability.of_map(kind), free=capability.is_free(kind))
    if one.kind == ATTACH:
        return _attach(plain, AttachType(one.number))
    if one.kind == HELPER:
        helper = Helper(one.number)
        needs, gpl_only = capability.of_helper(helper), capability.is_gpl_only(helper)
        return plain._replace(needs=needs, gpl_only=gpl_only, prototype=PROTOTYPES[helper])
    return plain


def _program(plain: Meaning, kind: ProgType) -> Meaning:
    sections = {name: one for name, one in elf_section.SECTIONS.items() if one.type == kind}
    attach_types = dict.fromkeys(one.attach_type for one in sections.values() if one.attach_type is not None)
    return plain._replace(
        needs=capability.of_program(kind),
        free=capability.is_free(kind),
        sections=_spelled(sections),
        attach_types=tuple(one.name.lower() for one in attach_types),
    )


def _attach(plain: Meaning, kind: AttachType) -> Meaning:
    sections = {name: one for name, one in elf_section.SECTIONS.items() if one.attach_type == kind}
    programs = tuple(dict.fromkeys([*(one.type for one in sections.values()), *_PROGRAMS_OF.get(kind, ())]))
    return plain._replace(
        needs=tuple(dict.fromkeys(name for one in programs for name in capability.of_program(one))),
        programs=tuple(one.name.lower() for one in programs),
        sections=_spelled(sections),
    )


def _spelled(sections: Iterable[str]) -> tuple[str, ...]:
    """Return the names of sections; some may have a target behind a slash."""
    return tuple(name.replace("+", "[/TARGET]") for name in sections)


def _section(word: str, section: Section) -> Meaning:
    ways = {
        "may sleep": section.sleepable,
        "take packets of several buffers": section.frags,
        "need the kernel's BTF to be loaded": section.attach_btf,
    }
    more = " and ".join(text for text, holds in ways.items() if holds)
    return Meaning(
        SECTION,
        word,
        f'SEC("{word}")',
        f"Where libbpf finds programs of this type{', which ' if more else ''}{more}.",
        programs=(section.type.name.lower(),),
        attach_types=() if section.attach_type is None else (section.attach_type.name.lower(),),
    )


def _errno(number: int) -> Meaning:
    name = answer.name_of(number)
    return Meaning(ERRNO, name, name, answer.told(number), number, causes=answer.ANSWERS.get(number, ()))
