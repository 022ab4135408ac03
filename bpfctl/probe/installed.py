"""What installed distributions offer to others, read where their installers have written it.

importlib.metadata tells the same, but takes longer to load than a probe to attach; it is asked for what is in no
folder, such as a zip file.

Format: the specifications "Entry points" and "Recording installed projects" of packaging.python.org.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDERS = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}  # and the file there that says whose they are


class Offer(NamedTuple):
    """Something that a distribution offers under a name, as MODULE:OBJECT."""

    name: str
    value: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import the module and return the object; whatever the module raises, AttributeError where it lacks it."""
        module, _, path = self.value.partition("[")[0].strip().partition(":")
        found = import_module(module.strip())
        for name in filter(None, path.strip().split(".")):
            found = getattr(found, name)
        return found


def offers(group: str) -> Iterator[Offer]:
    """Yield what is offered in a group of entry points; of a distribution that is there twice what Python would use."""
    seen = set()
    for place in sys.path:
        found = list(_in_folder(place or ".", group) if os.path.isdir(place or ".") else _elsewhere(place, group))
        yield from (offer for offer in found if _normal(offer.distribution) not in seen)
        seen |= {_normal(offer.distribution) for offer in found}


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _in_folder(folder: str, group: str) -> Iterator[Offer]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending not in _FOLDERS:
            continue
        claims = list(_claims(_lines(f"{folder}/{name}/entry_points.txt"), group))
        if claims:
            head = dict(_head(_lines(f"{folder}/{name}/{_FOLDERS[ending]}")))
            guess, _, version = stem.partition("-")
            yield from (Offer(*claim, head.get("Name", guess), head.get("Version", version)) for claim in claims)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:  # most distributions offer nothing
        return []


def _claims(lines: list[str], group: str) -> Iterator[tuple[str, str]]:
    there = False
    for line in map(str.strip, lines):
        if line.startswith("["):
            there = line == f"[{group}]"
        elif there and "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()


def _head(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if not line:
            return
        name, colon, value = line.partition(":")
        if colon:
            yield name, value.strip()


def _elsewhere(place: str, group: str) -> Iterator[Offer]:
    if not os.path.exists(place):
        return
    from importlib.metadata import distributions  # noqa: PLC0415 - as above

    for found in distributions(path=[place]):
        for entry in found.entry_points.select(group=group):
            yield Offer(entry.name, entry.value, found.metadata["Name"], found.metadata["Version"])
