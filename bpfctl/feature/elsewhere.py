"""
A kernel that is not here, as a saved report tells of it: what ``feature probe -j`` wrote there, and its types.

``feature probe --full-report -j`` tells more. What a report does not say is left open, and without the types that is
much.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bpfctl.errors import SavedError
from bpfctl.feature import by_type, facts, isa, shape
from bpfctl.feature import need as needed
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, YES, Answer
from bpfctl.feature.helpers import ATTACHED, NOISY
from bpfctl.feature.setting import Settings
from bpfctl.feature.types import Types
from bpfctl.uapi.enums import MapType, ProgType
from bpfctl.uapi.flags import MapFlag
from btf import types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bpfctl.feature.need import Need
    from bpfctl.spec import Extern, ObjectSpec
    from btf.check import Target
    from btf.read import BTF

_SILENT = Answer(UNKNOWN, "the report does not tell")
_HASHES = (MapType.HASH, MapType.PERCPU_HASH, MapType.LPM_TRIE, MapType.HASH_OF_MAPS)
#: Which maps take a flag on every kernel that knows both.
_TAKEN = {
    MapFlag.NO_PREALLOC: (*_HASHES, *facts.STORAGES),
    MapFlag.MMAPABLE: (MapType.ARRAY, MapType.ARENA),
    MapFlag.RDONLY_PROG: (MapType.ARRAY, MapType.HASH),
    MapFlag.WRONLY_PROG: (MapType.ARRAY, MapType.HASH),
    MapFlag.NO_COMMON_LRU: (MapType.LRU_HASH, MapType.LRU_PERCPU_HASH),
}
#: Types of programs whose attach type is looked at when they are loaded.
_LOOKED_AT = frozenset(
    {
        ProgType.CGROUP_SKB,
        ProgType.CGROUP_SOCK,
        ProgType.CGROUP_SOCK_ADDR,
        ProgType.CGROUP_SOCKOPT,
        ProgType.SK_LOOKUP,
        ProgType.SK_REUSEPORT,
        ProgType.NETFILTER,
        ProgType.TRACING,
        ProgType.LSM,
    }
)
#: Extensions by what in a report proves them: a kernel that knows the one has known the other for longer.
_PROOFS = {
    isa.V2: ("have_v2_isa_extension", "have_v3_isa_extension", "have_v4_isa_extension"),
    isa.V3: ("have_v3_isa_extension", "have_v4_isa_extension"),
    isa.ATOMICS: ("have_v4_isa_extension",),
    isa.V4: ("have_v4_isa_extension",),
}
_PROOFS_IN_FULL = {
    isa.V2: ("limits", "ISA extension v2"),
    isa.V3: ("limits", "ISA extension v3"),
    isa.V4: ("limits", "ISA extension v4"),
    isa.ATOMICS: ("instructions", "atomic fetch and add"),
    isa.MAY_GOTO: ("instructions", "may_goto"),
    isa.ACQUIRE: ("instructions", "load-acquire"),
}
_PARTS = ("program_types", "map_types", "misc", "system_config")


class Elsewhere:
    """A kernel known by a report, a document of JSON, and by its types, if they are at hand."""

    def __init__(self, document: Any, vmlinux: BTF | None = None) -> None:
        """SavedError when the document is not what ``feature probe`` writes."""
        self._full = _groups(document)
        self._parts = {name: _part(document, name) for name in _PARTS}
        self._helpers = _helper_lists(document) if self._full else _part(document, "helpers")
        around = _part(document, "surroundings")
        self._byteorder = around.get("byte order")
        if not self._parts["program_types"] and not self._full.get("program_types"):
            raise SavedError("it is no report of feature probe")
        self._types = Types(vmlinux) if vmlinux is not None else None
        self._settings = Settings(self._options, str(around.get("kernel", "")))
        self._ways: dict[str, Callable[[Need, ObjectSpec], Answer]] = {
            needed.LOADER: lambda _, __: Answer(NO, "libbpf 1 refuses it"),
            needed.ORDER: lambda need, _: self._order(need.name),
            needed.LICENSE: lambda _, spec: AVAILABLE if spec.is_gpl else Answer(NO, f'it is "{spec.license}"'),
            needed.PROGRAM: lambda need, _: self._program_type(need),
            needed.ATTACH: lambda need, _: self._attach(need),
            needed.TARGET: self._target,
            needed.HELPER: self._helper,
            needed.KFUNC: self._kfunc,
            needed.KSYM: lambda need, spec: by_type.variable(need, spec, self._types),
            needed.ADDRESS: lambda need, _: self._address(need.name),
            needed.KCONFIG: self._setting,
            needed.MAP: lambda need, _: self._map(need),
            needed.MAP_FLAG: lambda need, _: self._flag(need),
            needed.FIELD: lambda need, _: by_type.field(need, self._types),
            needed.STRUCT_OPS: lambda need, _: by_type.struct_ops(need, self._types),
            needed.BTF_KIND: lambda need, _: self._kind(need.name),
            needed.ISA: lambda need, _: self._extension(need.name),
            needed.SIZE: lambda need, _: self._size(need.number),
        }

    def ask(self, need: Need, spec: ObjectSpec) -> Answer:
        """Return whether the kernel of the report has what an object needs."""
        return self._ways[need.kind](need, spec)

    def types(self) -> Target | None:
        """Return the types of that kernel; None where they are not at hand."""
        return self._types.target if self._types is not None else None

    def setting(self, extern: Extern) -> int | None:
        """Return the value of a kconfig extern as a number; None for one that is unknown or is no number."""
        return self._settings.number(extern.name)

    def _told(self, group: str, name: str) -> Answer:
        """Return what a full report says of a feature."""
        return self._full.get(group, {}).get(name, _SILENT)

    def _has(self, part: str, name: str) -> Answer:
        found = self._parts[part].get(name)
        if not isinstance(found, bool):
            return _SILENT
        return AVAILABLE if found else Answer(NO, "the report says no")

    def _order(self, name: str) -> Answer:
        there = self._byteorder if self._types is None else self._types.vmlinux.byteorder
        if not isinstance(there, str):
            return _SILENT
        return AVAILABLE if name == there else Answer(NO, f"that kernel's is {there}")

    def _program_type(self, need: Need) -> Answer:
        if self._full:
            return self._told("program_types", need.name)
        answer = self._has("program_types", f"have_{need.name}_prog_type")
        if answer.can == NO and need.number in ATTACHED:
            return Answer(UNKNOWN, "the report says no, as it does too where kernel lockdown forbids to ask")
        return answer

    def _map(self, need: Need) -> Answer:
        reason = facts.malformed(need.map) if need.map is not None else ""
        if reason:
            return Answer(NO, reason)
        if self._full:
            return self._told("map_types", need.name)
        return self._has("map_types", f"have_{need.name}_map_type")

    def _knows(self, word: str) -> bool | None:
        """Return whether a word, such as an enumerator, is among the names in the kernel's types."""
        return None if self._types is None else f"\0{word}\0".encode() in self._types.vmlinux.strings

    def _attach(self, need: Need) -> Answer:
        if need.program is None or need.program.type not in _LOOKED_AT:
            return AVAILABLE
        told = self._told("attach_types", need.name)
        if told is not _SILENT:
            return told
        known = self._knows(f"BPF_{need.name.upper()}")
        if known is None:
            return by_type.NO_TYPES
        return AVAILABLE if known else Answer(NO, "the kernel's types have no such attach type")

    def _target(self, need: Need, spec: ObjectSpec) -> Answer:
        if need.program is None:
            return _SILENT
        found = shape.of(need.program, spec, self._types)
        if isinstance(found, Answer):
            return found
        if need.program.sleepable and need.program.type != ProgType.SYSCALL:
            return self._told("sleepable", need.of)
        if need.program.frags:
            return _SILENT
        return AVAILABLE

    def _helper(self, need: Need, spec: ObjectSpec) -> Answer:
        if need.number in facts.MAY_SLEEP and need.program is not None and not need.program.sleepable:
            return Answer(NO, "it is for programs that may sleep")
        found = self._helpers.get(f"{_type_word(need)}_available_helpers")
        if not isinstance(found, list) or (not found and need.program and need.program.type in ATTACHED):
            return _SILENT
        stand_in = facts.STAND_INS.get(need.number)  # type: ignore[call-overload]
        if f"bpf_{need.name}" not in found and (stand_in is None or f"bpf_{stand_in.name}" not in found):
            return _SILENT if need.number in NOISY else Answer(NO, "the report does not have it for this type")
        return AVAILABLE if spec.is_gpl else Answer(UNKNOWN, "the report does not tell which helpers want GPL")

    def _kfunc(self, need: Need, spec: ObjectSpec) -> Answer:
        answer = by_type.kfunc(need, spec, self._types)
        if answer.can != YES or need.program is None:
            return answer
        return Answer(UNKNOWN, "the report does not tell which programs may call it")

    def _address(self, name: str) -> Answer:
        known = self._types is not None and self._types.find(name, types.Func) is not None
        return AVAILABLE if known else _SILENT

    def _setting(self, need: Need, spec: ObjectSpec) -> Answer:
        if need.name.startswith("CONFIG_") and need.name not in self._parts["system_config"]:
            return _SILENT
        return self._settings.answer(need.extern, spec.btf)

    def _options(self) -> Mapping[str, str]:
        return {name: value for name, value in self._parts["system_config"].items() if isinstance(value, str)}

    def _flag(self, need: Need) -> Answer:
        known = self._knows(f"BPF_F_{need.name.upper()}")
        if known is None:
            return by_type.NO_TYPES
        if not known:
            return Answer(NO, "the kernel's types have no such flag")
        kinds = _TAKEN.get(MapFlag(need.number), ())
        return AVAILABLE if need.map is not None and need.map.type in kinds else _SILENT

    def _kind(self, name: str) -> Answer:
        if self._full:
            return self._told("btf_kinds", name.lower())
        known = self._knows(f"BTF_KIND_{name}")
        if known is None:
            return by_type.NO_TYPES
        return AVAILABLE if known else Answer(NO, "the kernel's types have no such kind")

    def _extension(self, name: str) -> Answer:
        if self._full:
            return self._told(*_PROOFS_IN_FULL.get(name, ("", "")))
        proofs = _PROOFS.get(name, ())
        if any(self._has("misc", proof).can == YES for proof in proofs):
            return AVAILABLE
        return self._has("misc", proofs[0]) if proofs and name != isa.ATOMICS else _SILENT

    def _size(self, number: int) -> Answer:
        if number > facts.LONGEST:
            return Answer(NO, f"no kernel takes more than {facts.LONGEST} instructions")
        if number <= facts.OLD_LONGEST:
            return AVAILABLE
        if self._full:
            return self._told("limits", "Large program size limit")
        return self._has("misc", "have_large_insn_limit")


def read(data: bytes, vmlinux: BTF | None = None) -> Elsewhere:
    """Read a saved report; SavedError when it is none."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise SavedError("it is no JSON") from None
    return Elsewhere(document, vmlinux)


def _groups(document: Any) -> dict[str, dict[str, Answer]]:
    """Return what a full report says, by group and name; nothing for another report."""
    if not isinstance(document, dict) or "format" not in document:
        return {}
    return {
        group: {str(row.get("name")): _row(row) for row in rows if isinstance(row, dict)}
        for group, rows in document.items()
        if isinstance(rows, list)
    }


def _row(row: dict[str, Any]) -> Answer:
    available, reason = row.get("available"), str(row.get("reason", ""))
    if available is True:
        return AVAILABLE
    return Answer(NO, reason or "the report says no") if available is False else Answer(UNKNOWN, reason or _SILENT.why)


def _helper_lists(document: dict[str, Any]) -> dict[str, Any]:
    """Return the helpers of each type in the form of a report that is not full."""
    rows = document.get("helpers")
    return {
        f"{row.get('program_type')}_available_helpers": row.get("available")
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    }


def _part(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name, {}) if isinstance(document, dict) else {}
    return found if isinstance(found, dict) else {}


def _type_word(need: Need) -> str:
    """Return the word of reports for the type of the program that needs it, and where that attaches to functions."""
    program = need.program
    number = program.type if program is not None else None
    word = next((kind for kind in ProgType if kind == number), ProgType.UNSPEC).name.lower()
    if program is None or number not in (ProgType.TRACING, ProgType.LSM):
        return word
    place = program.section.partition("/")[0].removesuffix(".s")
    return (f"{word}_{place}" if number == ProgType.TRACING else place) + "_sleepable" * program.sleepable
