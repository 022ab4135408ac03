"""The running kernel, asked for what a BPF object needs: by a load or a map of just that, which is gone at once."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import cached_property, partial
from struct import pack
from typing import TYPE_CHECKING

from bpfctl._sys import calls, programs
from bpfctl.errors import KernelError
from bpfctl.feature import attached, by_type, facts, isa, limits, prog_types, rights, shape
from bpfctl.feature import need as needed
from bpfctl.feature.answer import AVAILABLE, MISSING, NO, UNKNOWN, YES, Answer, complaint, refused
from bpfctl.feature.here import Here
from bpfctl.feature.known import Known
from bpfctl.feature.map_probe import MapProber
from bpfctl.feature.shape import Shape
from bpfctl.kernel import btf as objects
from bpfctl.uapi.enums import ProgType
from btf import types
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.feature.known import Way
    from bpfctl.feature.need import Need
    from bpfctl.feature.types import Place, Types
    from bpfctl.spec import ObjectSpec

_CALL = 0x85
_OTHER_ORDER = f"this machine's is {sys.byteorder}"
_EXIT = bytes.fromhex("9500000000000000")
#: What the verifier says of a helper that programs of a kind may not call.
_NO_HELPER = (
    "invalid func ",
    "unknown func ",
    "program of this type cannot use helper ",
    "cannot call GPL-restricted function",
    "helper call is not allowed in probe",
    "helper call might sleep in a non-sleepable prog",
    "in non-sleepable prog",  # since Linux 7.1
)
_NO_KFUNC = (
    "is not allowed",
    "are not allowed",
    "JIT does not support",
    "uses reserved fields",  # before Linux 5.13
    "cannot find address for kernel function",
    "is not a kernel function",
    "is not a function",
    "cannot call kernel function from non-GPL",
    "program must be sleepable",
    "in non-sleepable prog",  # since Linux 7.1
)


class Running(Known):
    """The running kernel."""

    def __init__(self, here: Here | None = None) -> None:
        calls.raise_memlock()
        self._rights = rights.present()
        self._answers: dict[object, Answer] = {}
        self._here = here or Here()
        super().__init__(self._here.settings)

    def _own_ways(self) -> dict[str, Way]:
        return {
            needed.ORDER: lambda need, _: AVAILABLE if need.name == sys.byteorder else Answer(NO, _OTHER_ORDER),
            needed.PROGRAM: self._program_type,
            needed.ATTACH: self._attach,
            needed.TARGET: self._attach,
            needed.HELPER: self._helper,
            needed.KFUNC: self._kfunc,
            needed.ADDRESS: lambda need, _: self._address(need.name),
            needed.MAP: self._maps.map,
            needed.MAP_FLAG: self._maps.flag,
            needed.BTF_KIND: lambda need, _: self._kind(need.number),
            needed.ISA: lambda need, _: self._extension(need.name),
        }

    def _read_types(self) -> Types | None:
        return self._here.types

    @cached_property
    def _maps(self) -> MapProber:
        return MapProber(self._rights)

    def _once(self, key: object, ask: Callable[[], Answer]) -> Answer:
        if key not in self._answers:
            self._answers[key] = ask()
        return self._answers[key]

    def _program_type(self, need: Need, spec: ObjectSpec) -> Answer:
        try:
            probe = prog_types.PROBES[ProgType(need.number)]
        except (KeyError, ValueError):
            return Answer(UNKNOWN, f"program type {need.number} is newer than bpfctl")
        answer = self._once(probe, lambda: prog_types.on_kernel(probe, self._rights))
        if answer.can != UNKNOWN:
            return answer
        # lockdown forbids some programs of a type, and not all
        alike = [need._replace(program=one) for one in spec.programs if one.type == need.number]
        return AVAILABLE if any(YES in (self._attach(one, spec).can, self._attaches(one)) for one in alike) else answer

    def _attach(self, need: Need, spec: ObjectSpec) -> Answer:
        wanted = self._shape(need, spec)
        if isinstance(wanted, Answer):
            if need.kind == needed.ATTACH and wanted.can == NO:
                known = self._attaches(need) == YES
                return AVAILABLE if known else Answer(UNKNOWN, f"there is nothing to ask with: {wanted.why}")
            return wanted
        return self._once(wanted[:4], lambda: self._loads(wanted))

    def _attaches(self, need: Need) -> str:
        """Return YES if a program like one of the object attaches to something else, which most kernels have."""
        program = need.program
        if program is None or not program.attach_btf or self._types is None:
            return UNKNOWN
        for place in attached.PLACES:
            if (place.type, place.attach_type, place.flags) == (program.type, program.attach_type, 0):
                shapes = [Shape(place.type, place.attach_type, 0, one) for one in _found(self._types, place.targets)]
                if any(self._once(one[:4], partial(self._loads, one)).can == YES for one in shapes):
                    return YES
        return UNKNOWN

    def _loads(self, wanted: Shape) -> Answer:
        with ExitStack() as held:
            try:
                fd = _module_fd(held, wanted.target)
            except KernelError as error:
                return refused(error.errno or 0, self._rights)
            return shape.answer(wanted, self._rights, module_fd=fd)

    def _shape(self, need: Need, spec: ObjectSpec) -> Shape | Answer:
        if need.program is None:
            raise ValueError(f"a need of kind {need.kind} is of no program")
        wants_types = need.program.attach_btf or need.program.type == ProgType.STRUCT_OPS
        return shape.of(need.program, spec, self._types if wants_types else None)

    def _helper(self, need: Need, spec: ObjectSpec) -> Answer:
        wanted = self._shape(need, spec)
        if isinstance(wanted, Answer):
            return wanted
        number = facts.STAND_INS.get(need.number, need.number)  # type: ignore[call-overload]
        return self._once((number, wanted), lambda: self._call(wanted, pack("=BBhi", _CALL, 0, 0, number), _NO_HELPER))

    def _call(self, wanted: Shape, call: bytes, phrases: tuple[str, ...], place: Place | None = None) -> Answer:
        """Ask by a program that does nothing but call; what its arguments lack is said after that."""
        with ExitStack() as held:
            try:
                target, module = _module_fd(held, wanted.target), _module_fd(held, place)
            except KernelError as error:
                return refused(error.errno or 0, self._rights)
            array = pack("=ii", 0, module) if module else None
            got = shape.load(wanted, call + _EXIT, fd_array=array, module_fd=target)
        said = next((line for line in got.log.splitlines() if any(words in line for words in phrases)), "")
        if said:
            return Answer(NO, said[:200])
        if not got.errno or complaint(got.log):
            return AVAILABLE
        answer = refused(got.errno, self._rights)
        return answer if answer.can == UNKNOWN else Answer(UNKNOWN, "no such program can be loaded to ask")

    def _kfunc(self, need: Need, spec: ObjectSpec) -> Answer:
        answer = by_type.kfunc(need, spec, self._types)
        if answer.can != YES or need.program is None or self._types is None:
            return answer
        place = by_type.place(need.name, self._types)
        wanted = self._shape(need, spec)
        if isinstance(wanted, Answer):
            return wanted
        call = pack("=BBhi", _CALL, _second_register(2), bool(place and place.module), place.type_id if place else 0)
        return self._once((need.name, wanted), lambda: self._call(wanted, call, _NO_KFUNC, place))

    def _address(self, name: str) -> Answer:
        symbols = self._here.symbols
        places = symbols.places(name)
        if len(places) > 1:
            return Answer(NO, "/proc/kallsyms has several symbols that are called so")
        if not any(places) and not symbols.readable:
            return Answer(UNKNOWN, "/proc/kallsyms tells no addresses, or cannot be read")
        return AVAILABLE if places else Answer(NO, "/proc/kallsyms does not have it")

    def _kind(self, number: int) -> Answer:
        return self._once(("kind", number), lambda: self._load_kind(number))

    def _load_kind(self, number: int) -> Answer:
        blob = _smallest(number)
        if blob is None:
            return AVAILABLE  # as old as BTF
        try:
            programs.btf_load(blob).fd.close()
        except OSError as error:
            return refused(error.errno or 0, self._rights)
        return AVAILABLE

    def _extension(self, name: str) -> Answer:
        return self._once(("isa", name), lambda: self._load_extension(name))

    def _load_extension(self, name: str) -> Answer:
        code = isa.EXTENSIONS[name].code
        if not code:
            from bpfctl.feature import instructions  # noqa: PLC0415 - few objects have these
            from bpfctl.feature.memory import Memory  # noqa: PLC0415
            from bpfctl.feature.ways import Asker  # noqa: PLC0415

            probe = instructions.CASTS if name == isa.CAST else instructions.INDIRECT_JUMPS
            return probe.ask(Asker(self._rights, {}, Memory()))
        got = shape.load(Shape(ProgType.SOCKET_FILTER), code)
        if not got.errno:
            return AVAILABLE
        answer = refused(got.errno, self._rights)
        return answer if answer.can == UNKNOWN else MISSING

    def _long_programs(self) -> Answer:
        probe = next(probe for probe in limits.PROBES if probe.name == "large_insn_limit")
        return self._once(probe.name, lambda: limits.probe(probe, 0, self._rights))


def _found(known: Types, names: Sequence[str]) -> Iterator[Place]:
    """Yield the functions, and tracepoints, of these names that the kernel has."""
    for name in names:
        place = known.find(name, types.Func) or known.find(name, types.Typedef)
        if place is not None:
            yield place


def _second_register(number: int) -> int:
    """Return the byte of an instruction that has its source register."""
    return number << 4 if sys.byteorder == "little" else number


def _module_fd(held: ExitStack, place: Place | None) -> int:
    """Return a descriptor of the BTF of a module, 0 for the kernel's own; KernelError where it is gone."""
    if place is None or not place.module:
        return 0
    for one in objects.Btf.every():
        if one.info().name == place.module:
            return held.enter_context(one).fileno()
        one.close()
    raise KernelError(f"module {place.module} is gone", 2)


def _smallest(number: int) -> bytes | None:
    """Return the smallest BTF with a type of a kind; None for kinds that every kernel with BTF knows."""
    types_ = Builder()
    int_ = types_.add_type(types.Int(1, "int", 4, 32, 0, types.SIGNED))
    young: dict[int, Callable[[], object]] = {
        16: lambda: types_.add_type(types.Float(2, "float", 4)),
        17: lambda: types_.add_type(types.DeclTag(3, "tag", types_.add_type(types.Typedef(2, "t", int_)), -1)),
        18: lambda: types_.add_type(types.Pointer(3, "", types_.add_type(types.TypeTag(2, "tag", int_)))),
        19: lambda: types_.add_type(types.Enum64(2, "e", 8, (types.EnumValue("a", 1),))),
    }
    if number not in young:
        return None
    young[number]()
    return types_.build()
