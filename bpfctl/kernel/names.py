"""Names of kernel enumerators: from our own tables, or from the running kernel's BTF when they are newer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from bpfctl.uapi.enums import AttachType, LinkType, MapType, ProgType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import IntEnum


@lru_cache
def _from_kernel(enum: str) -> dict[int, str]:
    """Return the names of an enumeration as the running kernel has them; empty where it has no BTF."""
    from bpfctl.host.vmlinux import vmlinux_blob  # noqa: PLC0415 - only a type newer than our tables needs it
    from btf.errors import BTFError  # noqa: PLC0415
    from btf.read import enum_values  # noqa: PLC0415

    try:
        values = enum_values(vmlinux_blob(), enum)
    except (OSError, BTFError):
        return {}
    # of several names for one number, the first counts
    return {number: name for name, number in reversed(values.items())}


@lru_cache
def name(known: type[IntEnum], enum: str, prefix: str, number: int) -> str | None:
    """Return bpftool's spelling of an enumerator: lower case without the prefix; None when nobody knows it."""
    try:
        return known(number).name.lower().lstrip("_")
    except ValueError:
        found = _from_kernel(enum).get(number, "")
    return found.removeprefix(prefix).lower() if found.startswith(prefix) else None


def prog_type(number: int) -> str | None:
    """Return bpftool's word for a program type; None for one that even the running kernel's BTF does not name."""
    return name(ProgType, "bpf_prog_type", "BPF_PROG_TYPE_", number)


def map_type(number: int) -> str | None:
    """Return bpftool's word for a map type; None for one that even the running kernel's BTF does not name."""
    return name(MapType, "bpf_map_type", "BPF_MAP_TYPE_", number)


def every(known: type[IntEnum], enum: str, prefix: str) -> Iterator[str]:
    """Yield bpftool's spelling of all enumerators, last of those that only the running kernel knows."""
    for member in known:
        yield member.name.lower().lstrip("_")
    for number, spelling in sorted(_from_kernel(enum).items()):
        if number not in set(known) and spelling.startswith(prefix):
            yield spelling.removeprefix(prefix).lower()


def prog_types() -> Iterator[str]:
    """Yield bpftool's words for all program types."""
    return every(ProgType, "bpf_prog_type", "BPF_PROG_TYPE_")


def map_types() -> Iterator[str]:
    """Yield bpftool's words for all map types."""
    return every(MapType, "bpf_map_type", "BPF_MAP_TYPE_")


def map_type_number(word: str) -> int | None:
    """Return the number of bpftool's word for a map type; None for one that even the running kernel does not know."""
    for kind in MapType:
        if map_type(kind) == word:
            return int(kind)
    found = (number for number in _from_kernel("bpf_map_type") if map_type(number) == word)
    return next(found, None)


def link_type(number: int) -> str | None:
    """Return bpftool's word for a link type; None for one that even the running kernel's BTF does not name."""
    return name(LinkType, "bpf_link_type", "BPF_LINK_TYPE_", number)


def attach_type(number: int) -> str | None:
    """Return bpftool's word for an attach type; None for one that even the running kernel's BTF does not name."""
    return name(AttachType, "bpf_attach_type", "BPF_", number)


def attach_types() -> dict[str, int]:
    """Return the numbers of all attach types by bpftool's words for them, in the order of the numbers."""
    numbers = sorted({*AttachType, *_from_kernel("bpf_attach_type")})
    return {word: int(number) for number in numbers if (word := attach_type(number))}


def link_types() -> Iterator[str]:
    """Yield bpftool's words for all link types."""
    return every(LinkType, "bpf_link_type", "BPF_LINK_TYPE_")
