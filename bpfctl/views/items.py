"""Items of a JSON array that are made one by one: in large pieces, as a `bpfctl.views.view.Stream` has them."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PIECE = 256  # items
_INDENT = "    "


def pieces(values: Iterable[dict[str, Any]], depth: int | None, spell: Callable[[Any], str]) -> Iterator[bytes]:
    """Yield the text of objects, with commas between those of a piece; indented if they stand ``depth`` deep."""
    left = iter(values)
    while texts := [text(value, depth, spell) for value in islice(left, _PIECE)]:
        yield ",".join(texts).encode()


def text(value: Any, depth: int | None, spell: Callable[[Any], str]) -> str:
    """Return a value as JSON; ``spell`` spells strings."""
    if isinstance(value, str):
        return spell(value)
    if isinstance(value, dict):
        between, colon = ("", ":") if depth is None else ("\n" + _INDENT * (depth + 1), ": ")
        inner = None if depth is None else depth + 1
        members = [f"{between}{spell(name)}{colon}{text(member, inner, spell)}" for name, member in value.items()]
        return "{" + ",".join(members) + _end(depth, members) + "}"
    if isinstance(value, (list, tuple)):
        inner = None if depth is None else depth + 1
        items = [text(item, inner, spell) for item in value]
        return "[" + ",".join(items) + _end(depth, items) + "]"
    return json.dumps(value)


def _end(depth: int | None, items: list[str]) -> str:
    return "\n" + _INDENT * depth if depth is not None and items else ""
