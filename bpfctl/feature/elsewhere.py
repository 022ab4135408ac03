"""
A kernel that is not here, as a saved report tells of it: what ``feature probe -j`` wrote there, and its types.

``feature probe --full-report -j`` tells more. What a report does not say is left open, and without the types that is
much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.feature import by_type, facts, isa, saved, shape
from bpfctl.feature import need as needed
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, YES, Answer
from bpfctl.feature.known import Known
from bpfctl.feature.saved import SILENT
from bpfctl.feature.setting import Settings
from bpfctl.feature.types import Types
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from bpfctl.uapi.flags import MapFlag
from btf import types

if TYPE_CHECKING:
    from bpfctl.feature.known import Way
    from bpfctl.feature.need import Need
    from bpfctl.feature.saved import Saved
    from bpfctl.spec import ObjectSpec, ProgramSpec
    from btf.read import BTF

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
_PLACES = {"tp_btf": "raw_tp"}
#: Words of reports that stand for others: these programs may call the same, but for what they may sleep in.
_AKIN = {
    "tracing_fexit_sleepable": ("tracing_fentry_sleepable",),
    "kprobe_sleepable": ("kprobe",),
    "kprobe_session": ("kprobe",),
    "struct_ops_sleepable": ("struct_ops",),
}
_AWAKE = frozenset({"kprobe", "struct_ops"})
_STRUCT = "tcp_congestion_ops"  # whose members are asked for in a full report
_UNKNOWN_CALLERS = Answer(UNKNOWN, "the report does not tell which programs may call it")
_IN_MODULE = Answer(UNKNOWN, "it is in a module, whose types are not at hand")
#: Extensions by what in a report proves them: a kernel that knows the one has known the other for longer.
_V2, _V3, _V4 = (("limits", f"ISA extension v{number}") for number in (2, 3, 4))
_PROOFS = {
    isa.V2: (_V2, _V3, _V4),
    isa.V3: (_V3, _V4),
    isa.V4: (_V4,),
    isa.ATOMICS: (("instructions", "atomic fetch and add"), _V4),
    isa.MAY_GOTO: (("instructions", "may_goto"),),
    isa.ACQUIRE: (("instructions", "load-acquire"),),
    isa.CAST: (("instructions", "casts between address spaces"),),
    isa.GOTOX: (("instructions", "indirect jumps (gotox)"),),
}


class Elsewhere(Known):
    """A kernel known by a report, and by its types, if they are at hand."""

    def __init__(self, report: Saved, known: Types | None = None) -> None:
        self._report = report
        self._known = known
        super().__init__(Settings(report.options, report.fact("kernel") or ""))

    def _own_ways(self) -> dict[str, Way]:
        return {
            needed.ORDER: lambda need, _: self._order(need.name),
            needed.PROGRAM: lambda need, _: self._report.feature("program_types", need.name),
            needed.ATTACH: lambda need, _: self._attach(need),
            needed.TARGET: self._target,
            needed.HELPER: self._helper,
            needed.KFUNC: self._kfunc,
            needed.ADDRESS: lambda need, _: self._address(need.name),
            needed.KCONFIG: self._setting,
            needed.MAP: lambda need, _: self._map(need),
            needed.MAP_FLAG: lambda need, _: self._flag(need),
            needed.BTF_KIND: lambda need, _: self._kind(need.name),
            needed.ISA: lambda need, _: self._extension(need.name),
        }

    def _read_types(self) -> Types | None:
        return self._known

    def _order(self, name: str) -> Answer:
        there = self._report.fact("byte order") if self._types is None else self._types.vmlinux.byteorder
        if there is None:
            return SILENT
        return AVAILABLE if name == there else Answer(NO, f"that kernel's is {there}")

    def _map(self, need: Need) -> Answer:
        reason = facts.malformed(need.map) if need.map is not None else ""
        return Answer(NO, reason) if reason else self._report.feature("map_types", need.name)

    def _in_types(self, word: str, what: str) -> Answer:
        """Return whether a word, such as an enumerator, is among the names in the kernel's types."""
        if self._types is None:
            return by_type.NO_TYPES
        known = f"\0{word}\0".encode() in self._types.vmlinux.strings
        return AVAILABLE if known else Answer(NO, f"the kernel's types have no such {what}")

    def _attach(self, need: Need) -> Answer:
        if need.program is None or need.program.type not in _LOOKED_AT:
            return AVAILABLE
        told = self._report.feature("attach_types", need.name)
        return self._in_types(f"BPF_{need.name.upper()}", "attach type") if told is SILENT else told

    def _target(self, need: Need, spec: ObjectSpec) -> Answer:
        if need.program is None:
            return SILENT
        found = shape.of(need.program, spec, self._types)
        if isinstance(found, Answer):
            return found
        if need.program.sleepable and need.program.type != ProgType.SYSCALL:
            return self._report.feature("sleepable", need.of)
        if need.program.frags:
            return self._report.feature("program_flags", "xdp_has_frags")
        return AVAILABLE

    def _helper(self, need: Need, spec: ObjectSpec) -> Answer:
        if need.number in facts.MAY_SLEEP and need.program is not None and not need.program.sleepable:
            return Answer(NO, "it is for programs that may sleep")
        word = self._word(need)
        answer = self._report.helper(word, f"bpf_{need.name}")
        stand_in = facts.STAND_INS.get(need.number)  # type: ignore[call-overload]
        if answer is SILENT and stand_in is not None:
            answer = self._report.helper(word, f"bpf_{stand_in.name}")
            answer = answer if answer.can == YES else SILENT
        if answer.can == NO and need.program is not None and need.program.sleepable and word in _AWAKE:
            return SILENT  # there are helpers for programs that may sleep alone
        if answer.can != YES or spec.is_gpl:
            return answer
        return Answer(UNKNOWN, "the report does not tell which helpers want GPL")

    def _kfunc(self, need: Need, spec: ObjectSpec) -> Answer:
        answer = by_type.kfunc(need, spec, self._types)
        name = by_type.plain(need.name)
        if answer.can == NO and self._types is not None and by_type.place(need.name, self._types) is None:
            return _IN_MODULE if name in self._report.kfuncs else answer
        if answer.can == NO or need.program is None:
            return answer
        # Which functions may be called is another matter in each struct of them; the report is of one.
        if need.program.type == ProgType.STRUCT_OPS and _struct(need.program, spec) != _STRUCT:
            return _UNKNOWN_CALLERS
        told = self._report.kfunc(self._word(need), name)
        if told is SILENT:
            return answer if answer.can == UNKNOWN else _UNKNOWN_CALLERS
        return answer if told.can == YES else told

    def _word(self, need: Need) -> str:
        """Return the word of the report for the type of the program that needs it, and where and how that attaches."""
        word = _type_word(need)
        return next((one for one in (word, *_AKIN.get(word, ())) if one in self._report.helpers), word)

    def _address(self, name: str) -> Answer:
        known = self._types is not None and self._types.find(name, types.Func) is not None
        return AVAILABLE if known else SILENT

    def _setting(self, need: Need, spec: ObjectSpec) -> Answer:
        if need.name.startswith("CONFIG_") and need.name not in self._report.facts:
            return SILENT
        return self._settings.answer(need.extern, spec.btf)

    def _flag(self, need: Need) -> Answer:
        told = self._report.feature("map_flags", need.name)
        if told is SILENT:
            told = self._in_types(f"BPF_F_{need.name.upper()}", "flag")
        if told.can != YES:
            return told
        kinds = _TAKEN.get(MapFlag(need.number), ())
        return AVAILABLE if need.map is not None and need.map.type in kinds else SILENT

    def _kind(self, name: str) -> Answer:
        told = self._report.feature("btf_kinds", name.lower())
        return self._in_types(f"BTF_KIND_{name}", "kind") if told is SILENT else told

    def _extension(self, name: str) -> Answer:
        answers = [self._report.feature(*proof) for proof in _PROOFS.get(name, ())]
        return next((answer for answer in answers if answer.can == YES), answers[0] if answers else SILENT)

    def _long_programs(self) -> Answer:
        return self._report.feature("limits", "Large program size limit")


def read(data: bytes, vmlinux: BTF | None = None) -> Elsewhere:
    """Read a saved report; SavedError when it is none."""
    return Elsewhere(saved.read(data), Types(vmlinux) if vmlinux is not None else None)


def _type_word(need: Need) -> str:
    program = need.program
    number = program.type if program is not None else None
    word = next((kind for kind in ProgType if kind == number), ProgType.UNSPEC).name.lower()
    if program is None:
        return word
    if number in (ProgType.TRACING, ProgType.LSM):
        place = program.section.partition("/")[0].removesuffix(".s")
        word = f"{word}_{_PLACES.get(place, place)}" if number == ProgType.TRACING else place
    elif program.attach_type in (AttachType.TRACE_KPROBE_SESSION, AttachType.TRACE_UPROBE_SESSION):
        return f"{word}_session"
    return word + "_sleepable" * (program.sleepable and number != ProgType.SYSCALL)


def _struct(program: ProgramSpec, spec: ObjectSpec) -> str:
    """Return the name of the struct that has a program as a member."""
    of = (one.struct for one in spec.maps if any(function == program.name for _, function in one.functions))
    return by_type.plain(next(of, ""))
