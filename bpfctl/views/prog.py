"""Programs, as bpftool's src/prog.c print_prog_json and print_prog_plain show them, and as columns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bpfctl.host import clock
from bpfctl.kernel.names import name as enumerator
from bpfctl.uapi.enums import ProgType
from bpfctl.views import shared
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.prog import ProgramRow

_TYPE_NAMES = {int(kind): kind.name.lower() for kind in ProgType}


def type_name(number: int) -> str | None:
    """Return bpftool's word for a program type; None for one that even the running kernel's BTF does not name."""
    return _TYPE_NAMES.get(number) or enumerator(ProgType, "bpf_prog_type", "BPF_PROG_TYPE_", number)


def _loaded_at(load_time: int) -> int:
    return (clock.boot_time_ns() + load_time) // 1_000_000_000


def json(row: ProgramRow) -> dict[str, Any]:
    """Return bpftool's JSON members, in its order."""
    info = row.info
    out: dict[str, Any] = {"id": info.id, "type": type_name(info.type) or int(info.type)}
    if row.name:
        out["name"] = row.name
    out["tag"] = info.tag.hex()
    out["gpl_compatible"] = bool(info.gpl_compatible)
    if info.run_time_ns:
        out["run_time_ns"] = info.run_time_ns
        out["run_cnt"] = info.run_cnt
    if info.recursion_misses:
        out["recursion_misses"] = info.recursion_misses
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
        out["metadata"] = dict(row.metadata)
    return out


def plain(row: ProgramRow) -> Iterator[str]:
    """Yield bpftool's lines."""
    info = row.info
    kind = type_name(info.type) or f"type {info.type}"
    line = f"{info.id}: {kind}  "
    if row.name:
        line += f"name {row.name}  "
    line += f"tag {info.tag.hex()}" + shared.device_plain(info.ifindex, info.netns_dev, info.netns_ino)
    if info.gpl_compatible:
        line += "  gpl"
    if info.run_time_ns:
        line += f" run_time_ns {info.run_time_ns} run_cnt {info.run_cnt}"
    if info.recursion_misses:
        line += f" recursion_misses {info.recursion_misses}"
    yield line
    if info.load_time:
        loaded = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(_loaded_at(info.load_time)))
        yield f"\tloaded_at {loaded}  uid {info.created_by_uid}"
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
        yield "\tmetadata:"
        for name, value in row.metadata:
            yield f"\t\t{name} = {value}"


def extra(row: ProgramRow) -> dict[str, Any]:
    """Return what the kernel tells and bpftool does not."""
    info = row.info
    told = {
        "verified_insns": info.verified_insns,
        "attach_btf_obj_id": info.attach_btf_obj_id or None,
        "attach_btf_id": info.attach_btf_id or None,
    }
    return {name: value for name, value in told.items() if value is not None}


VIEW: View[ProgramRow] = View(
    "programs",
    json,
    plain,
    (
        Column("id", lambda row: row.info.id, "number"),
        Column("type", lambda row: type_name(row.info.type) or row.info.type),
        Column("name", lambda row: row.name or None),
        Column("tag", lambda row: row.info.tag.hex()),
        Column("xlated", lambda row: row.info.xlated_prog_len, "bytes"),
        Column("jited", lambda row: row.info.jited_prog_len or None, "bytes"),
        Column("memlock", lambda row: row.memlock, "bytes"),
        Column("insns", lambda row: row.info.verified_insns, "number"),
        Column("runs", lambda row: row.info.run_cnt or None, "number"),
        Column("maps", lambda row: ",".join(map(str, row.info.map_ids)) or None),
        Column("pinned", lambda row: "\n".join(row.pinned or ()) or None),
        Column("owners", lambda row: shared.owners_text(row.owners)),
    ),
    extra,
)
