"""
What the running kernel has, read from its own BTF, sysfs and lockdown state, never from its version.

The zoo asks before it judges a refusal: it is right when a need of the inhabitant is missing, and a failure
of the tests when all needs are there. A need is a short text: ``enum:BPF_PROG_TYPE_NETFILTER``,
``func:bpf_fentry_test1``, ``struct:tcp_congestion_ops``, ``member:bpf_map.map_extra``, ``word:BPF_F_LINK``
(any name in the kernel's BTF), ``pmu:kprobe``, ``pmu:cpu|armv8_*``, ``lockdown:none``.

Kernel: include/uapi/linux/btf.h; the tests scan it themselves and do not lean on the product's reader.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import pytest

_STRUCT, _ENUM, _TYPEDEF, _FUNC = 4, 6, 8, 12
# Words behind the three of struct btf_type: a fixed number, or so many for each of its vlen members.
_FIXED = {1: 1, 3: 3, 14: 1, 17: 1}
_EACH = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}
_KINDS = {"struct": _STRUCT, "enum": _ENUM, "func": _FUNC, "typedef": _TYPEDEF}


class Btf:
    """An index of a raw BTF blob by kind and name."""

    def __init__(self, raw: bytes) -> None:
        _, _, _, header, type_off, type_len, str_off, str_len = struct.unpack_from("=HBBIIIII", raw)
        self._strings = raw[header + str_off : header + str_off + str_len]
        self._words = memoryview(raw)[header + type_off : header + type_off + type_len].cast("I")
        self._index: dict[int, tuple[int, int]] = {}
        words, index, position, type_id, end = self._words, self._index, 0, 1, type_len // 4
        wanted = {_STRUCT, _ENUM, _FUNC, _TYPEDEF}
        while position < end:
            info = words[position + 1]
            kind = info >> 24 & 31
            if kind in wanted:
                index.setdefault(kind << 32 | words[position], (type_id, position))
            if kind in _EACH:
                position += 3 + _EACH[kind] * (info & 0xFFFF)
            else:
                position += 3 + _FIXED.get(kind, 0)
            type_id += 1

    def has_string(self, name: str) -> bool:
        """Whether anything in the kernel has this name: the way to enumerators of an enum without one."""
        return b"\0" + name.encode() + b"\0" in self._strings

    def _find(self, kind: str, name: str) -> tuple[int, int]:
        offset = self._strings.find(b"\0" + name.encode() + b"\0") + 1
        return self._index.get(_KINDS[kind] << 32 | offset, (0, 0)) if offset else (0, 0)

    def id(self, kind: str, name: str) -> int:
        """Return a type's id, 0 when there is none."""
        return self._find(kind, name)[0]

    def members(self, name: str) -> list[tuple[str, int, int]]:
        """Return name, type id and byte offset of each member of a struct."""
        type_id, at = self._find("struct", name)
        words, count = self._words, self._words[at + 1] & 0xFFFF if type_id else 0
        rows = [words[at + 3 + 3 * i : at + 6 + 3 * i] for i in range(count)]
        return [(self._text(row[0]), row[1], (row[2] & 0xFFFFFF) // 8) for row in rows]

    def size(self, name: str) -> int:
        """Return the size of a struct in bytes."""
        return self._words[self._find("struct", name)[1] + 2]

    def enumerators(self, name: str) -> dict[str, int]:
        """Return the numbers of an enum by name."""
        type_id, at = self._find("enum", name)
        count = self._words[at + 1] & 0xFFFF if type_id else 0
        return {self._text(self._words[at + 3 + 2 * i]): self._words[at + 4 + 2 * i] for i in range(count)}

    def _text(self, offset: int) -> str:
        return self._strings[offset : self._strings.index(0, offset)].decode()


@cache
def _kernel() -> Btf:
    """Read the running kernel's BTF, once: in a guest it takes seconds."""
    return Btf(Path("/sys/kernel/btf/vmlinux").read_bytes())


class Facts:
    """The running kernel's answers to needs."""

    def __init__(self, lockdown: str) -> None:
        self.btf = _kernel()
        self._lockdown = lockdown
        self._numbers: dict[str, int] = {}
        for name in ("bpf_prog_type", "bpf_attach_type", "bpf_map_type", "bpf_link_type"):
            self._numbers |= self.btf.enumerators(name)

    def number(self, name: str) -> int | None:
        """Return the number of a type of program, attachment, map or link, None when this kernel has none."""
        return self._numbers.get(name)

    def has(self, need: str) -> bool:
        """Whether the kernel has what a need names; ValueError for a need that is misspelt."""
        kind, _, what = need.partition(":")
        match kind:
            case "enum":
                return what in self._numbers
            case "func" | "struct" | "typedef":
                return self.btf.id(kind, what) != 0
            case "member":
                owner, _, member = what.partition(".")
                return member in {name for name, _, _ in self.btf.members(owner)}
            case "word":
                return self.btf.has_string(what)
            case "pmu":
                devices = Path("/sys/bus/event_source/devices")
                return any(any(devices.glob(pattern)) for pattern in what.split("|"))
            case "lockdown":
                return self._lockdown == what
        raise ValueError(f"no such kind of need: {need}")


KPROBES = "pmu:kprobe", "kprobes (CONFIG_KPROBE_EVENTS)"


def needs(need: str, what: str) -> None:
    """Skip a test where the kernel lacks WHAT, which came with NEED."""
    if not Facts("").has(need):
        pytest.skip(f"the kernel lacks {what}")
