"""
Where the zoo lives: network and mount namespaces of its own, a bpffs, a tracefs and a cgroup.

Nothing of it outlives the process: mounts are in a private namespace, devices in a private network, and the
cgroup is removed at the end.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from tests.kernel.traffic import _ask, attribute

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_RTM_NEWLINK, _IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_INFO_KIND = 16, 3, 18, 1


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)


def mount(kind: str, target: Path) -> None:
    """Mount a file system that has no device."""
    target.mkdir(exist_ok=True)
    _checked(_LIBC.mount(kind.encode(), os.fsencode(target), kind.encode(), 0, None), f"mount {kind}")


def mounted(kind: str) -> list[Path]:
    """Return where file systems of a kind are mounted."""
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(line[1]) for line in lines if line[2] == kind]


def bind(folder: Path, target: Path) -> None:
    """Have a folder in another place too."""
    _checked(_LIBC.mount(os.fsencode(folder), os.fsencode(target), None, _MS_BIND, None), f"bind {folder}")


def add_device(kind: str, name: str) -> int:
    """Create a network device (with its peer, where the kind has one) by rtnetlink and return its index."""
    info = attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, kind.encode()))
    _ask(_RTM_NEWLINK, bytes(16) + attribute(_IFLA_IFNAME, name.encode() + b"\0") + info)
    return socket.if_nametoindex(name)


def _up(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        request = struct.pack("=16sH14x", name.encode(), 0)
        (flags,) = struct.unpack_from("=H", fcntl.ioctl(door, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(door, _SIOCSIFFLAGS, struct.pack("=16sH14x", name.encode(), flags | _IFF_UP))


class Place:
    """A private corner of this machine, entered by ``with``; needs root."""

    root: Path
    bpffs: Path
    tracefs: Path
    cgroup: Path
    cgroup_fd: int
    netns_fd: int

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def _enter(self, stack: ExitStack) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="bpfctl-zoo-"))
        stack.callback(shutil.rmtree, self.root)
        cwd = Path.cwd()
        for kind, flag in (("mnt", _CLONE_NEWNS), ("net", _CLONE_NEWNET)):
            home = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, home)
            _checked(_LIBC.unshare(flag), f"unshare {kind}")
            # Coming home to a mount namespace moves the working directory to its root.
            stack.callback(os.chdir, cwd)
            stack.callback(self._return, home, flag)
        _checked(_LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private")
        self.bpffs, self.tracefs = self.root / "bpf", self.root / "tracing"
        mount("bpf", self.bpffs)
        mount("tracefs", self.tracefs)
        mount("cgroup2", self.root / "cgroup")
        mount("securityfs", self.root / "security")
        self.cgroup = self.root / "cgroup" / self.root.name
        self.cgroup.mkdir()
        stack.callback(self.cgroup.rmdir)
        self.cgroup_fd = os.open(self.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, self.cgroup_fd)
        self.netns_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, self.netns_fd)
        _up("lo")

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @staticmethod
    def _return(namespace_fd: int, flag: int) -> None:
        _checked(_LIBC.setns(namespace_fd, flag), "setns")

    @property
    def lockdown(self) -> str:
        """The kernel's lockdown state, "none" without that security module."""
        with suppress(FileNotFoundError):
            words = (self.root / "security" / "lockdown").read_text().split()
            return next(word[1:-1] for word in words if word.startswith("["))
        return "none"

    def tracepoint_id(self, category: str, name: str) -> int:
        """Return the number that perf_event_open takes for a tracepoint."""
        return int((self.tracefs / "events" / category / name / "id").read_text())
