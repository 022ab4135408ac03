"""Programs, as bpftool's src/prog.c print_prog_json and print_prog_plain show them, and as columns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bpfctl.host import clock
from bpfctl.kernel.names import prog_type, prog_types
from bpfctl.views import shared
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.prog import ProgramInfo, ProgramRow


def _loaded_at(load_time: int) -> int:
    return (clock.boot_time_ns() + load_time) // 1_000_000_000


def _loaded_text(load_time: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(_loaded_at(load_time)))


def head_json(info: ProgramInfo, name: str) -> dict[str, Any]:
    """Return the members that say which program it is (print_prog_header_json)."""
    out: dict[str, Any] = {"id": info.id, "type": prog_type(info.type) or int(info.type)}
    if name:
        out["name"] = name
    out["tag"] = info.tag.hex()
    out["gpl_compatible"] = bool(info.gpl_compatible)
    if info.run_time_ns:
        out["run_time_ns"] = info.run_time_ns
        out["run_cnt"] = info.run_cnt
    if info.recursion_misses:
        out["recursion_misses"] = info.recursion_misses
    return out


def head_plain(info: ProgramInfo, name: str) -> str:
    """Return the line that says which program it is (print_prog_header_plain)."""
    kind = prog_type(info.type) or f"type {info.type}"
    line = f"{info.id}: {kind}  "
    if name:
        line += f"name {name}  "
    line += f"tag {info.tag.hex()}" + shared.device_plain(info.ifindex, info.netns_dev, info.netns_ino)
    if info.gpl_compatible:
        line += "  gpl"
    if info.run_time_ns:
        line += f" run_time_ns {info.run_time_ns} run_cnt {info.run_cnt}"
    if info.recursion_misses:
        line += f" recursion_misses {info.recursion_misses}"
    return line


def json(row: ProgramRow) -> dict[str, Any]:
    """Return bpftool's JSON members, in its order."""
    info = row.info
    out = head_json(info, row.name)
    if info.ifindex:
        out |= shared.device_json(info.ifindex, info.netns_dev, info.netns_ino)
    if info.load_time:
        out["loaded_at"] = _loaded_at(info.load_time)
        out["uid"] = info.created_by_uid
    out["orphaned"] = row.orphaned
    out["bytes_xlated"] = info.xlated_prog_len
    out["jited"] = bool(info.jited_prog_len)
    if info.jited_prog_len:
        out["bytes_jited"] = info.jited_prog_len
    if row.memlock is not None:
        out["bytes_memlock"] = row.memlock
    if info.map_ids:
        out["map_ids"] = info.map_ids
    if info.btf_id:
        out["btf_id"] = info.btf_id
    if row.pinned is not None:
        out["pinned"] = row.pinned
    if row.owners:
        out |= shared.owners_json(row.owners)
    if row.metadata:
        from bpfctl.views import value  # noqa: PLC0415 - few programs have any

        out["metadata"] = {name: value.json(held) for name, held in row.metadata}
    return out


def plain(row: ProgramRow) -> Iterator[str]:
    """Yield bpftool's lines."""
    info = row.info
    yield head_plain(info, row.name)
    if info.load_time:
        yield f"\tloaded_at {_loaded_text(info.load_time)}  uid {info.created_by_uid}"
    line = f"\txlated {info.xlated_prog_len}B  "
    line += f"jited {info.jited_prog_len}B" if info.jited_prog_len else "not jited"
    if row.memlock is not None:
        line += f"  memlock {row.memlock}B"
    if row.orphaned:
        line += "  orphaned"
    if info.map_ids:
        line += "  map_ids " + ",".join(map(str, info.map_ids))
    yield line
    yield from shared.pinned_plain(row.pinned)
    if info.btf_id:
        yield f"\tbtf_id {info.btf_id}"
    yield from shared.owners_plain(row.owners)
    if row.metadata:
        from bpfctl.views import value  # noqa: PLC0415 - few programs have any

        yield "\tmetadata:"
        for name, held in row.metadata:
            yield f"\t\t{name} = {value.plain(held)}"


def extra(row: ProgramRow) -> dict[str, Any]:
    """Return what the kernel tells and bpftool does not."""
    info = row.info
    told = {
        "verified_insns": info.verified_insns,
        "attach_btf_obj_id": info.attach_btf_obj_id or None,
        "attach_btf_id": info.attach_btf_id or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _flags(row: ProgramRow) -> tuple[str, ...]:
    """Return what is out of the ordinary."""
    info = row.info
    told = {
        "orphaned": row.orphaned,
        "offloaded": bool(info.ifindex),
        "not-jited": not info.jited_prog_len and not row.orphaned,
    }
    return tuple(word for word, holds in told.items() if holds)


def _per_run(row: ProgramRow) -> int | None:
    return row.info.run_time_ns // row.info.run_cnt if row.info.run_time_ns and row.info.run_cnt else None


def _metadata(row: ProgramRow) -> tuple[str, ...]:
    if not row.metadata:
        return ()
    from bpfctl.views import value  # noqa: PLC0415 - few programs have any

    return tuple(f"{name} = {value.plain(held)}" for name, held in row.metadata)


_YES = {True: "yes", False: "no"}

VIEW: View[ProgramRow] = View(
    "programs",
    json,
    plain,
    (
        Column("id", lambda row: row.info.id, "number", "handle"),
        Column("type", lambda row: prog_type(row.info.type) or str(int(row.info.type))),
        Column("name", lambda row: row.name or None, tone="name"),
        Column("tag", lambda row: row.info.tag.hex(), tone="quiet", rank=6),
        Column("flags", _flags, "flags", "alarm"),
        Column("xlated", lambda row: row.info.xlated_prog_len, "bytes", rank=4),
        Column("jited", lambda row: row.info.jited_prog_len or None, "bytes", rank=5),
        Column("memlock", lambda row: row.memlock, "bytes", rank=2),
        Column("insns", lambda row: row.info.verified_insns, "number", rank=7),
        Column("runs", lambda row: row.info.run_cnt or None, "number", rank=2),
        Column("ns/run", _per_run, "number", rank=2),
        Column("maps", lambda row: tuple(map(str, row.info.map_ids)), "list", rank=3),
        Column("pinned", lambda row: row.pinned or None, "list"),
        Column("owners", lambda row: shared.owners_items(row.owners), "list", rank=1),
    ),
    extra,
    (
        Column("loaded", lambda row: _loaded_text(row.info.load_time) if row.info.load_time else None),
        Column("uid", lambda row: row.info.created_by_uid, "number"),
        Column("gpl", lambda row: _YES.get(row.info.gpl_compatible)),
        Column("missed", lambda row: row.info.recursion_misses or None, "number", "alarm"),
        Column("run time", lambda row: row.info.run_time_ns or None, "number"),
        Column("device", lambda row: shared.device_text(row.info.ifindex, row.info.netns_dev, row.info.netns_ino)),
        Column("btf", lambda row: row.info.btf_id or None, "number", "handle"),
        Column("metadata", _metadata, "list"),
    ),
    prog_types,
)
