"""
What a BPF object needs of a kernel, as its file tells, and what in it needs that.

    for need in needs(read(data)):
        print(need.kind, need.name, need.uses)

Nothing is asked of any kernel here: `bpfctl.feature.check` does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl import spec as words
from bpfctl.asm.insn import BPF_CALL, BPF_JMP
from bpfctl.errors import ObjectError
from bpfctl.feature.isa import extension
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from bpfctl.uapi.flags import MapFlag
from bpfctl.uapi.helpers import Helper
from btf import kind as _kind
from btf import types
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.spec import Code, Extern, Function, MapSpec, ObjectSpec, ProgramSpec

#: What a need is of, in the order in which they are told.
LOADER, ORDER, LICENSE, PROGRAM, ATTACH, TARGET, HELPER, KFUNC = (
    "loader",
    "byte order",
    "license",
    "program type",
    "attach type",
    "attach target",
    "helper",
    "kfunc",
)
MAP, MAP_FLAG, FIELD, STRUCT_OPS = "map type", "map flag", "map field", "struct_ops"
KSYM, ADDRESS, KCONFIG, RELOCATION, BTF_KIND, ISA, SIZE, LOAD = (
    "ksym",
    "address",
    "kconfig",
    "relocation",
    "BTF kind",
    "instructions",
    "program size",
    "load",
)
#: Structs in the value of a map that a kernel has to know, as it keeps something of its own in them.
FIELDS = frozenset(
    {
        "bpf_spin_lock",
        "bpf_res_spin_lock",
        "bpf_timer",
        "bpf_wq",
        "bpf_list_head",
        "bpf_list_node",
        "bpf_rb_root",
        "bpf_rb_node",
        "bpf_refcount",
        "bpf_task_work",
    }
)
_KPTRS = frozenset({"kptr", "kptr_untrusted", "percpu_kptr", "uptr"})
_GPL_ALONE = frozenset({ProgType.LSM, ProgType.STRUCT_OPS})
_EXTERNS = {words.KFUNC: KFUNC, words.KSYM: KSYM, words.ADDRESS: ADDRESS, words.KCONFIG: KCONFIG}
_CALL = BPF_JMP | BPF_CALL


class Use(NamedTuple):
    """What needs it: a program, and the place of an instruction in it; or a map.

    ``source`` is the file and line, empty where the object does not tell; ``slot`` is -1 for no instruction.
    """

    by: str
    section: str = ""
    slot: int = -1
    source: str = ""


class Need(NamedTuple):
    """One thing that a kernel has to have.

    ``of`` says for which type of programs or which map. What a probe wants to know besides is in the rest.
    """

    kind: str
    name: str
    uses: tuple[Use, ...]
    of: str = ""
    number: int = 0
    program: ProgramSpec | None = None
    map: MapSpec | None = None
    extern: Extern | None = None


class _Found(NamedTuple):
    """A need in the making."""

    need: Need
    uses: dict[Use, None]  # as a set that keeps its order


def needs(spec: ObjectSpec) -> list[Need]:
    """Return all that an object needs, each once; relocations are left to `btf.check`, which knows their names.

    Raises ObjectError when its types are damaged.
    """
    found = _Collector(spec)
    try:
        found.collect()
    except BTFError as error:
        raise ObjectError(str(error)) from None
    return found.needs()


class _Collector:
    """Goes through one object."""

    def __init__(self, spec: ObjectSpec) -> None:
        self._spec = spec
        self._found: dict[tuple[Any, ...], _Found] = {}
        self._lines = _Lines(spec)
        self._functions = {(one.section, one.start): one for one in spec.functions}
        self._externs = {one.name: one for one in spec.externs}
        self._inside: dict[Function, tuple[list[tuple[str, int, Any]], list[Function]]] = {}

    def needs(self) -> list[Need]:
        order = {kind: at for at, kind in enumerate(KINDS)}
        rows = [one.need._replace(uses=tuple(one.uses)) for one in self._found.values()]
        return sorted(rows, key=lambda need: order[need.kind])

    def collect(self) -> None:
        for refusal in self._spec.refusals:
            self._add(Need(LOADER, refusal, ()))
        self._add(Need(ORDER, self._spec.byteorder, ()))
        for program in loaded_programs(self._spec):
            self._program(program)
        for one in self._spec.externs:
            self._add(Need(_EXTERNS[one.kind], one.name, (), extern=one))
        for map_ in self._spec.maps:
            if map_.autocreate:
                self._map(map_)
        self._types()

    def _add(self, need: Need, use: Use | None = None, key: Any = None) -> None:
        place = (need.kind, need.name, need.of, key)
        found = self._found.setdefault(place, _Found(need, {}))
        if use is not None:
            found.uses[use] = None

    def _program(self, program: ProgramSpec) -> None:
        place = program.function.section, program.function.start
        use = Use(program.name, *place, self._lines.source(*place))
        if program.type is None:
            self._add(Need(LOADER, f"section {program.section} tells no program type", ()), use)
            return
        kind = _word(ProgType, program.type)
        self._add(Need(PROGRAM, kind, (), number=program.type, program=program), use)
        if program.attach_type is not None:
            self._add(Need(ATTACH, _word(AttachType, program.attach_type), (), kind, program.attach_type, program), use)
        if program.attach_btf or program.sleepable or program.frags or program.type == ProgType.STRUCT_OPS:
            self._add(Need(TARGET, _target(program), (), _way(program), program=program), use)
        if program.type in _GPL_ALONE:
            self._add(Need(LICENSE, "compatible with GPL", (), kind), use)
        self._code(program, kind)

    def _code(self, program: ProgramSpec, kind: str) -> None:
        """Add what the instructions of a program and of all functions that it calls need."""
        waiting, seen, size = [program.function], {program.function}, 0
        while waiting:
            function = waiting.pop()
            size += function.end - function.start
            wants, calls = self._of_function(function)
            for what, slot, value in wants:
                use = Use(program.name, function.section, slot, self._lines.source(function.section, slot))
                self._want(what, value, use, program, kind)
            for one in calls:
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)
        place = program.function.section, program.function.start
        self._add(
            Need(SIZE, f"{size} instructions", (), program.name, number=size, program=program),
            Use(program.name, *place, self._lines.source(*place)),
        )

    def _want(self, what: str, value: Any, use: Use, program: ProgramSpec, kind: str) -> None:
        if what == HELPER:
            of = kind if program.attach_type is None else _word(AttachType, program.attach_type)
            key = program.target if program.attach_btf else "", program.sleepable
            self._add(Need(HELPER, _word(Helper, value), (), of, value, program), use, key)
        elif what == ISA:
            self._add(Need(ISA, value, ()), use)
        elif (extern := self._externs.get(value)) is not None:
            self._add(Need(_EXTERNS[extern.kind], value, (), extern=extern), use)
            if what == KFUNC:
                of = kind if program.attach_type is None else _word(AttachType, program.attach_type)
                self._add(Need(KFUNC, value, (), of, extern=extern, program=program), use, program.sleepable)
                self._add(Need(LICENSE, "compatible with GPL", (), "kfuncs"), use)

    def _of_function(self, function: Function) -> tuple[list[tuple[str, int, Any]], list[Function]]:
        """Return what a function itself needs, by slot, and the functions that it refers to."""
        known = self._inside.get(function)
        if known is not None:
            return known
        code = self._spec.code[function.section]
        wants = list(_wants(code, function))
        calls = []
        for slot in range(function.start, function.end):
            reference = code.references.get(slot)
            if reference is not None and reference.kind == words.FUNCTION:
                to = self._functions.get((reference.section, reference.slot))
                if to is not None:
                    calls.append(to)
        self._inside[function] = wants, calls
        return wants, calls

    def _map(self, map_: MapSpec) -> None:
        use, kind = Use(map_.name), _word(MapType, map_.type)
        if map_.type == MapType.STRUCT_OPS:
            self._add(Need(STRUCT_OPS, map_.struct, (), map=map_), use)
            return
        self._add(Need(MAP, kind, (), map_.name, number=map_.type, map=map_), use)
        for flag in MapFlag:
            # a loader leaves this one out of maps of variables where no kernel knows it
            if map_.flags & flag and not (map_.made_of and flag == MapFlag.MMAPABLE):
                self._add(Need(MAP_FLAG, str(flag.name).lower(), (), kind, number=flag, map=map_), use)
        for name in _fields(self._spec, map_):
            self._add(Need(FIELD, name, (), kind, map=map_), use)

    def _types(self) -> None:
        """Add the kinds of types; older kernels do not know all of them."""
        btf = self._spec.btf
        if btf is None:
            return
        for number in sorted({btf.kind(type_id) for type_id in btf.ids}):
            name = _kind.NAMES[number] if number < len(_kind.NAMES) else str(number)
            self._add(Need(BTF_KIND, name, (), number=number))


KINDS = (
    LOADER, ORDER, LICENSE, PROGRAM, ATTACH, TARGET, HELPER, KFUNC, KSYM, ADDRESS, KCONFIG, MAP, MAP_FLAG, FIELD,
    STRUCT_OPS, RELOCATION, BTF_KIND, ISA, SIZE, LOAD,
)  # fmt: skip


class _Lines:
    """Which line of source an instruction comes from."""

    def __init__(self, spec: ObjectSpec) -> None:
        self._spec = spec
        infos = spec.ext.line_infos if spec.ext is not None else {}
        self._starts = {name: [line.insn_off // 8 for line in lines] for name, lines in infos.items()}
        self._infos = infos

    def source(self, section: str, slot: int) -> str:
        from bisect import bisect_right  # noqa: PLC0415 - few commands need it

        at = bisect_right(self._starts.get(section, []), slot) - 1
        if at < 0 or self._spec.btf is None:
            return ""
        line = self._infos[section][at]
        return f"{self._spec.btf.string(line.file_name_off)}:{line.line}"


def _wants(code: Code, function: Function) -> Iterator[tuple[str, int, Any]]:
    for slot in range(function.start, function.end):
        insn = code.insns[slot]
        if insn is None:
            continue
        reference = code.references.get(slot)
        if reference is not None and reference.kind == words.EXTERN:
            yield (KFUNC if insn.opcode == _CALL else KSYM), slot, reference.name
        elif insn.opcode == _CALL and insn.src == 0 and reference is None:
            yield HELPER, slot, insn.imm
        name = extension(insn)
        if name:
            yield ISA, slot, name


def _word(known: Any, number: int) -> str:
    """Return bpftool's spelling of an enumerator; the number for one that we do not know."""
    try:
        return str(known(number).name).lower().lstrip("_")
    except ValueError:
        return str(number)


def _way(program: ProgramSpec) -> str:
    """Return how a program wants to be loaded besides its types: by the first word of its section."""
    return program.section.partition("/")[0]


def _target(program: ProgramSpec) -> str:
    if program.attach_btf or program.type == ProgType.STRUCT_OPS:
        return program.target or program.name
    return "sleepable" if program.sleepable else "packets of several buffers"


def loaded_programs(spec: ObjectSpec) -> list[ProgramSpec]:
    """Return the programs that are loaded unasked, without members of structs alone that are not made unasked."""
    members = [(one.autocreate, name) for one in spec.maps for _, name in one.functions]
    idle = {name for _, name in members} - {name for made, name in members if made}
    return [one for one in spec.programs if one.autoload and one.name not in idle]


def loaded_places(spec: ObjectSpec) -> set[tuple[str, int]]:
    """Return the instructions, by section and slot, of all functions but the programs that are not loaded unasked."""
    idle = {one.function for one in spec.programs} - {one.function for one in loaded_programs(spec)}
    return {(one.section, slot) for one in spec.functions if one not in idle for slot in range(one.start, one.end)}


def _fields(spec: ObjectSpec, map_: MapSpec) -> Iterator[str]:
    """Yield the names of the structs and tags in a map's value that only a kernel that knows them allows."""
    btf = spec.btf
    if btf is None or not map_.value:
        return
    waiting, seen, found = [map_.value], set[int](), set[str]()
    while waiting:
        type_id = waiting.pop()
        if type_id in seen:
            continue
        seen.add(type_id)
        one = btf.type(type_id)
        if isinstance(one, types.Struct) and one.name in FIELDS:
            found.add(one.name)
        elif isinstance(one, types.Struct | types.Union):
            waiting += [member.type_id for member in one.members]
        elif isinstance(one, types.Datasec):
            waiting += [var.type_id for var in one.vars]
        elif isinstance(one, types.Pointer):
            tag = btf.type(one.type_id)
            if isinstance(tag, types.TypeTag) and tag.name in _KPTRS:
                found.add(tag.name)
        elif isinstance(one, types.Array | types.Typedef | types.Volatile | types.Const | types.Var):
            waiting.append(one.type_id)
    yield from sorted(found)
