"""Programs on perf events: by a link where the kernel has one for them (Linux 5.15), or else by the event itself.

Kernel: bpf_perf_link_attach() in kernel/bpf/syscall.c, perf_event_set_bpf_prog() in kernel/events/core.c.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from errno import EACCES, EAGAIN, EBUSY, EINVAL, EMFILE, ENODEV, ENOSPC, EPERM
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach as attach_calls
from bpfctl._sys import perf
from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import KernelError, NotSupported
from bpfctl.host import cpus
from bpfctl.kernel import refusal
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfctl._sys.fd import FD, Closing
    from bpfctl.host.process import Process
    from bpfctl.kernel.prog import Program

_TRIES = 100
_TRACEPOINT = 2  # PERF_TYPE_TRACEPOINT


class Event(NamedTuple):
    """An event that interrupts each time that it has happened ``period`` times on a CPU (struct perf_event_attr)."""

    type: int
    config: int
    period: int
    config1: int = 0  # of a breakpoint its address
    config2: int = 0  # of a breakpoint its length in bytes
    config3: int = 0
    bp_type: int = 0
    cpus: Sequence[int] | None = None  # where to look; None: everywhere

    def open(self, cpu: int, flags: int = 0, *, pid: int = -1, **more: int) -> FD:
        """Open it on a CPU, or in a thread on all of them, where ``cpu`` is -1; OSError.

        ``more`` are arguments of open_event() that only counters need.
        """
        members = {
            "sample_period": self.period,
            "config1": self.config1,
            "config2": self.config2,
            "config3": self.config3,
            "bp_type": self.bp_type,
        }
        return perf.open_event(self.type, self.config, pid=pid, cpu=cpu, flags=flags, **members, **more)

    def refusal(self) -> int:
        """Return 0 where it can be had, and otherwise the kernel's errno. It is opened for that, and closed."""
        answer = ENODEV
        for cpu in self.running_cpus():
            try:
                self.open(cpu, perf.DISABLED).close()
            except OSError as error:
                answer = error.errno or 0
                if answer != ENODEV:
                    return answer
            else:
                return 0
        return answer

    def running_cpus(self) -> list[int]:
        """Return the CPUs where to look that run now."""
        online = cpus.online()
        return online if self.cpus is None else [cpu for cpu in online if cpu in self.cpus]


def attach(program: Program, event: FD, tried: str, cookie: int = 0) -> Closing:
    """Attach to an open event, which is ours from now on; what is returned detaches when it is closed.

    KernelError ``tried``. A cookie that is not 0 needs a link; NotSupported where the kernel has none.
    """
    with event:
        if cookie and not has_cookies():
            raise NotSupported(f"{tried}: this kernel has no cookies for that (Linux 5.15)")
        try:
            extra = struct.pack("=Q", cookie)
            return Link(attach_calls.link_create(program.fileno(), event.fileno(), AttachType.PERF_EVENT, extra=extra))
        except OSError as error:
            if error.errno != EINVAL or cookie:
                raise _refused(tried, error) from None
        try:
            perf.ioctl(event.fileno(), perf.IOC_SET_BPF, program.fileno())
            perf.ioctl(event.fileno(), perf.IOC_ENABLE)
        except OSError as error:
            raise _refused(tried, error) from None
        return type(event)(event.detach())


def tracepoint(program: Program, number: int, name: str, cookie: int = 0) -> Closing:
    """Attach to the tracepoint with this number in tracefs; KernelError."""
    tried = f"can't attach to tracepoint '{name}'"
    try:
        event = numbered(number)
    except OSError as error:
        raise _refused(tried, error) from None
    return attach(program, event, tried, cookie)


def numbered(number: int, pid: int | None = None) -> FD:
    """Open the event with this number in tracefs, with ``pid`` for that process alone; OSError."""
    return perf.open_event(_TRACEPOINT, number, **({"cpu": 0} if pid is None else {"pid": pid}))


def everywhere(program: Program, event: Event, name: str, cookie: int = 0) -> list[Closing]:
    """Attach to an event on each of its CPUs; KernelError, and then nothing stays attached.

    CPUs that stop running are passed over, and those that start later are not looked at.
    """
    attached = all_or_none(_on_cpus(program, event, name, cookie))
    if not attached:
        raise KernelError(f"can't attach to {name}", ENODEV)
    return attached


def _on_cpus(program: Program, event: Event, name: str, cookie: int) -> Iterator[Closing]:
    for cpu in event.running_cpus():
        tried = f"can't attach to {name} on CPU {cpu}"
        try:
            opened = event.open(cpu)
        except OSError as error:
            answer = error.errno or 0
            if answer == ENODEV:
                continue
            raise KernelError(tried, answer, hint=event_hint(answer)) from None
        yield attach(program, opened, tried, cookie)


def in_process(program: Program, event: Event, name: str, process: Process, cookie: int = 0) -> list[Closing]:
    """Attach to an event in each thread of a process, and in those that they start; on all CPUs.

    Whether a thread has the event that starts meanwhile cannot be known, so then all is done anew. KernelError, EAGAIN
    where threads come all the time; NotFound where the process has ended. Nothing stays attached then.
    """
    for _ in range(_TRIES):
        with ExitStack() as held:
            threads = process.threads()
            attached = [held.enter_context(one) for one in _in_threads(program, event, name, threads, cookie)]
            if attached and not set(process.threads()).difference(threads):
                held.pop_all()
                return attached
    raise KernelError(f"can't attach to {name} in process {process.pid}", EAGAIN)


def _in_threads(program: Program, event: Event, name: str, threads: Sequence[int], cookie: int) -> Iterator[Closing]:
    for thread in threads:
        tried = f"can't attach to {name} in thread {thread}"
        try:
            opened = event.open(-1, perf.INHERIT, pid=thread)
        except ProcessLookupError:  # it has ended
            continue
        except OSError as error:
            answer = error.errno or 0
            raise KernelError(tried, answer, hint=event_hint(answer)) from None
        yield attach(program, opened, tried, cookie)


def all_or_none(made: Iterable[Closing]) -> list[Closing]:
    """Return what is made, one after the other; where one cannot be made, those before it are closed."""
    with ExitStack() as held:
        found = [held.enter_context(one) for one in made]
        held.pop_all()
    return found


_SPENT = {
    EBUSY: "all counters that can count it are in use",
    ENOSPC: "all breakpoints of a CPU are in use",
    EMFILE: "each CPU needs a file of its own: ulimit -n allows more",
}


def event_hint(errno: int) -> str:
    """Return what to do about an event that is refused to us, empty for other answers."""
    return refusal.perf_hint() if errno in (EPERM, EACCES) else _SPENT.get(errno, "")


def _refused(tried: str, error: OSError) -> KernelError:
    number = error.errno or 0
    return KernelError(tried, number, hint=privilege_hint(number, "CAP_PERFMON"))
