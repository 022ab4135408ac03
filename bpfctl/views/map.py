"""Maps, as bpftool's src/map.c show_map_close_json and show_map_close_plain show them, and as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.kernel.names import map_type, map_types, prog_type
from bpfctl.uapi.enums import MapType
from bpfctl.views import shared
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.map import MapInfo, MapRow


def head_json(info: MapInfo) -> dict[str, Any]:
    """Return the members by which a map is known (show_map_header_json)."""
    out: dict[str, Any] = {"id": info.id, "type": map_type(info.type) or int(info.type)}
    if info.name:
        out["name"] = info.name
    out["flags"] = info.map_flags
    return out


def json(row: MapRow) -> dict[str, Any]:
    """Return bpftool's JSON members, in its order."""
    info = row.info
    out = head_json(info)
    if info.ifindex:
        out |= shared.device_json(info.ifindex, info.netns_dev, info.netns_ino)
    out["bytes_key"] = info.key_size
    out["bytes_value"] = info.value_size
    out["max_entries"] = info.max_entries
    if row.memlock is not None:
        out["bytes_memlock"] = row.memlock
    if info.type is MapType.PROG_ARRAY:
        if row.owner_prog_type is not None:
            out["owner_prog_type"] = prog_type(row.owner_prog_type) or int(row.owner_prog_type)
        if row.owner_jited is not None:
            out["owner_jited"] = row.owner_jited
    out["frozen"] = int(row.frozen)
    if info.btf_id:
        out["btf_id"] = info.btf_id
    if row.pinned is not None:
        out["pinned"] = row.pinned
    if row.owners:
        out |= shared.owners_json(row.owners)
    return out


def head_plain(info: MapInfo) -> str:
    """Return the line by which a map is known (show_map_header_plain)."""
    line = f"{info.id}: {map_type(info.type) or f'type {int(info.type)}'}  "
    if info.name:
        line += f"name {info.name}  "
    return line + f"flags {info.map_flags:#x}" + shared.device_plain(info.ifindex, info.netns_dev, info.netns_ino)


def plain(row: MapRow) -> Iterator[str]:
    """Yield bpftool's lines."""
    info = row.info
    yield head_plain(info)
    line = f"\tkey {info.key_size}B  value {info.value_size}B  max_entries {info.max_entries}"
    if row.memlock is not None:
        line += f"  memlock {row.memlock}B"
    yield line
    if info.type is MapType.PROG_ARRAY and (row.owner_prog_type is not None or row.owner_jited is not None):
        yield "\t" + _owner(row)
    yield from shared.pinned_plain(row.pinned)
    facts = ([f"btf_id {info.btf_id}"] if info.btf_id else []) + (["frozen"] if row.frozen else [])
    if facts:
        yield "\t" + "  ".join(facts)
    yield from shared.owners_plain(row.owners)


def _owner(row: MapRow) -> str:
    line = ""
    if row.owner_prog_type is not None:
        line += f"owner_prog_type {prog_type(row.owner_prog_type) or int(row.owner_prog_type)}  "
    if row.owner_jited is not None:
        line += "owner jited" if row.owner_jited else "owner not jited"
    return line


def flag_names(flags: int) -> list[str]:
    """Return the kernel's names of the flags of a map; those newer than this release as one number."""
    if not flags:
        return []
    from bpfctl.uapi.flags import MapFlag  # noqa: PLC0415 - most listings show numbers

    names = [f"BPF_F_{flag.name}" for flag in MapFlag if flags & flag]
    rest = flags & ~sum(MapFlag)
    return [*names, f"{rest:#x}"] if rest else names


def extra(row: MapRow) -> dict[str, Any]:
    """Return what the kernel tells and bpftool does not."""
    info = row.info
    told: dict[str, Any] = {
        "flag_names": flag_names(info.map_flags),
        "map_extra": info.map_extra,
        "btf_key_type_id": info.btf_key_type_id,
        "btf_value_type_id": info.btf_value_type_id,
        "btf_vmlinux_value_type_id": info.btf_vmlinux_value_type_id,
    }
    return {name: value for name, value in told.items() if value}


def _flags(row: MapRow) -> tuple[str, ...]:
    return tuple(name.removeprefix("BPF_F_") for name in flag_names(row.info.map_flags))


def _takes(row: MapRow) -> str | None:
    """Return which programs a map takes, where the first one in it has decided that."""
    if row.owner_prog_type is None:
        return None
    kind = prog_type(row.owner_prog_type) or str(int(row.owner_prog_type))
    return f"{kind}, {'jited' if row.owner_jited else 'not jited'}"


def _state(row: MapRow) -> tuple[str, ...]:
    """Return what is out of the ordinary."""
    told = {"frozen": row.frozen, "offloaded": bool(row.info.ifindex)}
    return tuple(word for word, holds in told.items() if holds)


VIEW: View[MapRow] = View(
    "maps",
    json,
    plain,
    (
        Column("id", lambda row: row.info.id, "number", "handle"),
        Column("type", lambda row: map_type(row.info.type) or str(int(row.info.type))),
        Column("name", lambda row: row.name or None, tone="name"),
        Column("flags", _flags, "flags", rank=5),
        Column("key", lambda row: row.info.key_size, "bytes", rank=3),
        Column("value", lambda row: row.info.value_size, "bytes", rank=3),
        Column("entries", lambda row: row.info.max_entries, "number"),
        Column("memlock", lambda row: row.memlock, "bytes", rank=2),
        Column("state", _state, "flags", rank=4),
        Column("pinned", lambda row: row.pinned or None, "list"),
        Column("owners", lambda row: shared.owners_items(row.owners), "list", rank=1),
    ),
    extra,
    (
        Column("extra", lambda row: f"{row.info.map_extra:#x}" if row.info.map_extra else None),
        Column("takes", _takes),
        Column("device", lambda row: shared.device_text(row.info.ifindex, row.info.netns_dev, row.info.netns_ino)),
        Column("btf", lambda row: row.info.btf_id or None, "number", "handle"),
        Column("key type", lambda row: row.info.btf_key_type_id or None, "number"),
        Column("value type", lambda row: row.info.btf_value_type_id or None, "number"),
        Column("kernel type", lambda row: row.info.btf_vmlinux_value_type_id or None, "number"),
    ),
    map_types,
)
