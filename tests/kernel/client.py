"""
A bpf(2) and perf_event_open(2) client for the tests alone, on ctypes.

The tests create kernel objects with it and ask it what really is there, so that the product is never checked
against itself. It therefore imports nothing of the product. Every failure is an OSError; that of a refused
program or BTF carries the kernel's log in ``log``.

Kernel: union bpf_attr in include/uapi/linux/bpf.h, struct perf_event_attr in include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path
from typing import Any

#: How many CPUs there may be: a map with values for each has room for so many.
CPUS = int(Path("/sys/devices/system/cpu/possible").read_text().strip().rpartition("-")[2]) + 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_MACHINES = {"x86_64": (321, 298), "aarch64": (280, 241), "riscv64": (280, 241), "s390x": (351, 331)}
_NR_BPF, _NR_PERF_EVENT_OPEN = _MACHINES[platform.machine()]

# In the order of enum bpf_cmd.
COMMANDS = [
    "map_create", "map_lookup_elem", "map_update_elem", "map_delete_elem", "map_get_next_key",
    "prog_load", "obj_pin", "obj_get", "prog_attach", "prog_detach", "prog_test_run",
    "prog_get_next_id", "map_get_next_id", "prog_get_fd_by_id", "map_get_fd_by_id",
    "obj_get_info_by_fd", "prog_query", "raw_tracepoint_open", "btf_load", "btf_get_fd_by_id",
    "task_fd_query", "map_lookup_and_delete_elem", "map_freeze", "btf_get_next_id", "map_lookup_batch",
    "map_lookup_and_delete_batch", "map_update_batch", "map_delete_batch", "link_create", "link_update",
    "link_get_fd_by_id", "link_get_next_id", "enable_stats", "iter_create", "link_detach",
    "prog_bind_map", "token_create", "prog_stream_read_by_fd", "prog_assoc_struct_ops",
]  # fmt: skip
_NUMBER = {name: number for number, name in enumerate(COMMANDS)}


class Layout:
    """
    The members of one command's attributes, as in ``"I map_type, p key"``.

    ``p`` is the address of a buffer or of a list of buffers, ``_`` a hole.
    """

    def __init__(self, members: str) -> None:
        pairs = [member.split() for member in members.split(",")]
        self.names = [name for _, name in pairs]
        self.codes = [code for code, _ in pairs]
        self.struct = struct.Struct("=" + "".join(code.replace("p", "Q") for code in self.codes))

    def pack(self, values: dict[str, Any], keep: list[ctypes.Array[ctypes.c_char]]) -> bytearray:
        """Lay the values out, zero where none is given; buffers are appended to ``keep``."""
        unknown = values.keys() - set(self.names)
        if unknown:
            raise TypeError(f"no such attribute: {', '.join(sorted(unknown))}")
        row: list[Any] = []
        for code, name in zip(self.codes, self.names, strict=True):
            value = values.get(name)
            if code == "p":
                row.append(0 if value is None else _address(value, keep))
            elif code.endswith("s"):
                row.append((value or "").encode() if not isinstance(value, bytes) else value)
            else:
                row.append(value or 0)
        return bytearray(self.struct.pack(*row))


def _address(value: bytes | list[bytes] | ctypes.Array[ctypes.c_char], keep: list[ctypes.Array[ctypes.c_char]]) -> int:
    if isinstance(value, list):
        value = struct.pack(f"={len(value)}Q", *(_address(item, keep) for item in value))
    buffer = ctypes.create_string_buffer(value, len(value)) if isinstance(value, bytes) else value
    keep.append(buffer)
    return ctypes.addressof(buffer)


MAP_CREATE = Layout(
    "I map_type, I key_size, I value_size, I max_entries, I map_flags, I inner_map_fd, I numa_node,"
    "16s map_name, I map_ifindex, I btf_fd, I btf_key_type_id, I btf_value_type_id,"
    "I btf_vmlinux_value_type_id, Q map_extra, i value_type_btf_obj_fd, i map_token_fd"
)
MAP_ELEM = Layout("I map_fd, I _, p key, p value, Q flags")
PROG_LOAD = Layout(
    "I prog_type, I insn_cnt, p insns, p license, I log_level, I log_size, p log_buf, I kern_version,"
    "I prog_flags, 16s prog_name, I prog_ifindex, I expected_attach_type, I prog_btf_fd,"
    "I func_info_rec_size, p func_info, I func_info_cnt,"
    "I line_info_rec_size, p line_info, I line_info_cnt, I attach_btf_id, I attach_prog_fd,"
    "I core_relo_cnt, p fd_array, p core_relos, I core_relo_rec_size, I log_true_size, i prog_token_fd,"
    "I fd_array_cnt, p signature, I signature_size, i keyring_id"
)
OBJ = Layout("p pathname, I bpf_fd, I file_flags, i path_fd, I _")
PROG_ATTACH = Layout("I target_fd, I attach_bpf_fd, I attach_type, I attach_flags, I replace_bpf_fd")
# Of tcx and netkit the kernel writes the revision, however short the attributes say to be.
PROG_QUERY = Layout(
    "I target_fd, I attach_type, I query_flags, I attach_flags, p prog_ids, I prog_cnt, I _,"
    "p prog_attach_flags, p link_ids, p link_attach_flags, Q revision"
)
TEST_RUN = Layout(
    "I prog_fd, I retval, I data_size_in, I data_size_out, p data_in, p data_out, I repeat, I duration,"
    "I ctx_size_in, I ctx_size_out, p ctx_in, p ctx_out, I flags, I cpu"
)
GET_ID = Layout("I id, I next_id, I open_flags")
INFO = Layout("I bpf_fd, I info_len, p info")
RAW_TRACEPOINT = Layout("p name, I prog_fd, I _, Q cookie")
BTF_LOAD = Layout("p btf, p btf_log_buf, I btf_size, I btf_log_size, I btf_log_level")
BIND_MAP = Layout("I prog_fd, I map_fd, I flags")
ITER_CREATE = Layout("I link_fd, I flags")
_LINK_CREATE = "I prog_fd, I target_fd, I attach_type, I flags,"
LINK_CREATE = {
    "": Layout(_LINK_CREATE + "I target_btf_id, I _"),
    "iter": Layout(_LINK_CREATE + "p iter_info, I iter_info_len, I _"),
    "perf_event": Layout(_LINK_CREATE + "Q bpf_cookie"),
    "kprobe_multi": Layout(_LINK_CREATE + "I multi_flags, I cnt, p syms, p addrs, p cookies"),
    "tracing": Layout(_LINK_CREATE + "I target_btf_id, I _, Q cookie"),
    "netfilter": Layout(_LINK_CREATE + "I pf, I hooknum, i priority, I nf_flags"),
    "uprobe_multi": Layout(
        _LINK_CREATE + "p path, p offsets, p ref_ctr_offsets, p cookies, I cnt, I multi_flags, I pid, I path_fd"
    ),
    "tracing_multi": Layout(_LINK_CREATE + "p ids, p cookies, I cnt, I _"),
}

_LOG_SIZE = 1 << 16


def bpf(command: str, layout: Layout, **values: Any) -> tuple[int, dict[str, Any]]:
    """Make one bpf(2) call; return its result and the attributes as the kernel left them."""
    keep: list[ctypes.Array[ctypes.c_char]] = []
    attr = layout.pack(values, keep)
    buffer = (ctypes.c_char * len(attr)).from_buffer(attr)
    result = _LIBC.syscall(_NR_BPF, _NUMBER[command], ctypes.byref(buffer), len(attr))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), command)
    return result, dict(zip(layout.names, layout.struct.unpack(attr), strict=True))


def map_create(map_type: int, key: int, value: int, entries: int, *, name: str = "", **extra: Any) -> int:
    """Create a map and return its fd."""
    return bpf(
        "map_create",
        MAP_CREATE,
        map_type=map_type,
        key_size=key,
        value_size=value,
        max_entries=entries,
        map_name=name,
        **extra,
    )[0]


def map_update(fd: int, key: bytes | None, value: bytes, flags: int = 0) -> None:
    """Write one element."""
    bpf("map_update_elem", MAP_ELEM, map_fd=fd, key=key, value=value, flags=flags)


def map_lookup(fd: int, key: bytes | None, value_size: int) -> bytes:
    """Read one element; queues and stacks have no keys."""
    value = ctypes.create_string_buffer(value_size)
    bpf("map_lookup_elem", MAP_ELEM, map_fd=fd, key=key, value=value)
    return value.raw


def map_next_key(fd: int, key: bytes | None, key_size: int = 512) -> bytes:
    """Return the key after another, or the first one, and what follows it up to ``key_size`` bytes."""
    following = ctypes.create_string_buffer(key_size)
    bpf("map_get_next_key", MAP_ELEM, map_fd=fd, key=key, value=following)
    return following.raw


def map_freeze(fd: int) -> None:
    """Close a map to writes by system calls."""
    bpf("map_freeze", MAP_ELEM, map_fd=fd)


def own(name: str) -> str:
    """Return a name that no other process gives, for what is looked for by name; at most 7 characters are yours."""
    return f"{name}_{os.getpid()}"


def prog_load(prog_type: int, insns: bytes, *, license: bytes = b"Dual BSD/GPL", **extra: Any) -> int:  # noqa: A002 (the kernel's word)
    """Load a program and return its fd; the error of a refused one has the verifier's words in ``log``."""
    given = {
        "prog_type": prog_type,
        "insn_cnt": len(insns) // 8,
        "insns": insns,
        "license": license + b"\0",
        **{key: value for key, value in extra.items() if key != "name"},
        "prog_name": extra.get("name", ""),
    }
    return _with_log("prog_load", PROG_LOAD, given, ("log_buf", "log_size", "log_level"))


def btf_load(raw: bytes) -> int:
    """Load BTF and return its fd; the error of a refused one has the kernel's words in ``log``."""
    names = ("btf_log_buf", "btf_log_size", "btf_log_level")
    return _with_log("btf_load", BTF_LOAD, {"btf": raw, "btf_size": len(raw)}, names)


def _with_log(command: str, layout: Layout, values: dict[str, Any], names: tuple[str, str, str]) -> int:
    """Ask for a log only when the call fails: a log costs time, and one too small is an error of its own."""
    try:
        return bpf(command, layout, **values)[0]
    except OSError as error:
        log = ctypes.create_string_buffer(_LOG_SIZE)
        try:
            fd = bpf(command, layout, **values, **dict(zip(names, (log, _LOG_SIZE, 1), strict=True)))[0]
        except OSError:
            error.log = log.value.decode(errors="replace")  # type: ignore[attr-defined]
            raise error from None
        return fd


def obj_pin(fd: int, path: str | bytes) -> None:
    """Pin an object in a bpffs."""
    bpf("obj_pin", OBJ, pathname=os.fsencode(path) + b"\0", bpf_fd=fd)


def obj_get(path: str | bytes) -> int:
    """Open a pinned object."""
    return bpf("obj_get", OBJ, pathname=os.fsencode(path) + b"\0")[0]


def ids(kind: str) -> list[int]:
    """Walk all ids of a kind: prog, map, link or btf; an old kernel without the walk has none."""
    found: list[int] = []
    current = 0
    while True:
        try:
            current = bpf(f"{kind}_get_next_id", GET_ID, id=current)[1]["next_id"]
        except OSError as error:
            if error.errno == errno.ENOENT:
                return found
            raise
        found.append(current)


def fd_by_id(kind: str, id_: int) -> int:
    """Open an object by its id."""
    return bpf(f"{kind}_get_fd_by_id", GET_ID, id=id_)[0]


def info(fd: int, size: int = 512) -> bytes:
    """Return what the kernel says about an object, as long as it wrote; arrays and strings are not asked."""
    buffer = ctypes.create_string_buffer(size)
    written = bpf("obj_get_info_by_fd", INFO, bpf_fd=fd, info_len=size, info=buffer)[1]["info_len"]
    return buffer.raw[:written]


def id_of(kind: str, fd: int) -> int:
    """Return an object's id; ``struct bpf_btf_info`` has it behind an address and a size."""
    return int(struct.unpack_from("=I", info(fd), {"prog": 4, "map": 4, "link": 4, "btf": 12}[kind])[0])


def link_create(prog_fd: int, target_fd: int, attach_type: int, how: str = "", **extra: Any) -> int:
    """Create a link and return its fd; ``how`` names the member of the attribute union that the kind uses."""
    values = {"prog_fd": prog_fd, "target_fd": target_fd, "attach_type": attach_type, **extra}
    return bpf("link_create", LINK_CREATE[how], **values)[0]


def iter_create(link_fd: int) -> int:
    """Open an iterator link for reading."""
    return bpf("iter_create", ITER_CREATE, link_fd=link_fd)[0]


def raw_tracepoint_open(name: str | None, prog_fd: int, cookie: int = 0) -> int:
    """Attach a program to a raw tracepoint, or where its load command said, and return the link's fd."""
    raw = None if name is None else name.encode() + b"\0"
    return bpf("raw_tracepoint_open", RAW_TRACEPOINT, name=raw, prog_fd=prog_fd, cookie=cookie)[0]


def prog_attach(target_fd: int, prog_fd: int, attach_type: int, flags: int = 0) -> None:
    """Attach a program without a link."""
    bpf(
        "prog_attach",
        PROG_ATTACH,
        target_fd=target_fd,
        attach_bpf_fd=prog_fd,
        attach_type=attach_type,
        attach_flags=flags,
    )


def prog_detach(target_fd: int, prog_fd: int, attach_type: int) -> None:
    """Undo ``prog_attach``."""
    bpf("prog_detach", PROG_ATTACH, target_fd=target_fd, attach_bpf_fd=prog_fd, attach_type=attach_type)


def prog_query(target_fd: int, attach_type: int) -> list[int]:
    """Return the ids of the programs that are attached without a link; sockmaps tell since Linux 5.18."""
    ids = ctypes.create_string_buffer(64 * 4)
    values = {"target_fd": target_fd, "attach_type": attach_type, "prog_ids": ids, "prog_cnt": 64}
    count = bpf("prog_query", PROG_QUERY, **values)[1]["prog_cnt"]
    return list(struct.unpack_from(f"={count}I", ids))


def prog_bind_map(prog_fd: int, map_fd: int) -> None:
    """Let a program hold a map that its instructions do not name (Linux 5.10)."""
    bpf("prog_bind_map", BIND_MAP, prog_fd=prog_fd, map_fd=map_fd)


def run(prog_fd: int, data: bytes = b"", **extra: Any) -> int:
    """Run a program once on some data (BPF_PROG_TEST_RUN) and return what it returned."""
    values = {"prog_fd": prog_fd, "data_in": data or None, "data_size_in": len(data), **extra}
    return int(bpf("prog_test_run", TEST_RUN, **values)[1]["retval"])


_PERF_ATTR = struct.Struct("=IIQQQQQIIQQQQIiQII")  # 112 bytes, what Linux 4.1 knew
_PERF_FLAG_FD_CLOEXEC = 8
_PERF_EVENT_IOC_ENABLE = 0x2400
_PERF_EVENT_IOC_SET_BPF = 0x40042408


def perf_event_open(
    type_: int,
    config: int,
    *,
    config1: int | ctypes.Array[ctypes.c_char] = 0,
    config2: int = 0,
    bp_type: int = 0,
    cpu: int = 0,
    pid: int = -1,
) -> int:
    """Open a perf event on one CPU, stopped; ``config1`` and ``config2`` are a probe's name and offset.

    Of a breakpoint they are its address and length, and ``bp_type`` says what it waits for.
    """
    address = config1 if isinstance(config1, int) else ctypes.addressof(config1)
    disabled = 1
    attr = ctypes.create_string_buffer(
        _PERF_ATTR.pack(
            type_, _PERF_ATTR.size, config, 0, 0, 0, disabled, 0, bp_type, address, config2, 0, 0, 0, 0, 0, 0, 0
        )
    )
    result = _LIBC.syscall(_NR_PERF_EVENT_OPEN, attr, pid, cpu, -1, _PERF_FLAG_FD_CLOEXEC)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "perf_event_open")
    return int(result)


def perf_event_set_bpf(event_fd: int, prog_fd: int) -> None:
    """Attach a program to a perf event without a link, and start the event."""
    for request, argument in ((_PERF_EVENT_IOC_SET_BPF, prog_fd), (_PERF_EVENT_IOC_ENABLE, 0)):
        if _LIBC.ioctl(event_fd, ctypes.c_ulong(request), ctypes.c_ulong(argument)) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), "perf event ioctl")
