"""Maps that an object wants pinned by their names, and to use again those that are (LIBBPF_PIN_BY_NAME)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.errors import UsageError
from bpfctl.kernel.map import Map
from bpfctl.load.maps import entries
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bpfctl.spec import MapSpec, ObjectSpec

FOLDER = "/sys/fs/bpf"
_READ_BY_PROGRAMS = frozenset({MapType.DEVMAP, MapType.DEVMAP_HASH})


def paths(spec: ObjectSpec) -> dict[str, str]:
    """Return where maps want to be pinned, by their names."""
    return {one.name: f"{FOLDER}/{one.name}" for one in spec.maps if one.pinned and one.autocreate}


def found(spec: ObjectSpec, held: ExitStack) -> dict[str, Map]:
    """Open those that are pinned already, for as long as they are ``held``; UsageError where one is another map."""
    there = {}
    wanted = paths(spec)
    for one in spec.maps:
        path = wanted.get(one.name)
        if path is not None and os.path.lexists(path):
            map_ = there[one.name] = held.enter_context(Map.pinned(path, write=True))
            reason = _difference(one, map_)
            if reason:
                raise UsageError(f"map {one.name} cannot be the one that is pinned at {path}, whose {reason}")
    return there


def _difference(spec: MapSpec, map_: Map) -> str:
    """Return in what a map differs from what an object says of it."""
    info = map_.info()
    flags = info.map_flags
    if info.type in _READ_BY_PROGRAMS:  # the kernel tells this one of them, whether it was asked for or not
        flags = flags & ~int(MapFlag.RDONLY_PROG) | spec.flags & MapFlag.RDONLY_PROG
    pairs = (
        ("type", int(info.type), spec.type),
        ("key size", info.key_size, spec.key_size),
        ("value size", info.value_size, spec.value_size),
        ("number of entries", info.max_entries, entries(spec)),
        ("flags", flags, spec.flags),
        ("map_extra", info.map_extra or 0, spec.extra),
    )
    return next((f"{what} is {theirs}, not {ours}" for what, theirs, ours in pairs if theirs != ours), "")
