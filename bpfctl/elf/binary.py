"""A binary that processes run: its file, and the functions that it and its debug file tell of."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from bpfctl.asm import native
from bpfctl.elf import debug, function
from bpfctl.elf.image import EM_386, EM_AARCH64, EM_ARM, EM_X86_64, Image
from bpfctl.errors import BpfctlError, NotFound, ObjectError
from bpfctl.host import binary, process
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.elf.dwarf import Dwarf
    from bpfctl.elf.function import Function
    from bpfctl.elf.image import Identity
    from bpfctl.elf.prototype import Prototype
    from bpfctl.host.process import Process
    from btf.read import BTF

_RUN_BY = {"x86_64": (EM_X86_64, EM_386), "aarch64": (EM_AARCH64, EM_ARM)}


def _elsewhere(word: str, error: NotFound) -> NotFound:
    """Return what to do about a path that is not there for us, but for a process in another mount namespace."""
    pid = process.who_sees(word) if word.startswith("/") else None
    return NotFound(f"{error}; process {pid} sees it in a mount namespace of its own: -p {pid}") if pid else error


class Binary:
    """An executable or a library. Errors are those of `Image`, and ObjectError for another machine's.

    ``path`` is where it can be opened; ``name`` what those call it whose root folder ``root`` is.
    """

    def __init__(self, path: str, name: str = "", root: str = "") -> None:
        self.path, self.name, self.root = path, name or path, root
        self.image = Image.open(path)
        self._prototypes: dict[tuple[int, bool], Prototype | None] = {}
        runs = _RUN_BY.get(os.uname().machine)
        if runs and self.image.machine not in runs:
            raise ObjectError(f"{path} is a file for another kind of machine")

    @classmethod
    def find(cls, word: str, of: Process | None = None) -> Binary:
        """Return what a path, the name of an executable, or that of a library means, here or to a process; NotFound."""
        if of is None:
            try:
                return cls(binary.find(word))
            except NotFound as error:
                raise _elsewhere(word, error) from None
        found = of.find(word)
        return cls(found.path, found.name, found.root)

    @property
    def is_native(self) -> bool:
        """Whether its code has the registers that this kernel has, and not those of 32 bits."""
        return self.image.machine in (EM_X86_64, EM_AARCH64)

    @cached_property
    def functions(self) -> list[Function]:
        """The functions, by address."""
        return function.merged(self.functions_beginning(""))

    def functions_beginning(self, begin: str) -> Iterator[Function]:
        """Yield the functions whose names may begin so, as each table has them; there may be others of C++."""
        for image in (self.image, *self._debug):
            yield from function.functions(image, begin)

    @cached_property
    def variables(self) -> dict[str, int]:
        """The addresses of variables by name."""
        found = function.variables(self.image)
        for other in self._debug:
            found = function.variables(other) | found
        return found

    @cached_property
    def _debug(self) -> list[Image]:
        return list(debug.images(self.image, self.name, self.root))

    @cached_property
    def _dwarf(self) -> Dwarf | None:
        image = next((image for image in (self.image, *self._debug) if image.section(".debug_info")), None)
        if image is None:
            return None
        from bpfctl.elf.dwarf import Dwarf  # noqa: PLC0415 - types are read where somebody asks for them

        return Dwarf(image)

    @property
    def is_stripped(self) -> bool:
        """Whether names of functions that others cannot call are lost, to it and to what there is of debug files."""
        return not any(image.has_symbols for image in (self.image, *self._debug))

    @property
    def debug_files(self) -> list[str]:
        """Where its debug file may be, best first; none where it does not say which one that is."""
        return list(debug.places(self.image, self.name, self.root))

    def is_inlined(self, name: str) -> bool:
        """Return whether types tell that a function has no code of its own, since it is part of those that call it."""
        with suppress(ObjectError):
            return self._dwarf is not None and self._dwarf.is_inlined(name)
        return False

    def prototype(self, address: int, *, is_whole: bool = False) -> Prototype | None:
        """Return what the function at an address takes and returns, with members of structures where it ``is_whole``.

        None where nobody tells, or where what tells is damaged: the function is there all the same.
        """
        from bpfctl.elf.prototype import prototype  # noqa: PLC0415

        key = (address, is_whole)
        if key not in self._prototypes:
            self._prototypes[key] = None
            with suppress(ObjectError, BTFError):
                die = self._dwarf.function(address) if self._dwarf is not None else None
                self._prototypes[key] = prototype(die, is_whole=is_whole) if die is not None else self._of_btf(address)
        return self._prototypes[key]

    def _of_btf(self, address: int) -> Prototype | None:
        from bpfctl.elf.prototype import of_btf  # noqa: PLC0415

        names = [one.name for one in self.functions if one.address == address]
        return of_btf(self._btf, names) if self._btf is not None else None

    @cached_property
    def _btf(self) -> BTF | None:
        from btf.read import BTF  # noqa: PLC0415

        for image in (self.image, *self._debug):
            section = image.section(".BTF")
            if section is not None:
                return BTF.from_bytes(image.unpacked(section))
        return None

    @property
    def identity(self) -> Identity | None:
        """What tells the file from one that takes its place."""
        return self.image.identity

    def beginnings(self, address: int, size: int) -> list[int]:
        """Return how far from an address each instruction of so many bytes begins.

        Nothing is returned where nobody can tell: for those of x86 capstone must be installed.
        """
        if self.image.machine == EM_AARCH64:
            return [*range(0, len(self.image.code(address, size)), 4)]
        machine = {EM_X86_64: "x86_64", EM_386: "i386"}.get(self.image.machine)
        if machine is None:
            return []
        try:
            decoder = native.Disassembler(machine)
        except BpfctlError:
            return []
        return [insn.offset for insn in decoder.decode(self.image.code(address, size), address)]

    def code_at(self, address: int) -> int:
        """Return where in the file the code at an address lies; NotFound where there is none."""
        return self.image.file_offset(address, code=True)
