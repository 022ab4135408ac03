"""Programs on events of tracefs that are made for them: the oldest way to functions of the kernel and of processes.

An event is a line that is written to a file, and stays until another line takes it away, whatever becomes of who wrote
it. So the group of ours tells which process has made them, and `leftovers` finds those whose process is dead.

Kernel: Documentation/trace/kprobetrace.rst and uprobetracer.rst; create_or_delete_trace_kprobe() in
kernel/trace/trace_kprobe.c.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager, suppress
from errno import EBUSY, ENODEV, ENOENT
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys.fd import FD, Closing
from bpfctl.attach import perf_event
from bpfctl.errors import KernelError, NotSupported
from bpfctl.host import lifetime
from bpfctl.kernel.tracefs import Tracefs, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.errors import BpfctlError
    from bpfctl.kernel.prog import Program

#: The files that events are written to: of the kernel's functions, and of those of processes.
KERNEL, PROCESSES = "kprobe_events", "uprobe_events"

_LACKS = {KERNEL: ("kprobes", "CONFIG_KPROBE_EVENTS"), PROCESSES: ("uprobes", "CONFIG_UPROBE_EVENTS")}
_OURS = re.compile(r"[pr]\d*:(bpfctl_(\d+)_(\d+)_(\d+)/\w+) +(.*)")
#: Paths that no comment or blank cuts off (in lib/ctype.c the last byte of an à is one), and that leave room on the
#: line (WRITE_BUFSIZE in kernel/trace/trace.c).
_PLAIN = re.compile(r"[!-\"$-~]{,2048}")
_numbers = count()


def lacking(file: str) -> NotSupported:
    """Return the error about probes that this kernel was built without."""
    error = NotSupported("this kernel has no {}, as it was built without {}".format(*_LACKS[file]))
    if file == KERNEL:
        error.hint = "fentry, fexit and tracepoints do without: 'bpfctl probe list NAME' tells which there are"
    return error


class Place(NamedTuple):
    """What an event is made for; ``at`` is in the words of the file that it is written to."""

    file: str  # KERNEL or PROCESSES
    at: str  # [MODULE:]SYMBOL[+OFFSET] or an address; of a process what stands behind the path and a colon
    path: str = ""
    returns: bool = False
    maxactive: int = 0  # returns that are waited for at once; 0: as many as the kernel thinks fit
    cookie: int = 0

    def __str__(self) -> str:
        """Return what errors call it."""
        return f"{self.path}+{self.at}" if self.path else self.at


class Events(Closing):
    """Events of ours. Those that a pinned link uses stay when they are closed, and are `leftovers` some day."""

    def __init__(self, file: str) -> None:
        self._names: list[str] = []
        with ExitStack() as held:
            self._files = held.enter_context(_tracefs())
            self._list = held.enter_context(_opened(self._files, file, os.O_WRONLY))
            self._held = held.pop_all()

    def add(self, place: Place) -> int:
        """Make an event and return its number, which perf_event_open(2) wants; OSError."""
        # The kernel's list of misses tells names without their groups, so that they differ between processes too.
        name = f"{_group()}/e{os.getpid()}_{next(_numbers)}"
        kind = "r" if place.returns else "p"
        # The path is looked up at once, so that one that the file cannot tell goes by another name.
        with _plain(place.path) as path:
            at = f"{path}:{place.at}" if path else place.at
            os.write(self._list.fileno(), f"{kind}{place.maxactive or ''}:{name} {at}".encode(errors="surrogateescape"))
        self._held.callback(_removed, self._list, name)
        self._names.append(name)
        return int(self._files.read(f"events/{name}/id"))

    def missed(self) -> int:
        """Return how many hits of functions of the kernel were missed, such as returns of too many calls at once."""
        with suppress(OSError):  # kernels without them; events of processes miss none
            lines = (line.split() for line in self._files.read("kprobe_profile").splitlines())
            ours = {name.partition("/")[2] for name in self._names}
            return sum(int(misses) for name, _, misses in lines if name in ours)
        return 0

    def close(self) -> None:
        """Take all of them away, from the last to the first, also where that fails for one."""
        self._held.close()


def attach(
    program: Program,
    places: Sequence[Place],
    refused: Callable[[str, OSError], BpfctlError],
    pid: int | None = None,
) -> list[Closing]:
    """Attach to places of one file by an event for each; closed from the last to the first, nothing stays.

    ``refused`` says what it means that the kernel refuses a place. With ``pid`` only that process runs the program.
    KernelError; NotSupported where the kernel has no such events.
    """
    with ExitStack() as held:
        events = held.enter_context(Events(places[0].file))
        attached = perf_event.all_or_none(_attached(program, events, places, refused, pid))
        held.pop_all()
    return [events, *attached]


def _attached(
    program: Program,
    events: Events,
    places: Sequence[Place],
    refused: Callable[[str, OSError], BpfctlError],
    pid: int | None,
) -> Iterator[Closing]:
    for place in places:
        try:
            event = perf_event.numbered(events.add(place), pid)
        except OSError as error:
            raise refused(str(place), error) from None
        yield perf_event.attach(program, event, f"can't attach to {place}", place.cookie)


class Leftover(NamedTuple):
    """An event of ours whose process is dead."""

    file: str
    name: str  # with its group
    at: str
    pid: int

    def remove(self) -> bool:
        """Take it away; False where a pinned link, or another program, uses it. KernelError."""
        with _tracefs() as files, _opened(files, self.file, os.O_WRONLY) as file:
            return _removed(file, self.name)


def leftovers() -> Iterator[Leftover]:
    """Yield the events of ours whose process is dead; KernelError, NotSupported where there is no tracefs."""
    with _tracefs() as files:
        for file in (KERNEL, PROCESSES):
            try:
                lines = files.read(file).splitlines()
            except OSError as error:
                if error.errno in (ENOENT, ENODEV):  # a kernel without such events has none of them
                    continue
                raise _unreadable(file, error) from None
            for line in lines:
                found = _OURS.match(line)
                if found is None:
                    continue
                made_by = lifetime.Lifetime(int(found[2]), int(found[3]), int(found[4]))
                if lifetime.is_over(made_by):
                    yield Leftover(file, found[1], found[5], made_by.pid)


def _group() -> str:
    """Return the name of the group for this process, which a forked one shares with nobody."""
    try:
        return "bpfctl_{}_{}_{}".format(*lifetime.own())
    except OSError:
        raise NotSupported("without /proc nobody could tell whose events of tracefs are left behind") from None


def _tracefs() -> Tracefs:
    return Tracefs.open("can't open tracefs for events of its own")


def _opened(files: Tracefs, file: str, flags: int) -> FD:
    try:
        return files.file(file, flags)
    except OSError as error:
        if error.errno in (ENOENT, ENODEV):
            raise lacking(file) from None
        raise error if isinstance(error, KernelError) else _unreadable(file, error) from None


def _unreadable(file: str, error: OSError) -> KernelError:
    return refused(f"can't open {file} in tracefs", error.errno or 0)


def _removed(file: FD, name: str) -> bool:
    """Take an event away; return whether it is gone."""
    try:
        os.write(file.fileno(), f"-:{name}".encode())
    except OSError as error:
        if error.errno == EBUSY:
            return False
        if error.errno != ENOENT:  # somebody else has taken it away
            raise KernelError(f"can't remove event '{name}'", error.errno or 0) from None
    return True


@contextmanager
def _plain(path: str) -> Iterator[str]:
    if _PLAIN.fullmatch(path):
        yield path
        return
    with FD(os.open(path, os.O_PATH | os.O_CLOEXEC)) as file:
        yield f"/proc/self/fd/{file.fileno()}"
