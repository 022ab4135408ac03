"""Entries of maps, as bpftool's src/map.c shows them: print_entry_json, print_entry_plain, do_dump_btf.

Without types, plain text has the bytes. With types it has what looks like indented JSON, and JSON has both the bytes
and, under ``formatted``, the values.
"""

from __future__ import annotations

import os
from errno import ENOENT, ENOSPC
from typing import TYPE_CHECKING, Any

from bpfctl.errors import UsageError
from bpfctl.host import cpus
from bpfctl.kernel.map import OF_MAPS, PER_CPU
from bpfctl.uapi.enums import MapType
from bpfctl.views import entry_table, form, typed
from bpfctl.views import map as map_view
from bpfctl.views.form import KEY, VALUE, Hex, Layout, Number, Object
from bpfctl.views.view import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.map_types import Types
    from bpfctl.views.form import Node

_HAVE_GAPS = OF_MAPS | {MapType.PROG_ARRAY}
_WIDE = 16  # bytes or characters: what is longer begins a line of its own
_LINE = 24  # of key and value together


class Shape:
    """How the entries of one map look."""

    def __init__(self, info: MapInfo, types: Types | None = None) -> None:
        self.info = info
        self.types = types
        self.per_cpu = info.type in PER_CPU
        self.step = (info.value_size + 7 & ~7) if self.per_cpu else info.value_size
        self.cpus = cpus.possible() if self.per_cpu else 1
        self.room = self.step * self.cpus
        self.strides = (info.key_size, self.room)

    def stream(self, chunks: Iterable[Chunk]) -> Stream:
        """Return what shows entries; it can be used once, in one voice."""
        types = self.types
        return Stream(
            head=map_view.head_json(self.info),
            title=map_view.head_plain(self.info),
            items="elements",
            json=lambda depth, spell: self._json(chunks, Layout(depth, spell)),
            plain=lambda: self._plain(chunks),
            document=(lambda depth, spell: self._document(chunks, types, Layout(depth, spell))) if types else None,
            columns=lambda: entry_table.columns(self),
            rows=lambda: entry_table.rows(self, chunks),
            empty=f"map {self.info.id} has no entries",
            extra=self._extra,
        )

    def _extra(self) -> dict[str, Any]:
        """Return what another map needs to be made alike."""
        from bpfctl.kernel.definition import Definition  # noqa: PLC0415 - few dumps tell of it

        try:
            return Definition.of(self.info).json()
        except UsageError:
            return {}

    def one(self, entry: Chunk) -> Stream:
        """Return what shows a single entry that has a value."""
        stream = self.stream((entry,))
        return stream._replace(plain=lambda: form.lines(self.lines(), self.strides).fill(*entry[:3]))

    # JSON

    def _json(self, chunks: Iterable[Chunk], layout: Layout) -> Iterator[bytes]:
        return self._trees(chunks, layout, self._json_tree(), Hex(KEY, 0, self.info.key_size))

    def _document(self, chunks: Iterable[Chunk], types: Types, layout: Layout) -> Iterator[bytes]:
        return self._trees(chunks, layout, *self._typed(types, json=False))

    def _trees(self, chunks: Iterable[Chunk], layout: Layout, tree: Node, key: Node | None) -> Iterator[bytes]:
        forms = {0: form.tree(tree, layout, self.strides)}
        for chunk in chunks:
            if chunk.errno not in forms:
                error = Object((("error", layout.spell(os.strerror(chunk.errno))),))
                members = ((("key", key),) if key is not None else ()) + (("value", error),)
                forms[chunk.errno] = form.tree(Object(members), layout, (self.info.key_size, 0))
            if not self.is_gap(chunk):
                yield from forms[chunk.errno].fill(*chunk[:3])

    def is_gap(self, chunk: Chunk) -> bool:
        """Return whether slots are only empty, which is nothing to tell of."""
        return chunk.errno == ENOENT and self.info.type in _HAVE_GAPS

    def _json_tree(self) -> Node:
        size = self.info.value_size
        members: list[tuple[str, Node]] = [("key", Hex(KEY, 0, self.info.key_size))]
        members.append(self._values(lambda offset: Hex(VALUE, offset, size)))
        if self.info.type in OF_MAPS:
            members.append(("inner_map_id", Number(VALUE, 0, "I")))
        if self.types:
            members.append(("formatted", self._typed(self.types, json=True)[0]))
        return Object(tuple(members))

    def _values(self, node: Callable[[int], Node]) -> tuple[str, Node]:
        if not self.per_cpu:
            return "value", node(0)
        each = [(str(cpu), node(cpu * self.step)) for cpu in range(self.cpus)]
        return "values", [Object((("cpu", cpu), ("value", value))) for cpu, value in each]

    def _typed(self, types: Types, *, json: bool) -> tuple[Node, Node | None]:
        """Return the tree of an entry by its types, and that of its key alone."""
        btf, key_type, value_type = types
        key = typed.tree(btf, key_type, KEY, 0, json=json) if key_type else None
        value = self._values(lambda offset: typed.tree(btf, value_type, VALUE, offset, json=json))
        return Object(((("key", key),) if key is not None else ()) + (value,)), key

    # plain text

    def _plain(self, chunks: Iterable[Chunk]) -> Iterator[bytes]:
        forms = {0: form.lines(self.lines(), self.strides)}
        found = 0
        for chunk in chunks:
            if chunk.errno not in forms:
                forms[chunk.errno] = form.lines(self._error_lines(chunk.errno), (self.info.key_size, 0))
            if not self.is_gap(chunk):
                yield from forms[chunk.errno].fill(*chunk[:3])
            found += chunk.entries if not chunk.errno else 0
        yield f"Found {found} element{'s' if found != 1 else ''}\n".encode()

    def lines(self) -> list[str | Hex | Number]:
        """Return the text of an entry."""
        key, value = Hex(KEY, 0, self.info.key_size), self.info.value_size
        if self.per_cpu:
            parts: list[str | Hex | Number] = ["key:\n", key, "\n"] if key.size else []
            for cpu in range(self.cpus if value else 0):
                parts += [f"value (CPU {cpu:02}):{_after(value > _WIDE)}", Hex(VALUE, cpu * self.step, value), "\n"]
            return parts
        wide = key.size > _WIDE or value > _WIDE
        parts = [f"key:{_after(wide)}", key, "\n" if wide or key.size + value > _LINE else "  "] if key.size else []
        if value and self.info.type in OF_MAPS:
            parts += [f"inner_map_id:{_after(wide)}", Number(VALUE, 0, "I"), " "]
        elif value:
            parts += [f"value:{_after(wide)}", Hex(VALUE, 0, value)]
        return [*parts, "\n"]

    def _error_lines(self, errno: int) -> list[str | Hex | Number]:
        """Return the text of an entry without value (print_entry_error_msg)."""
        message = os.strerror(errno)
        if errno == ENOENT:
            message = "<no entry>"
        elif errno == ENOSPC and self.info.type is MapType.REUSEPORT_SOCKARRAY:
            message = "<cannot read>"
        size = self.info.key_size
        wide = size > _WIDE or len(message) > _WIDE
        gap = "\n" if wide or size + len(message) > _LINE else "  "
        return [f"key:{_after(wide)}", Hex(KEY, 0, size), gap, f"value:{_after(wide)}", message, "\n"]


def missing(key: bytes) -> list[str]:
    """Return what tells that a key is not there (do_lookup)."""
    return ["key:", *_rows(key), "", "Not found"]


def next_key(key: bytes | None, following: bytes) -> tuple[list[str], dict[str, Any]]:
    """Return the lines and the value that tell the key after another (do_getnext)."""
    before = ["key: None"] if key is None else ["key:", *_rows(key)]
    value = {"key": None if key is None else _items(key), "next_key": _items(following)}
    return [*before, "next key:", *_rows(following)], value


def _rows(raw: bytes) -> list[str]:
    text = b"".join(form.lines([Hex(KEY, 0, len(raw))], (len(raw), 0)).fill(raw, b"", 1))
    return text.decode().split("\n")


def _items(raw: bytes) -> list[str]:
    return [f"{byte:#04x}" for byte in raw]


def _after(wide: bool) -> str:
    return "\n" if wide else " "
