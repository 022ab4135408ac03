"""
A BPF object in the running kernel, for as long as somebody holds it.

    with Loaded.file("program.o") as loaded:
        loaded.programs["handle_exec"].info()

What it does is what libbpf does when an object is loaded: nothing is attached, pinned or registered.
`bpfctl.load.how.How` says what shall be otherwise than as a matter of course.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, suppress
from errno import EPERM
from struct import pack
from typing import TYPE_CHECKING

from bpfctl import spec as words
from bpfctl._sys import calls, programs
from bpfctl._sys.fd import Closing
from bpfctl.elf.read import read
from bpfctl.errors import CannotLoad, KernelError, NotFound, NotSupported, ObjectError, VerifierError
from bpfctl.feature import answer, prog_types, rights, shape
from bpfctl.feature.answer import NO, Answer
from bpfctl.feature.here import Here
from bpfctl.feature.need import loaded_programs
from bpfctl.kernel import btf as objects
from bpfctl.kernel.prog import Program
from bpfctl.kernel.verifier import Asked
from bpfctl.load import core, externs, maps, ops, types
from bpfctl.load.code import Linked, Linker
from bpfctl.load.how import AS_USUAL
from bpfctl.uapi.enums import ProgType
from btf.errors import BTFError

if TYPE_CHECKING:
    from typing import Self

    from bpfctl.kernel.map import Map
    from bpfctl.load.how import How
    from bpfctl.spec import MapSpec, ObjectSpec, ProgramSpec

_LONGEST_NAME = 15
_ALL = 1 | 2 | 4  # BPF_LOG_LEVEL1, BPF_LOG_LEVEL2 and BPF_LOG_STATS in include/linux/bpf_verifier.h


class Loaded(Closing):
    """An object that is loaded: its programs and maps by name, which end with it unless somebody pins them.

    Raises ObjectError for one that no loader takes, NotSupported when this kernel lacks what it needs, CannotLoad when
    it has something that bpfctl does not know how to load, and KernelError when the kernel refuses it (VerifierError
    with its log, where that is for a program).
    """

    def __init__(self, spec: ObjectSpec, kernel: Here | None = None, how: How = AS_USUAL) -> None:
        self.spec = spec
        self.how = how
        self.programs: dict[str, Program] = {}
        self.maps: dict[str, Map] = {}
        #: What registers each struct of functions, by the name of its map (`bpfctl.load.ops`).
        self.ops: dict[str, bytes] = {}
        with ExitStack() as held:
            try:
                _Loading(spec, kernel or Here(), self, held).load()
            except BTFError as error:
                raise ObjectError(str(error)) from None
            self._held = held.pop_all()

    @classmethod
    def file(cls, path: str, how: How = AS_USUAL) -> Self:
        """Load an object from a file, after which its maps of variables are called; KernelError where it can't be read.

        An ObjectError names the file.
        """
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise KernelError(f"can't read {path}", error.errno or 0) from None
        try:
            return cls(read(data), how=how._replace(name=how.name or maps.object_name(path)))
        except ObjectError as error:
            raise ObjectError(f"{path} cannot be loaded: {error}") from None

    def close(self) -> None:
        """Let go of all programs and maps."""
        self._held.close()


class _Loading:
    """An object on its way into the kernel."""

    def __init__(self, spec: ObjectSpec, kernel: Here, into: Loaded, held: ExitStack) -> None:
        self._spec, self._kernel, self._into, self._held = spec, kernel, into, held
        self._how = into.how
        self._module_fds: dict[str, int] = {}

    def load(self) -> None:
        spec = self._spec
        self._refuse()
        calls.raise_memlock()
        found = externs.resolve(spec, self._kernel)
        # relocated before anything is made: this is where most objects fail on another kernel
        code = core.apply(spec, self._kernel, self._how.core)
        described = types.load(spec, found.places)
        btf_fd = self._held.enter_context(described).fileno() if described is not None else 0
        how = self._how
        specs = {one.name: _with(found.memory, one) for one in spec.maps if one.autocreate}
        maker = maps.Maker(btf_fd, self._kernel, self._module_fd, how.name, how.ifindex)
        for name, one in specs.items():
            self._into.maps[name] = how.maps[name] if name in how.maps else self._held.enter_context(maker.make(one))
        made = {name: map_.fileno() for name, map_ in self._into.maps.items()}
        ours = {name: one for name, one in specs.items() if name not in how.maps and one.made_of != words.STRUCT_OPS}
        for name, one in ours.items():
            if one.inner is not None or one.made_of:
                maps.fill(one, self._into.maps[name], made)
        linker = Linker(spec, code, made, found, self._module_fd)
        constants = [made[name] for name, one in specs.items() if one.made_of == words.RODATA]
        for program in loaded_programs(spec):
            loaded = self._held.enter_context(self._program(program, linker.link(program.function), btf_fd))
            self._into.programs[program.name] = loaded
            self._bind(loaded, constants)
        fds = {name: program.fileno() for name, program in self._into.programs.items()}
        for name, one in ours.items():
            if one.inner is None and one.slots:
                maps.fill(one, self._into.maps[name], fds)
        for name, one in specs.items():
            if one.made_of == words.STRUCT_OPS and spec.btf is not None and self._kernel.types is not None:
                self._into.ops[name] = ops.value(one, spec.btf, self._kernel.types, fds)

    def _refuse(self) -> None:
        """Raise for what needs no kernel to be refused."""
        spec = self._spec
        if spec.refusals:
            raise ObjectError(spec.refusals[0])
        if spec.byteorder != sys.byteorder:
            raise ObjectError(f"the object is for machines whose byte order is {spec.byteorder}")
        for program in spec.programs:
            if program.type is None and program.autoload:
                raise ObjectError(f"section {program.section} tells no program type")

    @staticmethod
    def _bind(program: Program, constants: list[int]) -> None:
        """Let a program keep the constants of its object, which may tell what it is, whether it reads them or not."""
        for fd in constants:
            with suppress(OSError):  # unknown before Linux 5.10; the program is no worse without
                programs.bind_map(program.fileno(), fd)

    def _module_fd(self, name: str) -> int:
        """Return a descriptor of the types of a module, which is held until the object is let go."""
        if name not in self._module_fds:
            for one in objects.Btf.every():
                if one.info().name == name:
                    self._module_fds[name] = self._held.enter_context(one).fileno()
                    break
                one.close()
            else:
                raise NotFound(f"module {name} is gone")
        return self._module_fds[name]

    def _program(self, program: ProgramSpec, linked: Linked, btf_fd: int) -> Program:
        of_kernel = program.attach_btf or program.type == ProgType.STRUCT_OPS
        wanted = shape.of(program, self._spec, self._kernel.types if of_kernel else None)
        if isinstance(wanted, Answer):
            sentence = f"program {program.name} cannot be loaded: {wanted.why}"
            raise NotSupported(sentence) if wanted.can == NO else CannotLoad(sentence)
        target, modules = wanted.target, [self._module_fd(name) for name in linked.modules]
        flags, ifindex = self._how.device(wanted.type)

        def attempt(log_level: int) -> programs.Loaded:
            return programs.load(
                wanted.type,
                linked.insns,
                license=wanted.license,
                name=program.name.encode(errors="replace")[:_LONGEST_NAME],
                expected_attach_type=wanted.attach_type,
                prog_flags=wanted.flags | flags,
                ifindex=ifindex,
                kern_version=prog_types.kernel_version(wanted.type),
                btf_fd=btf_fd,
                func_info=linked.func_info if btf_fd else b"",
                line_info=linked.line_info if btf_fd else b"",
                attach_btf_id=target.type_id if target is not None else 0,
                attach_fd=self._module_fd(target.module) if target is not None and target.module else 0,
                fd_array=pack(f"={len(modules) + 1}i", 0, *modules) if modules else None,
                log_level=log_level,
            )

        try:
            found = attempt(0)
        except programs.LoadError as error:
            refused = Asked(f"program {program.name} cannot be loaded", error.errno or 0, linked.insns)
            try:
                found = refused.load(attempt)
            except VerifierError as told:
                told.hint = "" if told.log or told.errno != EPERM else answer.refused(EPERM, rights.present()).why
                raise
        if self._how.said is not None:
            with suppress(programs.LoadError):  # ENOSPC: a log of more than 16 MiB
                again = attempt(_ALL)
                again.fd.close()
                self._how.said(program.name, again.log)
        return Program(found.fd)


def _with(settings: bytes, spec: MapSpec) -> MapSpec:
    """Return a map with the kernel's settings in it, if it is the one for them."""
    return spec._replace(contents=settings, value_size=len(settings)) if spec.made_of == words.SETTINGS else spec
