"""bpfctl btf find: names in types, and who uses a type."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from bpfctl.cli import btf_type, grammar, opt
from bpfctl.cli.columns import near
from bpfctl.errors import NotFound, Nothing, UsageError
from bpfctl.render.progress import Progress
from bpfctl.render.text import safe
from bpfctl.views import found as view
from btf import find as finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.views.found import Found

_NOTHING = 1
_TYPES = "type"  # the word for all kinds of types


def find(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    kind: opt.Kinds = None,
    embeds: opt.Embeds = None,
    points_to: opt.PointsTo = None,
    limit: opt.Limit = None,
) -> None:
    """Find types, members, functions and enumerators by name.

    The name may be left out with --embeds or --points-to. Exit code 1 when nothing matches.
    """
    left = grammar.Words(words)
    used = [btf_type.one_word(text) if text else None for text in (embeds, points_to)]
    name = None
    if left or not any(used):
        name = pattern(left.next("the pattern"))
    wanted = finding.Wanted(name, _kinds(kind or []))
    session = ctx.obj
    some = _Counted(_search(btf_type.places(session, left), wanted, *used))
    with Progress(session.out, hidden=session.options.debug) as progress:
        told = progress.over(some, lambda count: f"looking through types: {count} found")
        session.out.stream([view.stream(islice(told, limit), safe)], listing=False)
    if not some.count:
        raise Nothing(_NOTHING)


def pattern(text: str) -> Callable[[str], object]:
    """Return what decides on a name: a glob for all of it, or a regular expression between slashes for a part."""
    if len(text) > 1 and text[0] == text[-1] == "/":
        try:
            return re.compile(text[1:-1]).search
        except re.error as error:
            raise UsageError(f"{text} is no regular expression: {error}") from None
    from fnmatch import translate

    return re.compile(translate(text)).match


def _kinds(words: list[str]) -> frozenset[str]:
    known = [*finding.KINDS, finding.MEMBER, finding.ENUMERATOR]
    kinds: set[str] = set()
    for word in ",".join(words).split(",") if words else ():
        if word == _TYPES:
            kinds |= {*finding.KINDS} - {"func", "var"}
        elif word in known:
            kinds.add(word)
        else:
            there = [_TYPES, *known]
            raise UsageError(f"unknown kind '{word}'" + (near(word, there) or f", only {', '.join(there)}"))
    return frozenset(kinds)


class _Counted:
    """Matches that are counted as they go by."""

    def __init__(self, found: Iterator[Found]) -> None:
        self._found = found
        self.count = 0

    def __iter__(self) -> Iterator[Found]:
        return self

    def __next__(self) -> Found:
        one = next(self._found)
        self.count += 1
        return one


def _search(
    places: Iterator[btf_type.Place],
    wanted: finding.Wanted,
    embeds: btf_type.Named | None,
    points_to: btf_type.Named | None,
) -> Iterator[Found]:
    known = False
    for place in places:
        ids = [frozenset(one.ids(place.btf)) if one else frozenset() for one in (embeds, points_to)]
        known = known or all(ids[at] or not one for at, one in enumerate((embeds, points_to)))
        if (embeds and not ids[0]) or (points_to and not ids[1]):
            continue
        here = wanted._replace(embeds=ids[0], points_to=ids[1])
        with btf_type.understood(place):
            yield from map(view.Teller(place.where, place.btf).tell, finding.search(place.btf, here))
    if not known:
        missing = " or ".join(f"'{one}'" for one in (embeds, points_to) if one)
        raise NotFound(f"there is no type {missing}")
