"""bpfctl btf show TYPE: one type with all that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import btf_type
from bpfctl.errors import NotFound
from bpfctl.views import layout
from bpfctl.views.layout import Shown
from btf import kind as _kind

if TYPE_CHECKING:
    from bpfctl.cli.grammar import Words
    from bpfctl.cli.session import Session
    from btf.read import BTF


def show(session: Session, words: Words, *, expand: bool) -> None:
    """Show the types that a name means: of the first place that has any."""
    wanted = btf_type.named(words)
    place, ids = _find(session, words, wanted)
    found = [Shown(place.where, place.btf, one, expand) for one in ids]
    with btf_type.understood(place):
        lines = [line for at, one in enumerate(found) for line in ([""] if at else []) + list(layout.lines(one))]
        values = [layout.json(one) for one in found] if session.options.json else []
    session.out.lines(lines, values[0] if len(values) == 1 else values)


def _find(session: Session, words: Words, wanted: btf_type.Named) -> tuple[btf_type.Place, list[int]]:
    """Return the first place that has types of that name, and their ids; NotFound."""
    near: list[str] = []
    for place in btf_type.places(session, words, wanted.name):
        ids = _telling(place.btf, wanted)
        if ids:
            return place, ids
        near = near or btf_type.near(place.btf, wanted.name)
    told = f", did you mean '{near[0]}'?" if near else ""
    raise NotFound(f"there is no type '{wanted}'{told}")


def _telling(btf: BTF, wanted: btf_type.Named) -> list[int]:
    """Return the ids of the types that are meant: no tags, and no declaration of what is defined too."""
    ids = wanted.ids(btf)
    if wanted.id is not None:
        return ids
    ids = [one for one in ids if btf.kind(one) not in (_kind.DECL_TAG, _kind.TYPE_TAG)]
    return [one for one in ids if btf.kind(one) != _kind.FWD] or ids
