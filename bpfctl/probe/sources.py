"""What probes are called: specs become points of the sources that plugins bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.errors import NotFound, NotSupported, PluginError, UsageError
from bpfctl.probe import registry
from bpfctl.probe.common import FIELDS
from bpfctl.probe.source import PerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.host.process import Process
    from bpfctl.probe.field import Field
    from bpfctl.probe.source import ProbePoint, Source


class Sources:
    """The sources of a run, each made once; with ``pid`` those that can look at that process alone.

    NotFound where there is no such process; 0 is what runs where nothing does.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._process: Process | None = None
        if pid:
            from bpfctl.host.process import Process  # noqa: PLC0415 - most look at all processes

            self._process = Process(pid)
        self._made: dict[str, Source] = {}
        #: The points that were meant together with others, by a pattern say.
        self.several: set[ProbePoint] = set()

    def of(self, kind: str) -> Source:
        """Return the source of a kind; NotFound, PluginError."""
        if kind not in self._made:
            source = registry.find(kind)
            if self._process is not None and isinstance(source, PerProcess):
                source = source.within(self._process)
            self._made[kind] = source
        return self._made[kind]

    def need_process(self, specs: Sequence[str]) -> None:
        """Raise UsageError for a spec whose source cannot look at one process alone; NotFound."""
        for spec in specs:
            source, _ = self.split(spec)
            if self._process is None or not isinstance(source, PerProcess):
                raise UsageError(f"{spec} is attached in no process alone: the program has to look whose hit it is")

    def split(self, spec: str) -> tuple[Source, str]:
        """Return the source that a KIND:TARGET speaks of, and the target.

        Without a kind it is CATEGORY:NAME of a tracepoint, where there is such a category. NotFound, PluginError.
        """
        kind, _, target = spec.partition(":")
        try:
            return self.of(kind), target
        except NotFound:
            if self._without_kind(f"{kind}:*"):
                return self.of(_USUAL), spec
            categories = {point.target.partition(":")[0] for point in self._without_kind("*")}
            return registry.find(kind, categories), target  # which is not there, but may have come meanwhile

    def _without_kind(self, pattern: str) -> list[ProbePoint]:
        """Return the points of the usual kind that a pattern matches, none where there is no such kind."""
        try:
            return [*self.of(_USUAL).discover(pattern)]
        except (NotFound, NotSupported, PluginError):
            return []

    def resolve(self, specs: Sequence[str]) -> tuple[ProbePoint, ...]:
        """Return the points of all specs, each once; UsageError and NotFound say what is wrong with one."""
        points: dict[ProbePoint, None] = {}
        for spec in specs:
            _, colon, target = spec.partition(":")
            if not colon or not target:
                from shlex import quote  # noqa: PLC0415 - needed for mistakes alone

                error = UsageError(f"'{spec}' names no probe: it should be KIND:TARGET, such as {_EXAMPLE}")
                error.hint = f"'bpfctl probe list {quote(spec)}' tells which there are" if spec and not colon else ""
                raise error
            source, target = self.split(spec)
            found = source.resolve(target)
            points |= dict.fromkeys(found)
            self.several.update(found if len(found) > 1 else ())
        return tuple(points)


_EXAMPLE = "tracepoint:sched:sched_switch"
#: The kind that may be left out.
_USUAL = "tracepoint"


def known(fields: Sequence[Field], name: str, place: str) -> Field:
    """Return the field of a name; NotFound says which there are, and what is close."""
    for field in fields:
        if field.name == name:
            return field
    from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes alone

    there = [field.name for field in fields]
    near = get_close_matches(name, [*there, *FIELDS], 1)
    hint = f", did you mean '{near[0]}'?" if near else f" (there are: {', '.join([*there, *FIELDS])})"
    raise NotFound(f"{place} has no field '{name}'{hint}")
