"""Items of a JSON array that are made one by one: in large pieces, as a `bpfctl.views.view.Stream` has them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from bpfctl.views.view import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bpfctl.views.view import Column

_PIECE = 256  # items
_INDENT = "    "


def pieces(values: Iterable[dict[str, Any]], depth: int | None, spell: Callable[[Any], str]) -> Iterator[bytes]:
    """Yield the text of objects, with commas between those of a piece; indented if they stand ``depth`` deep."""
    left = iter(values)
    while texts := [text(value, depth, spell) for value in islice(left, _PIECE)]:
        yield ",".join(texts).encode()


def text(value: Any, depth: int | None, spell: Callable[[Any], str]) -> str:
    """Return a value as JSON, which ``spell`` writes without line breaks."""
    if depth is None or not value or not isinstance(value, (dict, list, tuple)):
        return spell(value)
    end = "\n" + _INDENT * depth
    if isinstance(value, dict):
        start = end + _INDENT
        members = [f"{start}{spell(name)}: {text(member, depth + 1, spell)}" for name, member in value.items()]
        return "{" + ",".join(members) + end + "}"
    return "[" + ",".join(text(item, depth + 1, spell) for item in value) + end + "]"


def stream(
    title: str,
    rows: Sequence[Any],
    columns: tuple[Column, ...],
    *,
    json: Callable[[Any], dict[str, Any]],
    line: Callable[[Any], str],
    safe: Callable[[str], str],
    empty: str = "none",
) -> Stream:
    """Return rows as a stream: a JSON object, a line or a row of a table each; ``safe`` spells the lines."""
    return Stream(
        head={},
        title=title,
        items=title,
        json=lambda depth, spell: pieces(map(json, rows), depth, spell),
        plain=lambda: (f"{safe(line(row))}\n".encode() for row in rows),
        document=None,
        columns=lambda: columns,
        rows=lambda: iter(rows),
        empty=empty,
    )
