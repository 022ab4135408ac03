"""The first file system of a guest: busybox, the modules that reach the host's root, and two scripts.

The root of the guest is the host's own, read-only over 9p, under an overlay in the guest's memory: every
program of the host runs in the guest, and whatever the guest writes is gone when it ends. Only FOLDER is
the host's and writable: the command goes in there, and its output and exit code come out.
"""

from __future__ import annotations

import lzma
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tests.vm.cache import VMError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = "/run/bpfctl-vm"  # in the guest
APPLETS = ("cat", "insmod", "ip", "ln", "mkdir", "mount", "sh", "switch_root")
MODULES = ("virtio_pci", "virtio_mmio", "9pnet_virtio", "9p", "overlay")

# cache=loose lets the guest keep what it read of the root, which nothing changes while it runs: Python starts
# three times as fast. The output folder has no cache, so that the host sees each write at once.
INIT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read module; do insmod /modules/$module; done </modules.order
options=version=9p2000.L,trans=virtio,access=any,msize=262144
mount -t 9p -o ro,cache=loose,$options root /lower
mount -t tmpfs -o size=75% upper /upper
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /new
mkdir -p /new{folder} /new/boot /new/lib/modules/{release} /dev/pts /dev/shm
mount -t 9p -o $options folder /new{folder}
mount -t 9p -o ro,cache=loose,$options modules /new/lib/modules/{release}
ln -sf /lib/modules/{release}/config /new/boot/config-{release}
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
ip link set lo up
for folder in proc sys dev; do mount --move /$folder /new/$folder; done
exec switch_root /new /bin/sh {folder}/init
"""

# Before 5.11 the kernel counts BPF memory against the limit of locked memory.
SECOND_INIT = f"""\
ulimit -l unlimited
sh {FOLDER}/command </dev/null >{FOLDER}/stdout 2>{FOLDER}/stderr
echo $? >{FOLDER}/code.new && mv {FOLDER}/code.new {FOLDER}/code
echo o >/proc/sysrq-trigger
sleep 60
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a cpio archive."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def cpio(entries: Iterable[Entry]) -> bytes:
    """Write ENTRIES as "newc" (Kernel: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    archive = bytearray()
    for inode, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
        name = entry.name.encode() + b"\0"
        # c_ino, mode, uid, gid, nlink, mtime, filesize, maj, min, rmaj, rmin, namesize, chksum
        fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        archive += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        archive += bytes(-len(archive) % 4) + entry.data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


def initrd(release: str, modules: Path, busybox: Path) -> bytes:
    """Return the initial file system for a guest of RELEASE, whose modules lie in MODULES."""
    return cpio(_entries(release, modules, busybox))


def _entries(release: str, modules: Path, busybox: Path) -> Iterator[Entry]:
    folder, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    for name in ("bin", "proc", "sys", "dev", "lower", "upper", "new", "modules"):
        yield Entry(name, folder)
    yield Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    yield Entry("bin/busybox", program, _static(busybox))
    for name in APPLETS:
        yield Entry(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox")
    order = load_order((modules / "modules.dep").read_text(), MODULES)
    for path in order:
        yield Entry(f"modules/{_name(path)}", stat.S_IFREG | 0o644, _module(modules / path))
    yield Entry("modules.order", stat.S_IFREG | 0o644, "".join(f"{_name(path)}\n" for path in order).encode())
    yield Entry("init", program, INIT.format(release=release, folder=FOLDER).encode())


def load_order(modules_dep: str, wanted: Iterable[str]) -> list[str]:
    """Return the paths of the WANTED modules, each behind those that it needs; built-in ones have none."""
    needs = {}
    for line in modules_dep.splitlines():
        path, _, others = line.partition(":")
        needs[_name(path)] = (path, [_name(other) for other in others.split()])
    order: dict[str, None] = {}

    def add(name: str) -> None:
        path, others = needs[name]
        for other in others:
            add(other)
        order[path] = None

    for name in wanted:
        if name in needs:
            add(name)
    return list(order)


def _name(path: str) -> str:
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def _module(path: Path) -> bytes:
    """Read a module, unpacked: busybox first tries a packed one as it is, and the kernel logs an error."""
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def _static(busybox: Path) -> bytes:
    program = busybox.read_bytes()
    if b"/ld-linux" in program:
        raise VMError(f"{busybox} is linked dynamically: guests start with apt-get install busybox-static")
    return program
