"""Targets with wildcards."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING

from bpfctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

_WILD = frozenset("*?[")


def is_pattern(word: str) -> bool:
    """Return whether a word has wildcards, so that it may mean several things."""
    return not _WILD.isdisjoint(word)


def chosen(names: Iterable[str], pattern: str, what: str) -> list[str]:
    """Return the names that a shell-style pattern matches; NotFound says what is close to one without wildcards."""
    every = list(names)
    if not is_pattern(pattern):
        if pattern in every:
            return [pattern]
        from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes alone

        near = get_close_matches(pattern, every, 1, 0.65) or [name for name in every if pattern in name][:1]
        raise NotFound(f"there is no {what} '{pattern}'" + (f", did you mean '{near[0]}'?" if near else ""))
    match = re.compile(translate(pattern)).match
    found = [name for name in every if match(name)]
    if not found:
        raise NotFound(f"no {what} matches '{pattern}'")
    return found
