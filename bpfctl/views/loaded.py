"""What is there once an object is loaded: programs, links and maps, and where they are pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.kernel import names
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.link import LinkInfo
    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.prog import ProgramInfo


class Kept(NamedTuple):
    """An object of the kernel; ``path`` is empty where it is not pinned."""

    kind: str
    id: int
    type: str
    name: str
    path: str


def of_program(name: str, info: ProgramInfo, path: str) -> Kept:
    """Return a program under its whole name."""
    return Kept("prog", info.id, names.prog_type(info.type) or str(info.type), name, path)


def of_link(name: str, info: LinkInfo, path: str) -> Kept:
    """Return a link of a program of this name."""
    return Kept("link", info.id, names.link_type(info.type) or str(info.type), name, path)


def of_map(info: MapInfo, path: str) -> Kept:
    """Return a map."""
    return Kept("map", info.id, names.map_type(info.type) or str(info.type), info.name or "", path)


def _json(kept: Kept) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": kept.kind, "id": kept.id, "type": kept.type, "name": kept.name}
    return found | ({"pinned": kept.path} if kept.path else {})


def _plain(kept: Kept) -> Iterator[str]:
    yield f"{kept.kind} {kept.id}: {kept.type}  name {kept.name}" + (f"  pinned {kept.path}" if kept.path else "")


VIEW: View[Kept] = View(
    "objects",
    _json,
    _plain,
    (
        Column("kind", lambda kept: kept.kind),
        Column("id", lambda kept: kept.id, "number", "handle"),
        Column("type", lambda kept: kept.type),
        Column("name", lambda kept: kept.name, tone="name"),
        Column("pinned", lambda kept: kept.path or None),
    ),
    lambda _kept: {},
)
