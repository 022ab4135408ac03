"""bpfctl map dump, lookup, peek and getnext: what is in maps."""

from __future__ import annotations

from contextlib import ExitStack
from errno import ENOENT
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.errors import Nothing, UsageError, status
from bpfctl.kernel.elements import Chunk, Walk
from bpfctl.kernel.map import Map
from bpfctl.kernel.map_types import types
from bpfctl.uapi.enums import MapType
from bpfctl.views.element import Shape, missing, next_key

if TYPE_CHECKING:
    from bpfctl.cli.session import Session
    from bpfctl.kernel.map import MapInfo


def dump(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    key_prefix: opt.KeyPrefix = None,
    where: opt.Where = None,
    sum_: opt.Sum = False,
    top: opt.Top = None,
    limit: opt.Limit = None,
    fields: opt.Columns = None,
    no_header: opt.NoHeader = False,
    csv: opt.Csv = False,
) -> None:
    """Show the entries of a map, or of every map of a name.

    A map that others change meanwhile is shown with no key twice.
    """
    look = (key_prefix, sum_, where, top, limit)
    left = grammar.Words(words)
    left.at_least(2, "dump")
    which = grammar.map_(left)
    left.end()
    with ExitStack() as opened:
        maps = [opened.enter_context(map_) for map_ in Map.select(which)]
        walks = [Walk(map_, map_.info()) for map_ in maps]
        streams = []
        looks = []
        for walk in walks:
            _caution(ctx.obj, walk.info)
            if any(part not in (None, False) for part in look):
                from bpfctl.cli.look import Look, Looking

                looks.append(Looking(walk.info, types(walk.info), Look(*look)))
                streams.append(looks[-1].stream(walk))
            else:
                streams.append(Shape(walk.info, types(walk.info)).stream(walk))
        if fields is not None or no_header or csv:
            from bpfctl.cli import columns

            if len(streams) > 1:
                raise UsageError(f"--fields, --no-header and --csv are for one map, and {len(streams)} have that name")
            columns.stream(ctx.obj, streams[0], fields=fields, no_header=no_header, csv=csv)
        else:
            ctx.obj.out.stream(streams, listing=len(streams) > 1)
        for walk in walks:
            _tell_changes(ctx.obj, walk)
        for each in looks:
            each.tell(ctx.obj.out)


def lookup(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show the value of a key; a bloom filter is asked for a value, a queue for nothing."""
    left = grammar.Words(words)
    left.at_least(2, "lookup")
    with Map.one(grammar.map_(left)) as map_:
        info = map_.info()
        key, value = b"", None
        if info.type is MapType.BLOOM_FILTER:
            asked = _value(left, info)
            value = asked if map_.may_hold(asked) else None
        else:
            key = _key(left, info) if info.key_size or left else b""
            value = map_.find(key)
        if value is None:
            ctx.obj.out.lines(missing(key), None)
            raise Nothing(status(ENOENT))
        ctx.obj.out.item(Shape(info, types(info)).one(Chunk(key, value, 1)))


def getnext(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show the key after a key, or the first one.

    Without a key it is the first one.
    """
    left = grammar.Words(words)
    left.at_least(2, "getnext")
    with Map.one(grammar.map_(left)) as map_:
        key = _key(left, map_.info()) if left else None
        ctx.obj.out.lines(*next_key(key, map_.next_key(key)))


def _key(words: grammar.Words, info: MapInfo) -> bytes:
    """Read ``key DATA``, as parse_elem() in bpftool's src/map.c does where no value is wanted."""
    from bpfctl.cli import data, map_form

    if not words:
        raise UsageError("did not find key", is_short=True)
    found: bytes | None = None
    while words:
        given = words.peek()
        word = words.keyword("key", "value", "any", "noexist", "exist")
        if word is None:
            raise UsageError(f"expected key or value, got: {given}")
        if word == "value":
            raise UsageError("unnecessary value")
        if word != "key":
            raise UsageError(f"flags specified multiple times: {given}")
        if found is not None or not info.key_size:
            raise UsageError("unnecessary key" if not info.key_size else "duplicate key")
        found = data.parse(words, map_form.key(info)).packed()
    return found or b""


def _value(words: grammar.Words, info: MapInfo) -> bytes:
    """Read ``value DATA``, which is what bloom filters are asked for."""
    from bpfctl.cli import data, map_form

    if not words:
        raise UsageError("a bloom filter knows only whether a value may be in it: add value DATA")
    if words.keyword("value") is None:
        raise UsageError(f"expected value, got: {words.peek()}")
    value = data.parse(words, map_form.value(info)).packed()
    words.end()
    return value


def _caution(session: Session, info: MapInfo) -> None:
    if info.type is MapType.REUSEPORT_SOCKARRAY and info.value_size != 8:
        session.out.note("Warning: cannot read values from reuseport_sockarray map with value_size != 8")


def _tell_changes(session: Session, walk: Walk) -> None:
    """Say what others did to the map while it was read, where that may have cost entries."""
    told = []
    if walk.restarts:
        told.append(f"the walk started over {walk.restarts} time{'s' if walk.restarts > 1 else ''}")
    if walk.skipped:
        told.append(f"{walk.skipped} key{'s were' if walk.skipped > 1 else ' was'} gone before the value was read")
    if told:
        session.out.warn(f"map {walk.info.id} changed meanwhile: {', '.join(told)}")
