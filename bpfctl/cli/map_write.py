"""bpfctl map update, delete, create, freeze, push and pop: what changes maps."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from errno import EPERM
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import data, grammar, map_form, opt
from bpfctl.errors import KernelError, Nothing, UsageError
from bpfctl.kernel.map import NAME_ROOM, OF_MAPS, Map
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import UpdateFlag

if TYPE_CHECKING:
    from bpfctl.cli.session import Session
    from bpfctl.kernel.prog import Program
    from bpfctl.kernel.select import Select

_FLAGS = {"any": UpdateFlag.ANY, "noexist": UpdateFlag.NOEXIST, "exist": UpdateFlag.EXIST}


def update(ctx: opt.Context, words: opt.Words = None, *, dry_run: opt.DryRun = False) -> None:
    """Set a value, or put one into a queue or stack."""
    left = grammar.Words(words)
    left.at_least(2, "update")
    which = grammar.map_(left)
    with ExitStack() as opened:
        map_ = opened.enter_context(Map.one(which) if dry_run else Map.writable(which))
        element = _Element(map_, opened)
        element.read(left, value=True)
        if dry_run:
            _show(ctx.obj, element)
            return
        if element.held and which.by == "id" and element.info.type is MapType.PROG_ARRAY:
            ctx.obj.out.note("Warning: the kernel empties a program array when nobody holds it, so pin it")
        map_.put(element.key.packed(), element.value.packed(), element.flags)
    ctx.obj.out.done()


def delete(ctx: opt.Context, words: opt.Words = None, *, dry_run: opt.DryRun = False) -> None:
    """Delete a key."""
    left = grammar.Words(words)
    left.at_least(2, "delete")
    which = grammar.map_(left)
    with ExitStack() as opened:
        map_ = opened.enter_context(Map.one(which) if dry_run else Map.writable(which))
        element = _Element(map_, opened)
        element.read(left, value=False)
        if dry_run:
            _show(ctx.obj, element)
            return
        map_.delete(element.key.packed())
    ctx.obj.out.done()


def freeze(ctx: opt.Context, words: opt.Words = None) -> None:
    """Make a map read-only for user space, for good.

    That is for good. Programs may still change it.
    """
    left = grammar.Words(words)
    left.at_least(2, "freeze")
    which = grammar.map_(left)
    with Map.writable(which) as map_:
        left.end()
        map_.freeze()
    ctx.obj.out.done()


def pop(ctx: opt.Context, words: opt.Words = None) -> None:
    """Take the next value out of a queue or stack."""
    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.map_types import types
    from bpfctl.views.element import Shape

    left = grammar.Words(words)
    left.at_least(2, "pop")
    which = grammar.map_(left)
    left.end()
    with Map.writable(which) as map_:
        info = map_.info()
        if info.key_size:
            raise UsageError("values are popped out of queues and stacks, not out of maps with keys")
        try:
            value = map_.take()
        except KernelError as error:
            if not error.is_missing:
                raise
            ctx.obj.out.lines(["Error: empty map"], None)
            raise Nothing(error.exit_code) from None
    ctx.obj.out.item(Shape(info, types(info)).one(Chunk(b"", value, 1)))


class _Element:
    """Key, value and flags of one element, read from words."""

    def __init__(self, map_: Map, opened: ExitStack) -> None:
        self.map = map_
        self.info = map_.info()
        self.opened = opened  # holds what is put into the map until it is there
        self.held: Select | None = None
        self.key = data.Data((b"",))
        self.value = data.Data((b"",))
        self.flags = 0

    def read(self, words: grammar.Words, *, value: bool) -> None:
        """Read ``key DATA``, ``value DATA`` and flags in any order, as parse_elem() in bpftool's src/map.c does."""
        info, had_flags = self.info, not value
        key_form = map_form.key(info)
        # A map without keys needs none, but then deleting from it is the kernel's to refuse.
        sizes = {"key": info.key_size, "value": info.value_size if value else 0}
        missing = [word for word in sizes if sizes[word] or (word == "key" and not value)]
        while words:
            given = words.peek()
            word = words.keyword("key", "value", *_FLAGS)
            if word is None:
                raise UsageError(f"expected key or value, got: {given}")
            if word in _FLAGS:
                if had_flags:
                    raise UsageError(f"flags specified multiple times: {given}")
                self.flags, had_flags = _FLAGS[word], True
                continue
            if word not in missing:
                raise UsageError(f"{'duplicate' if sizes[word] else 'unnecessary'} {word}")
            if word == "key":
                self.key = data.parse(words, key_form)
            else:
                self._read_value(words, known="key" not in missing)
            missing.remove(word)
        if missing:
            raise UsageError(f"did not find {missing[0]}", is_short=True)
        if self.value.changed and not self.flags:
            self.flags = UpdateFlag.EXIST  # what was deleted meanwhile has no rest that could stay

    def _read_value(self, words: grammar.Words, *, known: bool) -> None:
        kind = self.info.type
        if kind in OF_MAPS or kind is MapType.PROG_ARRAY:
            what = "map of progs" if kind is MapType.PROG_ARRAY else "map in map"
            if len(words) < 2:
                raise UsageError(f"not enough value arguments for {what}")
            self.value = data.Data((self._open(words, of_maps=kind in OF_MAPS),))
            return

        def old() -> bytes | None:
            if not known or not self.info.key_size:
                raise UsageError("a part of a value can be set once the key is known: put key DATA first")
            return self.map.find(self.key.packed())

        self.value = data.parse(words, map_form.value(self.info), old)

    def _open(self, words: grammar.Words, *, of_maps: bool) -> bytes:
        """Open what a handle names and return its descriptor, which the kernel takes for a value."""
        if of_maps:
            self.held = grammar.map_(words)
            held: Map | Program = self.opened.enter_context(Map.writable(self.held))
        else:
            from bpfctl.kernel.prog import Program

            self.held = grammar.prog(words)
            held = self.opened.enter_context(Program.one(self.held))
        return held.fileno().to_bytes(4, sys.byteorder)


def _show(session: Session, element: _Element) -> None:
    """Show what would be written, in words that can be given back."""
    lines: list[str] = []
    value: dict[str, object] = {}
    for name, told in (("key", element.key), ("value", element.value)):
        if element.held and name == "value":
            lines.append(f"value {element.held}")
            value[name] = str(element.held)
        elif len(told.parts) == 1 and told.parts[0]:
            lines.append(f"{name} hex {told.parts[0].hex(' ')}")
            value[name] = _hex(told.parts[0])
        elif len(told.parts) > 1:
            lines.append("value " + " ".join(f"cpu {cpu} hex {part.hex(' ')}" for cpu, part in enumerate(told.parts)))
            value["values"] = [{"cpu": cpu, "value": _hex(part)} for cpu, part in enumerate(told.parts)]
    session.out.lines(lines, value)


def _hex(part: bytes) -> list[str]:
    return [f"{byte:#04x}" for byte in part]


class _Spec(NamedTuple):
    """What a new map shall be."""

    type: int = 0
    name: str | None = None
    key: int = 0
    value: int = 0
    entries: int = 0
    flags: int = 0
    ifindex: int = 0


_NUMBERS = {"key": "key size", "value": "value size", "entries": "max entries", "flags": "flags"}


def create(ctx: opt.Context, words: opt.Words = None) -> None:
    """Create a map and pin it."""
    from bpfctl.cli import pin

    left = grammar.Words(words)
    left.at_least(7, "create")
    path = left.next("the path")
    with ExitStack() as opened:
        inner: list[Map] = []
        spec = _spec(left, opened, inner)
        if spec.name is None:
            raise UsageError("map name not specified")
        if len(spec.name.encode(errors="surrogateescape")) > NAME_ROOM:
            ctx.obj.out.note(f"Warning: map name is longer than {NAME_ROOM} characters, it will be truncated.")
        try:
            made = Map.create(
                spec.type,
                spec.key,
                spec.value,
                spec.entries,
                name=spec.name,
                flags=spec.flags,
                inner=inner[0] if inner else None,
                ifindex=spec.ifindex,
            )
        except KernelError as error:
            raise KernelError("map create failed", error.errno or 0, hint=_rights(spec.type, error)) from None
        pin.keep(ctx.obj, opened.enter_context(made), path)
    ctx.obj.out.done()


def _rights(kind: int, error: KernelError) -> str:
    """Return which capabilities it lacks, where that is why there is no map."""
    if error.errno != EPERM:  # which limits of memory answer too, before Linux 5.11
        return error.hint
    from bpfctl.explain import capability
    from bpfctl.kernel.refusal import lacking, memory_limit

    return lacking(*capability.of_map(kind)) or memory_limit()


def _spec(words: grammar.Words, opened: ExitStack, inner: list[Map]) -> _Spec:
    """Read the words of do_create() in bpftool's src/map.c, which come in any order."""
    spec, last = _Spec(), "create"
    while words:
        words.at_least(2, last)
        given = words.peek()
        word = words.keyword("type", "name", *_NUMBERS, "dev", "offload_dev", "inner_map")
        if word is None:
            raise UsageError(f"unknown arg {given}")
        if word == "inner_map":
            words.at_least(2, given)
            inner[:] = [opened.enter_context(Map.one(grammar.map_(words)))]
            continue
        last = words.peek()
        spec = _with(spec, word, words.next(word))
    return spec


def _with(spec: _Spec, word: str, told: str) -> _Spec:
    if word == "name":
        return spec._replace(name=told)
    if word == "type":
        if spec.type:
            raise UsageError("map type already specified")
        return spec._replace(type=_type(told))
    if word in _NUMBERS:
        if getattr(spec, word):
            raise UsageError(f"{_NUMBERS[word]} already specified")
        number = grammar.number(told, _NUMBERS[word])
        return _Spec(**{**spec._asdict(), word: number})
    if spec.ifindex:
        raise UsageError("offload device already specified")
    return spec._replace(ifindex=grammar.device(told))


def _type(word: str) -> int:
    """Return the number of a type, whose word may not be cut short: a newer type might begin like it."""
    from bpfctl.kernel import names

    number = names.map_type_number(word)
    if number is None:
        raise UsageError(f"unrecognized map type: {word}")
    return number
