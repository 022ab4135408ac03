"""Finds plugins: installed distributions with entry points in the group ``bpfctl.plugins``.

The name of an entry point is the kind of probe that it offers, so that one kind costs one import. There is no list
of our own plugins: they are found like everybody's. A broken plugin breaks only its kind.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

from bpfctl.errors import NotFound, PluginError
from bpfctl.probe.installed import offers
from bpfctl.probe.source import API, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfctl.probe.installed import Offer

GROUP = "bpfctl.plugins"

_MEMBERS = ("api", "kind", "summary", "discover", "resolve", "fields", "groups")


class Plugin(NamedTuple):
    """An installed plugin: the kind that it offers, who ships it, and where its class is."""

    kind: str
    distribution: str
    version: str
    offer: Offer

    def __str__(self) -> str:
        """Return what errors call it: ``distribution[kind]``."""
        return f"{self.distribution}[{self.kind}]"


def plugins(kind: str | None = None) -> list[Plugin]:
    """Return the installed plugins by kind, or those of one kind, without importing any."""
    found = {Plugin(offer.name, offer.distribution, offer.version, offer) for offer in _offers()}
    return sorted(plugin for plugin in found if kind in (None, plugin.kind))


@cache
def _offers() -> tuple[Offer, ...]:
    return tuple(offers(GROUP))


def load(plugin: Plugin) -> Source:
    """Import a plugin's class and make its source; PluginError says why that is impossible."""
    try:
        made = cast("Callable[[], Source]", plugin.offer.load())()
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
        kinds = sorted({offer.name for offer in _offers()})
        from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes alone

        near = get_close_matches(kind.lower(), [*kinds, *others], 1, 0.7)
        hint = f", did you mean '{near[0]}'?" if near else ""
        raise NotFound(f"no plugin offers probes of kind '{kind}'{hint} (there are: {', '.join(kinds) or 'none'})")
    if len(claims) > 1:
        raise PluginError(f"'{kind}' is claimed by {' and by '.join(map(str, claims))}: uninstall one of them")
    return load(claims[0])
