"""Pieces that the views of several kinds of object share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.host import netns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.owner import Owner


def owners_json(owners: tuple[Owner, ...]) -> dict[str, Any]:
    """Return the pids member (bpftool src/pids.c emit_obj_refs_json); empty when nobody holds the object."""
    return {"pids": [{"pid": owner.pid, "comm": owner.comm} for owner in owners]} if owners else {}


def owners_plain(owners: tuple[Owner, ...]) -> Iterator[str]:
    """Yield the pids line (src/pids.c emit_obj_refs_plain)."""
    if owners:
        yield "\tpids " + ", ".join(f"{owner.comm}({owner.pid})" for owner in owners)


def pinned_plain(paths: tuple[str, ...] | None) -> Iterator[str]:
    """Yield a line for each pinned path."""
    for path in paths or ():
        yield f"\tpinned {path}"


def device_json(ifindex: int | None, ns_dev: int | None, ns_ino: int | None) -> dict[str, Any]:
    """Return the dev member of an offloaded object (src/common.c print_dev_json); empty for others."""
    if not ifindex or ns_dev is None or ns_ino is None:
        return {}
    device: dict[str, Any] = {"ifindex": ifindex, "ns_dev": ns_dev, "ns_inode": ns_ino}
    name = netns.interface_name(ifindex) if netns.is_ours(ns_dev, ns_ino) else None
    if name:
        device["ifname"] = name
    return {"dev": device}


def device_plain(ifindex: int | None, ns_dev: int | None, ns_ino: int | None) -> str:
    """Return where an object is offloaded to (src/common.c print_dev_plain); empty for others."""
    if not ifindex or ns_dev is None or ns_ino is None:
        return ""
    name = netns.interface_name(ifindex) if netns.is_ours(ns_dev, ns_ino) else None
    return f"  offloaded_to {name}" if name else f"  offloaded_to ifindex {ifindex} ns_dev {ns_dev} ns_ino {ns_ino}"


def device_text(ifindex: int | None, ns_dev: int | None, ns_ino: int | None) -> str | None:
    """Return where an object is offloaded to as one cell of a table."""
    return device_plain(ifindex, ns_dev, ns_ino).strip().removeprefix("offloaded_to ") or None


def owners_items(owners: tuple[Owner, ...]) -> tuple[str, ...]:
    """Return the owners as the items of a cell."""
    return tuple(f"{owner.comm}({owner.pid})" for owner in owners)
