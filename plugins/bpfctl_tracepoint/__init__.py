"""tracepoint:CATEGORY:NAME fires where the kernel's authors have put a static event."""

from __future__ import annotations

import re
from contextlib import suppress
from errno import EINVAL, ENAMETOOLONG, ENOENT
from fnmatch import translate
from functools import cached_property, partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    API,
    BpfctlError,
    Group,
    KernelError,
    NotFound,
    NotSupported,
    PerfCounter,
    PerfEvent,
    PerfType,
    ProbePoint,
    ProgType,
    Tracefs,
    UsageError,
    attach_raw_tracepoint,
    attach_tracepoint,
    chosen,
    is_pattern,
    known,
    one_call,
)
from bpfctl_tracepoint.format import Format, parse
from bpfctl_tracepoint.names import ENTER, EXIT, called

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from bpfctl.plugin import Closing, Field, Program

#: Categories whose events are not those of a tracepoint of the same name.
_WITHOUT_TWIN = frozenset({"syscalls", "kprobes", "uprobes", "synthetic", "user_events", "user_events_multi"})
#: Events that somebody has made, in a category of any name: probes of functions, say.
_MADE = re.compile(r"^\w+:([^\s/]+)/(\S+)", re.MULTILINE)
#: What lies there tells how tracers write their records, and is no event (available_events has none of it).
_OF_TRACERS = "ftrace"


class TracepointSource:
    """The static events that tracefs lists."""

    api = API
    kind = "tracepoint"
    summary = "static events in the kernel, by CATEGORY:NAME"

    def __init__(self) -> None:
        self._formats: dict[str, Format] = {}

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the tracepoints whose ``CATEGORY:NAME`` matches."""
        match = re.compile(translate(pattern)).match
        category, colon, _ = pattern.partition(":")
        with _tracefs() as files:
            whole = not colon or is_pattern(category)
            for target in _targets(files) if whole else _of_category(files, category):
                if match(target):
                    yield ProbePoint(self.kind, target)

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the tracepoints of a ``CATEGORY:NAME``, or those that a pattern matches."""
        if ":" not in target and not is_pattern(target):
            raise UsageError(f"'{self.kind}:{target}' should be {self.kind}:CATEGORY:NAME")
        category, _, name = target.partition(":")
        with _tracefs() as files:
            # One category is listed in a millisecond, all in fifty; all are wanted only to tell what is close.
            names = [] if is_pattern(category) else list(_of_category(files, category))
            if not is_pattern(name) and target not in names:
                names = []
            every = names or _targets(files)
            return [ProbePoint(self.kind, found) for found in chosen(every, target, "tracepoint")]

    def counters(self, target: str) -> Sequence[PerfCounter]:
        """Return what is counted of a ``CATEGORY:NAME`` or a pattern."""
        return [
            PerfCounter(str(point), PerfEvent(PerfType.TRACEPOINT, self._format(point).id, 0))
            for point in self.resolve(target)
        ]

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the fields that the format file tells, but for those that begin with __: who wants one names it."""
        return [field for field in self._format(point).fields if not field.name.startswith("__")]

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield a group for each point, and one for all system calls: raw tracepoints where no field of theirs is read.

        A raw tracepoint costs less at each hit, and is detached at once; each close of a perf event waits until no CPU
        can be in its program any more (tracepoint_synchronize_unregister() in kernel/trace/trace_event_perf.c).
        """
        calls = [] if names else [point for point in points if point.target.startswith("syscalls:")]
        found = self._together(calls, held) if calls else []
        yield from found
        done = {point for group in found for point in group.points}
        for point in (point for point in points if point not in done):
            by_event = partial(self._by_event, point)
            if names or point.target.partition(":")[0] in _WITHOUT_TWIN or point.target in self._made:
                yield by_event()
            else:
                yield self._raw(point)

    @cached_property
    def _made(self) -> frozenset[str]:
        """The events that somebody has made, which may have the name of a tracepoint."""
        with suppress(OSError, BpfctlError), _tracefs() as files:
            return frozenset(map(":".join, _MADE.findall(files.read("dynamic_events"))))
        return frozenset()  # nobody tells

    def _together(self, calls: Sequence[ProbePoint], held: ExitStack) -> list[Group]:
        from bpfctl_tracepoint.syscalls import together  # noqa: PLC0415 - types take long to load

        return together(calls, lambda point: partial(self._field, point), self._by_event, held)

    def _raw(self, point: ProbePoint) -> Group:
        name = point.target.partition(":")[2]
        return Group(
            "raw tracepoint",
            (point,),
            ProgType.RAW_TRACEPOINT,
            partial(self._field, point),
            lambda program: [attach_raw_tracepoint(program, name)],
            otherwise=partial(self._by_event, point),
            attach_cookie=lambda program, cookie: [attach_raw_tracepoint(program, name, cookie)],
        )

    def _by_event(self, point: ProbePoint) -> Group:
        def attach(program: Program, cookie: int = 0) -> list[Closing]:
            try:
                return [attach_tracepoint(program, self._format(point).id, point.target, cookie)]
            except KernelError as error:
                if error.errno == EINVAL and point.target in self._made:
                    error.hint = "somebody has made this event, of a probe or of other events: it takes no such program"
                raise

        return Group(
            "perf event",
            (point,),
            ProgType.TRACEPOINT,
            partial(self._field, point),
            attach,
            attach_cookie=attach,
            frame=one_call if called(point) else None,
        )

    def call(self, point: ProbePoint) -> tuple[ProbePoint, ProbePoint]:
        """Return where a system call begins, and where it ends; UsageError for an event that is none."""
        name = called(point)
        if not name:
            raise UsageError(f"{point} is no call that returns: --from and --to tell two probes, and the time between")
        begin, end = (ProbePoint(self.kind, f"syscalls:{prefix}{name}") for prefix in (ENTER, EXIT))
        return begin, end

    def _field(self, point: ProbePoint, name: str) -> Field:
        format_ = self._format(point)
        items = {item.name: item for item in format_.items}
        return items.get(name) or known(format_.fields, name, str(point))

    def _format(self, point: ProbePoint) -> Format:
        if point.target not in self._formats:
            try:
                with _tracefs() as files:
                    text = files.read(f"events/{point.target.replace(':', '/')}/format")
            except OSError as error:
                if error.errno == ENOENT:
                    raise NotFound(f"{point} is gone: its module was unloaded") from None
                hint = getattr(error, "hint", "")
                raise KernelError(f"can't read the format of {point}", error.errno or 0, hint=hint) from None
            self._formats[point.target] = parse(text, is_syscall=point.target.startswith("syscalls:"))
        return self._formats[point.target]


def _tracefs() -> Tracefs:
    return Tracefs.open("tracepoints cannot be listed")


def _unlisted(error: OSError) -> KernelError:
    return KernelError("tracepoints cannot be listed", error.errno or 0, hint=getattr(error, "hint", ""))


def _targets(files: Tracefs) -> Iterator[str]:
    """Yield CATEGORY:NAME of every event, in the order of the alphabet."""
    try:
        categories = files.folders("events")
    except OSError as error:
        if error.errno == ENOENT:
            raise NotSupported("this kernel has no tracepoints (CONFIG_EVENT_TRACING)") from None
        raise _unlisted(error) from None
    for category in categories:
        yield from _of_category(files, category)


def _of_category(files: Tracefs, category: str) -> Iterator[str]:
    """Yield CATEGORY:NAME of the events of a category, none if there is no such category."""
    if "/" in category or category == _OF_TRACERS:
        return
    try:
        names = files.folders(f"events/{category}")
    except OSError as error:
        if error.errno in (ENOENT, ENAMETOOLONG):  # or its module was unloaded meanwhile
            return
        raise _unlisted(error) from None
    for name in names:
        yield f"{category}:{name}"
