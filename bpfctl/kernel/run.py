"""Test runs: a loaded program runs on data of ours, and what comes out is handed back (BPF_PROG_TEST_RUN).

What a program type takes and gives back is told in net/bpf/test_run.c. Three kinds matter here:

* Most types take data, a context or both, run as often as wanted, and give back copies of both.
* Programs of fentry, fexit and fmod_ret run on test functions that the kernel calls then, if they are attached there.
* Raw tracepoints and syscall programs run once, on a context alone. Whoever asks them for more is refused with
  EINVAL, so nothing is asked of them that nobody wanted. Syscall programs change the context in place.
"""

from __future__ import annotations

from errno import E2BIG, EINVAL, ENOMEM, ENOSPC
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import programs
from bpfctl.errors import ENOTSUPP, KernelError, status
from bpfctl.kernel import handle
from bpfctl.uapi.enums import ProgType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfctl.kernel.prog import Program
    from btf.value import Record

_ROOM = 32 << 10
_MORE = 4 << 10  # by how much a packet may grow
_ETHERNET_HEADER = 14
_ONCE = frozenset({ProgType.RAW_TRACEPOINT, ProgType.SYSCALL})
_GIVE_NOTHING = _ONCE | {ProgType.TRACING}  # whose programs run on a call of the kernel's own
_SKB = frozenset(
    {
        ProgType.SOCKET_FILTER,
        ProgType.SCHED_CLS,
        ProgType.SCHED_ACT,
        ProgType.CGROUP_SKB,
        ProgType.LWT_IN,
        ProgType.LWT_OUT,
        ProgType.LWT_XMIT,
        ProgType.LWT_SEG6LOCAL,
    }
)
_PACKETS = _SKB | {ProgType.XDP, ProgType.FLOW_DISSECTOR}


class RunResult(NamedTuple):
    """What came of a test run; ``data`` and ``ctx`` are None where nothing was given, or the type gives none back."""

    retval: int  # as the kernel has it, without a sign
    duration: int  # nanoseconds, of one run on average; 0 where the kernel does not measure
    data: bytes | None
    ctx: bytes | None
    type: ProgType | int

    @property
    def context(self) -> Record | None:
        """The members of ``ctx`` by the kernel's types, as in ``result.context["mark"]``; None if it has none."""
        from bpfctl.kernel import context  # noqa: PLC0415 - it takes the kernel's types

        return None if self.ctx is None else context.decode(self.type, self.ctx)


def run(
    program: Program,
    data: bytes | None,
    ctx: bytes | Mapping[str, Any] | None,
    *,
    repeat: int | None,
    data_room: int | None,
    ctx_room: int | None,
    flags: int,
    cpu: int,
    batch_size: int,
) -> RunResult:
    """Do what `Program.test_run` says."""
    kind = program.info().type
    once = kind in _ONCE
    if ctx is not None and not isinstance(ctx, bytes):
        from bpfctl.kernel import context  # noqa: PLC0415 - it takes the kernel's types

        ctx = context.encode(kind, ctx)
    if data is None:
        data_room = 0
    elif data_room is None:
        data_room = 0 if kind in _GIVE_NOTHING else max(_ROOM, len(data) + _MORE)
    if ctx is None:
        ctx_room = 0
    elif ctx_room is None or kind is ProgType.SYSCALL:
        ctx_room = 0 if kind in _GIVE_NOTHING else max(_ROOM, len(ctx))
    try:
        got = programs.run(
            program.fileno(),
            data_in=data,
            data_size_out=data_room,
            ctx_in=ctx,
            ctx_size_out=ctx_room,
            repeat=int(not once) if repeat is None else repeat,
            flags=flags,
            cpu=cpu,
            batch_size=batch_size,
        )
    except MemoryError:
        raise KernelError("failed to allocate memory for output data/ctx", ENOMEM) from None
    except OSError as error:
        number = error.errno or 0
        hint = _hint(kind, number, data, ctx)
        raise KernelError("failed to run program", number, hint=hint, exit_code=status(number)) from None
    changed = got.ctx_in if kind is ProgType.SYSCALL and ctx is not None else None
    data_out, ctx_out = got.data_out if data_room else None, got.ctx_out if ctx_room else changed
    return RunResult(got.retval, got.duration, data_out, ctx_out, kind)


def _hint(kind: ProgType | int, errno: int, data: bytes | None, ctx: bytes | None) -> str:
    """Return what to do about a refusal, as far as it can be told from what was given."""
    if errno == ENOTSUPP:
        return f"the kernel has no test run for programs of type {_word(kind)}"
    if errno == ENOSPC:
        return "more came out of it than there was room for"
    if errno == E2BIG:
        return "the context has something behind the end of the structure that this kernel knows"
    return _invalid(kind, data, ctx) if errno == EINVAL else handle.privilege_hint(errno)


def _invalid(kind: ProgType | int, data: bytes | None, ctx: bytes | None) -> str:
    if kind in _ONCE:
        return f"programs of type {_word(kind)} run once, without data, on a context as large as what they read"
    if kind is ProgType.SK_LOOKUP:
        return "programs of type sk_lookup run on a context alone, a struct bpf_sk_lookup"
    if kind not in _PACKETS:
        return ""
    if data is None:
        return f"programs of type {_word(kind)} run on data, a packet with its Ethernet header"
    if len(data) < _ETHERNET_HEADER:
        return f"the data has {len(data)} bytes, of which an Ethernet header alone takes {_ETHERNET_HEADER}"
    if ctx is not None:
        none = "; xdp programs have a context there since Linux 5.15" if kind is ProgType.XDP else ""
        return f"members of the context that a test run does not take must be 0{none}"
    return ""


def _word(kind: ProgType | int) -> str:
    from bpfctl.kernel import names  # noqa: PLC0415 - only an error needs it

    return names.prog_type(kind) or str(kind)
