"""Programs on code of processes: by a link for many places at once (Linux 6.6), or a perf event for each.

Kernel: bpf_uprobe_multi_link_attach() in kernel/trace/bpf_trace.c; perf_uprobe_event_init() in kernel/events/core.c,
whose unit tells in sysfs where its flag for returns and the offset of the reference counter belong.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach as attach_calls
from bpfctl._sys import perf
from bpfctl.attach import perf_event
from bpfctl.errors import KernelError, NotSupported
from bpfctl.host import pmu
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType
from bpfctl.uapi.flags import UprobeMultiFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl._sys.fd import Closing
    from bpfctl.kernel.prog import Program

_UNIT = "uprobe"
_COUNTER_SHIFT = 32  # bits of config (format/ref_ctr_offset, Linux 4.20)


class Place(NamedTuple):
    """A place in a file: the offset there, that of the counter of its users, and what the program is told of it."""

    path: str
    offset: int
    counter: int = 0  # offset of a number of 16 bits that the kernel adds one to meanwhile; 0: there is none
    cookie: int = 0


def attach_multi(program: Program, places: Sequence[Place], *, returns: bool = False) -> list[Closing]:
    """Attach to all places by a link for each file; KernelError EINVAL before Linux 6.6, and nothing stays.

    The program must be loaded for AttachType.TRACE_UPROBE_MULTI.
    """
    of_files: dict[str, list[tuple[int, int, int]]] = {}
    for place in places:
        of_files.setdefault(place.path, []).append((place.offset, place.counter, place.cookie))
    with ExitStack() as held:
        links = [held.enter_context(_link(program, path, rows, returns)) for path, rows in of_files.items()]
        held.pop_all()
    return list(links)


def _link(program: Program, path: str, rows: Sequence[tuple[int, int, int]], returns: bool) -> Link:
    try:
        return Link(
            attach_calls.uprobe_multi(
                program.fileno(),
                path,
                rows,
                attach_type=AttachType.TRACE_UPROBE_MULTI,
                flags=UprobeMultiFlag.RETURN if returns else 0,
            )
        )
    except OSError as error:
        raise _refused(path, error) from None


def attach(program: Program, places: Sequence[Place], *, returns: bool = False) -> list[Closing]:
    """Attach to each place by a perf event; KernelError, and nothing stays.

    A cookie that is not 0 needs Linux 5.15. NotSupported where the kernel has no such unit (CONFIG_UPROBE_EVENTS).
    """
    unit = pmu.number(_UNIT)
    if unit is None:
        raise NotSupported("this kernel cannot probe processes (CONFIG_UPROBE_EVENTS)")
    with ExitStack() as held:
        events = [held.enter_context(_event(program, unit, place, returns)) for place in places]
        held.pop_all()
    return events


def _event(program: Program, unit: int, place: Place, returns: bool) -> Closing:
    config = place.counter << _COUNTER_SHIFT | returns
    try:
        event = perf.open_probe(unit, config, place.path, place.offset, cpu=0)
    except OSError as error:
        raise _refused(f"{place.path}+{place.offset:#x}", error) from None
    return perf_event.attach(program, event, f"can't attach to {place.path}+{place.offset:#x}", place.cookie)


def _refused(where: str, error: OSError) -> KernelError:
    number = error.errno or 0
    return KernelError(f"can't attach to {where}", number, hint=privilege_hint(number))
