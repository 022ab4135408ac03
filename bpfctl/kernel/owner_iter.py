"""
Owners as a BPF iterator finds them: a program that the kernel runs for each open file of each process.

The program is assembled here and needs no compiler. What a compiler and its loader do for such a program elsewhere
is done in three steps:

* Offsets of members come from the running kernel's own BTF (``Layout``). The types are those of the parameters of
  the kernel's function ``bpf_iter_task_file``, to which the program is attached.
* A file of the wanted kind is known by its ``f_op->release``, a function that all files of the kind share and no
  others. Its address is learned rather than looked up: a first program reads it off one object that we hold
  ourselves (``finder``), a second one is made with it (``lister``). So this works where /proc/kallsyms shows no
  addresses or only functions, and covers kinds with several file_operations, as links have since Linux 6.11
  (bpf_link_fops and bpf_link_fops_poll).
* Pointers that BTF knows the type of are followed by plain loads, which the kernel makes safe; what lies behind
  ``private_data``, a ``void *``, is read with bpf_probe_read_kernel.

Kernel: kernel/bpf/task_iter.c, Linux 5.8; refused under lockdown and without CONFIG_DEBUG_INFO_BTF.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach, calls, programs
from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R6, R7, R8, R9, R10
from bpfctl.errors import KernelError, NotPermitted, NotSupported
from bpfctl.host.vmlinux import vmlinux_blob
from bpfctl.kernel.owner import Owner, Table
from bpfctl.uapi.enums import AttachType, LinkType, ProgType
from bpfctl.uapi.helpers import Helper
from btf import types
from btf.errors import BTFError
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl._sys.fd import FD
    from bpfctl.asm.insn import Reg
    from bpfctl.kernel.handle import Kind

_FUNCTION = "bpf_iter_task_file"  # since commit eaaacd23910f, "bpf: Add task and task/file iterator targets", 5.8
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 1 << 21, 1 << 38, 1 << 39
_ROOM = 1 << 15  # what the kernel gathers for one read: 8 pages

# What the lister writes for each file; the finder writes the one address.
_RECORD = Struct("=IIQQ16s")  # id, tgid, whether there is a cookie, the cookie, comm
_ID, _TGID, _HAS_COOKIE, _COOKIE, _COMM = -40, -36, -32, -24, -16  # seen from the end of the stack
_POINTER = -48
_COMM_LEN = 16  # TASK_COMM_LEN
_NEAR = 1 << 15  # what the offset of an instruction holds


class Chain(NamedTuple):
    """A way through pointers: the offsets at which each but the last is read, and that of the value."""

    pointers: tuple[int, ...]
    value: int


class Layout(NamedTuple):
    """What the programs must know of this kernel: the place of each member, in bytes."""

    function: int  # type id of bpf_iter_task_file
    meta: int  # in the context, as the next three
    task: int
    fd: int
    file: int
    seq: int
    tgid: int
    group_leader: int
    comm: int
    f_op: int
    release: int
    private_data: int
    id: Chain  # from private_data
    link_type: int | None  # as the next, None for other kinds and where perf event links have no cookie
    cookie: Chain | None  # from private_data, too

    @classmethod
    def of(cls, kernel: BTF, kind: Kind) -> Layout:
        """Look the members up for objects of a kind; NotSupported when the kernel has no such iterator."""
        function = kernel.find(_FUNCTION, types.Func)
        proto = function and kernel.type(function.type_id)
        if not function or not isinstance(proto, types.FuncProto):
            raise NotSupported("this kernel has no iterator over the files of processes (Linux 5.8)")
        types_ = {param.name: param.type_id for param in proto.params}
        places = {param.name: 8 * index for index, param in enumerate(proto.params)}
        task, file = _behind(kernel, types_["task"]), _behind(kernel, types_["file"])
        f_op, operations = _member(kernel, file, "f_op")
        link_type, cookie = _cookie(kernel, file) if kind.word == "link" else (None, None)
        return cls(
            function.id,
            places["meta"],
            places["task"],
            places["fd"],
            places["file"],
            _member(kernel, _behind(kernel, types_["meta"]), "seq")[0],
            _member(kernel, task, "tgid")[0],
            _member(kernel, task, "group_leader")[0],
            _member(kernel, task, "comm")[0],
            f_op,
            _member(kernel, _behind(kernel, operations), "release")[0],
            _member(kernel, file, "private_data")[0],
            _id(kernel, kind),
            link_type,
            cookie,
        )


def _struct(kernel: BTF, name: str) -> types.Struct:
    found = kernel.find(name, types.Struct)
    if found is None:
        raise NotSupported(f"this kernel's BTF has no struct {name}")
    return found


def _behind(kernel: BTF, type_id: int) -> types.Struct:
    """Return the struct behind a pointer."""
    pointer = kernel.type(kernel.resolve(type_id))
    struct = kernel.type(kernel.resolve(pointer.type_id)) if isinstance(pointer, types.Pointer) else pointer
    if not isinstance(struct, types.Struct):
        raise NotSupported(f"this kernel's BTF does not tell what type {type_id} points to")
    return struct


def _members(kernel: BTF, struct: types.Struct | types.Union, base: int = 0) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset in bytes and type of each member, those of members without a name included.

    A kernel with a randomized layout has most of a struct in one such member.
    """
    for member in struct.members:
        offset = base + member.bits_offset // 8
        if member.name:
            yield member.name, offset, member.type_id
            continue
        inner = kernel.type(kernel.resolve(member.type_id))
        if isinstance(inner, (types.Struct, types.Union)):
            yield from _members(kernel, inner, offset)


def _member(kernel: BTF, struct: types.Struct, name: str) -> tuple[int, int]:
    """Return a member's offset in bytes and its type."""
    for found, offset, type_id in _members(kernel, struct):
        if found == name:
            return offset, type_id
    raise NotSupported(f"this kernel's struct {struct.name} has no member {name}")


def _id(kernel: BTF, kind: Kind) -> Chain:
    if kind.word != "prog":
        return Chain((), _member(kernel, _struct(kernel, "btf" if kind.word == "btf" else f"bpf_{kind.word}"), "id")[0])
    aux, auxiliary = _member(kernel, _struct(kernel, "bpf_prog"), "aux")
    return Chain((aux,), _member(kernel, _behind(kernel, auxiliary), "id")[0])


def _cookie(kernel: BTF, file: types.Struct) -> tuple[int | None, Chain | None]:
    """Return where a link has its type, and the way to the cookie of one of a perf event (Linux 5.15)."""
    if kernel.find("bpf_perf_link", types.Struct) is None:
        return None, None
    perf_file, _ = _member(kernel, _struct(kernel, "bpf_perf_link"), "perf_file")
    event, _ = _member(kernel, file, "private_data")
    cookie, _ = _member(kernel, _struct(kernel, "perf_event"), "bpf_cookie")
    return _member(kernel, _struct(kernel, "bpf_link"), "type")[0], Chain((perf_file, event), cookie)


# The programs --------------------------------------------------------------------------------------------------


def _start(layout: Layout) -> Program:
    """Begin a program: r6 is the context, r7 the task, r8 the file; after the last of all they are null."""
    prog = Program().mov(R6, R1)
    for register, place in ((R7, layout.task), (R8, layout.file)):
        prog.ldx(8, register, R6, place).jump("jeq", register, 0, "out")
    return prog


def _load(prog: Program, size: int, register: Reg, source: Reg, offset: int) -> None:
    """Load a member; task_struct may be larger than the offset of an instruction reaches, but never was so far."""
    if not 0 <= offset < _NEAR:
        raise NotSupported(f"a struct of this kernel has a member at {offset}, further than an instruction reaches")
    prog.ldx(size, register, source, offset)


def _finish(prog: Program, layout: Layout, start: int, size: int) -> bytes:
    """Write a part of the stack to the iterator's output and end the program."""
    _load(prog, 8, R1, R6, layout.meta)
    _load(prog, 8, R1, R1, layout.seq)
    prog.mov(R2, R10).add(R2, start).mov(R3, size).call(Helper.seq_write)
    return prog.label("out").mov(R0, 0).exit_().assemble()


def _read(prog: Program, to: int, size: int, source: Reg, offset: int) -> None:
    """Copy kernel memory at a register's value plus an offset to the stack, zeros where there is none."""
    prog.mov(R1, R10).add(R1, to).mov(R2, size).mov(R3, source).add(R3, offset).call(Helper.probe_read_kernel)


def _follow(prog: Program, chain: Chain, to: int, size: int) -> None:
    """Read the value at the end of a chain that begins at r9 to the stack."""
    source = R9
    for offset in chain.pointers:
        _read(prog, _POINTER, 8, source, offset)
        prog.ldx(8, R3, R10, _POINTER)
        source = R3
    _read(prog, to, size, source, chain.value)


def finder(layout: Layout, tgid: int, fd: int) -> bytes:
    """Return a program that writes the address of ``f_op->release`` of one open file."""
    prog = _start(layout)
    _load(prog, 4, R1, R7, layout.tgid)
    prog.jump("jne", R1, tgid, "out")
    _load(prog, 4, R1, R6, layout.fd)
    prog.jump("jne", R1, fd, "out")
    _load(prog, 8, R1, R8, layout.f_op)
    _load(prog, 8, R1, R1, layout.release)
    prog.stx(8, R10, _POINTER, R1)
    return _finish(prog, layout, _POINTER, 8)


def lister(layout: Layout, release: int) -> bytes:
    """Return a program that writes a record for each open file whose ``f_op->release`` is at an address."""
    prog = _start(layout)
    _load(prog, 8, R1, R8, layout.f_op)
    _load(prog, 8, R1, R1, layout.release)
    prog.ld_imm64(R2, release).jump("jne", R1, R2, "out")
    for place in (_POINTER, _ID, _HAS_COOKIE, _COOKIE, _COMM, _COMM + 8):
        prog.st(8, R10, place, 0)
    _load(prog, 8, R9, R8, layout.private_data)
    _follow(prog, layout.id, _ID, 4)
    if layout.link_type is not None and layout.cookie is not None:
        # The type is read into the place of has_cookie, which comes right after.
        _read(prog, _HAS_COOKIE, 4, R9, layout.link_type)
        prog.ldx(4, R1, R10, _HAS_COOKIE).st(8, R10, _HAS_COOKIE, 0)
        prog.jump("jne", R1, LinkType.PERF_EVENT, "no cookie").st(8, R10, _HAS_COOKIE, 1)
        _follow(prog, layout.cookie, _COOKIE, 8)
        prog.label("no cookie")
    _load(prog, 4, R1, R7, layout.tgid)
    prog.stx(4, R10, _TGID, R1)
    _load(prog, 8, R9, R7, layout.group_leader)
    _read(prog, _COMM, _COMM_LEN, R9, layout.comm)
    return _finish(prog, layout, _ID, _RECORD.size)


# Running them ---------------------------------------------------------------------------------------------------


def table(kind: Kind) -> Table:
    """Return the owners of all objects of a kind; NotSupported, NotPermitted or KernelError where no iterator runs."""
    _check()
    layout = _layout(kind)
    try:
        sample = _any(kind)
        if sample is None:
            return Table({}, {}, {}, partial=False)
        with sample:
            found = _run(finder(layout, os.getpid(), sample.fileno()), layout.function)
            return decode(_run(lister(layout, _address(found)), layout.function))
    except OSError as error:
        raise KernelError("can't run a BPF iterator over the files of processes", error.errno or 0) from None


@lru_cache
def _layout(kind: Kind) -> Layout:
    """Return the layout of the running kernel, which does not change."""
    try:
        return Layout.of(BTF.from_bytes(vmlinux_blob()), kind)
    except OSError as error:
        raise KernelError("can't read the kernel's BTF", error.errno or 0) from None
    except (BTFError, KeyError) as error:
        raise NotSupported(f"this kernel's BTF cannot be used: {error}") from None


def _check() -> None:
    """Raise NotSupported or NotPermitted where an iterator would be refused, or its numbers mean nothing here."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
        with open("/proc/self/status", "rb") as file:
            status = file.read()
    except OSError:
        raise NotSupported("no /proc to tell who we are") from None
    if namespace != _INITIAL_PID_NAMESPACE:
        raise NotSupported("an iterator counts processes as the initial PID namespace does, and this is another")
    start = status.index(b"\nCapEff:") + 8
    held = int(status[start : status.index(b"\n", start)], 16)
    if not held & _CAP_SYS_ADMIN and ~held & (_CAP_BPF | _CAP_PERFMON):
        raise NotPermitted("an iterator needs CAP_BPF and CAP_PERFMON")


def _any(kind: Kind) -> FD | None:
    """Open some object of a kind; None when there is none."""
    id_ = 0
    while True:
        try:
            id_ = calls.next_id(kind.next_id, id_)
        except FileNotFoundError:
            return None
        try:
            return calls.fd_by_id(kind.fd_by_id, id_)
        except (FileNotFoundError, BlockingIOError):  # gone meanwhile, or a link that is not attached yet
            continue


def _run(insns: bytes, function: int) -> bytes:
    """Load an iterator's program and return all that it writes."""
    iterate = AttachType.TRACE_ITER
    program = programs.load(
        ProgType.TRACING, insns, name=b"owners", expected_attach_type=iterate, attach_btf_id=function
    ).fd
    with program, attach.link_create(program.fileno(), 0, iterate) as link, attach.iter_create(link.fileno()) as files:
        parts: list[bytes] = []
        while True:
            try:
                part = os.read(files.fileno(), _ROOM)
            except BlockingIOError:  # the kernel's way to breathe after a million files without output
                continue
            if not part:
                return b"".join(parts)
            parts.append(part)


def _address(found: bytes) -> int:
    if len(found) < 8:
        raise NotSupported("the BPF iterator does not see our own files")
    return int.from_bytes(found[:8], sys.byteorder)


def decode(records: bytes) -> Table:
    """Return the table that the lister's records make; our own process does not count as an owner."""
    ours = os.getpid()
    owners: dict[int, dict[int, Owner]] = {}
    cookies: dict[int, int] = {}
    for id_, tgid, has_cookie, cookie, comm in _RECORD.iter_unpack(records):
        if has_cookie:
            cookies[id_] = cookie
        if tgid != ours:
            name = comm.partition(b"\0")[0].decode(errors="surrogateescape")
            owners.setdefault(id_, {})[tgid] = Owner(tgid, name)
    return Table({id_: tuple(sorted(held.values())) for id_, held in owners.items()}, {}, cookies, partial=False)
