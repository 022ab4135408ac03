"""What a map was made with, so that another can be made alike: from the map itself, or from where it was saved.

What the kernel does not tell cannot be the same: the NUMA node, whether the map is frozen, and of a map of maps the
map that the others had to be like, for which one of them stands.
"""

from __future__ import annotations

import binascii
from contextlib import ExitStack
from errno import EPERM
from typing import Any, NamedTuple

from bpfctl._sys import maps
from bpfctl.errors import KernelError, SavedError, UsageError
from bpfctl.kernel import names
from bpfctl.kernel.btf import Btf
from bpfctl.kernel.map import NAME_ROOM, Map, MapInfo
from bpfctl.kernel.refusal import lacking, memory_limit
from bpfctl.uapi.flags import MapFlag

_U32 = 1 << 32


class Definition(NamedTuple):
    """What a map is made with; sizes in bytes."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    name: str = ""
    map_extra: int = 0
    btf_key_type_id: int = 0
    btf_value_type_id: int = 0
    btf_id: int = 0  # the types, if the running kernel has them
    btf: bytes = b""  # else the types themselves

    @classmethod
    def of(cls, info: MapInfo) -> Definition:
        """Return what a map was made with; UsageError for those that only programs can be loaded with."""
        if info.btf_vmlinux_value_type_id:
            raise UsageError(f"map {info.id} implements operations of the kernel, and is made by a loader alone")
        typed = bool(info.btf_id and info.btf_value_type_id)
        return cls(
            int(info.type),
            info.key_size,
            info.value_size,
            info.max_entries,
            info.map_flags,
            info.name or "",
            info.map_extra or 0,
            info.btf_key_type_id or 0 if typed else 0,
            info.btf_value_type_id or 0 if typed else 0,
            info.btf_id or 0 if typed else 0,
        )

    def json(self) -> dict[str, Any]:
        """Return what from_json() takes, without what bpftool tells of a map before its entries anyway."""
        told: dict[str, Any] = {
            "bytes_key": self.key_size,
            "bytes_value": self.value_size,
            "max_entries": self.max_entries,
        }
        if self.map_extra:
            told["map_extra"] = self.map_extra
        if self.btf_id:
            told["btf_key_type_id"] = self.btf_key_type_id
            told["btf_value_type_id"] = self.btf_value_type_id
            with Btf.by_id(self.btf_id) as types:
                told["btf"] = binascii.b2a_base64(types.data(), newline=False).decode()
        return told

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Definition:
        """Return what is told of a saved map; SavedError when that is not enough, or no sense."""
        if "max_entries" not in told:
            raise SavedError(
                "the file does not tell what the map was made with: save it with 'map dump -j --extra MAP'"
            )
        kind = told.get("type")
        number = names.map_type_number(kind) if isinstance(kind, str) else kind
        name = told.get("name", "")
        text = told.get("btf", "")
        try:
            btf = binascii.a2b_base64(text, strict_mode=True) if text else b""
        except (ValueError, TypeError):
            raise SavedError("the types in the file are damaged") from None
        if number is None:
            raise SavedError(f"the file tells of a map of an unknown type: {kind!s:.40}")
        if not _is_name(name):
            raise SavedError(f"the file tells of a map whose name is {name!s:.40}")
        sizes = {"type": number} | {member: told.get(member, 0) for member in _NUMBERS}
        wrong = [member for member, size in sizes.items() if not _fits(size, _LIMITS.get(member, _U32))]
        if wrong:
            raise SavedError(f"the file tells of a map whose {wrong[0]} is {sizes[wrong[0]]!s:.40}")
        key, value, entries, flags, extra, key_type, value_type = (sizes[member] for member in _NUMBERS)
        return cls(number, key, value, entries, flags, name, extra, key_type, value_type, 0, btf)

    def create(self, inner: Map | None = None) -> Map:
        """Create such a map; KernelError when the kernel refuses. ``inner`` is what maps in it have to be like."""
        with ExitStack() as opened:
            types = 0
            if self.btf_id:
                types = opened.enter_context(Btf.by_id(self.btf_id)).fileno()
            elif self.btf:
                types = opened.enter_context(Btf.load(self.btf)).fileno()
            try:
                return Map(
                    maps.create(
                        self.type,
                        self.key_size,
                        self.value_size,
                        self.max_entries,
                        name=self.name.encode(errors="surrogateescape")[:NAME_ROOM],
                        # A number, as MapFlag forgets flags that it does not know where it is turned round.
                        flags=self.flags & ~int(MapFlag.NUMA_NODE),
                        inner_map_fd=inner.fileno() if inner else 0,
                        btf_fd=types,
                        btf_key_type_id=self.btf_key_type_id if types else 0,
                        btf_value_type_id=self.btf_value_type_id if types else 0,
                        map_extra=self.map_extra,
                    )
                )
            except OSError as error:
                number = error.errno or 0
                hint = (lacking("CAP_BPF") or memory_limit()) if number == EPERM else ""
                raise KernelError(f"can't create map '{self.name}'", number, hint=hint) from None


_NUMBERS = ("bytes_key", "bytes_value", "max_entries", "flags", "map_extra", "btf_key_type_id", "btf_value_type_id")
_LIMITS = {"map_extra": 1 << 64}


def _is_name(name: object) -> bool:
    """Return whether this may be a name; JSON can spell text that no bytes are."""
    try:
        return isinstance(name, str) and name.encode(errors="surrogateescape") is not None
    except UnicodeEncodeError:
        return False


def _fits(number: object, limit: int) -> bool:
    return type(number) is int and 0 <= number < limit
