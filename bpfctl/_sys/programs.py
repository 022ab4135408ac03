"""The commands of bpf(2) that load programs and BTF, and run them."""

from __future__ import annotations

import os
from errno import ENOSPC
from struct import iter_unpack
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import calls
from bpfctl._sys._ffi import ffi, lib
from bpfctl._sys.fd import FD

if TYPE_CHECKING:
    from collections.abc import Sequence


class Loaded(NamedTuple):
    """A loaded program or BTF, and what the verifier wrote."""

    fd: FD
    log: str


class LoadError(OSError):
    """A load that the kernel refused; ``log`` is what the verifier wrote.

    A log of more than 16 MiB is cut, and the errno then ENOSPC: kernels since Linux 6.4 leave its end, older ones its
    start.
    """

    log = ""


_LARGEST_LOG = 16 << 20
_FUNC_INFO, _LINE_INFO, _CORE_RELO = 8, 16, 16  # bytes of struct bpf_func_info, bpf_line_info and bpf_core_relo


def _load(cmd: int, attr: Any, prefix: str, log_level: int, log_size: int) -> Loaded:
    """Load with a log buffer that grows while the kernel says ENOSPC, to what it asks for if it does (Linux 6.4)."""
    while True:
        log = ffi.new("char[]", log_size) if log_level else None
        setattr(attr, prefix + "log_level", log_level)
        setattr(attr, prefix + "log_size", log_size if log_level else 0)
        setattr(attr, prefix + "log_buf", calls.address(log) if log is not None else 0)
        rc = calls.answer(cmd, attr)
        needed = getattr(attr, prefix + "log_true_size") or max(_LARGEST_LOG, log_size)
        if rc == -ENOSPC and log_level and log_size < needed <= _LARGEST_LOG:
            log_size = needed
            continue
        text = ffi.string(log).decode(errors="replace") if log is not None else ""
        if rc >= 0:
            return Loaded(FD(rc), text)
        error = LoadError(-rc, os.strerror(-rc))
        error.log = text
        raise error


def load(
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
    line_info: bytes = b"",
    attach_btf_id: int = 0,
    attach_fd: int = 0,
    fd_array: bytes | None = None,
    core_relos: bytes = b"",
    log_level: int = 0,
    log_size: int = 1 << 16,
) -> Loaded:
    """Load a program of packed 8-byte instructions; LoadError has the verifier's log where log_level asks for one.

    ``attach_fd`` is attach_prog_fd or attach_btf_obj_fd, as the program type wants it.
    """
    attr = ffi.new("struct bpf_prog_load_attr *")
    attr.prog_type, attr.insn_cnt = prog_type, len(insns) // 8
    _keep_insns, attr.insns = calls.input_(insns)
    text = ffi.new("char[]", license)
    attr.license = calls.address(text)
    attr.kern_version, attr.prog_flags, attr.prog_name = kern_version, prog_flags, name
    attr.prog_ifindex, attr.expected_attach_type, attr.prog_btf_fd = ifindex, expected_attach_type, btf_fd
    if func_info:
        attr.func_info_rec_size, attr.func_info_cnt = _FUNC_INFO, len(func_info) // _FUNC_INFO
        _keep_func, attr.func_info = calls.input_(func_info)
    if line_info:
        attr.line_info_rec_size, attr.line_info_cnt = _LINE_INFO, len(line_info) // _LINE_INFO
        _keep_line, attr.line_info = calls.input_(line_info)
    attr.attach_btf_id, attr.attach_fd = attach_btf_id, attach_fd
    _keep_array, attr.fd_array = calls.input_(fd_array)
    if core_relos:
        attr.core_relo_rec_size, attr.core_relo_cnt = _CORE_RELO, len(core_relos) // _CORE_RELO
        _keep_relos, attr.core_relos = calls.input_(core_relos)
    return _load(calls.PROG_LOAD, attr, "", log_level, log_size)


class Verdict(NamedTuple):
    """The kernel's answer to one of many loads."""

    errno: int  # 0: loaded
    said: int  # 0: the log is empty; n: the n-th phrase is in it; -1: something else is


def load_each(
    prog_type: int,
    insns: bytes,
    at: int,
    numbers: Sequence[int],
    phrases: Sequence[bytes],
    *,
    expected_attach_type: int = 0,
    prog_flags: int = 0,
    kern_version: int = 0,
    ifindex: int = 0,
    btf_fd: int = 0,
    func_info: bytes = b"",
    attach_btf_id: int = 0,
    attach_fd: int = 0,
    fd_array: bytes | None = None,
    log_size: int = 4096,
) -> list[Verdict]:
    """Load a program once for each number, which becomes the immediate of instruction ``at``; nothing stays loaded.

    The loop is in C: a question about helpers is six thousand loads.
    """
    code, log = ffi.new("uint8_t[]", insns), ffi.new("char[]", log_size)
    attr = ffi.new("struct bpf_prog_load_attr *")
    attr.prog_type, attr.insn_cnt, attr.insns = prog_type, len(insns) // 8, calls.address(code)
    license_ = ffi.new("char[]", b"GPL")
    attr.license = calls.address(license_)
    attr.log_level, attr.log_size, attr.log_buf = 1, log_size, calls.address(log)
    attr.kern_version, attr.prog_flags, attr.prog_ifindex = kern_version, prog_flags, ifindex
    attr.expected_attach_type, attr.attach_btf_id, attr.attach_fd = expected_attach_type, attach_btf_id, attach_fd
    if func_info:
        attr.prog_btf_fd, attr.func_info_rec_size, attr.func_info_cnt = btf_fd, _FUNC_INFO, len(func_info) // _FUNC_INFO
    _keep_func, attr.func_info = calls.input_(func_info or None)
    _keep_array, attr.fd_array = calls.input_(fd_array)
    imm = ffi.cast("int32_t *", code + 8 * at + 4)
    if calls.is_traced():
        return [_verdict(attr, imm, number, log, phrases) for number in numbers]
    kept = [ffi.new("char[]", phrase) for phrase in phrases]
    verdicts = ffi.new("struct bpfctl_verdict[]", len(numbers))
    lib.bpfctl_load_each(attr, imm, list(numbers), len(numbers), [*kept, ffi.NULL], verdicts)
    return [Verdict(-rc, said) for rc, said in iter_unpack("=ii", ffi.buffer(verdicts))]


def _verdict(attr: Any, imm: Any, number: int, log: Any, phrases: Sequence[bytes]) -> Verdict:
    """Load once, as the loop in C does, where each call is to be told."""
    imm[0], log[0] = number, b"\0"
    rc = calls.answer(calls.PROG_LOAD, attr)
    if rc >= 0:
        FD(rc).close()
    text = ffi.string(log)
    said = next((n for n, phrase in enumerate(phrases, 1) if phrase in text), -1 if text else 0)
    return Verdict(max(-rc, 0), said)


def btf_load(btf: bytes, *, log_level: int = 0, log_size: int = 1 << 16) -> Loaded:
    """Load a BTF blob; LoadError has the log where log_level asks for one."""
    attr = ffi.new("struct bpf_btf_load_attr *")
    _keep, attr.btf = calls.input_(btf)
    attr.btf_size = len(btf)
    return _load(calls.BTF_LOAD, attr, "btf_", log_level, log_size)


class Run(NamedTuple):
    """The result of BPF_PROG_TEST_RUN; duration is the average of one run, in nanoseconds."""

    retval: int
    duration: int
    data_out: bytes
    ctx_out: bytes
    ctx_in: bytes  # as the run has left it: syscall programs change it in place


def run(
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
) -> Run:
    """Run a program on given data (BPF_PROG_TEST_RUN); sizes in bytes.

    EINTR is not tried again, since the program has run some times then.
    """
    attr = ffi.new("struct bpf_test_run_attr *")
    attr.prog_fd, attr.repeat, attr.flags, attr.cpu, attr.batch_size = fd, repeat, flags, cpu, batch_size
    _keep_data, attr.data_in = calls.input_(data_in)
    # A copy, since the kernel writes into the context of syscall programs, and bytes never change.
    ctx = ffi.new("uint8_t[]", ctx_in or 1) if ctx_in is not None else None
    attr.ctx_in = calls.address(ctx) if ctx is not None else 0
    attr.data_size_in, attr.ctx_size_in = len(data_in or b""), len(ctx_in or b"")
    data_out = ffi.new("uint8_t[]", data_size_out) if data_size_out else None
    ctx_out = ffi.new("uint8_t[]", ctx_size_out) if ctx_size_out else None
    if data_out is not None:
        attr.data_out, attr.data_size_out = calls.address(data_out), data_size_out
    if ctx_out is not None:
        attr.ctx_out, attr.ctx_size_out = calls.address(ctx_out), ctx_size_out
    rc = calls.once(calls.PROG_TEST_RUN, attr)
    if rc < 0:
        raise calls.error(rc)
    return Run(
        int(attr.retval),
        int(attr.duration),
        bytes(ffi.buffer(data_out, min(attr.data_size_out, data_size_out))) if data_out is not None else b"",
        bytes(ffi.buffer(ctx_out, min(attr.ctx_size_out, ctx_size_out))) if ctx_out is not None else b"",
        bytes(ffi.buffer(ctx, len(ctx_in))) if ctx_in else b"",
    )


def bind_map(prog_fd: int, map_fd: int) -> None:
    """Make a program hold a map that its code does not use."""
    attr = ffi.new("struct bpf_prog_bind_map_attr *")
    attr.prog_fd, attr.map_fd = prog_fd, map_fd
    calls.call(calls.PROG_BIND_MAP, attr)


def stream_read(prog_fd: int, stream_id: int, room: int = 1 << 16) -> bytes:
    """Return what a program has written to its stream 1 (stdout) or 2 (stderr) since the last read."""
    attr = ffi.new("struct bpf_stream_read_attr *")
    buffer = ffi.new("uint8_t[]", room)
    attr.stream_buf, attr.stream_buf_len, attr.stream_id, attr.prog_fd = calls.address(buffer), room, stream_id, prog_fd
    return bytes(ffi.buffer(buffer, calls.call(calls.PROG_STREAM_READ_BY_FD, attr)))


def enable_stats() -> FD:
    """Turn run statistics (BPF_STATS_RUN_TIME) on for as long as the returned FD is open."""
    return FD(calls.call(calls.ENABLE_STATS, ffi.new("struct bpf_enable_stats_attr *")))
