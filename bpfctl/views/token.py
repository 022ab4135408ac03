"""What BPF file systems delegate, as bpftool's src/token.c shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.kernel.token import KINDS, Row
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

_ON_A_LINE = 4


def _json(row: Row) -> dict[str, Any]:
    return {"token_info": row.path} | {f"allowed_{kind}": list(getattr(row, kind)) for kind in KINDS}


def _plain(row: Row) -> Iterator[str]:
    yield f"token_info  {row.path}"
    for kind in KINDS:
        words: tuple[str, ...] = getattr(row, kind)
        yield f"\tallowed_{kind}:"
        for at in range(0, len(words), _ON_A_LINE):
            yield "\t  " + "".join(f"{word:<20}" for word in words[at : at + _ON_A_LINE])


VIEW: View[Row] = View(
    "BPF file systems that delegate",
    _json,
    _plain,
    (
        Column("mounted on", lambda row: row.path, tone="handle"),
        Column("commands", lambda row: row.cmds, "list"),
        Column("maps", lambda row: row.maps, "list"),
        Column("programs", lambda row: row.progs, "list"),
        Column("attach types", lambda row: row.attachs, "list"),
    ),
    lambda _: {},
    empty="no BPF file system delegates anything",
)
