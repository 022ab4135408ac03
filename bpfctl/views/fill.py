"""How full maps are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.kernel.fill import ALL_THERE
from bpfctl.kernel.names import map_type, map_types
from bpfctl.views import map as map_view
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.fill import Fill


def json(fill: Fill) -> dict[str, Any]:
    """Return the members of a map; those that mean nothing for its type are left out."""
    info = fill.row.info
    told: dict[str, Any] = map_view.head_json(info) | {
        "bytes_key": info.key_size,
        "bytes_value": info.value_size,
        "max_entries": info.max_entries,
        "bytes_memlock": fill.row.memlock,
        "entries": fill.entries,
        "nonzero": fill.nonzero,
        "bytes_used": fill.used,
        "percent": None if fill.percent is None else round(fill.percent, 2),
        "bytes_per_entry": None if fill.bytes_per_entry is None else round(fill.bytes_per_entry, 1),
        "uncounted": fill.why or None,
    }
    if fill.rate is not None:
        told["bytes_per_second" if fill.used is not None else "entries_per_second"] = round(fill.rate, 3)
    return {name: member for name, member in told.items() if member is not None}


def plain(fill: Fill) -> Iterator[str]:
    """Yield the lines of a map, in the manner of bpftool's lists."""
    info = fill.row.info
    yield map_view.head_plain(info)
    line = f"\tkey {info.key_size}B  value {info.value_size}B  max_entries {info.max_entries}"
    yield line if fill.row.memlock is None else f"{line}  memlock {fill.row.memlock}B"
    if fill.why:
        yield f"\tnot counted: {fill.why}"
        return
    words = [f"used {fill.used}B" if fill.used is not None else f"entries {fill.entries}"]
    if fill.nonzero is not None:
        words.append(f"nonzero {fill.nonzero}")
    if fill.percent is not None:
        words.append(f"full {fill.percent:.2f}%")
    if fill.bytes_per_entry is not None:
        words.append(f"memory per entry {fill.bytes_per_entry:.1f}B")
    if fill.rate is not None:
        words.append(f"growth {_rate(fill)}")
    yield "\t" + "  ".join(words)


def _rate(fill: Fill) -> str | None:
    if fill.rate is None:
        return None
    return f"{fill.rate:+.1f}{'B' if fill.used is not None else ''}/s"


def _full(fill: Fill) -> str | None:
    """Return the fill in per cent, but of arrays, which always are full, nothing."""
    return None if fill.percent is None or fill.row.type in ALL_THERE else f"{fill.percent:.1f}%"


def _moves(fill: Fill) -> str | None:
    return _rate(fill) if fill.rate else None


def _most(fill: Fill) -> int | None:
    return fill.row.info.max_entries if fill.used is None else None


VIEW: View[Fill] = View(
    "maps",
    json,
    plain,
    (
        Column("id", lambda fill: fill.id, "number", "handle"),
        Column("type", lambda fill: map_type(fill.row.type) or str(int(fill.row.type))),
        Column("name", lambda fill: fill.row.name or None, tone="name"),
        Column("entries", lambda fill: fill.entries, "number"),
        Column("nonzero", lambda fill: fill.nonzero, "number", rank=2),
        Column("of", _most, "number"),
        Column("unread", lambda fill: fill.used, "bytes"),
        Column("full", _full, "number"),
        Column("growth", _moves, "number", "name"),
        Column("key", lambda fill: fill.row.info.key_size, "bytes", rank=5),
        Column("value", lambda fill: fill.row.info.value_size, "bytes", rank=4),
        Column("memory", lambda fill: fill.row.memlock, "bytes", rank=1),
        Column(
            "per entry", lambda fill: round(fill.bytes_per_entry) if fill.bytes_per_entry else None, "bytes", rank=3
        ),
        Column("not counted", lambda fill: fill.why or None, tone="quiet", rank=6),
    ),
    lambda _: {},
    types=map_types,
)
