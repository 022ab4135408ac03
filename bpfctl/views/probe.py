"""Places that can be probed, what can be read there, and the programs that are made for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.disasm import text
from bpfctl.asm.insn import Insn
from bpfctl.probe.way import ways
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bpfctl.probe.field import Field
    from bpfctl.probe.making import Made
    from bpfctl.probe.source import ProbePoint


class Told(NamedTuple):
    """A place with what can be read there."""

    point: ProbePoint
    fields: Sequence[Field] | None  # None: nobody asked
    way: str = ""  # how a program is attached there; empty where nobody asked, or where that is refused
    refusal: str = ""
    locations: Sequence[Mapping[str, int | str]] = ()  # where it is in code; numbers are addresses


def _json(told: Told) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": told.point.kind, "target": told.point.target, "spec": str(told.point)}
    if told.fields is not None:
        found["fields"] = [{"name": field.name, "type": field.told} for field in told.fields]
    if told.locations:
        found["locations"] = list(told.locations)
    if told.way:
        found["attach"] = told.way
    if told.refusal:
        found["error"] = told.refusal
    return found


def _plain(told: Told) -> Iterator[str]:
    yield str(told.point)
    for field in told.fields or ():
        yield f"    {_declared(field)}"
    for place in told.locations:
        yield f"    at {_place(place)}"
    if told.way:
        yield f"    can be attached: as {told.way}"
    if told.refusal:
        yield f"    cannot be attached: {told.refusal}"


def _declared(field: Field) -> str:
    """Return a field as C declares it, as far as its type says how."""
    type_, _, array = field.told.partition("[")
    gap = "" if type_.endswith("*") else " "
    return f"{type_.rstrip()}{gap}{field.name}{'[' + array if array else ''}".strip()


def _place(place: Mapping[str, int | str]) -> str:
    return ", ".join(
        f"{name} {value:#x}" if isinstance(value, int) else f"{name} {value}" for name, value in place.items()
    )


def _places(told: Told) -> tuple[str, ...]:
    return tuple(map(_place, told.locations))


def _fields(told: Told) -> tuple[str, ...]:
    return tuple(_declared(field) for field in told.fields or ())


def _attach(told: Told) -> str | None:
    return f"as {told.way}" if told.way else f"no: {told.refusal}" if told.refusal else None


_PLACE = (Column("kind", lambda told: told.point.kind), Column("target", lambda told: told.point.target, tone="name"))
_READ = Column("fields", _fields, "list")
_HOW = Column("attach", _attach)
_AT = Column("at", _places, "list")

#: Places; with their fields; and with whether they can be attached.
VIEW: View[Told] = View("places to probe", _json, _plain, _PLACE, lambda _told: {})
WITH_FIELDS = VIEW._replace(columns=(*_PLACE, _READ))
WHOLE = VIEW._replace(columns=(*_PLACE, _HOW, _AT, _READ), apart=True)


def _otherwise(made: Made) -> list[str]:
    """Return the ways that are tried where the kernel refuses the first, in order."""
    return [group.way for group in ways(made.group)][1:]


def _made_json(made: Made) -> dict[str, Any]:
    return {
        "attach": made.group.way,
        "otherwise": _otherwise(made),
        "type": made.group.type.name.lower(),
        "points": [str(point) for point in made.group.points],
        "insns": [text(insn) for insn in Insn.decode_all(made.insns)],
    }


def _made_plain(made: Made) -> Iterator[str]:
    way = ", or else ".join([made.group.way, *_otherwise(made)])
    yield f"{made.group.type.name.lower()} program, attached as {way}:"
    for point in made.group.points:
        yield f"    {point}"
    slot = 0
    for insn in Insn.decode_all(made.insns):
        yield f"{slot:>6}: {text(insn)}"
        slot += insn.slots


#: Programs that are ready to be loaded.
PROGRAMS: View[Made] = View("programs", _made_json, _made_plain, (), lambda _made: {})
