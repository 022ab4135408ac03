"""Programs on functions of the kernel: by one link (Linux 5.18), or by a perf event or one of tracefs for each.

Kernel: bpf_kprobe_multi_link_attach() in kernel/trace/bpf_trace.c; perf_kprobe_event_init() in kernel/events/core.c.
"""

from __future__ import annotations

from errno import EACCES, EADDRNOTAVAIL, EILSEQ, EINVAL, ENOENT, EOPNOTSUPP, EPERM, ESRCH
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach as attach_calls
from bpfctl.errors import KernelError, NotSupported
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType
from bpfctl.uapi.flags import KprobeMultiFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl._sys.fd import Closing
    from bpfctl.kernel.prog import Program

_UNIT = "kprobe"
_WHY = {
    ENOENT: "the kernel has no such function",
    ESRCH: "the kernel has no such function, or one of them cannot be traced",
    EINVAL: "no instruction begins there, or the kernel protects it from probes",
    EILSEQ: "no instruction begins there",
    EADDRNOTAVAIL: "several functions have this name: name the address of one",
}


class Place(NamedTuple):
    """A place in the kernel: a function and an offset in it, or an address; and what the program is told of it."""

    symbol: str  # empty: the offset is an address
    offset: int = 0
    cookie: int = 0
    maxactive: int = 0  # calls of a function that are followed until they return; 0: as many as the kernel thinks fit

    def __str__(self) -> str:
        """Return what errors call it."""
        return f"{self.symbol}+{self.offset:#x}" if self.symbol and self.offset else self.symbol or f"{self.offset:#x}"


def attach_multi(
    program: Program, places: Sequence[Place], *, returns: bool = False, session: bool = False
) -> list[Closing]:
    """Attach to the beginnings of functions by one link; KernelError, NotSupported before Linux 5.18.

    The program must be loaded for AttachType.TRACE_KPROBE_MULTI. With ``session`` it is run where a function is entered
    and again where that call returns (Linux 6.10); it is then one for AttachType.TRACE_KPROBE_SESSION.
    """
    names, cookies = [place.symbol for place in places], [place.cookie for place in places]
    try:
        flags = KprobeMultiFlag.RETURN if returns and not session else 0
        kind = AttachType.TRACE_KPROBE_SESSION if session else AttachType.TRACE_KPROBE_MULTI
        link = attach_calls.kprobe_multi(program.fileno(), names, cookies, attach_type=kind, flags=flags)
    except OSError as error:
        if error.errno == EOPNOTSUPP:
            raise NotSupported("this kernel cannot probe many functions at once (CONFIG_FPROBE)") from None
        where = names[0] if len(names) == 1 else f"{len(names)} functions"
        raise _refused(where, error) from None
    return [Link(link)]


def attach(program: Program, places: Sequence[Place], *, returns: bool = False) -> list[Closing]:
    """Attach to each place by a perf event; KernelError, and nothing stays.

    A cookie that is not 0 needs Linux 5.15. NotSupported where the kernel has no kprobes.
    """
    from bpfctl.attach import perf_event, tracefs  # noqa: PLC0415 - with one link for all there are no events
    from bpfctl.host import pmu  # noqa: PLC0415

    unit = pmu.number(_UNIT)
    if unit is None:
        raise tracefs.lacking(tracefs.KERNEL)
    return perf_event.all_or_none(_event(program, unit, place, returns) for place in places)


def _event(program: Program, unit: int, place: Place, returns: bool) -> Closing:
    from bpfctl._sys import perf  # noqa: PLC0415 - as above
    from bpfctl.attach import perf_event  # noqa: PLC0415

    try:
        event = perf.open_probe(unit, int(returns), place.symbol or None, place.offset, cpu=0)
    except OSError as error:
        raise _refused(str(place), error) from None
    return perf_event.attach(program, event, f"can't attach to {place}", place.cookie)


def attach_tracefs(program: Program, places: Sequence[Place], *, returns: bool = False) -> list[Closing]:
    """Attach to each place by an event of tracefs, which alone heeds its ``maxactive``; KernelError, and nothing stays.

    A cookie that is not 0 needs Linux 5.15. NotSupported where the kernel has no kprobes.
    """
    from bpfctl.attach import tracefs  # noqa: PLC0415 - as above

    events = [
        tracefs.Place(tracefs.KERNEL, _told(place), returns=returns, maxactive=place.maxactive, cookie=place.cookie)
        for place in places
    ]
    return tracefs.attach(program, events, _refused)


def _told(place: Place) -> str:
    return f"{place.symbol}+{place.offset}" if place.symbol and place.offset else place.symbol or f"{place.offset:#x}"


def _refused(where: str, error: OSError) -> KernelError:
    number = error.errno or 0
    hint = privilege_hint(number, "CAP_PERFMON") if number in (EPERM, EACCES) else _WHY.get(number, "")
    return KernelError(f"can't attach to {where}", number, hint=hint)
