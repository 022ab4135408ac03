"""Programs that see packets, as bpftool's src/net.c and src/netlink_dumper.c show them, and as columns."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from bpfctl.views import shared
from bpfctl.views.attachment import netfilter
from bpfctl.views.target import program
from bpfctl.views.view import Column, View, Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.kernel.net import NetRow

SECTIONS = ("xdp", "tc", "flow_dissector", "netfilter")


def json(row: NetRow) -> dict[str, Any]:
    """Return bpftool's JSON members of one program, in its order."""
    return _JSON[row.section](row)


def plain(row: NetRow) -> Iterator[str]:
    """Yield bpftool's lines of one program."""
    return _PLAIN[row.section](row)


def extra(row: NetRow) -> dict[str, Any]:
    """Return what bpftool does not tell."""
    told: dict[str, Any] = {
        "parent": None if row.parent is None else _handle(row.parent),
        "link_ids": [] if row.told_link and row.section == "tc" else list(row.link_ids),
        "pinned": list(row.pinned),
    }
    return {name: value for name, value in told.items() if value} | shared.owners_json(row.owners)


def _bits(flags: int) -> list[int]:
    return [1 << bit for bit in range(32) if flags >> bit & 1]


def _at(row: NetRow) -> dict[str, Any]:
    at = row.device
    return {} if at is None else {**({"devname": at.name} if at.name else {}), "ifindex": at.ifindex}


def _xdp_json(row: NetRow) -> dict[str, Any]:
    return _at(row) | ({"mode": row.kind, "id": row.prog_id} if row.kind else {})


def _tc_json(row: NetRow) -> dict[str, Any]:
    name = row.name or None if row.parent is None else row.label
    out = _at(row) | {"kind": row.kind} | ({} if name is None else {"name": name})
    if row.parent is None:
        return out | {
            "prog_id": row.prog_id,
            "prog_flags": _bits(row.prog_flags),
            "link_id": row.told_link,
            "link_flags": _bits(row.link_flags),
        }
    if row.prog_id is not None:
        out["id"] = row.prog_id
    if row.actions is not None:
        told = ({"name": each.name, "id": each.prog_id} for each in row.actions)
        out["act"] = [{name: value for name, value in each.items() if value is not None} for each in told]
    return out


def _dissector_json(row: NetRow) -> dict[str, Any]:
    return {"id": row.prog_id}


def _netfilter_json(row: NetRow) -> dict[str, Any]:
    at = row.hook
    hook = {} if at is None else {"pf": at.pf, "hook": at.hooknum, "prio": at.priority, "flags": at.flags}
    return hook | {"id": row.prog_id}


def _device(row: NetRow) -> str:
    return "" if row.device is None else f"{row.device.name}({row.device.ifindex})"


def _mode(row: NetRow) -> str:
    return f" {row.kind} id {row.prog_id}" if row.kind else ""


def _xdp_plain(row: NetRow) -> Iterator[str]:
    yield _device(row) + _mode(row)


def _tc_plain(row: NetRow) -> Iterator[str]:
    name = row.name or None if row.parent is None else row.label
    line = f"{_device(row)} {row.kind}" + ("" if name is None else f" {name}")
    if row.parent is None:
        line += f" prog_id {row.prog_id} " + _flags("prog_flags", row.prog_flags)
        line += f"link_id {row.told_link} " + _flags("link_flags", row.link_flags) if row.told_link else ""
    else:
        line += "" if row.prog_id is None else f" id {row.prog_id}"
        line += "" if row.actions is None else f" act [{''.join(map(_action, row.actions))}] "
    yield line


def _flags(word: str, flags: int) -> str:
    return f"{word} " + "".join(f"{bit} " for bit in _bits(flags)) if flags else ""


def _action(action: Any) -> str:
    return "{" + (action.name or "") + ("" if action.prog_id is None else f" id {action.prog_id}") + "}"


def _dissector_plain(row: NetRow) -> Iterator[str]:
    yield f"id {row.prog_id}"


def _netfilter_plain(row: NetRow) -> Iterator[str]:
    at = row.hook
    flags = "" if at is None or not at.flags else f" flags 0x{at.flags:x}"
    yield "\t" + ("" if at is None else netfilter(at)) + f"{flags} prog_id {row.prog_id}"


_JSON: dict[str, Callable[[NetRow], dict[str, Any]]] = {
    "xdp": _xdp_json,
    "tc": _tc_json,
    "flow_dissector": _dissector_json,
    "netfilter": _netfilter_json,
}
_PLAIN: dict[str, Callable[[NetRow], Iterator[str]]] = {
    "xdp": _xdp_plain,
    "tc": _tc_plain,
    "flow_dissector": _dissector_plain,
    "netfilter": _netfilter_plain,
}


def _sections(rows: Iterable[NetRow]) -> dict[str, list[NetRow]]:
    found: dict[str, list[NetRow]] = {section: [] for section in SECTIONS}
    for row in rows:
        found[row.section].append(row)
    return found


def _programs(rows: Iterable[NetRow]) -> Iterator[list[NetRow]]:
    """Yield the rows that bpftool tells as one: the modes of a device that has several."""
    for _, same in groupby(rows, lambda row: (row.device, None if row.several else id(row))):
        yield list(same)


def _whole_json(rows: Iterable[NetRow], more: bool) -> Iterator[dict[str, Any]]:
    def item(same: list[NetRow]) -> dict[str, Any]:
        if not same[0].several:
            return json(same[0]) | (extra(same[0]) if more else {})
        modes = [{"mode": row.kind, "id": row.prog_id} | (extra(row) if more else {}) for row in same]
        return _at(same[0]) | {"multi_attachments": modes}

    yield {section: [item(same) for same in _programs(found)] for section, found in _sections(rows).items()}


def _whole_plain(rows: Iterable[NetRow]) -> Iterator[str]:
    for section, found in _sections(rows).items():
        yield f"{section}:"
        if section == "netfilter":
            yield ""
        for same in _programs(found):
            if same[0].several:
                yield _device(same[0]) + "".join(map(_mode, same))
            else:
                yield from plain(same[0])
        if section in {"xdp", "tc"} or (section == "flow_dissector" and not found):
            yield ""


def _handle(number: int) -> str:
    """Return the handle of a queueing discipline or a class as tc writes it."""
    return f"{number >> 16:x}:" + (f"{number & 0xFFFF:x}" if number & 0xFFFF else "")


def _kind(row: NetRow) -> str:
    if row.hook is not None:
        return netfilter(row.hook)
    if row.section == "xdp":
        return f"xdp {row.kind}".rstrip()
    if row.parent is None or "/" in row.kind:
        return row.kind or row.section
    return f"{row.kind} {_handle(row.parent)}"


def _others(row: NetRow) -> tuple[str, ...]:
    """Return the programs that act on what a filter finds."""
    acts = row.actions or ()
    return tuple(program(each.prog_id) if each.prog_id is not None else each.name or "?" for each in acts)


VIEW: View[NetRow] = View(
    "programs at network devices",
    json,
    plain,
    (
        Column("device", lambda row: row.device and row.device.name),
        Column("type", lambda row: row.section, rank=5),
        Column("at", _kind),
        Column("prog", lambda row: row.prog_id, "number", "handle"),
        Column("name", lambda row: row.name or None, tone="name"),
        Column("filter", lambda row: row.label, rank=4),
        Column("actions", _others, "list", rank=2),
        Column("links", lambda row: tuple(map(str, row.link_ids)), "list", rank=3),
        Column("pinned", lambda row: row.pinned, "list", rank=2),
        Column("owners", lambda row: shared.owners_items(row.owners), "list", rank=1),
    ),
    extra,
    (Column("ifindex", lambda row: row.device and row.device.ifindex, "number"),),
    types=lambda: SECTIONS,
    empty="no programs see the packets of this network namespace",
    whole=Whole(_whole_json, _whole_plain),
)
