"""The commands of bpf(2) that work on maps."""

from __future__ import annotations

import os
from errno import EBUSY, EDEADLK, EINTR, ENOENT, ETIMEDOUT
from typing import Any, NamedTuple

from bpfctl._sys import calls
from bpfctl._sys._ffi import ffi
from bpfctl._sys.fd import FD


def create(
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
) -> FD:
    """Create a map; sizes in bytes, the name at most 15 bytes."""
    attr = ffi.new("struct bpf_map_create_attr *")
    attr.map_type, attr.key_size, attr.value_size, attr.max_entries = map_type, key_size, value_size, max_entries
    attr.map_flags, attr.inner_map_fd, attr.numa_node, attr.map_ifindex = flags, inner_map_fd, numa_node, ifindex
    attr.map_name = name
    attr.btf_fd, attr.btf_key_type_id, attr.btf_value_type_id = btf_fd, btf_key_type_id, btf_value_type_id
    attr.btf_vmlinux_value_type_id, attr.map_extra = btf_vmlinux_value_type_id, map_extra
    attr.value_type_btf_obj_fd = value_type_btf_obj_fd
    return FD(calls.call(calls.MAP_CREATE, attr))


def _elem(cmd: int, fd: int, key: bytes | None, value: Any, flags: int) -> None:
    attr = ffi.new("struct bpf_map_elem_attr *")
    attr.map_fd = fd
    _keep, attr.key = calls.input_(key)
    attr.value = calls.address(value) if value is not None else 0
    attr.flags = flags
    calls.call(cmd, attr)


def lookup(fd: int, key: bytes | None, value_size: int, flags: int = 0) -> bytes:
    """Return the value of a key; value_size is what the kernel copies (per-CPU maps: a slot for each CPU)."""
    value = ffi.new("uint8_t[]", value_size)
    _elem(calls.MAP_LOOKUP_ELEM, fd, key, value, flags)
    return bytes(ffi.buffer(value))


def may_hold(fd: int, value: bytes) -> bool:
    """Return whether a value may be in a bloom filter (Linux 5.16), asked for by a lookup without key."""
    try:
        _elem(calls.MAP_LOOKUP_ELEM, fd, None, ffi.from_buffer(value), 0)
    except FileNotFoundError:
        return False
    return True


def lookup_and_delete(fd: int, key: bytes | None, value_size: int, flags: int = 0) -> bytes:
    """Return the value of a key and delete it, in one step; queues and stacks have no key."""
    value = ffi.new("uint8_t[]", value_size)
    _elem(calls.MAP_LOOKUP_AND_DELETE_ELEM, fd, key, value, flags)
    return bytes(ffi.buffer(value))


def update(fd: int, key: bytes | None, value: bytes, flags: int = 0) -> None:
    """Set the value of a key; flags are BPF_ANY, BPF_NOEXIST, BPF_EXIST and BPF_F_LOCK."""
    _elem(calls.MAP_UPDATE_ELEM, fd, key, ffi.from_buffer(value), flags)


def delete(fd: int, key: bytes) -> None:
    """Delete a key; FileNotFoundError when it is not there."""
    _elem(calls.MAP_DELETE_ELEM, fd, key, None, 0)


def next_key(fd: int, key: bytes | None, key_size: int) -> bytes:
    """Return the key after ``key``, or the first for None; FileNotFoundError after the last."""
    following = ffi.new("uint8_t[]", key_size)
    _elem(calls.MAP_GET_NEXT_KEY, fd, key, following, 0)
    return bytes(ffi.buffer(following))


def freeze(fd: int) -> None:
    """Make a map read-only for user space, for good."""
    attr = ffi.new("struct bpf_map_elem_attr *")
    attr.map_fd = fd
    calls.call(calls.MAP_FREEZE, attr)


class Batch(NamedTuple):
    """What a batch lookup returned: packed keys, packed values, their number, and where the next batch starts."""

    keys: bytes
    values: bytes
    entries: int
    cursor: bytes | None  # None: this was the last batch
    errno: int = 0  # why it stopped early, at an entry that was in the way


# Answers to a batch lookup that has taken what it could: an entry vanished three times under its hands (EINTR, in
# generic_map_lookup_batch() up to Linux 6.13), or others hold the lock of a bucket (htab_lock_bucket()).
_STOPPED = frozenset({EINTR, EBUSY, EDEADLK, ETIMEDOUT})


def lookup_batch(fd: int, cursor: bytes | None, count: int, key_size: int, value_size: int) -> Batch:
    """Return up to ``count`` entries from ``cursor`` (None: the first) on.

    OSError ENOSPC: a hash bucket has more entries than ``count``; try again with more room.
    """
    attr = ffi.new("struct bpf_map_batch_attr *")
    # A hash map's cursor is a 4-byte bucket number whatever the size of its keys.
    following = ffi.new("uint8_t[]", max(key_size, 4))
    if cursor is not None:
        ffi.memmove(following, cursor, len(cursor))  # where a batch that stops at its first entry goes on
    keys = ffi.new("uint8_t[]", count * key_size)
    values = ffi.new("uint8_t[]", count * value_size)
    _keep, attr.in_batch = calls.input_(cursor)
    attr.out_batch, attr.keys, attr.values = calls.address(following), calls.address(keys), calls.address(values)
    attr.count, attr.map_fd = count, fd
    rc = calls.once(calls.MAP_LOOKUP_BATCH, attr)
    if rc < 0 and rc != -ENOENT and -rc not in _STOPPED:
        raise calls.error(rc)
    got = int(attr.count)
    return Batch(
        bytes(ffi.buffer(keys, got * key_size)),
        bytes(ffi.buffer(values, got * value_size)),
        got,
        None if rc == -ENOENT else bytes(ffi.buffer(following)),
        0 if rc == -ENOENT else max(-rc, 0),
    )


def update_batch(fd: int, keys: bytes, values: bytes, count: int, elem_flags: int = 0) -> int:
    """Set ``count`` packed entries; return how many were set, all unless an OSError carries fewer in ``.done``."""
    return _write_batch(calls.MAP_UPDATE_BATCH, fd, (keys, values, count), elem_flags)


def delete_batch(fd: int, keys: bytes, count: int) -> int:
    """Delete ``count`` packed keys; return how many were deleted."""
    return _write_batch(calls.MAP_DELETE_BATCH, fd, (keys, None, count))


class BatchError(OSError):
    """A batch write that stopped half way; ``done`` entries were written."""

    done = 0


def _write_batch(cmd: int, fd: int, entries: tuple[bytes, bytes | None, int], elem_flags: int = 0) -> int:
    keys, values, count = entries
    attr = ffi.new("struct bpf_map_batch_attr *")
    _keep_keys, attr.keys = calls.input_(keys)
    _keep_values, attr.values = calls.input_(values)
    attr.count, attr.map_fd, attr.elem_flags = count, fd, elem_flags
    rc = calls.answer(cmd, attr)
    done = int(attr.count)
    if rc < 0:
        error = BatchError(-rc, os.strerror(-rc))
        # The kernel leaves the count alone when it refuses the arguments.
        error.done = done if done < count else 0
        raise error
    return done
