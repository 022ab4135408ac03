"""
What a BPF object is made of, as its file tells: the same on every machine, and no kernel is asked.

    spec = bpfctl.elf.read.read(Path("prog.o").read_bytes())
    for program in spec.programs:
        print(program.name, program.type, program.attach_type, program.target)

Instructions are those of the file: maps, functions and the kernel's symbols that they refer to are names
(`Code.references`), and what CO-RE relocations put in is not in yet.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfctl.asm.insn import ByteOrder, Insn
    from btf.ext import Ext
    from btf.read import BTF

#: What a reference is to.
FUNCTION, MAP, EXTERN = "function", "map", "extern"
#: What an extern is: a function or a variable of the kernel with its type, an address, a setting of its build.
KFUNC, KSYM, ADDRESS, KCONFIG = "kfunc", "ksym", "address", "kconfig"
#: What makes a map that no program text declares: variables, the kernel's settings, a table of functions.
DATA, RODATA, BSS, SETTINGS, STRUCT_OPS, ARENA, JUMPS = (
    "data",
    "rodata",
    "bss",
    "kconfig",
    "struct_ops",
    "arena",
    "jumps",
)


class Reference(NamedTuple):
    """What an instruction refers to: a function by its place, a map or an extern by its name.

    ``section`` and ``slot`` are the place of a function; ``slot`` is an offset in bytes for a map's value.
    """

    kind: str
    name: str
    section: str = ""
    slot: int = 0


class Code(NamedTuple):
    """The instructions of an executable section by slot; None is the second slot of a wide one."""

    insns: tuple[Insn | None, ...]
    references: Mapping[int, Reference]


class Function(NamedTuple):
    """A function's place: slots from ``start`` up to but not including ``end`` of a section.

    One that is global is verified by itself, for whatever it may be called with, unless it is hidden.
    """

    name: str
    section: str
    start: int
    end: int
    is_global: bool = False
    is_hidden: bool = False


class ProgramSpec(NamedTuple):
    """A program to load; ``type`` is None when nothing tells what it is.

    ``section`` is the name that says so, without the ``?`` of a program that is not loaded unless asked for
    (``autoload``); ``target`` is what stands behind its slash.
    """

    name: str
    section: str
    function: Function
    type: int | None = None
    attach_type: int | None = None
    target: str = ""
    autoload: bool = True
    sleepable: bool = False
    frags: bool = False
    attach_btf: bool = False


class MapSpec(NamedTuple):
    """A map to create; ``made_of`` is empty for one that the program text declares.

    ``key`` and ``value`` are type ids of the object's BTF, 0 without one. ``contents`` are the variables that a map is
    made of, or the struct that it fills in, ``slots`` the maps or programs that a map begins with, by index. ``struct``
    names the kernel's struct that a map of the type struct_ops fills in, ``functions`` which of its members are which
    programs.
    """

    name: str
    type: int
    key_size: int = 0
    value_size: int = 0
    max_entries: int = 0
    flags: int = 0
    extra: int = 0
    numa_node: int | None = None
    pinned: bool = False
    inner: MapSpec | None = None
    key: int = 0
    value: int = 0
    made_of: str = ""
    contents: bytes = b""
    slots: tuple[tuple[int, str], ...] = ()
    struct: str = ""
    functions: tuple[tuple[str, str], ...] = ()
    autocreate: bool = True


class Extern(NamedTuple):
    """What the kernel has to supply; a ``weak`` one may be missing. ``type_id`` is of the object's BTF."""

    name: str
    kind: str
    weak: bool
    type_id: int = 0


class ObjectSpec(NamedTuple):
    """A BPF object file.

    ``code`` has the executable sections by name, ``functions`` everything in them that has a name. ``refusals`` say
    why libbpf 1 would not open the file, whatever the kernel. ``places`` are the offsets of variables, and of what
    declares maps, by section and name.
    """

    license: str
    byteorder: ByteOrder
    programs: tuple[ProgramSpec, ...]
    functions: tuple[Function, ...]
    maps: tuple[MapSpec, ...]
    externs: tuple[Extern, ...]
    code: Mapping[str, Code]
    btf: BTF | None
    ext: Ext | None
    refusals: tuple[str, ...] = ()
    places: Mapping[tuple[str, str], int] = MappingProxyType({})

    @property
    def is_gpl(self) -> bool:
        """Whether the kernel takes the licence for one compatible with its own (include/linux/license.h)."""
        return self.license in _GPL


_GPL = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"},
)
