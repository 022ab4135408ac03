"""
Maps of an object, made in the running kernel and filled with what the object says is in them.

Nothing is pinned: that is for whoever keeps a map. A struct of functions is made, not registered.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from errno import EINVAL
from struct import pack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl import spec as words
from bpfctl._sys import maps
from bpfctl.errors import CannotLoad, KernelError, NotSupported
from bpfctl.feature.by_type import plain
from bpfctl.host import cpus
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.map import Map
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag
from btf.types import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bpfctl._sys.fd import FD
    from bpfctl.feature.here import Here
    from bpfctl.spec import MapSpec

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_ENTRIES = 0xFFFF_FFFF
_BUFFERS = frozenset({MapType.RINGBUF, MapType.USER_RINGBUF})
LONGEST_NAME = 15
_SUFFIX = 7
_CONSTANT = frozenset({words.RODATA, words.SETTINGS})


class _Of(NamedTuple):
    """Which types a map is made with: of the object, or of the kernel for a struct of functions."""

    btf_fd: int = 0
    key: int = 0
    value: int = 0
    kernels: int = 0
    module_fd: int = 0


class Maker:
    """Makes the maps of one object; ``btf_fd`` is its types in the kernel, 0 without.

    ``name`` is the object's, and ``ifindex`` a network device that shall have the maps, 0 for none.
    """

    def __init__(self, btf_fd: int, kernel: Here, module_fd: Callable[[str], int], name: str, ifindex: int) -> None:
        self._btf_fd, self._kernel, self._module_fd = btf_fd, kernel, module_fd
        self._name, self._ifindex = name, ifindex

    def make(self, spec: MapSpec) -> Map:
        """Make a map without entries; KernelError when the kernel refuses, CannotLoad for one that only others make."""
        if spec.made_of in (words.ARENA, words.JUMPS):
            raise CannotLoad(f"bpfctl lays out no {spec.name}")
        if spec.type == MapType.STRUCT_OPS:
            return self._struct_ops(spec)
        with ExitStack() as held:
            inner = held.enter_context(self.make(spec.inner)).fileno() if spec.inner is not None else 0
            try:
                return Map(self._create(spec, inner))
            except OSError as error:
                if error.errno != EINVAL or not spec.made_of or not spec.flags & MapFlag.MMAPABLE:
                    raise _refused(spec, error) from None
        # None can be mapped before Linux 5.5 (commit fc9702273e2e, "bpf: Add mmap() support for BPF_MAP_TYPE_ARRAY").
        return self.make(spec._replace(flags=spec.flags & ~MapFlag.MMAPABLE))

    def _create(self, spec: MapSpec, inner: int) -> FD:
        """Create a map with its types, or without where maps of its type have none."""
        typed = _Of(self._btf_fd, spec.key, spec.value) if self._btf_fd and (spec.key or spec.value) else _Of()
        spec = spec._replace(name=kernel_name(spec, self._name))
        ifindex = 0 if spec.type == MapType.PERF_EVENT_ARRAY else self._ifindex
        try:
            return _create(spec, typed, inner, ifindex)
        except OSError:
            if typed == _Of():
                raise
        return _create(spec, _Of(), inner, ifindex)

    def _struct_ops(self, spec: MapSpec) -> Map:
        name = f"bpf_struct_ops_{plain(spec.struct)}"
        types = self._kernel.types
        place = types.find(name, Struct) if types is not None else None
        if place is None:
            raise NotSupported(f"the kernel's types have no struct {name}")
        module_fd = self._module_fd(place.module) if place.module else 0
        of = _Of(self._btf_fd, kernels=place.type_id, module_fd=module_fd)
        flags = spec.flags | (MapFlag.VTYPE_BTF_OBJ_FD if module_fd else 0)
        sized = spec._replace(value_size=place.btf.size_of(place.type_id), flags=flags)
        try:
            return Map(_create(sized, of, 0, self._ifindex))
        except OSError as error:
            raise _refused(spec, error) from None


def _refused(spec: MapSpec, error: OSError) -> KernelError:
    number = error.errno or 0
    hint = privilege_hint(number)
    if number == EINVAL and spec.flags & MapFlag.LINK:
        hint = "before Linux 6.4 a struct stands in section .struct_ops, as there are no links of .struct_ops.link"
    return KernelError(f"map {spec.name} cannot be made", number, hint=hint)


def kernel_name(spec: MapSpec, of: str) -> str:
    """Return what the kernel calls a map of an object of a name: one of variables is called after both.

    libbpf leaves seven bytes to the section, even if that is shorter (internal_map_name() in src/libbpf.c).
    """
    if not spec.made_of or spec.made_of == words.STRUCT_OPS:
        return spec.name
    begin = "" if "." in spec.name[1:] else of[: max(LONGEST_NAME - max(len(spec.name), _SUFFIX), 0)]
    return "".join(letter if letter.isascii() and letter.isalnum() else _plain(letter) for letter in begin + spec.name)


def _plain(letter: str) -> str:
    return letter if letter in "_." else "_"


def object_name(path: str) -> str:
    """Return what libbpf calls an object in a file: what its name begins with (bpf_object__new() in src/libbpf.c)."""
    return os.path.basename(path)[:LONGEST_NAME].partition(".")[0]


def is_custom(spec: MapSpec) -> bool:
    """Return whether a map is of variables in a section that the author has given a name, as in ``.data.more``."""
    return spec.made_of in (words.DATA, words.RODATA) and spec.name not in (".data", ".rodata")


def pin_name(spec: MapSpec, of: str) -> str:
    """Return what a map is called where it is pinned, or on a command line (bpf_map__name() in src/libbpf.c)."""
    name = spec.name if is_custom(spec) else kernel_name(spec, of)
    return name[:LONGEST_NAME] if spec.made_of == words.SETTINGS else name


def fill(spec: MapSpec, map_: Map, known: Mapping[str, int]) -> None:
    """Put into a map what it begins with; ``known`` has the descriptors of the maps and programs that it may hold."""
    try:
        if any(spec.contents) or spec.made_of in _CONSTANT:
            maps.update(map_.fileno(), bytes(4), spec.contents)
        if spec.made_of in _CONSTANT:
            maps.freeze(map_.fileno())
        for index, name in spec.slots:
            if name in known:
                maps.update(map_.fileno(), pack("=I", index), pack("=I", known[name]))
    except OSError as error:
        raise KernelError(f"map {spec.name} cannot be filled", error.errno or 0) from None


def _create(spec: MapSpec, of: _Of, inner: int, ifindex: int) -> FD:
    return maps.create(
        spec.type,
        spec.key_size,
        spec.value_size,
        entries(spec),
        name=spec.name.encode(errors="replace")[:LONGEST_NAME],
        flags=spec.flags,
        inner_map_fd=inner,
        ifindex=ifindex,
        numa_node=spec.numa_node or 0,
        map_extra=spec.extra,
        btf_fd=of.btf_fd,
        btf_key_type_id=of.key,
        btf_value_type_id=of.value,
        btf_vmlinux_value_type_id=of.kernels,
        value_type_btf_obj_fd=of.module_fd,
    )


def entries(spec: MapSpec) -> int:
    """Return how many entries a map has: one a CPU if it does not say, and whole pages where bytes are counted."""
    if spec.type == MapType.PERF_EVENT_ARRAY:
        return spec.max_entries or cpus.possible()
    if spec.type in _BUFFERS and spec.max_entries:
        pages = -(-spec.max_entries // _PAGE)
        size = _PAGE << (pages - 1).bit_length()
        return size if size <= _MOST_ENTRIES else spec.max_entries
    return spec.max_entries
