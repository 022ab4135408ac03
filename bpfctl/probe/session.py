"""A probe under way: what was asked for becomes programs, which are loaded, attached, and in the end taken away."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from errno import E2BIG, EACCES, EMFILE, ENFILE, ENOMEM, ENOSPC, EPERM
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys.fd import Closing, ManyFiles
from bpfctl.errors import KernelError, NotFound, NotSupported
from bpfctl.probe.making import assemble, load, make
from bpfctl.probe.way import only, reason
from bpfctl.uapi.enums import ProgType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.errors import BpfctlError
    from bpfctl.kernel.prog import Program
    from bpfctl.probe.action import Action
    from bpfctl.probe.making import Made
    from bpfctl.probe.source import ProbePoint
    from bpfctl.probe.sources import Sources
    from bpfctl.probe.where import Tree

#: What says nothing of a point: we may not, or there is no room.
_OF_US = frozenset({EPERM, EACCES, ENOMEM, ENOSPC, EMFILE, ENFILE, E2BIG})


class Wanted(NamedTuple):
    """What is to be probed, which hits count, and the name of the only way to attach that will do, or its beginning.

    Of ``any_of`` those that the kernel refuses are left out, as long as there are others.
    """

    points: tuple[ProbePoint, ...]
    where: Tree | None = None
    way: str = ""
    any_of: frozenset[ProbePoint] = frozenset()


class Probing(Closing):
    """Programs at work, until it is closed.

    KernelError where the kernel refuses one whose points may not be ``left_out``; then nothing stays attached.
    """

    def __init__(self, sources: Sources, wanted: Wanted, action: Action) -> None:
        self.wanted = wanted
        self.made: list[Made] = []
        self.left_out: dict[ProbePoint, BpfctlError] = {}  # and why
        self._sources = sources
        with ExitStack() as held:
            held.enter_context(ManyFiles())  # without cookies each point has a program of its own, and an event
            self._programs: list[Program] = []
            self._attachments: list[list[Closing]] = []
            self._missed_before = 0
            self._links = held.enter_context(ExitStack())
            every = make(sources, wanted, action, held)
            served = Counter(point for made in every for point in made.group.points)
            self._shared = {point for point, times in served.items() if times > 1}  # such as one of several sites
            for made in every:
                self._attach(action, made, held)
            if not self.made:
                raise next(iter(self.left_out.values()))
            self._held = held.pop_all()

    def _attach(self, action: Action, made: Made, held: ExitStack) -> None:
        """Attach to all points of a group, or to all but those that are refused and may be left out."""
        points = made.group.points
        if made.end is None and self._leave_out_with_ends(action, made, held):
            return
        try:
            done, program = self._attached(action, made, held)
        except (KernelError, NotFound, NotSupported) as error:
            # Linux 6.10 has functions for sessions, but until 6.13 programs of uprobes may not call them.
            is_refused = bool(getattr(error, "log", "")) or getattr(error, "errno", None) not in _OF_US
            if made.end is not None and is_refused and not self._is_only_way(made):
                self._attach_anew(action, made.end.points, made.end.first, made.end_names, held)
                self._attach_anew(action, points, made.part.first, made.names, held)
                return
            if getattr(error, "errno", None) in _OF_US or not self.wanted.any_of.issuperset(points):
                raise
            if len(points) == 1:
                self.left_out[points[0]] = error
                return
            if not self._shared.isdisjoint(points):  # their other groups would be attached once more
                raise
        else:
            self.made.append(done)
            self._programs.append(program)
            return
        half = len(points) // 2  # nobody says which one it is
        self._attach_anew(action, points[:half], made.part.first, made.names, held)
        self._attach_anew(action, points[half:], made.part.first + half, made.names, held)

    def _leave_out_with_ends(self, action: Action, made: Made, held: ExitStack) -> bool:
        """Leave out beginnings whose end is, and attach to the others; return whether there were such."""
        refused = {
            point: self.left_out[end]
            for point in made.group.points
            if (end := action.end(point)) is not None and end in self.left_out
        }
        if refused:
            self.left_out |= refused
            for at, point in enumerate(made.group.points, made.part.first):
                if point not in refused:
                    self._attach_anew(action, [point], at, made.names, held)
        return bool(refused)

    def _is_only_way(self, made: Made) -> bool:
        """Return whether nothing but a session was asked for."""
        return bool(self.wanted.way) and made.group.way.startswith(self.wanted.way)

    def _attach_anew(
        self, action: Action, points: Sequence[ProbePoint], first: int, names: frozenset[str], held: ExitStack
    ) -> None:
        """Attach to points whose first has this number, in other groups than before."""
        for group in self._sources.of(points[0].kind).groups(points, names, held):
            number = first + points.index(group.points[0])
            again = assemble(only(group, self.wanted.way), number, self.wanted.where, action, names)
            self._attach(action, again, held)

    def _attached(self, action: Action, made: Made, held: ExitStack) -> tuple[Made, Program]:
        """Load and attach a program, or that of the next way where this one is refused."""
        refusals: list[KernelError | NotSupported] = []
        while True:
            program = held.enter_context(load(made))
            try:
                links = made.group.attach(program)
                for link in links:
                    self._links.enter_context(link)
            except (KernelError, NotSupported) as error:
                refusals.append(error)
                if made.group.otherwise is None:
                    raise reason(refusals) from None
                made = assemble(made.group.otherwise(), made.part.first, self.wanted.where, action, made.names)
            else:
                if made.group.type == ProgType.KPROBE:  # all other programs miss nothing outside of themselves
                    self._attachments.append(links)
                return made, program

    def stop(self) -> None:
        """Detach all programs; what they have gathered can still be read."""
        self._missed_before += self._missed_there()
        self._attachments.clear()
        self._links.close()

    def missed(self) -> int:
        """Return how many hits the kernel has kept from the programs.

        They were running already (Linux 5.12), or more calls of a function were on their way than the kernel follows.
        """
        misses = sum(program.info().recursion_misses or 0 for program in self._programs)
        return misses + self._missed_before + self._missed_there()

    def _missed_there(self) -> int:
        if not self._attachments:
            return 0
        from bpfctl.attach.missed import missed  # noqa: PLC0415 - few are asked

        return sum(missed(links) for links in self._attachments)

    def close(self) -> None:
        """Detach all programs and take them away."""
        self._held.close()
