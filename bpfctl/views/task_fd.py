"""Programs at perf events and raw tracepoints, as bpftool's src/perf.c shows them, and as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.host import tracefs
from bpfctl.kernel.task_fd import KPROBE, KRETPROBE, RAW_TRACEPOINT, TRACEPOINT, TYPES, UPROBE, URETPROBE
from bpfctl.views import shared, target
from bpfctl.views.view import Column, View, Whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.task_fd import PerfRow

_TRACEPOINTS, _FUNCTIONS, _FILES = {RAW_TRACEPOINT, TRACEPOINT}, {KPROBE, KRETPROBE}, {UPROBE, URETPROBE}


def _place(row: PerfRow) -> dict[str, Any]:
    if row.fd_type in _TRACEPOINTS:
        return {"tracepoint": row.target}
    if row.fd_type in _FUNCTIONS:
        return {"func": row.target, "offset": row.offset} if row.target else {"addr": row.address}
    return {"filename": row.target, "offset": row.offset} if row.fd_type in _FILES else {}


def json(row: PerfRow) -> dict[str, Any]:
    """Return bpftool's JSON members, in its order; of a link that it does not tell, the same without a descriptor."""
    held = {} if row.pid is None else {"pid": row.pid, "fd": row.fd}
    place = _place(row)
    return held | {"prog_id": row.prog_id} | ({"fd_type": row.type} if place else {}) | place


def plain(row: PerfRow) -> Iterator[str]:
    """Yield bpftool's line."""
    line, place = f"pid {row.pid}  fd {row.fd}: prog_id {row.prog_id}  ", _place(row)
    if row.fd_type in _TRACEPOINTS:
        yield f"{line}{row.type}  {row.target}"
    elif place:
        yield f"{line}{row.type}  " + "  ".join(f"{word} {value}" for word, value in place.items())
    else:
        yield f"{line}type {row.type}"


def extra(row: PerfRow) -> dict[str, Any]:
    """Return what bpftool does not tell."""
    told: dict[str, Any] = {}
    if row.link is not None:
        told = {"link_id": row.link.id, "link_type": _link_type(row), "target": target.text(row.link)}
    told["pinned"] = list(row.pinned)
    return {name: value for name, value in told.items() if value} | shared.owners_json(row.owners)


def _link_type(row: PerfRow) -> str | None:
    from bpfctl.kernel.names import link_type  # noqa: PLC0415 - only --extra needs it

    return None if row.link is None else link_type(row.link.type) or str(int(row.link.type))


def _target(row: PerfRow) -> str | None:
    if row.fd_type in _TRACEPOINTS:
        category = tracefs.category(row.target)
        return f"{category}:{row.target}" if category else row.target
    if row.fd_type in _FUNCTIONS or row.fd_type in _FILES:
        return f"{row.target}+{row.offset:#x}" if row.target else f"{row.address:#x}"
    return None if row.link is None else target.text(row.link)


def _items(rows: Iterable[PerfRow], more: bool) -> Iterator[dict[str, Any]]:
    for row in rows:
        if more:
            yield json(row) | extra(row)
        elif row.pid is not None:
            yield json(row)


def _lines(rows: Iterable[PerfRow]) -> Iterator[str]:
    for row in rows:
        if row.pid is not None:
            yield from plain(row)


VIEW: View[PerfRow] = View(
    "programs at perf events",
    json,
    plain,
    (
        Column("pid", lambda row: row.pid, "number"),
        Column("fd", lambda row: row.fd, "number", rank=4),
        Column("link", lambda row: row.link and row.link.id, "number", "handle", rank=3),
        Column("prog", lambda row: row.prog_id, "number", "handle"),
        Column("name", lambda row: row.name or None, tone="name"),
        Column("type", lambda row: row.type),
        Column("target", _target),
        Column("pinned", lambda row: row.pinned, "list", rank=2),
        Column("owners", lambda row: shared.owners_items(row.owners), "list", rank=1),
    ),
    extra,
    types=lambda: TYPES,
    empty="no programs are attached to perf events or raw tracepoints",
    whole=Whole(_items, _lines),
)
