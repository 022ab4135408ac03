"""One function per bpf(2) command, and perf_event_open(2): plain Python in, bytes, int or FD out.

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

MAP_CREATE, MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM, MAP_GET_NEXT_KEY = range(5)
PROG_LOAD, OBJ_PIN, OBJ_GET, PROG_ATTACH, PROG_DETACH, PROG_TEST_RUN = range(5, 11)
PROG_GET_NEXT_ID, MAP_GET_NEXT_ID, PROG_GET_FD_BY_ID, MAP_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = range(11, 16)
PROG_QUERY, RAW_TRACEPOINT_OPEN, BTF_LOAD, BTF_GET_FD_BY_ID, TASK_FD_QUERY = range(16, 21)
MAP_LOOKUP_AND_DELETE_ELEM, MAP_FREEZE, BTF_GET_NEXT_ID = range(21, 24)
MAP_LOOKUP_BATCH, MAP_LOOKUP_AND_DELETE_BATCH, MAP_UPDATE_BATCH, MAP_DELETE_BATCH = range(24, 28)
LINK_CREATE, LINK_UPDATE, LINK_GET_FD_BY_ID, LINK_GET_NEXT_ID, ENABLE_STATS = range(28, 33)
ITER_CREATE, LINK_DETACH, PROG_BIND_MAP, TOKEN_CREATE, PROG_STREAM_READ_BY_FD = range(33, 38)

# enum bpf_cmd, for the trace
COMMANDS = [
    "BPF_MAP_CREATE", "BPF_MAP_LOOKUP_ELEM", "BPF_MAP_UPDATE_ELEM", "BPF_MAP_DELETE_ELEM",
    "BPF_MAP_GET_NEXT_KEY", "BPF_PROG_LOAD", "BPF_OBJ_PIN", "BPF_OBJ_GET", "BPF_PROG_ATTACH", "BPF_PROG_DETACH",
    "BPF_PROG_TEST_RUN", "BPF_PROG_GET_NEXT_ID", "BPF_MAP_GET_NEXT_ID", "BPF_PROG_GET_FD_BY_ID",
    "BPF_MAP_GET_FD_BY_ID", "BPF_OBJ_GET_INFO_BY_FD", "BPF_PROG_QUERY", "BPF_RAW_TRACEPOINT_OPEN",
    "BPF_BTF_LOAD", "BPF_BTF_GET_FD_BY_ID", "BPF_TASK_FD_QUERY", "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
    "BPF_MAP_FREEZE", "BPF_BTF_GET_NEXT_ID", "BPF_MAP_LOOKUP_BATCH", "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
    "BPF_MAP_UPDATE_BATCH", "BPF_MAP_DELETE_BATCH", "BPF_LINK_CREATE", "BPF_LINK_UPDATE",
    "BPF_LINK_GET_FD_BY_ID", "BPF_LINK_GET_NEXT_ID", "BPF_ENABLE_STATS", "BPF_ITER_CREATE", "BPF_LINK_DETACH",
    "BPF_PROG_BIND_MAP", "BPF_TOKEN_CREATE", "BPF_PROG_STREAM_READ_BY_FD",
]  # fmt: skip

_CHARGES_MEMORY = frozenset({MAP_CREATE, PROG_LOAD, BTF_LOAD, MAP_UPDATE_ELEM, MAP_UPDATE_BATCH})
_VERIFIER_TRIES = 5  # as often as libbpf tries
_LARGEST_ANSWER = 64 << 20  # a kernel that asks for more than this in one array is not believed

_trace: Trace | None = None


def set_trace(trace: Trace | None) -> None:
    """Call ``trace(call, given, answer, got)`` after each system call.

    ``given`` are the attributes that are not zero, by the kernel's names, ``got`` those that the kernel has changed;
    the answer is a result, or a negated errno.
    """
    global _trace  # noqa: PLW0603 - one process has one kernel door, and this is its peephole
    _trace = trace


def _error(rc: int) -> OSError:
    return OSError(-rc, os.strerror(-rc))


# Members that are the address of a string, whatever the structure.
_STRINGS = frozenset({"pathname", "license", "name"})


def describe(attr: Any) -> Members:
    """Return the members of an attribute structure that are not zero; strings as text, addresses as numbers."""
    members: Members = {}
    for name, field in ffi.typeof(attr).item.fields:
        value = getattr(attr, name)
        if field.type.kind == "array":
            value = bytes(ffi.buffer(value))
            value = value.rstrip(b"\0").decode(errors="surrogateescape") if "char" in field.type.cname else value.hex()
            value = value if value.strip("0") else ""
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


def _raise_memlock() -> bool:
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


def _once(cmd: int, attr: Any) -> int:
    size = ffi.sizeof(attr[0])
    if _trace is None:
        rc: int = lib.bpfctl_bpf(cmd, attr, size)
        return rc
    return traced(COMMANDS[cmd], attr, lambda: int(lib.bpfctl_bpf(cmd, attr, size)))


def _answer(cmd: int, attr: Any) -> int:
    """Make the call and return what the kernel answered: a result, or a negated errno."""
    rc = _once(cmd, attr)
    if rc < 0:
        tries = _VERIFIER_TRIES if cmd == PROG_LOAD else 0
        if rc == -EPERM and cmd in _CHARGES_MEMORY and _raise_memlock():
            rc = _once(cmd, attr)
        while rc == -EINTR or (rc == -EAGAIN and tries > 0):
            tries -= rc == -EAGAIN
            rc = _once(cmd, attr)
    return rc


def _bpf(cmd: int, attr: Any) -> int:
    rc = _answer(cmd, attr)
    if rc < 0:
        raise _error(rc)
    return rc


def _address(data: Any) -> int:
    return int(ffi.cast("uintptr_t", data))


def _input(data: bytes | bytearray | memoryview | None) -> tuple[Any, int]:
    """Return a buffer that must outlive the call, and its address; the address is 0 for None."""
    if data is None:
        return None, 0
    buffer = ffi.from_buffer(data)
    return buffer, _address(buffer)


def _path(path: str | bytes) -> tuple[Any, int]:
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("a path cannot contain a null byte")
    text = ffi.new("char[]", name)
    return text, _address(text)


# ids and handles ------------------------------------------------------------------------------------------


def next_id(cmd: int, start: int) -> int:
    """Return the first id after ``start`` (PROG_GET_NEXT_ID and its like); FileNotFoundError after the last."""
    attr = ffi.new("struct bpf_id_attr *")
    attr.id = start
    _bpf(cmd, attr)
    return int(attr.next_id)


def fd_by_id(cmd: int, id_: int, open_flags: int = 0) -> FD:
    """Open an object by its id (PROG_GET_FD_BY_ID and its like)."""
    attr = ffi.new("struct bpf_id_attr *")
    attr.id = id_
    attr.open_flags = open_flags
    return FD(_bpf(cmd, attr))


def obj_pin(fd: int, path: str | bytes) -> None:
    """Pin an object at a path in a BPF file system."""
    attr = ffi.new("struct bpf_obj_attr *")
    _text, attr.pathname = _path(path)
    attr.bpf_fd = fd
    _bpf(OBJ_PIN, attr)


def obj_get(path: str | bytes, file_flags: int = 0) -> FD:
    """Open a pinned object; file_flags may hold BPF_F_RDONLY or BPF_F_WRONLY."""
    attr = ffi.new("struct bpf_obj_attr *")
    _text, attr.pathname = _path(path)
    attr.file_flags = file_flags
    return FD(_bpf(OBJ_GET, attr))


def mount_bpffs(folder: str | bytes) -> None:
    """Mount a BPF file system over a folder, with mode 0700 and private to this mount namespace."""
    text, _ = _path(folder)
    rc = traced("mount", None, lambda: lib.bpfctl_mount_bpffs(text), target=os.fsdecode(folder), type="bpf")
    if rc < 0:
        raise _error(rc)


class Array(NamedTuple):
    """A buffer that an info structure points to: where its pointer and its count stand, and how much room to offer."""

    pointer: int
    count: int
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
        attr.info = _address(info)
        buffers = [ffi.new("uint8_t[]", room * array.width) for room, array in zip(rooms, arrays, strict=True)]
        for buffer, room, array in zip(buffers, rooms, arrays, strict=True):
            if room:
                view[array.pointer : array.pointer + 8] = _address(buffer).to_bytes(8, sys.byteorder)
                view[array.count : array.count + 4] = room.to_bytes(4, sys.byteorder)
        for offset, word in words:
            view[offset : offset + 4] = word.to_bytes(4, sys.byteorder)
        rc = _answer(OBJ_GET_INFO_BY_FD, attr)
        if rc == -ENOSPC and any(rooms) and max(rooms) < _LARGEST_ANSWER:
            rooms = [room * 4 for room in rooms]
        elif rc < 0:
            raise _error(rc)
        else:
            written = int(attr.info_len)
            counts = [
                int.from_bytes(view[a.count : a.count + 4], sys.byteorder) if a.count + 4 <= written else 0 for a in arrays
            ]
            if all(count <= room or not room for count, room in zip(counts, rooms, strict=True)):
                taken = zip(counts, rooms, buffers, arrays, strict=True)
                return view[:written], [
                    bytes(ffi.buffer(buffer, min(count, room) * array.width)) for count, room, buffer, array in taken
                ]
            rooms = [max(count, room) if room else 0 for count, room in zip(counts, rooms, strict=True)]
            if any(r * a.width > _LARGEST_ANSWER for r, a in zip(rooms, arrays, strict=True)):
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        view[:size] = bytes(size)


# maps -----------------------------------------------------------------------------------------------------


def map_create(
    map_type: int,
    key_size: int,
    value_size: int,
    max_entries: int,
    *,
    name: bytes = b"",
    flags: int = 0,
    inner_map_fd: int = 0,
    numa_node: int = 0,
    ifindex: int = 0,
    btf_fd: int = 0,
    btf_key_type_id: int = 0,
    btf_value_type_id: int = 0,
    btf_vmlinux_value_type_id: int = 0,
    map_extra: int = 0,
    value_type_btf_obj_fd: int = 0,
    token_fd: int = 0,
) -> FD:
    """Create a map; sizes in bytes, the name at most 15 bytes."""
    attr = ffi.new("struct bpf_map_create_attr *")
    attr.map_type, attr.key_size, attr.value_size, attr.max_entries = map_type, key_size, value_size, max_entries
    attr.map_flags, attr.inner_map_fd, attr.numa_node, attr.map_ifindex = flags, inner_map_fd, numa_node, ifindex
    attr.map_name = name
    attr.btf_fd, attr.btf_key_type_id, attr.btf_value_type_id = btf_fd, btf_key_type_id, btf_value_type_id
    attr.btf_vmlinux_value_type_id, attr.map_extra = btf_vmlinux_value_type_id, map_extra
    attr.value_type_btf_obj_fd, attr.map_token_fd = value_type_btf_obj_fd, token_fd
    return FD(_bpf(MAP_CREATE, attr))


def _elem(cmd: int, fd: int, key: bytes | None, value: Any, flags: int) -> None:
    attr = ffi.new("struct bpf_map_elem_attr *")
    attr.map_fd = fd
    _keep, attr.key = _input(key)
    attr.value = _address(value) if value is not None else 0
    attr.flags = flags
    _bpf(cmd, attr)


def map_lookup(fd: int, key: bytes | None, value_size: int, flags: int = 0) -> bytes:
    """Return the value of a key; value_size is what the kernel copies (per-CPU maps: a slot for each CPU)."""
    value = ffi.new("uint8_t[]", value_size)
    _elem(MAP_LOOKUP_ELEM, fd, key, value, flags)
    return bytes(ffi.buffer(value))


def map_lookup_and_delete(fd: int, key: bytes | None, value_size: int, flags: int = 0) -> bytes:
    """Return the value of a key and delete it, in one step; queues and stacks have no key."""
    value = ffi.new("uint8_t[]", value_size)
    _elem(MAP_LOOKUP_AND_DELETE_ELEM, fd, key, value, flags)
    return bytes(ffi.buffer(value))


def map_update(fd: int, key: bytes | None, value: bytes, flags: int = 0) -> None:
    """Set the value of a key; flags are BPF_ANY, BPF_NOEXIST, BPF_EXIST and BPF_F_LOCK."""
    _elem(MAP_UPDATE_ELEM, fd, key, ffi.from_buffer(value), flags)


def map_delete(fd: int, key: bytes) -> None:
    """Delete a key; FileNotFoundError when it is not there."""
    _elem(MAP_DELETE_ELEM, fd, key, None, 0)


def map_next_key(fd: int, key: bytes | None, key_size: int) -> bytes:
    """Return the key after ``key``, or the first for None; FileNotFoundError after the last."""
    following = ffi.new("uint8_t[]", key_size)
    _elem(MAP_GET_NEXT_KEY, fd, key, following, 0)
    return bytes(ffi.buffer(following))


def map_freeze(fd: int) -> None:
    """Make a map read-only for user space, for good."""
    attr = ffi.new("struct bpf_map_elem_attr *")
    attr.map_fd = fd
    _bpf(MAP_FREEZE, attr)


class Batch(NamedTuple):
    """What a batch lookup returned: packed keys, packed values, their number, and where the next batch starts."""

    keys: bytes
    values: bytes
    count: int
    cursor: bytes | None  # None: this was the last batch


def map_lookup_batch(
    fd: int,
    cursor: bytes | None,
    count: int,
    key_size: int,
    value_size: int,
    *,
    delete: bool = False,
    elem_flags: int = 0,
) -> Batch:
    """Return up to ``count`` entries from ``cursor`` (None: the first) on.

    OSError ENOSPC: a hash bucket has more entries than ``count``; try again with more room.
    """
    attr = ffi.new("struct bpf_map_batch_attr *")
    # A hash map's cursor is a 4-byte bucket number whatever the size of its keys.
    following = ffi.new("uint8_t[]", max(key_size, 4))
    keys = ffi.new("uint8_t[]", count * key_size)
    values = ffi.new("uint8_t[]", count * value_size)
    _keep, attr.in_batch = _input(cursor)
    attr.out_batch, attr.keys, attr.values = _address(following), _address(keys), _address(values)
    attr.count, attr.map_fd, attr.elem_flags = count, fd, elem_flags
    try:
        _bpf(MAP_LOOKUP_AND_DELETE_BATCH if delete else MAP_LOOKUP_BATCH, attr)
    except FileNotFoundError:
        last = True
    else:
        last = False
    got = int(attr.count)
    return Batch(
        bytes(ffi.buffer(keys, got * key_size)),
        bytes(ffi.buffer(values, got * value_size)),
        got,
        None if last else bytes(ffi.buffer(following)),
    )


def map_update_batch(fd: int, keys: bytes, values: bytes, count: int, elem_flags: int = 0) -> int:
    """Set ``count`` packed entries; return how many were set, all unless an OSError carries fewer in ``.done``."""
    return _write_batch(MAP_UPDATE_BATCH, fd, keys, values, count, elem_flags)


def map_delete_batch(fd: int, keys: bytes, count: int, elem_flags: int = 0) -> int:
    """Delete ``count`` packed keys; return how many were deleted."""
    return _write_batch(MAP_DELETE_BATCH, fd, keys, None, count, elem_flags)


class BatchError(OSError):
    """A batch write that stopped half way; ``done`` entries were written."""

    done = 0


def _write_batch(cmd: int, fd: int, keys: bytes, values: bytes | None, count: int, elem_flags: int) -> int:
    attr = ffi.new("struct bpf_map_batch_attr *")
    _keep_keys, attr.keys = _input(keys)
    _keep_values, attr.values = _input(values)
    attr.count, attr.map_fd, attr.elem_flags = count, fd, elem_flags
    rc = _answer(cmd, attr)
    done = int(attr.count)
    if rc < 0:
        error = BatchError(-rc, os.strerror(-rc))
        # The kernel leaves the count alone when it refuses the arguments.
        error.done = done if done < count else 0
        raise error
    return done


# programs and BTF -----------------------------------------------------------------------------------------


class Loaded(NamedTuple):
    """A loaded program or BTF, and what the verifier wrote."""

    fd: FD
    log: str


class LoadError(OSError):
    """A load that the kernel refused; ``log`` is what the verifier wrote, and may be cut at its end."""

    log = ""


def _load(cmd: int, attr: Any, prefix: str, log_level: int, log_size: int) -> Loaded:
    """Load with a log buffer that grows while the kernel says ENOSPC."""
    while True:
        log = ffi.new("char[]", log_size) if log_level else None
        setattr(attr, prefix + "log_level", log_level)
        setattr(attr, prefix + "log_size", log_size if log_level else 0)
        setattr(attr, prefix + "log_buf", _address(log) if log is not None else 0)
        rc = _answer(cmd, attr)
        if rc == -ENOSPC and log_level and log_size < _LARGEST_ANSWER:
            log_size *= 4
            continue
        text = ffi.string(log).decode(errors="replace") if log is not None else ""
        if rc >= 0:
            return Loaded(FD(rc), text)
        error = LoadError(-rc, os.strerror(-rc))
        error.log = text
        raise error


def prog_load(
    prog_type: int,
    insns: bytes,
    *,
    license: bytes = b"GPL",  # noqa: A002 - the kernel's name for it
    name: bytes = b"",
    expected_attach_type: int = 0,
    prog_flags: int = 0,
    kern_version: int = 0,
    ifindex: int = 0,
    btf_fd: int = 0,
    func_info: bytes = b"",
    func_info_rec_size: int = 8,
    line_info: bytes = b"",
    line_info_rec_size: int = 16,
    attach_btf_id: int = 0,
    attach_fd: int = 0,
    fd_array: bytes | None = None,
    token_fd: int = 0,
    log_level: int = 0,
    log_size: int = 1 << 16,
) -> Loaded:
    """Load a program of packed 8-byte instructions; LoadError has the verifier's log where log_level asks for one.

    ``attach_fd`` is attach_prog_fd or attach_btf_obj_fd, as the program type wants it.
    """
    attr = ffi.new("struct bpf_prog_load_attr *")
    attr.prog_type, attr.insn_cnt = prog_type, len(insns) // 8
    _keep_insns, attr.insns = _input(insns)
    text = ffi.new("char[]", license)
    attr.license = _address(text)
    attr.kern_version, attr.prog_flags, attr.prog_name = kern_version, prog_flags, name
    attr.prog_ifindex, attr.expected_attach_type, attr.prog_btf_fd = ifindex, expected_attach_type, btf_fd
    if func_info:
        attr.func_info_rec_size, attr.func_info_cnt = func_info_rec_size, len(func_info) // func_info_rec_size
        _keep_func, attr.func_info = _input(func_info)
    if line_info:
        attr.line_info_rec_size, attr.line_info_cnt = line_info_rec_size, len(line_info) // line_info_rec_size
        _keep_line, attr.line_info = _input(line_info)
    attr.attach_btf_id, attr.attach_fd = attach_btf_id, attach_fd
    _keep_array, attr.fd_array = _input(fd_array)
    attr.prog_token_fd = token_fd
    return _load(PROG_LOAD, attr, "", log_level, log_size)


def btf_load(btf: bytes, *, log_level: int = 0, log_size: int = 1 << 16, token_fd: int = 0) -> Loaded:
    """Load a BTF blob; LoadError has the log where log_level asks for one."""
    attr = ffi.new("struct bpf_btf_load_attr *")
    _keep, attr.btf = _input(btf)
    attr.btf_size, attr.btf_token_fd = len(btf), token_fd
    return _load(BTF_LOAD, attr, "btf_", log_level, log_size)


class TestRun(NamedTuple):
    """The result of BPF_PROG_TEST_RUN; duration is the average of one run, in nanoseconds."""

    retval: int
    duration: int
    data_out: bytes
    ctx_out: bytes


def prog_test_run(
    fd: int,
    *,
    data_in: bytes | None = None,
    data_size_out: int = 0,
    ctx_in: bytes | None = None,
    ctx_size_out: int = 0,
    repeat: int = 0,
    flags: int = 0,
    cpu: int = 0,
    batch_size: int = 0,
) -> TestRun:
    """Run a program on given data (BPF_PROG_TEST_RUN); sizes in bytes."""
    attr = ffi.new("struct bpf_test_run_attr *")
    attr.prog_fd, attr.repeat, attr.flags, attr.cpu, attr.batch_size = fd, repeat, flags, cpu, batch_size
    _keep_data, attr.data_in = _input(data_in)
    _keep_ctx, attr.ctx_in = _input(ctx_in)
    attr.data_size_in, attr.ctx_size_in = len(data_in or b""), len(ctx_in or b"")
    data_out = ffi.new("uint8_t[]", data_size_out) if data_size_out else None
    ctx_out = ffi.new("uint8_t[]", ctx_size_out) if ctx_size_out else None
    if data_out is not None:
        attr.data_out, attr.data_size_out = _address(data_out), data_size_out
    if ctx_out is not None:
        attr.ctx_out, attr.ctx_size_out = _address(ctx_out), ctx_size_out
    _bpf(PROG_TEST_RUN, attr)
    return TestRun(
        int(attr.retval),
        int(attr.duration),
        bytes(ffi.buffer(data_out, min(attr.data_size_out, data_size_out))) if data_out is not None else b"",
        bytes(ffi.buffer(ctx_out, min(attr.ctx_size_out, ctx_size_out))) if ctx_out is not None else b"",
    )


def prog_bind_map(prog_fd: int, map_fd: int) -> None:
    """Make a program hold a map that its code does not use."""
    attr = ffi.new("struct bpf_prog_bind_map_attr *")
    attr.prog_fd, attr.map_fd = prog_fd, map_fd
    _bpf(PROG_BIND_MAP, attr)


def prog_stream_read(prog_fd: int, stream_id: int, room: int = 1 << 16) -> bytes:
    """Return what a program has written to its stream 1 (stdout) or 2 (stderr) since the last read."""
    attr = ffi.new("struct bpf_stream_read_attr *")
    buffer = ffi.new("uint8_t[]", room)
    attr.stream_buf, attr.stream_buf_len, attr.stream_id, attr.prog_fd = _address(buffer), room, stream_id, prog_fd
    return bytes(ffi.buffer(buffer, _bpf(PROG_STREAM_READ_BY_FD, attr)))


def enable_stats(kind: int = 0) -> FD:
    """Turn run statistics on for as long as the returned FD is open (BPF_STATS_RUN_TIME is 0)."""
    attr = ffi.new("struct bpf_enable_stats_attr *")
    attr.type = kind
    return FD(_bpf(ENABLE_STATS, attr))


def token_create(bpffs_fd: int) -> FD:
    """Create a token from a BPF file system that delegates rights."""
    attr = ffi.new("struct bpf_token_create_attr *")
    attr.bpffs_fd = bpffs_fd
    return FD(_bpf(TOKEN_CREATE, attr))


# attaching ------------------------------------------------------------------------------------------------


def prog_attach(
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
    _bpf(PROG_ATTACH, attr)


def prog_detach(target_fd: int, prog_fd: int, attach_type: int, flags: int = 0) -> None:
    """Detach a program that was attached without a link."""
    attr = ffi.new("struct bpf_prog_attach_attr *")
    attr.target_fd, attr.attach_bpf_fd, attr.attach_type, attr.attach_flags = target_fd, prog_fd, attach_type, flags
    _bpf(PROG_DETACH, attr)


class Attached(NamedTuple):
    """What BPF_PROG_QUERY tells of one attach point; the tuples run side by side and may be empty."""

    attach_flags: int
    revision: int
    prog_ids: tuple[int, ...]
    prog_flags: tuple[int, ...]
    link_ids: tuple[int, ...]
    link_flags: tuple[int, ...]


def prog_query(target_fd: int, attach_type: int, query_flags: int = 0, *, details: bool = False) -> Attached:
    """Return what is attached at a point; target_fd is an ifindex for tcx and netkit.

    ``details`` asks for the flags and links of each program too, which older kernels refuse with EINVAL.
    """
    room = 64
    while True:
        attr = ffi.new("struct bpf_prog_query_attr *")
        lists = [ffi.new("uint32_t[]", room) for _ in range(4 if details else 1)]
        attr.target_fd, attr.attach_type, attr.query_flags, attr.count = target_fd, attach_type, query_flags, room
        attr.prog_ids = _address(lists[0])
        if details:
            attr.prog_attach_flags, attr.link_ids, attr.link_attach_flags = (_address(part) for part in lists[1:])
        rc = _answer(PROG_QUERY, attr)
        if rc == -ENOSPC and room < 1 << 20:
            room *= 4
            continue
        if rc < 0:
            raise _error(rc)
        got = [tuple(part[0 : attr.count]) for part in lists] + [()] * (4 - len(lists))
        return Attached(int(attr.attach_flags), int(attr.revision), *got)


def raw_tracepoint_open(name: str | None, prog_fd: int, cookie: int = 0) -> FD:
    """Attach to a raw tracepoint by name; None for program types that name their target themselves."""
    attr = ffi.new("struct bpf_raw_tracepoint_attr *")
    text = ffi.new("char[]", name.encode()) if name is not None else None
    attr.name = _address(text) if text is not None else 0
    attr.prog_fd, attr.cookie = prog_fd, cookie
    return FD(_bpf(RAW_TRACEPOINT_OPEN, attr))


def link_create(prog_fd: int, target_fd: int, attach_type: int, flags: int = 0, extra: bytes = b"") -> FD:
    """Create a link; ``extra`` is the part of the attributes that depends on the attach type, at most 48 bytes."""
    attr = ffi.new("struct bpf_link_create_attr *")
    attr.prog_fd, attr.target_fd, attr.attach_type, attr.flags = prog_fd, target_fd, attach_type, flags
    ffi.buffer(attr.extra)[0 : len(extra)] = extra
    return FD(_bpf(LINK_CREATE, attr))


def link_update(link_fd: int, new_fd: int, flags: int = 0, old_fd: int = 0) -> None:
    """Put another program (or struct_ops map) behind a link."""
    attr = ffi.new("struct bpf_link_update_attr *")
    attr.link_fd, attr.new_fd, attr.flags, attr.old_fd = link_fd, new_fd, flags, old_fd
    _bpf(LINK_UPDATE, attr)


def link_detach(link_fd: int) -> None:
    """Detach a link from its target while it stays open."""
    attr = ffi.new("struct bpf_link_detach_attr *")
    attr.link_fd = link_fd
    _bpf(LINK_DETACH, attr)


def iter_create(link_fd: int) -> FD:
    """Return a descriptor from which the output of an iterator link is read."""
    attr = ffi.new("struct bpf_iter_create_attr *")
    attr.link_fd = link_fd
    return FD(_bpf(ITER_CREATE, attr))


class TaskFd(NamedTuple):
    """What BPF_TASK_FD_QUERY tells of a perf event or raw tracepoint of a process."""

    prog_id: int
    fd_type: int
    name: bytes
    offset: int
    address: int


def task_fd_query(pid: int, fd: int) -> TaskFd:
    """Ask what BPF program is attached to a descriptor of a process."""
    attr = ffi.new("struct bpf_task_fd_query_attr *")
    buffer = ffi.new("char[]", 4096)
    attr.pid, attr.fd, attr.buf_len, attr.buf = pid, fd, 4096, _address(buffer)
    _bpf(TASK_FD_QUERY, attr)
    name = bytes(ffi.string(buffer))
    return TaskFd(int(attr.prog_id), int(attr.fd_type), name, int(attr.probe_offset), int(attr.probe_addr))
