"""BTF objects: types that the kernel has of its own, of its modules, and of what was loaded."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from errno import ENODEV
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import calls
from bpfctl.errors import KernelError, VerifierError
from bpfctl.host.vmlinux import VMLINUX, vmlinux_blob
from bpfctl.kernel import handle, order
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.layouts import BTF_INFO
from btf import kind
from btf.errors import BTFError
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.owner import How, Owner
    from bpfctl.kernel.select import Select

_SYSFS = VMLINUX.removesuffix("vmlinux")

_KEPT = 8  # how many sets of types are kept; neighbours in a listing share theirs


class BtfInfo(NamedTuple):
    """One BTF object as the kernel describes it (struct bpf_btf_info).

    A field that this kernel does not know (before Linux 5.11) is None.
    """

    id: int
    size: int  # bytes
    name: str | None  # "vmlinux" or a module's; empty for what was loaded
    kernel_btf: bool | None

    @classmethod
    def from_raw(cls, raw: bytes, name: bytes = b"") -> BtfInfo:
        """Decode struct bpf_btf_info as long as the kernel wrote it, and the name that it points to."""
        f: dict[str, Any] = BTF_INFO.unpack(raw)
        named = f["name_len"] is not None
        return cls(
            f["id"],
            f["btf_size"],
            name.decode(errors="surrogateescape") if named else None,
            None if f["kernel_btf"] is None else bool(f["kernel_btf"]),
        )


class BtfRow(NamedTuple):
    """A BTF object's facts with what surrounds it."""

    info: BtfInfo
    prog_ids: tuple[int, ...]  # the programs and maps that refer to it, in bpftool's order
    map_ids: tuple[int, ...]
    owners: tuple[Owner, ...]

    @property
    def id(self) -> int:
        """The object's id."""
        return self.info.id

    @property
    def name(self) -> str:
        """The kernel's name for it; empty when it has none."""
        return self.info.name or ""

    def open(self) -> Btf:
        """Open the object; KernelError with ENOENT when it is gone meanwhile."""
        return Btf.by_id(self.info.id)


class Btf(handle.Handle):
    """An open BTF object."""

    kind = handle.BTF
    __slots__ = ()

    @classmethod
    def load(cls, data: bytes) -> Btf:
        """Load raw BTF, such as `btf.write.Builder` makes; VerifierError has the kernel's log when it is refused."""
        from bpfctl._sys import programs  # noqa: PLC0415 - listings load nothing

        try:
            return cls(programs.btf_load(data).fd)
        except OSError as error:
            number = error.errno or 0
        try:
            return cls(programs.btf_load(data, log_level=1).fd)
        except programs.LoadError as error:
            refused = VerifierError("can't load BTF", error.errno or number, error.log)
            if error.log.strip():
                refused.add_note(f"the kernel's words: {error.log.rstrip().splitlines()[-1]}")
            raise refused from None

    def info(self) -> BtfInfo:
        """Ask the kernel what it knows of the object."""
        raw, _ = self._info()
        at = BTF_INFO.offsets["name_len"]
        length = int.from_bytes(raw[at : at + 4], sys.byteorder)
        if not length:
            return BtfInfo.from_raw(raw)
        # Only now is it known that the kernel takes the address of a name, and how long that is.
        raw, name = self._info(calls.Array(BTF_INFO.offsets["name"], at, length + 1))
        return BtfInfo.from_raw(raw, name)

    def data(self) -> bytes:
        """Return the object itself: raw BTF."""
        raw, _ = self._info()
        at = BTF_INFO.offsets["btf_size"]
        size = int.from_bytes(raw[at : at + 4], sys.byteorder)
        return self._info(calls.Array(BTF_INFO.offsets["btf"], at, size))[1]

    def _info(self, *wanted: calls.Array) -> tuple[bytes, bytes]:
        try:
            raw, arrays = calls.obj_info(self.fileno(), BTF_INFO.size, wanted)
        except OSError as error:
            raise KernelError("can't get BTF object info", error.errno or 0) from None
        return raw, b"".join(arrays)


def rows(which: Select | None = None, *, owners: bool | How = True) -> Iterator[BtfRow]:
    """Yield the facts of each BTF object that is meant; ``owners`` says whether to look up who holds it."""
    around = Surroundings(handle.BTF, pinned=False, owners=owners)
    progs: dict[int, tuple[int, ...]] | None = None
    maps: dict[int, tuple[int, ...]] = {}
    for object_ in Btf.select(which):
        with object_:
            info = object_.info()
        if progs is None:
            progs, maps = order.grouped(_programs()), order.grouped(_maps())
        yield BtfRow(info, progs.get(info.id, ()), maps.get(info.id, ()), around.owners(info.id))


def _programs() -> Iterator[tuple[int, int]]:
    """Yield the BTF id and the id of each program that has BTF."""
    from bpfctl.kernel.prog import Program  # noqa: PLC0415 - loading types does not need it

    for program in Program.every():
        with program:
            try:
                info = program.info()
            except KernelError as error:
                if error.errno != ENODEV:  # its offload device is gone, and all knowledge with it
                    raise
                continue
        if info.btf_id:
            yield info.btf_id, info.id


def _maps() -> Iterator[tuple[int, int]]:
    """Yield the BTF id and the id of each map that has BTF."""
    from bpfctl.kernel.map import Map  # noqa: PLC0415 - loading types does not need it

    for map_ in Map.every():
        with map_:
            info = map_.info()
        if info.btf_id:
            yield info.btf_id, info.id


@lru_cache(maxsize=_KEPT)
def load(id_: int) -> BTF:
    """Return the types of a BTF object, a module's over those of vmlinux.

    Raises KernelError when it is gone and BTFError when it is damaged. Ids are not used again, so types are kept.
    """
    with Btf.by_id(id_) as object_:
        info = object_.info()
        data = object_.data()
    return BTF.from_bytes(data, vmlinux() if info.kernel_btf and info.name != "vmlinux" else None)


def load_over(id_: int, base: BTF) -> BTF:
    """Return the types of a BTF object that are split off those of ``base``; raises as load() does."""
    with Btf.by_id(id_) as object_:
        return BTF.from_bytes(object_.data(), base)


def is_module(id_: int) -> bool:
    """Return whether a BTF object is that of a kernel module; KernelError when it is gone."""
    with Btf.by_id(id_) as object_:
        info = object_.info()
    return bool(info.kernel_btf) and info.name != "vmlinux"


def read(path: str, base: BTF | None = None) -> BTF:
    """Return the types in a file, raw or ELF; OSError when it cannot be read, BTFError when it has none."""
    from btf import elf  # noqa: PLC0415 - most types come from the kernel

    if path == VMLINUX:
        return BTF.from_bytes(vmlinux_blob(), base)
    with open(path, "rb") as file:
        data = file.read()
    return elf.read(data, base).btf if data.startswith(elf.MAGIC) else BTF.from_bytes(data, base)


@lru_cache(maxsize=1)
def vmlinux() -> BTF:
    """Return the running kernel's own types; KernelError when it has none, BTFError when they are damaged."""
    try:
        return BTF.from_bytes(vmlinux_blob())
    except OSError as error:
        raise KernelError(f"can't read {VMLINUX}", error.errno or 0) from None


def module_blobs(needle: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the name and the raw BTF, split over that of the kernel, of each loaded module in whose BTF ``needle`` is.

    A module that goes meanwhile is left out; a kernel without BTF has none.
    """
    try:
        names = sorted(os.listdir(_SYSFS))
    except FileNotFoundError:
        return
    for name in names:
        if name == "vmlinux":
            continue
        with suppress(FileNotFoundError):
            with open(_SYSFS + name, "rb") as file:
                data = file.read()
            if needle.encode(errors="surrogateescape") in data:
                yield name, data


def function_name(btf_id: int, func_info: bytes) -> str | None:
    """Return the name of the first function of a program, from its func_info records (struct bpf_func_info).

    None when the types have no such function, are damaged or may not be read.
    """
    type_id = int.from_bytes(func_info[4:8], sys.byteorder)
    try:
        types = load(btf_id)
        return types.name(type_id) if types.kind(type_id) == kind.FUNC else None
    except (BTFError, KernelError):
        return None
