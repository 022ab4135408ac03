"""From words to counters: KIND:TARGET, names alone as perf has them, lists with commas, and groups in braces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.errors import BpfctlError, NotFound, NotSupported, PluginError, UsageError
from bpfctl.probe import registry
from bpfctl.probe.source import Countable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfctl.attach.counter import Counter
    from bpfctl.probe.sources import Sources

Group = tuple["Counter", ...]
_OPEN, _CLOSE = "{", "}"


def groups(sources: Sources, words: Sequence[str], *, together: bool = False) -> list[Group]:
    """Return the counters that words mean, each once: alone, or in groups that count at the same times.

    ``together`` makes one group of all. NotFound, UsageError, NotSupported, KernelError.
    """
    found: list[Group] = []
    for word in words:
        for item in split(word):
            if item.startswith(_OPEN):
                names = split(item[1:-1])
                found.append(_once(counter for name in names for counter in _counters(sources, name)))
            else:
                found += ((counter,) for counter in _counters(sources, item))
    if together:
        return [_once(counter for group in found for counter in group)]
    return list({tuple(map(str, group)): group for group in found}.values())


def _once(counters: Iterable[Counter]) -> Group:
    """Return counters in their order, each once."""
    return tuple({str(counter): counter for counter in counters}.values())


def split(word: str) -> list[str]:
    """Split at commas, but not within braces, or between slashes, where fields of a unit stand; UsageError."""
    items, start, in_terms, depth = [], 0, False, 0
    for at, letter in enumerate(word):
        if letter == "/":
            in_terms = not in_terms
        elif letter == _OPEN:
            depth += 1
        elif letter == _CLOSE:
            depth -= 1
        elif letter == "," and not depth and not in_terms:
            items.append(word[start:at])
            start = at + 1
    items.append(word[start:])
    for item in items:
        inner = item.removeprefix(_OPEN).removesuffix(_CLOSE) if item.endswith(_CLOSE) else item
        if not inner:
            raise UsageError(f"an event is missing in '{word[:60]}'")
        if _OPEN in inner or _CLOSE in inner or item.startswith(_OPEN) != item.endswith(_CLOSE):
            raise UsageError(f"'{word[:60]}': a group is written as {{EVENT,EVENT,...}}")
    return items


def _counters(sources: Sources, spec: str) -> Sequence[Counter]:
    kind, colon, target = spec.partition(":")
    if colon and kind.isidentifier() and not target:
        raise UsageError(f"'{spec}' names no event: it should be KIND:TARGET, such as {kind}:NAME")
    if not colon:
        return _by_name(sources, spec, NotFound(f"nothing is counted by the name '{spec}'"))
    try:
        source, target = sources.split(spec)
    except NotFound as error:
        return _by_name(sources, spec, error)
    if not isinstance(source, Countable):
        raise UsageError(f"{spec} is counted by a program alone: bpfctl probe count does that")
    return source.counters(target)


def _by_name(sources: Sources, name: str, error: NotFound) -> Sequence[Counter]:
    """Return what the first source counts that has such a name."""
    near: BpfctlError = error
    for source in _every(sources):
        try:
            return source.counters(name)
        except (NotFound, NotSupported, UsageError) as other:
            if isinstance(other, NotFound) and "did you mean" in str(other):
                near = other
    raise near


def _every(sources: Sources) -> Iterator[Countable]:
    for plugin in registry.plugins():
        try:
            source = sources.of(plugin.kind)
        except PluginError:  # who wants that kind is told so
            continue
        if isinstance(source, Countable):
            yield source
