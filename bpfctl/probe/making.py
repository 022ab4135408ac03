"""What was asked for as programs: one for each group of points, ready to be loaded."""

from __future__ import annotations

from errno import E2BIG, EACCES, EMFILE, ENOMEM
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import programs
from bpfctl.asm.insn import R1
from bpfctl.errors import KernelError, VerifierError
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.prog import Program
from bpfctl.probe.action import Part
from bpfctl.probe.code import CTX, OUT, POINT, Code
from bpfctl.probe.common import FIELDS, OWN
from bpfctl.probe.filter import Filter
from bpfctl.probe.source import InSessions
from bpfctl.probe.way import only
from bpfctl.probe.where import names as named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from bpfctl._sys.programs import Loaded
    from bpfctl.probe.action import Action
    from bpfctl.probe.field import Field
    from bpfctl.probe.session import Wanted
    from bpfctl.probe.source import Group, ProbePoint
    from bpfctl.probe.sources import Sources
    from bpfctl.probe.where import Tree

_LICENSE = b"Dual BSD/GPL"
_NAME = b"bpfctl_probe"
_TOO_MUCH = frozenset({E2BIG, ENOMEM})
_LESS = "less may fit: --max-entries, --max-calls and --buffer say how much"


class Made(NamedTuple):
    """A program that is ready to be loaded, and the points that it serves."""

    group: Group
    part: Part
    insns: bytes
    names: frozenset[str]  # fields that are read there
    end: Part | None = None  # where calls return, of a program that is at both ends
    end_names: frozenset[str] = frozenset()


def _part(group: Group, first: int) -> Part:
    return Part(group.points, first, partial(_field, group), group.frame, group.caller)


def _field(group: Group, name: str) -> Field:
    """Return a field that is read at every point, or one of the group's own, which ``args.`` may be put before."""
    return FIELDS.get(name) or group.field(name.removeprefix(OWN))


def make(sources: Sources, wanted: Wanted, action: Action, held: ExitStack) -> list[Made]:
    """Return the programs for points; ``held`` owns what they refer to."""
    pairs = list(_pairs(sources, wanted, action))
    served = {point for group, _, end, _ in pairs for point in (*group.points, *end.points)}
    groups: list[tuple[Group, frozenset[str]]] = []
    for side in action.sides(wanted.points):
        for points, read in _by_kind(sources, wanted, action, [point for point in side if point not in served]):
            found = sources.of(points[0].kind).groups(points, read, held)
            groups += ((only(group, wanted.way), read) for group in found)
    parts: list[Part] = []
    for group in (*(group for group, _ in groups), *(group for begin, _, end, _ in pairs for group in (begin, end))):
        first = parts[-1].first + len(parts[-1].points) if parts else 0
        parts.append(_part(group, first))
    try:
        action.open(parts)
    except KernelError as error:
        more = _LESS if error.errno in _TOO_MUCH else privilege_hint(error.errno or 0, "CAP_BPF", "CAP_PERFMON")
        error.hint = error.hint or more
        raise
    made = [
        assemble(group, part.first, wanted.where, action, read)
        for (group, read), part in zip(groups, parts, strict=False)
    ]
    if not pairs:
        return made
    from bpfctl.probe import both_ends  # noqa: PLC0415 - as for them

    both = parts[len(groups) :]
    for (group, names, _, end_names), begin, end in zip(pairs, both[::2], both[1::2], strict=True):
        wheres = (action.condition(begin.points, wanted.where), action.condition(end.points, wanted.where))
        made.append(Made(group, begin, both_ends.assemble(group, begin, end, wheres, action), names, end, end_names))
    return made


def _by_kind(
    sources: Sources, wanted: Wanted, action: Action, points: Sequence[ProbePoint]
) -> Iterator[tuple[list[ProbePoint], frozenset[str]]]:
    """Yield points of one side by their kinds, and the fields that are read there."""
    if not points:
        return
    where = action.condition(points, wanted.where)
    names = frozenset(named(where)) if where else frozenset()
    for kind in dict.fromkeys(point.kind for point in points):
        of_kind = [point for point in points if point.kind == kind]
        there = (action.names(of_kind, sources.of(kind).fields) | names) - FIELDS.keys()
        yield of_kind, frozenset(name.removeprefix(OWN) for name in there)


def _pairs(
    sources: Sources, wanted: Wanted, action: Action
) -> Iterator[tuple[Group, frozenset[str], Group, frozenset[str]]]:
    """Yield groups of both ends of calls that one program can be at, and the fields that are read at each end."""
    begins = [point for point in wanted.points if action.end(point) is not None]
    if not begins:
        return
    from bpfctl.probe import both_ends  # noqa: PLC0415 - few actions look at both ends

    if both_ends.functions() is None:
        return
    for points, read in _by_kind(sources, wanted, action, begins):
        source = sources.of(points[0].kind)
        for group in source.sessions(points, read) if isinstance(source, InSessions) else ():
            ends = tuple(end for point in group.points if (end := action.end(point)) is not None)
            other = sources.of(ends[0].kind)
            if group.way.startswith(wanted.way) and isinstance(other, InSessions):
                for there, end_read in _by_kind(sources, wanted, action, ends):
                    found = list(other.sessions(there, end_read))
                    if [end.points for end in found] == [ends]:
                        returned = found[0]._replace(frame=both_ends.returned)
                        yield group._replace(frame=both_ends.began), read, returned, end_read


def assemble(group: Group, first: int, where: Tree | None, action: Action, names: frozenset[str]) -> Made:
    """Return the program of a group whose first point has this number."""
    code, part = Code(), _part(group, first)
    code.mov(CTX, R1)
    if group.choose is None:
        code.mov(POINT, first)
    else:
        group.choose(code)
        code.add(POINT, first)
    action.always(code, part)
    where = action.condition(group.points, where)
    if where is not None:
        Filter(code, part.field).unless(where, OUT)
    action.emit(code, part)
    return Made(group, part, code.end(interrupted=group.interrupted), names)


def load(made: Made) -> Program:
    """Load a program; KernelError, or VerifierError with the log."""
    try:
        return _loaded(made)
    except KernelError as error:
        if made.group.unloaded is None:
            raise
        raise made.group.unloaded(error) from None


def _loaded(made: Made) -> Program:
    group, tried = made.group, f"can't load the program for {made.group.points[0]}"

    def attempt(log_level: int) -> Loaded:
        return programs.load(
            group.type,
            made.insns,
            license=_LICENSE,
            name=_NAME,
            expected_attach_type=group.attach_type,
            attach_btf_id=group.btf_id,
            attach_fd=group.btf_fd,
            log_level=log_level,
        )

    try:
        return Program(attempt(0).fd)
    except OSError as error:
        number = error.errno or 0
    if number == EMFILE:  # then nothing can be imported either
        raise KernelError(tried, number, hint="probe less at once, or allow more files (ulimit -n)")
    hint = privilege_hint(number, "CAP_BPF", "CAP_PERFMON")  # as all programs of probes do
    if hint and number != EACCES:  # which is the verifier's answer too
        raise KernelError(tried, number, hint=hint)
    from bpfctl.kernel.verifier import Asked  # noqa: PLC0415 - most programs are taken

    try:
        return Program(Asked(tried, number, made.insns).load(attempt).fd)
    except VerifierError as error:
        error.hint = "" if error.log else hint
        raise
