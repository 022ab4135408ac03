"""What a source of events is to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from bpfctl._sys.fd import Closing
    from bpfctl.attach.counter import Counter
    from bpfctl.errors import KernelError
    from bpfctl.host.process import Process
    from bpfctl.kernel.prog import Program
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field, Load
    from bpfctl.uapi.enums import AttachType, ProgType

#: The version of the plugin interface; a plugin says which one it was written for.
API = 1


class ProbePoint(NamedTuple):
    """A place that can be probed: the kind of its source, and what the source calls it."""

    kind: str
    target: str

    def __str__(self) -> str:
        """Return the spec that a user writes, such as ``tracepoint:sched:sched_switch``."""
        return f"{self.kind}:{self.target}"


class Group(NamedTuple):
    """Points that one program serves, one way to attach it there, and the next way where this one is refused."""

    way: str  # for people, such as "raw tracepoint"
    points: tuple[ProbePoint, ...]
    type: ProgType
    field: Callable[[str], Field]  # a field of these points by its name; NotFound
    attach: Callable[[Program], list[Closing]]  # what it returns detaches when closed; KernelError, and nothing stays
    #: Puts the number of the point that was hit, among these, into r7, or jumps to OUT; None where there is but one.
    choose: Callable[[Code], None] | None = None
    attach_type: AttachType | int = 0
    btf_id: int = 0  # of what it is attached to, where the program type wants that at load time
    btf_fd: int = 0
    otherwise: Callable[[], Group] | None = None
    #: The same as ``attach``, with a number that the user's own program is told; None where nothing tells it.
    attach_cookie: Callable[[Program, int], list[Closing]] | None = None
    for_all: bool = False  # whether others are hit too, though a process was asked for
    #: Loads a number that a thread has for one call alone while that goes on, the same where it begins and where it
    #: returns: where its frame is. None where nothing tells one call of a thread from another.
    frame: Load | None = None
    #: Where a function of a process is just entered: loads the address that it returns to. Its caller has no frame that
    #: the kernel would find yet.
    caller: Load | None = None
    interrupted: bool = False  # whether a program may be put aside, and run for another thread of the CPU meanwhile
    #: Returns what it means that the program cannot be loaded, where that binds it to the points already.
    unloaded: Callable[[KernelError], KernelError] | None = None


@runtime_checkable
class Located(Protocol):
    """What a source may have besides: it knows where its points are in code."""

    def locations(self, point: ProbePoint) -> Sequence[Mapping[str, int | str]]:
        """Return what is known of each place of a point, by what it is called; numbers are addresses."""


@runtime_checkable
class InSessions(Protocol):
    """What a source with calls may have besides: one program can be at both ends of them (Linux 6.10)."""

    def sessions(self, points: Sequence[ProbePoint], names: frozenset[str]) -> Iterator[Group]:
        """Yield groups as ``groups()`` does, of those points that can be in a session.

        The groups of where calls begin attach a program to both ends; those of where they return tell the fields there.
        """


@runtime_checkable
class PerProcess(Protocol):
    """What a source may have besides: it can look at one process, so that others do not pay for it."""

    def within(self, process: Process) -> Source:
        """Return such a source for one process alone: what it sees is looked up, and attached there and nowhere else.

        Whoever asks still chooses the hits of that process, since others may share its memory.
        """


@runtime_checkable
class Countable(Protocol):
    """What a source may have besides: the kernel counts its events where no program is."""

    def counters(self, target: str) -> Sequence[Counter]:
        """Return what is counted for a target; NotFound, UsageError.

        Whoever opens it finds out whether this machine can count it. Of a pattern only those are returned that it can.
        """


@runtime_checkable
class Paired(Protocol):
    """What a source may have besides: its points are where calls begin, or where they return."""

    def call(self, point: ProbePoint) -> tuple[ProbePoint, ProbePoint]:
        """Return where the calls begin that a point is about, and where they return; UsageError for no such point."""


class Source(Protocol):
    """A kind of event, such as tracepoints. A plugin's entry point names a class that has these members.

    It is made without arguments, costs nothing until it is asked, and keeps what it has learned: it is asked several
    times about the same points.
    """

    api: int
    """The version of this interface that the source was written for."""

    kind: str
    """The word before the colon in a spec; also the name of the entry point."""

    summary: str
    """One line that says what fires and when."""

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the places whose target matches a shell-style pattern, in order.

        Raises NotSupported when this machine offers none at all, with the reason.
        """

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the points that a spec means; NotFound says what is close, UsageError what is wrong with the spec."""

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return what can be read at a point, beside what can be read everywhere."""

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield what serves points when these fields are read there; ``held`` is closed when that is over."""
