"""bpf(2), and the commands that all kinds of objects share: ids, descriptors, pins, info.

The other commands are in maps.py, programs.py and attach.py: one function each, plain Python in, bytes, int or FD out.
Failure is a plain OSError with the kernel's errno; the caller knows what was wanted and says so.
What is the same for all commands is handled here, once:

* EINTR is tried again, after Python has run its signal handlers (so Ctrl-C still ends the program);
* EAGAIN of the verifier, which means that a signal came while it ran, is tried again a few times;
* EPERM of a command that charges memory is tried again with RLIMIT_MEMLOCK raised: kernels before 5.11
  count BPF memory against it and answer EPERM when it is used up (commit 3ac1f01b43b6, "bpf: Eliminate
  rlimit-based memory accounting for bpf progs", Linux 5.11);
* buffers are always zeroed, since newer kernels read fields that older programs leave as garbage.

The structures are those of abi.h; their source is include/uapi/linux/bpf.h, union bpf_attr.
"""

from __future__ import annotations

import os
import sys
from errno import EAGAIN, EINTR, ENOSPC, EPERM
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys._ffi import ffi, lib
from bpfctl._sys.fd import FD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Members = dict[str, object]
    Trace = Callable[[str, Members, int, Members], None]

# enum bpf_cmd; plain numbers, since an enumeration of them would cost start-up time.
MAP_CREATE, MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM, MAP_GET_NEXT_KEY = range(5)
PROG_LOAD, OBJ_PIN, OBJ_GET, PROG_ATTACH, PROG_DETACH, PROG_TEST_RUN = range(5, 11)
PROG_GET_NEXT_ID, MAP_GET_NEXT_ID, PROG_GET_FD_BY_ID, MAP_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = range(11, 16)
PROG_QUERY, RAW_TRACEPOINT_OPEN, BTF_LOAD, BTF_GET_FD_BY_ID, TASK_FD_QUERY = range(16, 21)
MAP_LOOKUP_AND_DELETE_ELEM, MAP_FREEZE, BTF_GET_NEXT_ID = range(21, 24)
MAP_LOOKUP_BATCH, MAP_LOOKUP_AND_DELETE_BATCH, MAP_UPDATE_BATCH, MAP_DELETE_BATCH = range(24, 28)
LINK_CREATE, LINK_UPDATE, LINK_GET_FD_BY_ID, LINK_GET_NEXT_ID, ENABLE_STATS = range(28, 33)
ITER_CREATE, LINK_DETACH, PROG_BIND_MAP, TOKEN_CREATE, PROG_STREAM_READ_BY_FD = range(33, 38)

_CHARGES_MEMORY = frozenset({MAP_CREATE, PROG_LOAD, BTF_LOAD, MAP_UPDATE_ELEM, MAP_UPDATE_BATCH})
_BPF_FS_MAGIC = 0xCAFE4A11  # include/uapi/linux/magic.h
_VERIFIER_TRIES = 5  # as often as libbpf tries
LARGEST_ANSWER = 64 << 20  # a kernel that asks for more than this in one array is not believed

_trace: Trace | None = None


def set_trace(trace: Trace | None) -> None:
    """Call ``trace(call, given, answer, got)`` after each system call.

    ``given`` are the attributes that are not zero, by the kernel's names, ``got`` those that the kernel has changed;
    the answer is a result, or a negated errno.
    """
    global _trace  # noqa: PLW0603 - one process has one kernel door, and this is its peephole
    _trace = trace


def is_traced() -> bool:
    """Return whether somebody wants to be told each call."""
    return _trace is not None


def error(rc: int) -> OSError:
    """Return the OSError of a negated errno."""
    return OSError(-rc, os.strerror(-rc))


# Members that are the address of a string, whatever the structure.
_STRINGS = frozenset({"pathname", "license", "name"})


def describe(attr: Any) -> Members:
    """Return the members of an attribute structure that are not zero; strings as text, addresses as numbers."""
    members: Members = {}
    for name, field in ffi.typeof(attr).item.fields:
        value = getattr(attr, name)
        if field.type.kind == "array":
            data = bytes(ffi.buffer(value))
            text = data.rstrip(b"\0")
            value = text.decode(errors="surrogateescape") if "char" in field.type.cname else text and data.hex()
        elif value and name in _STRINGS:
            value = os.fsdecode(ffi.string(ffi.cast("char *", value)))
        elif name.endswith("fd") and value == 0xFFFFFFFF:
            value = -1
        if value:
            members[name] = value
    return members


def traced(call: str, attr: Any, make: Callable[[], int], **others: object) -> int:
    """Make a system call and show it to whoever set a trace; ``others`` are its arguments besides the structure."""
    if _trace is None:
        return make()
    given = describe(attr) if attr is not None else {}
    rc = make()
    after = describe(attr) if attr is not None else {}
    _trace(call, given | others, rc, {name: value for name, value in after.items() if given.get(name) != value})
    return rc


def raise_memlock() -> bool:
    """Raise RLIMIT_MEMLOCK as far as we may; False when that changes nothing."""
    import resource  # noqa: PLC0415 - only kernels before 5.11 come here

    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited:
        return False
    for wanted in ((unlimited, unlimited), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, wanted)
        except (PermissionError, ValueError):
            continue
        return wanted[0] != soft
    return False


def once(cmd: int, attr: Any) -> int:
    """Make the call, whatever comes of it, and return what the kernel answered: a result, or a negated errno."""
    size = ffi.sizeof(attr[0])
    if _trace is None:
        rc: int = lib.bpfctl_bpf(cmd, attr, size)
        return rc
    from bpfctl.uapi.commands import Cmd  # noqa: PLC0415 - only a trace needs the names

    return traced(f"BPF_{Cmd(cmd).name}", attr, lambda: int(lib.bpfctl_bpf(cmd, attr, size)))


def answer(cmd: int, attr: Any) -> int:
    """Make the call and return what the kernel answered: a result, or a negated errno."""
    rc = once(cmd, attr)
    if rc < 0:
        tries = _VERIFIER_TRIES if cmd == PROG_LOAD else 0
        if rc == -EPERM and cmd in _CHARGES_MEMORY and raise_memlock():
            rc = once(cmd, attr)
        while rc == -EINTR or (rc == -EAGAIN and tries > 0):
            tries -= rc == -EAGAIN
            rc = once(cmd, attr)
    return rc


def call(cmd: int, attr: Any) -> int:
    """Make the call and return its result; OSError with the kernel's errno."""
    rc = answer(cmd, attr)
    if rc < 0:
        raise error(rc)
    return rc


def address(data: Any) -> int:
    """Return the address of a buffer, as the kernel wants it in a 64-bit field."""
    return int(ffi.cast("uintptr_t", data))


def input_(data: bytes | bytearray | memoryview | None) -> tuple[Any, int]:
    """Return a buffer that must outlive the call, and its address; the address is 0 for None."""
    if data is None:
        return None, 0
    # A memoryview that is part of a cycle, as that of an error with its frames, takes the process down when both are
    # collected: CPython clears it although cffi still holds its buffer.
    buffer = ffi.from_buffer(bytes(data) if isinstance(data, memoryview) else data)
    return buffer, address(buffer)


def path_(path: str | bytes) -> tuple[Any, int]:
    """Return a path as a C string that must outlive the call, and its address; ValueError for a null byte in it."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("a path cannot contain a null byte")
    text = ffi.new("char[]", name)
    return text, address(text)


def next_id(cmd: int, start: int) -> int:
    """Return the first id after ``start`` (PROG_GET_NEXT_ID and its like); FileNotFoundError after the last."""
    attr = ffi.new("struct bpf_id_attr *")
    attr.id = start
    call(cmd, attr)
    return int(attr.next_id)


def fd_by_id(cmd: int, id_: int, open_flags: int = 0) -> FD:
    """Open an object by its id (PROG_GET_FD_BY_ID and its like)."""
    attr = ffi.new("struct bpf_id_attr *")
    attr.id = id_
    attr.open_flags = open_flags
    return FD(call(cmd, attr))


def obj_pin(fd: int, path: str | bytes) -> None:
    """Pin an object at a path in a BPF file system."""
    attr = ffi.new("struct bpf_obj_attr *")
    _text, attr.pathname = path_(path)
    attr.bpf_fd = fd
    call(OBJ_PIN, attr)


def obj_get(path: str | bytes, file_flags: int = 0) -> FD:
    """Open a pinned object; file_flags may hold BPF_F_RDONLY or BPF_F_WRONLY."""
    attr = ffi.new("struct bpf_obj_attr *")
    _text, attr.pathname = path_(path)
    attr.file_flags = file_flags
    return FD(call(OBJ_GET, attr))


def mount_bpffs(folder: str | bytes) -> None:
    """Mount a BPF file system over a folder, with mode 0700 and private to this mount namespace."""
    text, _ = path_(folder)
    rc = traced("mount", None, lambda: lib.bpfctl_mount_bpffs(text), target=os.fsdecode(folder), type="bpf")
    if rc < 0:
        raise error(rc)


def is_bpffs(folder: str) -> bool:
    """Return whether a folder lies in a BPF file system; False where it is not there, or cannot be reached."""
    if "\0" in folder:
        return False
    text, _ = path_(folder)
    return bool(lib.bpfctl_fs_type(text) == _BPF_FS_MAGIC)


def unmount(folder: str) -> None:
    """Take away what is mounted over a folder last."""
    text, _ = path_(folder)
    rc = traced("umount2", None, lambda: lib.bpfctl_unmount(text), target=folder)
    if rc < 0:
        raise error(rc)


def detached_mount(kind: str) -> FD:
    """Return the root of a file system that is mounted nowhere, and gone with the descriptor (Linux 5.2)."""
    rc = traced("fsmount", None, lambda: lib.bpfctl_detached_mount(kind.encode()), type=kind)
    if rc < 0:
        raise error(rc)
    return FD(rc)


class Array(NamedTuple):
    """A buffer that an info structure points to: where its pointer and its length stand, and how much room to offer."""

    pointer: int
    length: int
    room: int
    width: int = 1


def obj_info(
    fd: int,
    size: int,
    arrays: Sequence[Array] = (),
    words: Sequence[tuple[int, int]] = (),
) -> tuple[bytes, list[bytes]]:
    """Return the info structure of an object, as long as the kernel wrote it, and the arrays it points to.

    An array for which the kernel has more than the offered room is asked for again with enough; one with no
    room is not asked for. ``words`` are further (offset, 32-bit value) pairs that the kernel wants to see, such
    as the size of a record.
    """
    info = ffi.new("uint8_t[]", size)
    view = ffi.buffer(info)
    attr = ffi.new("struct bpf_info_attr *")
    rooms = [array.room for array in arrays]
    while True:
        attr.bpf_fd = fd
        attr.info_len = size
        attr.info = address(info)
        buffers = [ffi.new("uint8_t[]", room * array.width) for room, array in zip(rooms, arrays, strict=True)]
        for buffer, room, array in zip(buffers, rooms, arrays, strict=True):
            if room:
                view[array.pointer : array.pointer + 8] = address(buffer).to_bytes(8, sys.byteorder)
                view[array.length : array.length + 4] = room.to_bytes(4, sys.byteorder)
        for offset, word in words:
            view[offset : offset + 4] = word.to_bytes(4, sys.byteorder)
        rc = answer(OBJ_GET_INFO_BY_FD, attr)
        if rc == -ENOSPC and any(rooms) and max(rooms) < LARGEST_ANSWER:
            rooms = [room * 4 for room in rooms]
        elif rc < 0:
            raise error(rc)
        else:
            written = int(attr.info_len)
            counts = [
                int.from_bytes(view[a.length : a.length + 4], sys.byteorder) if a.length + 4 <= written else 0
                for a in arrays
            ]
            if all(count <= room or not room for count, room in zip(counts, rooms, strict=True)):
                taken = zip(counts, rooms, buffers, arrays, strict=True)
                return view[:written], [
                    bytes(ffi.buffer(buffer, min(count, room) * array.width)) for count, room, buffer, array in taken
                ]
            rooms = [max(count, room) if room else 0 for count, room in zip(counts, rooms, strict=True)]
            if any(r * a.width > LARGEST_ANSWER for r, a in zip(rooms, arrays, strict=True)):
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        view[:size] = bytes(size)
