"""Programs on code of processes: by one link (Linux 6.6), or by a perf event or one of tracefs for each place.

Kernel: bpf_uprobe_multi_link_attach() in kernel/trace/bpf_trace.c; perf_uprobe_event_init() in kernel/events/core.c,
whose unit tells in sysfs where its flag for returns and the offset of the reference counter belong.
"""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EAGAIN, EINVAL, EIO, ENOEXEC, EOPNOTSUPP, ESRCH
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach as attach_calls
from bpfctl._sys import perf
from bpfctl.attach import perf_event
from bpfctl.elf.image import EM_AARCH64, EM_X86_64, identify
from bpfctl.errors import ENOTSUPP, KernelError, NotFound, NotSupported
from bpfctl.host import pmu
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType
from bpfctl.uapi.flags import UprobeMultiFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl._sys.fd import Closing
    from bpfctl.elf.image import Identity
    from bpfctl.kernel.prog import Program

_UNIT = "uprobe"
_NO_PID = 0xFFFFFFFF  # -1
_NO_INSTRUCTION = frozenset({ENOTSUPP, EOPNOTSUPP, ENOEXEC})
_ELSEWHERE = "it can't execute one of this kind elsewhere"
#: Of the operand's size and segment, of repetition, and REX.
_X86_PREFIXES = frozenset({0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3, *range(0x40, 0x50)})
#: VEX, EVEX and lock; input and output, interrupts, and what is no instruction on 64 bits.
_X86_REFUSED = frozenset(
    {0xC4, 0xC5, 0x62, 0xF0, *range(0x6C, 0x70), *range(0xE4, 0xE8), *range(0xEC, 0xF0), *range(0xCC, 0xD0)}
    | {0xF1, 0xF4, 0xFA, 0xFB, 0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F, 0x60, 0x61, 0x82}
    | {0x9A, 0xD4, 0xD5, 0xEA}
)
#: Masks of arm64's instructions, and what they leave of exceptions, of what reads daif and writes registers of the
#: system, of loads of what lies beside the code, of exclusive loads and stores, and of copies of memory in three steps.
_ARM64_REFUSED = (
    *((0xFF000000, 0xD4000000), (0xFFFFFFE0, 0xD53B4220), (0xFFF00000, 0xD5100000), (0xFFF8F01F, 0xD500401F)),
    *((0xBF000000, 0x18000000), (0xFF000000, 0x98000000), (0xFF000000, 0xD8000000), (0x3F800000, 0x08000000)),
    (0x3B200C00, 0x19000400),
)
#: Hints, of which it executes nop, bti, and those that sign pointers.
_ARM64_HINT, _ARM64_HINTS = (
    (0xFFFFF01F, 0xD503201F),
    frozenset({0x00, 0x07, 0x08, 0x0A, *range(0x18, 0x1C), 0x20, 0x22, 0x24, 0x26}),
)
#: Branches to where a register tells: it does as br, blr, and ret do, and not as those which check the pointer.
_ARM64_BRANCH, _ARM64_BRANCHES = (0xFE000000, 0xD6000000), frozenset({0xD61F0000, 0xD63F0000, 0xD65F0000})
_ARM64_TO = 0x1F << 5  # the register
_COUNTER_SHIFT = 32  # bits of config (format/ref_ctr_offset, Linux 4.20)


class Place(NamedTuple):
    """A place in a file: the offset there, that of the counter of its users, and what the program is told of it."""

    path: str
    offset: int
    counter: int = 0  # offset of a number of 16 bits that the kernel adds one to meanwhile; 0: there is none
    cookie: int = 0
    identity: Identity | None = None  # of the file in which the offset was looked up


def attach_multi(
    program: Program, places: Sequence[Place], *, returns: bool = False, pid: int | None = None, session: bool = False
) -> list[Closing]:
    """Attach to all places by a link for each file; KernelError EINVAL before Linux 6.6, and nothing stays.

    With ``pid`` no other process runs the program, or into the breakpoint. NotFound where the kernel cannot probe an
    instruction, and where the process has ended. NotSupported where the kernel looks at a single thread instead.

    The program must be loaded for AttachType.TRACE_UPROBE_MULTI. With ``session`` it is run where a function is entered
    and again where that call returns (Linux 6.13); it is then one for AttachType.TRACE_UPROBE_SESSION.
    """
    _check(places)
    if pid is not None and not _looks_at_processes(program):
        raise NotSupported(
            "links of this kernel to places in files look at one thread, and not at a process (Linux 6.10)"
        )
    kind = AttachType.TRACE_UPROBE_SESSION if session else AttachType.TRACE_UPROBE_MULTI
    flags = UprobeMultiFlag.RETURN if returns and not session else 0
    of_files: dict[str, list[tuple[int, int, int]]] = {}
    for place in places:
        of_files.setdefault(place.path, []).append((place.offset, place.counter, place.cookie))
    return perf_event.all_or_none(
        _link(program, path, rows, kind=kind, flags=flags, pid=pid) for path, rows in of_files.items()
    )


def _looks_at_processes(program: Program) -> bool:
    """Return whether a link looks at a process: whoever made that so also refuses a pid that is none, before the path.

    Kernel: "bpf: Fix multi-uprobe PID filtering logic" (46ba0e49b642, Linux 6.10).
    """
    try:
        attach_calls.uprobe_multi(
            program.fileno(), "/", [(0, 0, 0)], attach_type=AttachType.TRACE_UPROBE_MULTI, pid=_NO_PID
        ).close()
    except OSError as error:
        return error.errno == EINVAL
    return False


def _check(places: Sequence[Place]) -> None:
    """Raise NotFound where a file was replaced: what was looked up there would be in the middle of something else."""
    for path, identity in {(place.path, place.identity) for place in places}:
        if identity is not None and identify(path) != identity:
            raise NotFound(f"{path} was replaced while its functions were looked up")


def _link(
    program: Program, path: str, rows: Sequence[tuple[int, int, int]], *, kind: AttachType, flags: int, pid: int | None
) -> Link:
    try:
        return Link(
            attach_calls.uprobe_multi(
                program.fileno(),
                path,
                rows,
                attach_type=kind,
                flags=flags,
                pid=pid or 0,
            )
        )
    except OSError as error:
        if error.errno not in _NO_INSTRUCTION or len(rows) == 1:
            raise _refused(path, [offset for offset, _, _ in rows], error, pid) from None
    half = len(rows) // 2  # the kernel does not tell which one it is
    for part in (rows[:half], rows[half:]):
        _link(program, path, part, kind=kind, flags=flags, pid=pid).close()
    raise KernelError(f"can't attach to {path}", EAGAIN)  # it was one of them, but is no more


def attach(
    program: Program, places: Sequence[Place], *, returns: bool = False, pid: int | None = None
) -> list[Closing]:
    """Attach to each place by a perf event; KernelError, and nothing stays.

    With ``pid`` all who share the memory of that process run the program. A cookie that is not 0 needs Linux 5.15.
    NotSupported where the kernel has no such unit (CONFIG_UPROBE_EVENTS).
    """
    _check(places)
    unit = pmu.number(_UNIT)
    if unit is None:
        raise NotSupported("this kernel cannot probe processes (CONFIG_UPROBE_EVENTS)")
    return perf_event.all_or_none(_event(program, unit, place, returns, pid) for place in places)


def _event(program: Program, unit: int, place: Place, returns: bool, pid: int | None) -> Closing:
    config = place.counter << _COUNTER_SHIFT | returns
    where = {"cpu": 0} if pid is None else {"pid": pid}
    try:
        event = perf.open_probe(unit, config, place.path, place.offset, **where)
    except OSError as error:
        raise _refused(place.path, [place.offset], error, pid) from None
    return perf_event.attach(program, event, f"can't attach to {place.path}+{place.offset:#x}", place.cookie)


def attach_tracefs(
    program: Program, places: Sequence[Place], *, returns: bool = False, pid: int | None = None
) -> list[Closing]:
    """Attach to each place by an event of tracefs; all else is as for `attach`."""
    from bpfctl.attach import tracefs  # noqa: PLC0415 - the last way, which few kernels need

    _check(places)
    events = [
        tracefs.Place(
            tracefs.PROCESSES,
            f"{place.offset:#x}({place.counter:#x})" if place.counter else f"{place.offset:#x}",
            place.path,
            returns=returns,
            cookie=place.cookie,
        )
        for place in places
    ]
    known = {str(event): place for event, place in zip(events, places, strict=True)}

    def refused(where: str, error: OSError) -> KernelError | NotFound:
        return _refused(known[where].path, [known[where].offset], error, pid)

    return tracefs.attach(program, events, refused, pid)


def is_probeable(code: bytes, machine: int) -> bool:
    """Return whether the kernel can probe the instruction with which code begins, as far as that is known.

    It executes the instruction elsewhere, and refuses what it has not learned that for: on x86-64 all with a VEX or
    EVEX prefix, atomic ones, and those that are not for processes (good_insns_64 and uprobe_init_insn() in
    arch/x86/kernel/uprobes.c); on arm64 what arm_probe_decode_insn() in arch/arm64/kernel/probes/decode-insn.c rejects.
    """
    if machine == EM_AARCH64:
        return len(code) < 4 or _is_probeable_arm64(int.from_bytes(code[:4], "little"))
    if machine != EM_X86_64:
        return True
    for byte in code:
        if byte not in _X86_PREFIXES:
            return byte not in _X86_REFUSED
    return True


def _is_probeable_arm64(insn: int) -> bool:
    def has(mask: int, value: int) -> bool:
        return insn & mask == value

    if has(*_ARM64_HINT):
        return insn >> 5 & 0x7F in _ARM64_HINTS
    if has(*_ARM64_BRANCH):
        return insn & ~_ARM64_TO in _ARM64_BRANCHES
    return not any(has(*kind) for kind in _ARM64_REFUSED)


def _refused_arm64(path: str, offsets: Sequence[int]) -> tuple[int, str] | None:
    """Return the first offset where arm64's kernel refuses the instruction, and why: its error does not tell that."""
    with suppress(OSError), open(path, "rb", buffering=0) as file:
        for offset in offsets:
            if offset % 4:
                return offset, "they begin at multiples of 4"
            if not is_probeable(os.pread(file.fileno(), 4, offset), EM_AARCH64):
                return offset, _ELSEWHERE
    return None


def _refused(path: str, offsets: Sequence[int], error: OSError, pid: int | None) -> KernelError | NotFound:
    """Return what a refusal means. Where no other way leads there, it is no KernelError."""
    number = error.errno or 0
    refused = (offsets[0], _ELSEWHERE) if number in _NO_INSTRUCTION else None
    if number == EINVAL and os.uname().machine == "aarch64":
        refused = _refused_arm64(path, offsets)
    if refused is not None:
        at, why = refused
        return NotFound(f"the kernel cannot probe the instruction at {path}+{at:#x}: {why}")
    if number == ESRCH and pid is not None:
        return NotFound(f"process {pid} has ended")
    where = path if len(offsets) > 1 else f"{path}+{offsets[0]:#x}"
    hint = (
        "its file system keeps files where nothing can be probed"
        if number == EIO
        else privilege_hint(number, "CAP_PERFMON")
    )
    return KernelError(f"can't attach to {where}", number, hint=hint)
