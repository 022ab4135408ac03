"""Maps of an object, asked for by making one like each: with its flags and sizes, and as few entries as can be."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import maps, programs
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer, Rights, refused
from bpfctl.feature.facts import HOLDERS, STORAGES, UNCOUNTED, malformed
from bpfctl.feature.map_types import PROBES, storage_types
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag
from btf.errors import BTFError
from btf.subset import references, subset

if TYPE_CHECKING:
    from bpfctl.feature.need import Need
    from bpfctl.spec import MapSpec, ObjectSpec

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BUFFERS = frozenset({MapType.RINGBUF, MapType.USER_RINGBUF})


class _Given(NamedTuple):
    """The types that a map is made with."""

    fd: int = 0
    key: int = 0
    value: int = 0


class MapProber:
    """Makes maps on the running kernel."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._answers: dict[tuple[MapSpec, int], Answer] = {}

    def map(self, need: Need, spec: ObjectSpec) -> Answer:
        """Return whether a map can be made, be it without its flags: there is a need of its own for each of those."""
        if need.map is None:
            raise ValueError("a need of a map has none")
        answer = self._answer(need.map, spec)
        if answer.can != NO or not need.map.flags:
            return answer
        kept = MapFlag.NO_PREALLOC if need.map.type in STORAGES or need.map.type == MapType.LPM_TRIE else 0
        bare = self._answer(need.map._replace(flags=need.map.flags & kept), spec)
        return answer if bare.can == NO else bare

    def flag(self, need: Need, spec: ObjectSpec) -> Answer:
        """Return whether a map can be made with a flag, if it can be made at all."""
        if need.map is None:
            raise ValueError("a need of a map has none")
        answer = self._answer(need.map, spec)
        if answer.can != NO:
            return answer
        without = self._answer(need.map._replace(flags=need.map.flags & ~need.number), spec)
        if without.can == NO:
            return Answer(UNKNOWN, "no such map can be made, with the flag or without")
        return Answer(NO, "a map is refused with it, and not without")

    def _answer(self, map_: MapSpec, spec: ObjectSpec) -> Answer:
        key = map_._replace(name="", contents=b""), id(spec)
        if key not in self._answers:
            self._answers[key] = self._try(map_, spec)
        return self._answers[key]

    def _try(self, map_: MapSpec, spec: ObjectSpec) -> Answer:
        reason = malformed(map_)
        if reason:
            return Answer(NO, reason)
        with ExitStack() as held:
            try:
                self._make(map_, spec, held)
            except OSError as error:
                answer = refused(error.errno or 0, self._rights)
                known = next((kind for kind in MapType if kind == map_.type), None)
                since = PROBES[known].since if known in PROBES else ""
                why = answer.why or os.strerror(error.errno or 0)
                told = since and answer.can == NO
                return answer._replace(why=f"{why}; such maps came with Linux {since}" if told else why)
        return AVAILABLE

    def _make(self, map_: MapSpec, spec: ObjectSpec, held: ExitStack) -> int:
        inner = 0
        if map_.type in HOLDERS:
            inside = map_.inner
            inner = (
                self._make(inside, spec, held)
                if inside is not None
                else held.enter_context(maps.create(MapType.ARRAY, 4, 4, 1)).fileno()
            )
        given = self._given_types(map_, spec, held)
        fd = maps.create(
            map_.type,
            map_.key_size,
            map_.value_size,
            _entries(map_),
            flags=map_.flags,
            inner_map_fd=inner,
            numa_node=map_.numa_node or 0,
            map_extra=map_.extra,
            btf_fd=given.fd,
            btf_key_type_id=given.key,
            btf_value_type_id=given.value,
        )
        return held.enter_context(fd).fileno()

    def _given_types(self, map_: MapSpec, spec: ObjectSpec, held: ExitStack) -> _Given:
        """Return the types of key and value for those maps that are made with types alone."""
        if map_.type not in STORAGES or spec.btf is None or not map_.value:
            return _Given()
        try:
            blob, key, value = _pair(spec, map_)
            fd = held.enter_context(programs.btf_load(blob).fd).fileno()
        except (BTFError, OSError):
            fd, key, value = held.enter_context(programs.btf_load(storage_types()).fd).fileno(), 1, 3
        return _Given(fd, key, value)


def _pair(spec: ObjectSpec, map_: MapSpec) -> tuple[bytes, int, int]:
    """Return a BTF of a map's key and value, and their ids there."""
    btf = spec.btf
    if btf is None:
        raise BTFError("the object has no types")
    needed: set[int] = set()
    waiting = [map_.key, map_.value]
    while waiting:
        type_id = waiting.pop()
        if type_id not in needed and type_id:
            needed.add(type_id)
            waiting += references(btf.type(type_id))
    order = sorted(needed)
    return subset(btf, order), order.index(map_.key) + 1, order.index(map_.value) + 1


def _entries(map_: MapSpec) -> int:
    """Return the fewest entries that such a map can have."""
    if map_.type in UNCOUNTED - {MapType.PERF_EVENT_ARRAY}:
        return map_.max_entries
    if map_.type in _BUFFERS:
        return _PAGE
    return map_.max_entries if map_.type == MapType.ARENA else 1
