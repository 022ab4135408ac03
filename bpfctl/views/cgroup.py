"""Programs of cgroups, as bpftool's src/cgroup.c show_bpf_prog and do_show_tree_fn show them, and as columns."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from bpfctl.kernel.cgroup import ATTACH_TYPES
from bpfctl.kernel.names import attach_type
from bpfctl.views import shared
from bpfctl.views.view import Column, View, Whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.cgroup import CgroupRow

_FLAGS = {0: "", 1: "override", 2: "multi"}
_INDENT = "    "


def flags(row: CgroupRow) -> str | None:
    """Return the flags that a program is attached with, in bpftool's words; None of effective programs."""
    return None if row.flags is None else _FLAGS.get(row.flags, f"unknown({row.flags:x})")


def json(row: CgroupRow) -> dict[str, Any]:
    """Return bpftool's JSON members, in its order."""
    told = flags(row)
    return {
        "id": row.info.id,
        "attach_type": attach_type(row.attach_type) or int(row.attach_type),
        **({} if told is None else {"attach_flags": told}),
        "name": row.name,
        **({} if row.function is None else {"attach_btf_name": row.function}),
        "attach_btf_obj_id": row.info.attach_btf_obj_id or 0,
        "attach_btf_id": row.info.attach_btf_id or 0,
    }


def plain(row: CgroupRow) -> Iterator[str]:
    """Yield bpftool's line."""
    line, told = f"{row.info.id:<8} {attach_type(row.attach_type) or int(row.attach_type):<15}", flags(row)
    line += "" if told is None else f" {told:<15}"
    line += f" {row.name:<15}"
    if row.function is not None:
        line += f" {row.function:<15}"
    elif row.info.attach_btf_id:
        line += f" attach_btf_obj_id={row.info.attach_btf_obj_id} attach_btf_id={row.info.attach_btf_id}"
    yield line


def extra(row: CgroupRow) -> dict[str, Any]:
    """Return what bpftool does not tell."""
    told = {"link_ids": list(row.link_ids), "pinned": list(row.pinned)}
    return {name: value for name, value in told.items() if value} | shared.owners_json(row.owners)


def _titles(*, effective: bool) -> str:
    return f"{'ID':<8} {'AttachType':<15} " + ("" if effective else f"{'AttachFlags':<15} ") + f"{'Name':<15}"


def view(*, effective: bool) -> View[CgroupRow]:
    """Return the view of the programs of one cgroup."""

    def items(rows: Iterable[CgroupRow], more: bool) -> Iterator[dict[str, Any]]:
        return (_item(row, more) for row in rows)

    def lines(rows: Iterable[CgroupRow]) -> Iterator[str]:
        for number, row in enumerate(rows):
            if not number:
                yield _titles(effective=effective)
            yield from plain(row)

    return VIEW._replace(whole=Whole(items, lines))


def tree_view(*, effective: bool) -> View[CgroupRow]:
    """Return the view of the programs of many cgroups."""

    def items(rows: Iterable[CgroupRow], more: bool) -> Iterator[dict[str, Any]]:
        for path, programs in groupby(rows, _path):
            yield {"cgroup": path, "programs": [_item(row, more) for row in programs]}

    def lines(rows: Iterable[CgroupRow]) -> Iterator[str]:
        yield "CgroupPath"
        yield _titles(effective=effective)
        for path, programs in groupby(rows, _path):
            yield path
            for row in programs:
                yield from ((_INDENT if row.cgroup.depth else "") + line for line in plain(row))

    columns = (Column("cgroup", _path), *VIEW.columns)
    return VIEW._replace(whole=Whole(items, lines), columns=columns, empty="no programs are attached to cgroups")


def _path(row: CgroupRow) -> str:
    return row.cgroup.path


def _item(row: CgroupRow, more: bool) -> dict[str, Any]:
    return json(row) | extra(row) if more else json(row)


def _types() -> Iterator[str]:
    return (attach_type(number) or str(int(number)) for number in ATTACH_TYPES)


VIEW: View[CgroupRow] = View(
    "programs of this cgroup",
    json,
    plain,
    (
        Column("prog", lambda row: row.info.id, "number", "handle"),
        Column("type", lambda row: attach_type(row.attach_type) or str(int(row.attach_type))),
        Column("flags", lambda row: flags(row) or None),
        Column("name", lambda row: row.name or None, tone="name"),
        Column("function", lambda row: row.function or None),
        Column("links", lambda row: tuple(map(str, row.link_ids)), "list", rank=3),
        Column("pinned", lambda row: row.pinned, "list", rank=2),
        Column("owners", lambda row: shared.owners_items(row.owners), "list", rank=1),
    ),
    extra,
    types=_types,
    empty="no programs are attached to this cgroup",
)
