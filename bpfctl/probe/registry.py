"""Finds plugins: installed distributions with entry points in the group ``bpfctl.plugins``.

The name of an entry point is the kind of probe that it offers, so that one kind costs one import. There is no list
of our own plugins: they are found like everybody's. A broken plugin breaks only its kind.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple, cast

from bpfctl.errors import NotFound, PluginError
from bpfctl.probe.source import API, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

GROUP = "bpfctl.plugins"

_MEMBERS = ("api", "kind", "summary", "discover", "resolve", "fields", "groups")


class Plugin(NamedTuple):
    """An installed plugin: the kind that it offers, who ships it, and where its class is."""

    kind: str
    distribution: str
    version: str
    entry: EntryPoint

    def __str__(self) -> str:
        """Return what errors call it: ``distribution[kind]``."""
        return f"{self.distribution}[{self.kind}]"


def plugins(kind: str | None = None) -> list[Plugin]:
    """Return the installed plugins by kind, or those of one kind, without importing any."""
    found = {
        (plugin.kind, plugin.distribution, plugin.entry.value): plugin
        for plugin in (_plugin(entry) for entry in _entries() if kind in (None, entry.name))
    }
    return [found[key] for key in sorted(found)]


def _entries() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - core commands never read entry points

    return entry_points(group=GROUP)


def _plugin(entry: EntryPoint) -> Plugin:
    if entry.dist is None:
        return Plugin(entry.name, "?", "?", entry)
    told = entry.dist.metadata  # read anew each time that it is asked for
    return Plugin(entry.name, told["Name"], told["Version"], entry)


def load(plugin: Plugin) -> Source:
    """Import a plugin's class and make its source; PluginError says why that is impossible."""
    try:
        made = cast("Callable[[], Source]", plugin.entry.load())()
    except Exception as error:
        raise PluginError(f"{plugin}: {type(error).__name__}: {error}") from error
    missing = [member for member in _MEMBERS if not hasattr(made, member)]
    if missing:
        raise PluginError(f"{plugin}: not a source, it has no {' and no '.join(missing)}")
    if made.api != API:
        raise PluginError(f"{plugin}: written for version {made.api} of the plugin interface, this is version {API}")
    if made.kind != plugin.kind:
        raise PluginError(f"{plugin}: its source calls itself '{made.kind}'")
    return made


def find(kind: str, others: Iterable[str] = ()) -> Source:
    """Return the source of a kind of probe; NotFound names the kinds there are, PluginError two that claim it.

    ``others`` are words that could be meant too.
    """
    claims = plugins(kind)
    if not claims:
        kinds = sorted({entry.name for entry in _entries()})
        near = get_close_matches(kind.lower(), [*kinds, *others], 1, 0.7)
        hint = f", did you mean '{near[0]}'?" if near else ""
        raise NotFound(f"no plugin offers probes of kind '{kind}'{hint} (there are: {', '.join(kinds) or 'none'})")
    if len(claims) > 1:
        raise PluginError(f"'{kind}' is claimed by {' and by '.join(map(str, claims))}: uninstall one of them")
    return load(claims[0])
