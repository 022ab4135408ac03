"""What was found in types: a line, a row of a table, an object each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views import items
from bpfctl.views.view import Column, Stream
from btf import types
from btf.declare import declare
from btf.find import ENUMERATOR, MEMBER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from btf.find import Match
    from btf.read import BTF

_SIZED = (types.Struct, types.Union, types.Enum, types.Enum64, types.Int, types.Float, types.Datasec)
_PIECE = 1 << 14  # characters


class Found(NamedTuple):
    """A match, and where: the name of a module, or nothing.

    ``type`` is that of a member or variable, the prototype of a function, or what a typedef stands for; ``size`` is in
    bytes, where there is one.
    """

    where: str
    match: Match
    type: str
    size: int | None

    @property
    def offset(self) -> str:
        """Where a member starts: bytes, and bits after a colon."""
        if self.match.bits is None:
            return ""
        byte, bit = divmod(self.match.bits, 8)
        return f"{byte}:{bit}" if self.match.width else str(byte)


class Teller:
    """Tells about matches in one set of types; what members are is worked out once for each type."""

    def __init__(self, where: str, btf: BTF) -> None:
        self._where = where
        self._btf = btf
        self._known: dict[int, tuple[str, int]] = {}

    def tell(self, match: Match) -> Found:
        """Return a match with its type and size."""
        btf = self._btf
        if match.kind == MEMBER:
            known = self._known.get(match.type_id)
            if known is None:
                known = self._known[match.type_id] = declare(btf, match.type_id), btf.size_of(match.type_id)
            return Found(self._where, match, *known)
        if match.kind == ENUMERATOR:
            return Found(self._where, match, "", None)
        if match.kind == "func":
            return Found(self._where, match, declare(btf, match.id), None)
        type_ = declare(btf, match.type_id) if match.kind in ("var", "typedef") else ""
        of = btf.type(match.id) if not type_ else None
        return Found(self._where, match, type_, of.size if isinstance(of, _SIZED) else None)


def json(found: Found) -> dict[str, Any]:
    """Return the members of a match."""
    match = found.match
    out: dict[str, Any] = {"kind": match.kind, "name": match.name, "id": match.id}
    if match.owner:
        out["of"] = match.owner
    if found.type:
        out["type"] = found.type
    if match.type_id and match.kind != ENUMERATOR:
        out["type_id"] = match.type_id
    if match.bits is not None:
        out["offset"] = match.bits // 8
    if match.width:
        out |= {"bit": match.bits % 8 if match.bits is not None else 0, "bits": match.width}
    if found.size is not None:
        out["size"] = found.size
    if match.value is not None:
        out["value"] = match.value
    if found.where:
        out["module"] = found.where
    return out


def line(found: Found) -> str:
    """Return a match in a line: what, where, and its numbers."""
    match = found.match
    text = f"{match.kind} {match.title}" if match.kind in (MEMBER, ENUMERATOR) else match.title
    if match.kind == "func":
        text = f"func {found.type}"
    elif found.type:
        text += f": {found.type}{f':{match.width}' if match.width else ''}"
    if match.value is not None:
        text += f" = {match.value}"
    numbers = [f"offset {found.offset}"] if match.bits is not None else []
    numbers += [f"size {found.size}"] if found.size is not None else []
    numbers += [f"[{match.id}]"]
    return f"{text}  {' '.join(numbers)}{f' in {found.where}' if found.where else ''}"


COLUMNS = (
    Column("kind", lambda row: row.match.kind, tone="quiet"),
    Column("name", lambda row: row.match.title if row.match.owner else row.match.name, tone="name"),
    Column("offset", lambda row: row.offset or None, "number"),
    Column("size", lambda row: row.size, "number"),
    Column("value", lambda row: row.match.value, "number"),
    Column("type", lambda row: row.type or None, rank=1),
    Column("id", lambda row: row.match.id, "number", "handle", rank=2),
    Column("module", lambda row: row.where or None, rank=3),
)


def stream(found: Iterable[Found], safe: Callable[[str], str]) -> Stream:
    """Return what shows matches as they come; ``safe`` makes a line harmless."""

    def plain() -> Iterator[bytes]:
        text = ""
        for one in found:
            text += safe(line(one)) + "\n"
            if len(text) > _PIECE:
                yield text.encode()
                text = ""
        yield text.encode()

    return Stream(
        head={},
        title="",
        items="",
        json=lambda depth, spell: items.pieces(map(json, found), depth, spell),
        plain=plain,
        document=None,
        columns=lambda: COLUMNS,
        rows=lambda: iter(found),
        empty="nothing matches",
    )
