"""Metadata: what the author of a program wrote into constants named bpf_metadata_*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl._sys import maps
from bpfctl.kernel import btf
from bpfctl.kernel.map import Map
from bpfctl.uapi.enums import MapType
from btf.errors import BTFError
from btf.types import Datasec, Var
from btf.value import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.map import MapInfo
    from btf.value import Value

    Variables = tuple[tuple[str, Value], ...]

_PREFIX = "bpf_metadata_"


class Metadata:
    """Finds the metadata of programs; a map that several of them use is looked at once."""

    __slots__ = ("_maps",)

    def __init__(self) -> None:
        self._maps: dict[int, Variables | None] = {}

    def variables(self, map_ids: tuple[int, ...]) -> Variables:
        """Return the metadata of a program that uses these maps: name without prefix, and value.

        They are in the first map that can hold constants (bpftool's src/prog.c find_metadata).
        """
        for id_ in map_ids:
            if id_ not in self._maps:
                self._maps[id_] = _constants(id_)
            found = self._maps[id_]
            if found is not None:
                return found
        return ()


def _constants(map_id: int) -> Variables | None:
    """Return the metadata in a map; None when it is of another sort than those that hold constants."""
    try:
        with Map.by_id(map_id) as map_:
            info = map_.info()
            if not _holds_constants(info):
                return None
            data = maps.lookup(map_.fileno(), bytes(info.key_size), info.value_size)
        return tuple(_decode(info, data))
    except (OSError, BTFError):  # gone meanwhile, not to be read, or of damaged types
        return ()


def _holds_constants(info: MapInfo) -> bool:
    return (
        info.type is MapType.ARRAY
        and info.key_size == 4
        and info.max_entries == 1
        and bool(info.btf_value_type_id)
        and ".rodata" in (info.name or "")
    )


def _decode(info: MapInfo, data: bytes) -> Iterator[tuple[str, Value]]:
    types = btf.load(info.btf_id or 0)
    section = types.type(info.btf_value_type_id or 0)
    if not isinstance(section, Datasec):
        return
    for place in section.vars:
        variable = types.type(place.type_id)
        if isinstance(variable, Var) and variable.name.startswith(_PREFIX):
            try:
                value = decode(types, variable.type_id, data[place.offset : place.offset + place.size])
            except BTFError:  # of a type that has no values
                continue
            yield variable.name.removeprefix(_PREFIX), value
