"""Programs at perf events and raw tracepoints: those that descriptors of processes lead to, and those of links.

The kernel is asked about each descriptor of each process (BPF_TASK_FD_QUERY, Linux 4.18). It answers for perf events
and for links to raw tracepoints. Links to perf events, and what nothing but a pin holds, are found among the links.
"""

from __future__ import annotations

import os
from errno import ENOENT
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach
from bpfctl.errors import ENOTSUPP, KernelError
from bpfctl.host import fdinfo
from bpfctl.kernel import attachment
from bpfctl.kernel.keeper import Keepers
from bpfctl.kernel.owner import Owner
from bpfctl.uapi.commands import TaskFdType
from bpfctl.uapi.enums import LinkType, PerfEventType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.link import LinkRow
    from bpfctl.kernel.owner import How

RAW_TRACEPOINT, TRACEPOINT, KPROBE, KRETPROBE, UPROBE, URETPROBE = TaskFdType
_TYPES = tuple(type_.name.lower() for type_ in TaskFdType)

_PROBES = frozenset({LinkType.PERF_EVENT, LinkType.KPROBE_MULTI, LinkType.UPROBE_MULTI})
_PERF_TYPES: dict[int, TaskFdType] = {
    PerfEventType.KPROBE: KPROBE,
    PerfEventType.KRETPROBE: KRETPROBE,
    PerfEventType.UPROBE: UPROBE,
    PerfEventType.URETPROBE: URETPROBE,
}


#: What the type of a row may be.
TYPES = (*_TYPES, "perf_event", "kprobe_multi", "uprobe_multi")


class PerfRow(NamedTuple):
    """A program and where it is attached: what the kernel tells of a descriptor of a process, or a link."""

    prog_id: int
    fd_type: int | None  # None: it is of another kind, which the link tells
    target: str  # the name of a tracepoint, a function or a file; empty where a function has none
    offset: int
    address: int  # of a function without a name
    keepers: Keepers
    pid: int | None = None  # None: no descriptor that the kernel tells of
    fd: int | None = None
    link: LinkRow | None = None  # None: the descriptor is told of, and not what is behind it

    @property
    def name(self) -> str:
        """The program's name; empty when it has none."""
        return self.keepers.name(self.prog_id)

    @property
    def type(self) -> str:
        """The type in bpftool's words; of a link that it has none for, the link's type."""
        if self.fd_type is not None:
            return _TYPES[self.fd_type] if self.fd_type < len(_TYPES) else str(self.fd_type)
        from bpfctl.kernel.names import link_type  # noqa: PLC0415 - few rows need it

        return "" if self.link is None else link_type(self.link.type) or str(int(self.link.type))

    @property
    def owners(self) -> tuple[Owner, ...]:
        """The process of the descriptor, or those that hold the link."""
        if self.pid is not None:
            return (Owner(self.pid, _comm(self.pid)),)
        return () if self.link is None else self.keepers.owners(self.prog_id, (self.link.id,))

    @property
    def pinned(self) -> tuple[str, ...]:
        """Where the link is pinned."""
        return () if self.link is None else self.keepers.pinned(self.prog_id, (self.link.id,))


def rows(*, links: bool = True, owners: bool | How = True) -> Iterator[PerfRow]:
    """Return the programs at perf events and raw tracepoints that processes have descriptors of; then of ``links``.

    A link that a descriptor tells of already is left out. KernelError where the kernel refuses to tell.
    """
    _check()
    return _rows(Keepers(owners=owners), links=links)


def _rows(keepers: Keepers, *, links: bool) -> Iterator[PerfRow]:
    told: set[tuple[object, ...]] = set()
    for pid in _numbers("/proc"):
        for fd, found in attach.task_fds(pid, _numbers(f"/proc/{pid}/fd")):
            name = found.name.decode(errors="surrogateescape")
            row = PerfRow(found.prog_id, found.fd_type, name, found.offset, found.address, keepers, pid, fd)
            told |= {_key(row), (row.prog_id,)}
            yield row
    for link in keepers.links() if links else ():
        other = _of_link(link, keepers)
        if other is not None and _key(other) not in told:
            yield other


def _check() -> None:
    """Ask about a descriptor without a program; KernelError for any other answer than that it has none."""
    root = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
    try:
        attach.task_fd_query(os.getpid(), root)
    except OSError as error:
        number = error.errno or 0
        if number != ENOTSUPP:
            from bpfctl.kernel.refusal import hint  # noqa: PLC0415 - only an error needs it

            raise KernelError("perf_query_support", number, hint=hint(number)) from None
    finally:
        os.close(root)


def _numbers(folder: str) -> Iterator[int]:
    """Yield the names in a folder that are numbers, in its order; none when it is gone, or not ours to look at."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        if folder == "/proc" and error.errno != ENOENT:
            raise KernelError("can't look at the processes in /proc", error.errno or 0) from None
        return
    yield from (int(name) for name in names if name.isdecimal())


def _comm(pid: int) -> str:
    try:
        place = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # it has ended
        return ""
    try:
        return fdinfo.at("comm", place).removesuffix(b"\n").decode(errors="surrogateescape")
    except OSError:  # as above
        return ""
    finally:
        os.close(place)


def _key(row: PerfRow) -> tuple[object, ...]:
    """Return what is the same of a descriptor and of a link that attach a program at a place.

    Before Linux 6.6 the kernel does not tell where a link attaches it: then any descriptor of the program may be that.
    """
    if row.link is not None and row.link.info.attachment is None:
        return (row.prog_id,)
    return row.prog_id, row.fd_type, row.target, row.offset, 0 if row.target else row.address


def _of_link(link: LinkRow, keepers: Keepers) -> PerfRow | None:
    """Return the row of a link to a perf event, a raw tracepoint or many functions; None for other links."""
    at, fd_type, name, offset, address = link.info.attachment, None, "", 0, 0
    match at:
        case attachment.RawTracepoint():
            fd_type, name = RAW_TRACEPOINT, at.tp_name
        case attachment.PerfTracepoint():
            fd_type, name = TRACEPOINT, at.tp_name
        case attachment.PerfKprobe():
            fd_type, name, offset, address = _PERF_TYPES.get(at.perf_type), at.func_name, at.offset, at.addr
        case attachment.PerfUprobe():
            fd_type, name, offset = _PERF_TYPES.get(at.perf_type), at.file_name, at.offset
        case attachment.PerfEvent() | attachment.KprobeMulti() | attachment.UprobeMulti():
            pass
        case None if link.type in _PROBES:
            pass
        case _:
            return None
    return PerfRow(link.info.prog_id, fd_type, name, offset, address, keepers, link=link)
