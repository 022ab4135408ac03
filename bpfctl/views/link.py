"""Links, as bpftool's src/link.c show_link_close_json and show_link_close_plain show them, and as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.kernel.attachment import StructOps
from bpfctl.kernel.names import link_type, link_types
from bpfctl.views import shared
from bpfctl.views.attachment import VOICES
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.link import LinkRow


def json(row: LinkRow) -> dict[str, Any]:
    """Return bpftool's JSON members, in its order."""
    info = row.info
    out: dict[str, Any] = {"id": info.id, "type": link_type(info.type) or int(info.type), "prog_id": info.prog_id}
    if info.attachment is not None:
        out |= VOICES[type(info.attachment)].json(info.attachment, row)
    if row.pinned is not None:
        out["pinned"] = row.pinned
    if row.owners:
        if row.bpf_cookie is not None:
            out["bpf_cookie"] = row.bpf_cookie
        out |= shared.owners_json(row.owners)
    return out


def plain(row: LinkRow) -> Iterator[str]:
    """Yield bpftool's lines."""
    info, at = row.info, row.info.attachment
    header = f"{info.id}: {link_type(info.type) or f'type {info.type}'}  "
    header += f"map {at.map_id}  " if isinstance(at, StructOps) else f"prog {info.prog_id}  "
    lines = []
    if at is not None:
        voice = VOICES[type(at)]
        lines = voice.plain(at, row)
        if voice.beside:
            header += lines.pop(0)
    yield header
    for line in lines:
        yield "\t" + line
    yield from shared.pinned_plain(row.pinned)
    if row.owners and row.bpf_cookie is not None:
        yield f"\tbpf_cookie {row.bpf_cookie}"
    yield from shared.owners_plain(row.owners)


def _target(row: LinkRow) -> str | None:
    from bpfctl.views import target  # noqa: PLC0415 - only tables name targets

    return target.text(row)


def extra(row: LinkRow) -> dict[str, Any]:
    """Return what bpftool does not tell."""
    from bpfctl.views import target  # noqa: PLC0415 - only --extra asks for more

    return target.extra(row)  # noqa: S610 - no Django here


def _cookies(row: LinkRow) -> tuple[str, ...]:
    cookies = (row.cookie,) if row.cookie else getattr(row.info.attachment, "cookies", None) or ()
    return tuple(str(cookie) for cookie in cookies) if any(cookies) else ()


def _program(row: LinkRow) -> str | None:
    from bpfctl.views import target  # noqa: PLC0415 - only tables name programs

    return target.program(row.info.prog_id) if row.info.prog_id else None


VIEW: View[LinkRow] = View(
    "links",
    json,
    plain,
    (
        Column("id", lambda row: row.info.id, "number", "handle"),
        Column("type", lambda row: link_type(row.info.type) or str(int(row.info.type))),
        Column("prog", _program, tone="name"),
        Column("target", _target),
        Column("cookie", _cookies, "list", rank=2),
        Column("pinned", lambda row: row.pinned, "list"),
        Column("owners", lambda row: shared.owners_items(row.owners), "list", rank=1),
    ),
    extra,
    types=link_types,
)
