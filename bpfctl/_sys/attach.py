"""The commands of bpf(2) that attach, detach and ask what is attached."""

from __future__ import annotations

import os
import struct
from errno import EINVAL, ENOSPC
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import calls
from bpfctl._sys._ffi import ffi
from bpfctl._sys.fd import FD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any


def attach(
    target_fd: int,
    prog_fd: int,
    attach_type: int,
    flags: int = 0,
    *,
    replace_fd: int = 0,
    relative_fd: int = 0,
    expected_revision: int = 0,
) -> None:
    """Attach a program without a link; target_fd is an ifindex for tcx and netkit."""
    attr = ffi.new("struct bpf_prog_attach_attr *")
    attr.target_fd, attr.attach_bpf_fd, attr.attach_type, attr.attach_flags = target_fd, prog_fd, attach_type, flags
    attr.replace_bpf_fd, attr.relative_fd, attr.expected_revision = replace_fd, relative_fd, expected_revision
    calls.call(calls.PROG_ATTACH, attr)


def detach(target_fd: int, prog_fd: int, attach_type: int, flags: int = 0) -> None:
    """Detach a program that was attached without a link."""
    attr = ffi.new("struct bpf_prog_attach_attr *")
    attr.target_fd, attr.attach_bpf_fd, attr.attach_type, attr.attach_flags = target_fd, prog_fd, attach_type, flags
    calls.call(calls.PROG_DETACH, attr)


class Attached(NamedTuple):
    """What BPF_PROG_QUERY tells of one attach point; the tuples run side by side and may be empty."""

    attach_flags: int
    revision: int
    prog_ids: tuple[int, ...]
    prog_flags: tuple[int, ...]
    link_ids: tuple[int, ...]
    link_flags: tuple[int, ...]


def query(
    target_fd: int, attach_type: int, query_flags: int = 0, *, flags: bool = False, details: bool = False
) -> Attached:
    """Return what is attached at a point; target_fd is an ifindex for tcx and netkit.

    ``flags`` asks for the flags of each program too (Linux 6.0), ``details`` for those and the links (Linux 6.6);
    older kernels refuse both with EINVAL.
    """
    room = 64
    while True:
        attr = ffi.new("struct bpf_prog_query_attr *")
        lists = [ffi.new("uint32_t[]", room) for _ in range(4 if details else 2 if flags else 1)]
        attr.target_fd, attr.attach_type, attr.query_flags, attr.count = target_fd, attach_type, query_flags, room
        attr.prog_ids = calls.address(lists[0])
        if flags or details:
            attr.prog_attach_flags = calls.address(lists[1])
        if details:
            attr.link_ids, attr.link_attach_flags = (calls.address(part) for part in lists[2:])
        rc = calls.answer(calls.PROG_QUERY, attr)
        if rc == -ENOSPC and room < 1 << 20:
            room *= 4
            continue
        if rc < 0:
            raise calls.error(rc)
        got = [tuple(part[0 : attr.count]) for part in lists] + [()] * (4 - len(lists))
        return Attached(int(attr.attach_flags), int(attr.revision), *got)


def query_each(
    target_fd: int, attach_types: Iterable[int], query_flags: int = 0, *, flags: bool = False
) -> Iterator[tuple[int, Attached]]:
    """Yield those of several attach types as which something is attached, as `query` tells each, in less time.

    A type that the kernel refuses with EINVAL is left out: it does not know it.
    """
    attr, ids, each = ffi.new("struct bpf_prog_query_attr *"), ffi.new("uint32_t[]", 64), ffi.new("uint32_t[]", 64)
    attr.target_fd, attr.query_flags, attr.prog_ids = target_fd, query_flags, calls.address(ids)
    attr.prog_attach_flags = calls.address(each) if flags else 0
    for attach_type in attach_types:
        attr.attach_type, attr.attach_flags, attr.count, attr.revision = attach_type, 0, 64, 0
        rc = calls.answer(calls.PROG_QUERY, attr)
        if rc == -ENOSPC:
            yield attach_type, query(target_fd, attach_type, query_flags, flags=flags)
        elif rc not in {0, -EINVAL}:
            raise calls.error(rc)
        elif rc == 0 and attr.count:
            count = attr.count
            told = tuple(each[0:count]) if flags else ()
            yield attach_type, Attached(int(attr.attach_flags), int(attr.revision), tuple(ids[0:count]), told, (), ())


def raw_tracepoint_open(name: str | None, prog_fd: int, cookie: int = 0) -> FD:
    """Attach to a raw tracepoint by name; None for program types that name their target themselves."""
    attr = ffi.new("struct bpf_raw_tracepoint_attr *")
    text = ffi.new("char[]", name.encode(errors="surrogateescape")) if name is not None else None
    attr.name = calls.address(text) if text is not None else 0
    attr.prog_fd, attr.cookie = prog_fd, cookie
    return FD(calls.call(calls.RAW_TRACEPOINT_OPEN, attr))


def link_create(prog_fd: int, target_fd: int, attach_type: int, flags: int = 0, extra: bytes = b"") -> FD:
    """Create a link; ``extra`` is the part of the attributes that depends on the attach type, at most 48 bytes."""
    attr = ffi.new("struct bpf_link_create_attr *")
    attr.prog_fd, attr.target_fd, attr.attach_type, attr.flags = prog_fd, target_fd, attach_type, flags
    ffi.buffer(attr.extra)[0 : len(extra)] = extra
    return FD(calls.call(calls.LINK_CREATE, attr))


def link_update(link_fd: int, new_fd: int, flags: int = 0, old_fd: int = 0) -> None:
    """Put another program (or struct_ops map) behind a link."""
    attr = ffi.new("struct bpf_link_update_attr *")
    attr.link_fd, attr.new_fd, attr.flags, attr.old_fd = link_fd, new_fd, flags, old_fd
    calls.call(calls.LINK_UPDATE, attr)


def link_detach(link_fd: int) -> None:
    """Detach a link from its target while it stays open."""
    attr = ffi.new("struct bpf_link_detach_attr *")
    attr.link_fd = link_fd
    calls.call(calls.LINK_DETACH, attr)


def iter_create(link_fd: int) -> FD:
    """Return a descriptor from which the output of an iterator link is read."""
    attr = ffi.new("struct bpf_iter_create_attr *")
    attr.link_fd = link_fd
    return FD(calls.call(calls.ITER_CREATE, attr))


class TaskFd(NamedTuple):
    """What BPF_TASK_FD_QUERY tells of a perf event or raw tracepoint of a process."""

    prog_id: int
    fd_type: int
    name: bytes
    offset: int
    address: int


def task_fd_query(pid: int, fd: int) -> TaskFd:
    """Ask what BPF program is attached to a descriptor of a process."""
    attr, buffer = ffi.new("struct bpf_task_fd_query_attr *"), ffi.new("char[]", _NAME_ROOM)
    calls.call(calls.TASK_FD_QUERY, _asked(attr, buffer, pid, fd))
    return _task_fd(attr, buffer)


def task_fds(pid: int, fds: Iterable[int]) -> Iterator[tuple[int, TaskFd]]:
    """Yield those descriptors of a process that a BPF program is attached to, with what the kernel tells of each."""
    attr, buffer = ffi.new("struct bpf_task_fd_query_attr *"), ffi.new("char[]", _NAME_ROOM)
    for fd in fds:
        if calls.answer(calls.TASK_FD_QUERY, _asked(attr, buffer, pid, fd)) >= 0:
            yield fd, _task_fd(attr, buffer)


_NAME_ROOM = 4096


def _asked(attr: Any, buffer: Any, pid: int, fd: int) -> Any:
    """Return the attributes of a question; the kernel overwrites some of them with its answer."""
    attr.pid, attr.fd, attr.buf_len, attr.buf = pid, fd, _NAME_ROOM, calls.address(buffer)
    buffer[0] = b"\0"
    return attr


def _task_fd(attr: Any, buffer: Any) -> TaskFd:
    name = bytes(ffi.string(buffer))
    return TaskFd(int(attr.prog_id), int(attr.fd_type), name, int(attr.probe_offset), int(attr.probe_addr))


def uprobe_multi(
    prog_fd: int,
    path: str,
    places: Sequence[tuple[int, int, int]],
    *,
    attach_type: int,
    flags: int = 0,
    pid: int = 0,
) -> FD:
    """Create a link to places in a file: the offset, that of its reference counter or 0, and the cookie of each."""
    text = ffi.new("char[]", os.fsencode(path))
    offsets, counters, cookies = (ffi.new("uint64_t[]", list(column)) for column in zip(*places, strict=True))
    # The members of uprobe_multi in union bpf_attr (include/uapi/linux/bpf.h).
    pointers = (calls.address(part) for part in (text, offsets, counters, cookies))
    extra = struct.pack("=QQQQIII", *pointers, len(places), flags, pid)
    return link_create(prog_fd, 0, attach_type, extra=extra)


def kprobe_multi(
    prog_fd: int, symbols: Sequence[str], cookies: Sequence[int], *, attach_type: int, flags: int = 0
) -> FD:
    """Create a link to functions of the kernel, with a cookie for each."""
    texts = [ffi.new("char[]", symbol.encode(errors="surrogateescape")) for symbol in symbols]
    names = ffi.new("uint64_t[]", [calls.address(text) for text in texts])
    numbers = ffi.new("uint64_t[]", list(cookies))
    # The members of kprobe_multi in union bpf_attr (include/uapi/linux/bpf.h): flags, cnt, syms, addrs, cookies.
    extra = struct.pack("=IIQQQ", flags, len(texts), calls.address(names), 0, calls.address(numbers))
    return link_create(prog_fd, 0, attach_type, extra=extra)
