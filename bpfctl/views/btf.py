"""BTF objects, as bpftool's src/btf.c show_btf_json and show_btf_plain show them, and as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.views import shared
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.btf import BtfRow


def json(row: BtfRow) -> dict[str, Any]:
    """Return bpftool's JSON members, in its order."""
    info = row.info
    out: dict[str, Any] = {"id": info.id, "size": info.size, "prog_ids": row.prog_ids, "map_ids": row.map_ids}
    if row.owners:
        out |= shared.owners_json(row.owners)
    out["kernel"] = bool(info.kernel_btf)
    if row.name:
        out["name"] = row.name
    return out


def plain(row: BtfRow) -> Iterator[str]:
    """Yield bpftool's lines."""
    info = row.info
    name = f"[{row.name}]" if info.kernel_btf else row.name or "<anon>"
    line = f"{info.id}: name {name}  size {info.size}B"
    if row.prog_ids:
        line += "  prog_ids " + _list(row.prog_ids)
    if row.map_ids:
        line += "  map_ids " + _list(row.map_ids)
    yield line
    yield from shared.owners_plain(row.owners)


def _origin(row: BtfRow) -> str:
    """Return where the types come from: the kernel itself, a module of it, or whoever loaded them."""
    if not row.info.kernel_btf:
        return "loaded"
    return "kernel" if row.name == "vmlinux" else "module"


def _list(ids: tuple[int, ...]) -> str:
    return ",".join(map(str, ids))


VIEW: View[BtfRow] = View(
    "BTF objects",
    json,
    plain,
    (
        Column("id", lambda row: row.info.id, "number", "handle"),
        Column("name", lambda row: row.name or None, tone="name"),
        Column("origin", _origin),
        Column("size", lambda row: row.info.size, "bytes"),
        Column("programs", lambda row: tuple(map(str, sorted(row.prog_ids))), "list", rank=2),
        Column("maps", lambda row: tuple(map(str, sorted(row.map_ids))), "list", rank=3),
        Column("owners", lambda row: shared.owners_items(row.owners), "list", rank=1),
    ),
    lambda _row: {},
)
