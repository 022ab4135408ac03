"""What the words of a map's key or value have to become."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bpfctl.cli import data
from bpfctl.host import cpus
from bpfctl.kernel.address import address
from bpfctl.kernel.map import PER_CPU
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from bpfctl.kernel.map import MapInfo
    from btf.encode import Encoder


def key(info: MapInfo) -> data.Form:
    """Return the form of a map's keys."""

    @cache
    def types() -> Encoder | None:
        return _encoder(info, of_key=True)

    return data.Form("key", info.key_size, types, prefix=info.type is MapType.LPM_TRIE)


def value(info: MapInfo) -> data.Form:
    """Return the form of a map's values."""

    @cache
    def types() -> Encoder | None:
        return _encoder(info, of_key=False)

    return data.Form("value", info.value_size, types, cpus=cpus.possible() if info.type in PER_CPU else 0)


def _encoder(info: MapInfo, *, of_key: bool) -> Encoder | None:
    """Return what writes a type; None where the map has none, or one that does not describe its bytes."""
    from bpfctl.kernel.map_types import types
    from btf.encode import Encoder
    from btf.errors import BTFError

    told = types(info)
    type_id = 0 if told is None else told.key if of_key else told.value
    if told is None or not type_id:
        return None
    try:
        encoder = Encoder(told.btf, type_id, address)
    except BTFError:
        return None
    return encoder if encoder.size == (info.key_size if of_key else info.value_size) else None
