"""Where BTF is to be found: the running kernel's files and objects, the kernels in the guests' cache, and folders."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import KernelError
from bpfctl.kernel.btf import Btf
from btf import elf
from btf.errors import BTFError
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNING = Path("/sys/kernel/btf")
# A header of version 1 without flags, of 24 bytes: what a kernel that is no ELF file is searched for.
HEADER = b"\x9f\xeb\x01\x00\x18\x00\x00\x00"


class Source(NamedTuple):
    """One BTF and how bpftool is told about it, if not by a file that is made of it."""

    name: str
    place: Path | int  # a file, or the id of an object in the kernel
    over: bool = False  # whether it is split off the types of its kernel

    def read(self) -> bytes | None:
        """Return raw BTF; None when the file has none, or the object is gone."""
        if isinstance(self.place, int):
            try:
                with Btf.by_id(self.place) as object_:
                    return object_.data()
            except KernelError:
                return None
        return raw(self.place)


class Kernel(NamedTuple):
    """A kernel's own types, and all that is split off them or stands beside them."""

    name: str
    vmlinux: bytes
    sources: tuple[Source, ...]


def raw(path: Path) -> bytes | None:
    """Return the BTF in a file: a raw one, a module, packed or not, or a kernel's image; None if it has none."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    if data.startswith(elf.MAGIC):
        return elf.sections(data, (".BTF",)).get(".BTF")
    at = data.find(HEADER)
    while at >= 0:
        length = 24 + sum(int.from_bytes(data[at + place : at + place + 4], "little") for place in (16, 20))
        try:
            BTF.from_bytes(data[at : at + length])
        except BTFError:
            at = data.find(HEADER, at + 1)
        else:
            return data[at : at + length]
    return data if data[:2] in (HEADER[:2], HEADER[1::-1]) else None


def running() -> Kernel | None:
    """Return this machine's kernel: its files and its objects by id; None when it has no BTF."""
    if not (RUNNING / "vmlinux").exists():
        return None
    sources = [Source(path.name, path, over=path.name != "vmlinux") for path in sorted(RUNNING.iterdir())]
    for object_ in Btf.every():
        with object_:
            info = object_.info()
        split = bool(info.kernel_btf) and info.name != "vmlinux"
        sources.append(Source(f"id {info.id} {info.name or ''}".strip(), info.id, over=split))
    return Kernel("running", (RUNNING / "vmlinux").read_bytes(), tuple(sources))


def cached(name: str, folder: Path) -> Kernel | None:
    """Return a kernel of the guests' cache, with all modules that are there; None when it has no BTF."""
    vmlinux = raw(folder / "image")
    if vmlinux is None:
        return None
    return Kernel(name, vmlinux, (Source("vmlinux", folder / "image"), *modules(folder / "modules")))


def modules(folder: Path) -> Iterator[Source]:
    """Yield the modules below a folder, in order of their paths; many have no BTF."""
    for path in sorted([*folder.resolve().rglob("*.ko"), *folder.resolve().rglob("*.ko.xz")]):
        yield Source(path.name.partition(".")[0], path, over=True)
