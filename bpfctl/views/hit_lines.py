"""Hits as lines of text, many at once, at a speed that Python code for each of them could not have.

The fields of a point become the columns of a template, and each column of many hits is spelled at once: a number by the
template itself, what repeats, such as a name, out of a table of what was spelled before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from bpfctl.probe.field import Integer
from bpfctl.views.hits import OWN, SECOND, shown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bpfctl.probe.action import Slot
    from bpfctl.probe.actions.trace import Hits, Layout
    from bpfctl.probe.source import ProbePoint

    Spell: TypeAlias = Callable[[Any], str]
    _Holed: TypeAlias = tuple[int, Callable[[Any], Any] | None]

_REMEMBERED = 4096  # values of a field


class _Spelled(dict[Any, str]):
    """What values are spelled as, of which so many are remembered."""

    def __init__(self, spell: Spell) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, value: Any) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        text = self[value] = self._spell(value)
        return text


class _Form(NamedTuple):
    """A line with holes, and where in a record that was unpacked the value of each is, and how it is spelled."""

    template: str
    holes: tuple[_Holed, ...]

    def lines(self, rows: Iterable[tuple[Any, ...]], since: int) -> str:
        """Return the lines of records; ``since`` is to be added to their times."""
        columns = list(zip(*rows, strict=True))
        columns[0] = tuple(map(since.__add__, columns[0]))
        spelled = [columns[at] if spell is None else map(spell, columns[at]) for at, spell in self.holes]
        return "".join(map(self.template.__mod__, zip(*spelled, strict=True)))


class HitLines:
    """Makes lines of the hits of one trace, in one of the voices: the same that `HITS` has for each."""

    def __init__(self) -> None:
        self._forms: dict[ProbePoint, _Form] = {}

    def json(self, hits: Hits, dumps: Spell) -> Iterator[str]:
        """Yield the lines of all hits in large pieces, as JSON; ``dumps`` spells a value."""
        return self._lines(hits, _json, dumps)

    def plain(self, hits: Hits, safe: Spell) -> Iterator[str]:
        """Yield the lines of all hits in large pieces; ``safe`` makes a name harmless."""
        return self._lines(hits, _plain, safe)

    def _lines(self, hits: Hits, form_of: Callable[[Layout, Spell], _Form], spell: Spell) -> Iterator[str]:
        for layout, rows in hits.runs():
            form = self._forms.get(layout.point)
            if form is None:
                form = self._forms[layout.point] = form_of(layout, spell)
            yield form.lines(rows, hits.since)


def _fixed(text: str) -> str:
    return text.replace("%", "%%")


def _plain(layout: Layout, safe: Spell) -> _Form:
    names = {slot.name for slot in layout.slots}
    text = f"%s {_fixed(safe(str(layout.point)))} "
    holes: list[_Holed] = [(0, _clock(_Spelled(_second)))]
    parts = []
    for at, slot in enumerate(layout.slots, 2):
        letter, spell = _hole(slot, _shown(slot, safe), shown=True)
        parts.append(f"{_fixed(safe(shown_name(slot.name, names)))}={letter}")
        holes.append((at, spell))
    return _Form(text + " ".join(parts) + "\n", tuple(holes))


def _shown(slot: Slot, safe: Spell) -> Spell:
    return lambda value: safe(slot.type.spell(value))


def _second(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _clock(seconds: _Spelled) -> Callable[[int], str]:
    def spell(value: int) -> str:
        return f"{seconds[value // SECOND]}.{value % SECOND // 1000:06}"

    return spell


def _seconds(at: int) -> float:
    return at / SECOND


def _json(layout: Layout, dumps: Spell) -> _Form:
    numbered = list(enumerate(layout.slots, 2))
    everywhere = [(at, slot, slot.name) for at, slot in numbered if not slot.name.startswith(OWN)]
    own = [(at, slot, slot.name.removeprefix(OWN)) for at, slot in numbered if slot.name.startswith(OWN)]
    holes: list[_Holed] = [(0, _seconds)]

    def members(of: Sequence[tuple[int, Slot, str]]) -> str:
        parts = []
        for at, slot, name in of:
            letter, spell = _hole(slot, dumps, shown=False)
            parts.append(f",{_fixed(dumps(name))}:{letter}")
            holes.append((at, spell))
        return "".join(parts)

    text = f'{{"time":%r,"probe":{_fixed(dumps(str(layout.point)))}{members(everywhere)}'
    if own:
        text += f',"args":{{{members(own)[1:]}}}'
    return _Form(text + "}\n", tuple(holes))


def _hole(slot: Slot, spell: Spell, *, shown: bool) -> tuple[str, Callable[[Any], Any] | None]:
    """Return the hole that a field's value goes into, and what spells the raw value."""
    type_ = slot.type
    if not isinstance(type_, Integer):
        return "%s", _Spelled(lambda raw: spell(type_.decode(raw))).__getitem__
    if shown and (type_.hexadecimal or type_.names):
        return "%s", _Spelled(spell).__getitem__
    return "%d", None
