"""Plugins, with what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.errors import PluginError
from bpfctl.probe import registry
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class PluginRow(NamedTuple):
    """An installed plugin, its one line about itself, and what is wrong with it, if anything."""

    plugin: registry.Plugin
    summary: str | None
    problem: str | None


def rows(plugins: Iterable[registry.Plugin]) -> Iterator[PluginRow]:
    """Load each plugin in turn to see whether it works."""
    for plugin in plugins:
        try:
            yield PluginRow(plugin, registry.load(plugin).summary, None)
        except PluginError as error:
            yield PluginRow(plugin, None, str(error))


def json(row: PluginRow) -> dict[str, Any]:
    """Return the members of a plugin."""
    out: dict[str, Any] = {
        "kind": row.plugin.kind,
        "distribution": row.plugin.distribution,
        "version": row.plugin.version,
        "entry_point": row.plugin.offer.value,
    }
    return out | ({"problem": row.problem} if row.problem else {"summary": row.summary})


def plain(row: PluginRow) -> Iterator[str]:
    """Yield a plugin's line, and a second one when something is wrong with it."""
    yield f"{row.plugin.kind}  {row.plugin.distribution} {row.plugin.version}" + (
        f"  {row.summary}" if row.summary else ""
    )
    if row.problem:
        yield f"\tbroken: {row.problem}"


VIEW: View[PluginRow] = View(
    "plugins",
    json,
    plain,
    (
        Column("kind", lambda row: row.plugin.kind),
        Column("distribution", lambda row: f"{row.plugin.distribution} {row.plugin.version}"),
        Column("summary", lambda row: row.summary),
        Column("problem", lambda row: row.problem),
    ),
    lambda _row: {},
)
