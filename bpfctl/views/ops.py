"""Structs of functions that programs implement, as bpftool's src/struct_ops.c shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.kernel.ops import Content, Function, Row
from bpfctl.views import value as values
from bpfctl.views.view import Column, View
from btf.value import Address

if TYPE_CHECKING:
    from collections.abc import Iterator


def _plain(row: Row) -> Iterator[str]:
    yield f"{row.id}: {row.name:<15} {row.struct:<32}"


VIEW: View[Row] = View(
    "structs of functions",
    lambda row: {"id": row.id, "name": row.name, "kernel_struct_ops": row.struct},
    _plain,
    (
        Column("id", lambda row: row.id, "number", "handle"),
        Column("name", lambda row: row.name, tone="name"),
        Column("struct", lambda row: row.struct),
        Column("flags", lambda row: f"{row.info.map_flags:#x}", tone="quiet", rank=1),
    ),
    lambda row: {"flags": row.info.map_flags},
    empty="no struct of functions is there",
)


def documents(content: Content, *, numbers: bool) -> Iterator[dict[str, Any]]:
    """Yield what bpftool tells of a map, the facts first; with ``numbers`` addresses are numbers, else text."""
    yield {"bpf_map_info": {name: _shown(value, numbers=numbers) for name, value in content.facts.items()}}
    yield {content.outer: _shown(content.value, numbers=numbers)}


def _shown(value: Any, *, numbers: bool) -> Any:
    if isinstance(value, Function):
        if not value.program:
            return f"{value.declared} 0"
        return f"{value.declared} {value.name or '<unknown_prog_name>'}/prog_id:{value.program}"
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value):
        return {name: _shown(item, numbers=numbers) for name, item in value}
    if isinstance(value, Address) and not numbers:
        return f"{int(value):#x}" if value else "(nil)"
    return values.json(value)


_NOUN = "structs of functions"
DOCUMENTS: View[dict[str, Any]] = View(_NOUN, lambda found: found, lambda _: iter(()), (), lambda _: {})


def _cells(content: Content) -> Iterator[tuple[Content, str, str]]:
    yield from _members(content, "", content.value)


def _members(content: Content, begin: str, members: list[tuple[str, Any]]) -> Iterator[tuple[Content, str, str]]:
    for name, value in members:
        if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
            yield from _members(content, f"{begin}{name}.", value)
        elif isinstance(value, Function):
            told = f"{value.name or '?'} (program {value.program})" if value.program else None
            if told:
                yield content, f"{begin}{name}", told
        elif value:
            yield content, f"{begin}{name}", values.plain(value).strip('"')


def rows(contents: Iterator[Content]) -> Iterator[tuple[Content, str, str]]:
    """Yield the members that are not zero, for a table."""
    for content in contents:
        yield from _cells(content)


TABLE: View[tuple[Content, str, str]] = View(
    "structs of functions",
    lambda _: {},
    lambda _: iter(()),
    (
        Column("id", lambda row: row[0].row.id, "number", "handle"),
        Column("name", lambda row: row[0].row.name, tone="name"),
        Column("struct", lambda row: row[0].row.struct, rank=1),
        Column("member", lambda row: row[1]),
        Column("value", lambda row: row[2]),
    ),
    lambda _: {},
    empty="no struct of functions is there",
)
