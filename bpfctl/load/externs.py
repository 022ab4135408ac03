"""
What an object wants to be supplied with: the kernel's settings, and its functions, variables and addresses.

A setting lies in a map; the others are put into instructions. One that is weak and not there is a zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl import spec as words
from bpfctl._sys import programs
from bpfctl.asm.insn import BPF_CALL, BPF_EXIT, BPF_JMP, Insn
from bpfctl.errors import NotSupported, ObjectError
from bpfctl.feature.by_type import plain
from bpfctl.feature.setting import ABSENT, of_number
from bpfctl.uapi.enums import ProgType
from bpfctl.uapi.helpers import Helper
from btf import types
from btf.check import misfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.feature.here import Here
    from bpfctl.spec import Extern, ObjectSpec
    from btf.read import BTF

_POINTER = 8  # bytes
_WRAPPERS = ("__x64_sys_bpf", "__arm64_sys_bpf", "__s390x_sys_bpf", "__riscv_sys_bpf")


class Supply(NamedTuple):
    """What stands for an extern in an instruction: a type of the kernel or of a module, or else an address."""

    type_id: int = 0
    module: str = ""
    address: int = 0


class Externs(NamedTuple):
    """All that an object is supplied with; ``memory`` holds its settings, each at its place."""

    places: dict[str, int]
    memory: bytes
    supplies: dict[str, Supply]


def resolve(spec: ObjectSpec, kernel: Here) -> Externs:
    """Return what an object is supplied with; NotSupported when something is not there that has to be."""
    places, memory = _settings(spec, kernel)
    supplies = {one.name: _supply(spec, one, kernel) for one in spec.externs if one.kind != words.KCONFIG}
    return Externs(places, memory, supplies)


def _settings(spec: ObjectSpec, kernel: Here) -> tuple[dict[str, int], bytes]:
    places, memory = dict[str, int](), bytearray()
    btf = spec.btf
    if btf is None:
        return places, b""
    wanted = [
        (one, _alignment(btf, one), btf.size_of(one.type_id)) for one in spec.externs if one.kind == words.KCONFIG
    ]
    # In libbpf's order (cmp_externs() in src/libbpf.c), so that they are at the same places.
    for one, alignment, size in sorted(wanted, key=lambda row: (-row[1], row[2], row[0].name)):
        memory += bytes(-len(memory) % alignment)
        places[one.name] = len(memory)
        memory += _setting(btf, one, kernel).ljust(size, b"\0")
    return places, bytes(memory)


def _alignment(btf: BTF, one: Extern) -> int:
    """Return what the address of a setting is a multiple of: of text it is that of a character."""
    type_id = btf.resolve(one.type_id)
    of = btf.type(type_id)
    return max(min(btf.size_of(of.type_id if isinstance(of, types.Array) else type_id), _POINTER), 1)


def _setting(btf: BTF, one: Extern, kernel: Here) -> bytes:
    """Return a setting as it lies in memory; empty for a zero."""
    ours = _OURS.get(one.name)
    found = of_number(int(ours(kernel)), one, btf) if ours is not None else kernel.settings.value(one, btf)
    if isinstance(found, bytes):
        return found
    if one.weak and found in ABSENT:
        return b""
    raise NotSupported(f"the kernel's setting {one.name} cannot be supplied: {found.why}")


def _supply(spec: ObjectSpec, one: Extern, kernel: Here) -> Supply:
    if one.kind == words.ADDRESS:
        places = kernel.symbols.places(one.name)
        if len(places) > 1:
            raise NotSupported(f"/proc/kallsyms has several symbols that are called {one.name}")
        told = any(places) or (places and kernel.symbols.readable)  # of variables per CPU it may be 0
        if not told and not one.weak:
            raise NotSupported(f"/proc/kallsyms tells no address of {one.name}")
        return Supply(address=next(iter(places), 0))
    name, word = plain(one.name), "function" if one.kind == words.KFUNC else "variable"
    if kernel.types is None:
        raise NotSupported(f"the kernel does not tell its types, and {word} {name} is one of them")
    place = kernel.types.find(name, types.Func if one.kind == words.KFUNC else types.Var)
    if place is None:
        if one.weak:
            return Supply()
        raise NotSupported(f"the kernel's types have no {word} {name}")
    theirs = place.btf.type(place.type_id)
    if spec.btf is None or not isinstance(theirs, types.Func | types.Var):
        raise ObjectError(f"nothing tells what type {word} {name} has")
    reason = misfit(spec.btf, one.type_id, place.btf, theirs.type_id)
    if reason:
        raise NotSupported(f"the kernel's {word} {name} has another type ({reason})")
    return Supply(place.type_id, place.module)


def _has_cookie(_kernel: Here) -> bool:
    """Return whether programs may ask what was said when they were attached."""
    code = Insn(BPF_JMP | BPF_CALL, imm=Helper.get_attach_cookie).encode() + Insn(BPF_JMP | BPF_EXIT).encode()
    try:
        programs.load(ProgType.TRACEPOINT, code).fd.close()
    except OSError:
        return False
    return True


def _has_wrapper(kernel: Here) -> bool:
    """Return whether system calls have their arguments in a struct of registers."""
    return any(kernel.symbols.has(name) for name in _WRAPPERS)


_OURS: dict[str, Callable[[Here], bool]] = {
    "LINUX_HAS_BPF_COOKIE": _has_cookie,
    "LINUX_HAS_SYSCALL_WRAPPER": _has_wrapper,
}
