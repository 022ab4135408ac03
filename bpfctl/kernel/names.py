"""Names of kernel enumerators: from our own tables, or from the running kernel's BTF when they are newer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enum import IntEnum

VMLINUX = "/sys/kernel/btf/vmlinux"


@lru_cache
def _from_kernel(enum: str) -> dict[int, str]:
    """Return the names of an enumeration as the running kernel has them; empty where it has no BTF."""
    from btf.errors import BTFError  # noqa: PLC0415 - only a type newer than our tables needs it
    from btf.read import enum_values  # noqa: PLC0415

    try:
        with open(VMLINUX, "rb") as file:  # noqa: PTH123
            values = enum_values(file.read(), enum)
    except (OSError, BTFError):
        return {}
    # of several names for one number, the first counts
    return {number: name for name, number in reversed(values.items())}


def name(known: type[IntEnum], enum: str, prefix: str, number: int) -> str | None:
    """Return bpftool's spelling of an enumerator: lower case without the prefix; None when nobody knows it."""
    try:
        return known(number).name.lower().lstrip("_")
    except ValueError:
        found = _from_kernel(enum).get(number)
    return found.removeprefix(prefix).lower() if found else None
