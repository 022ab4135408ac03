"""Maps that are walked over: made and filled without bpfctl, read by it."""

from __future__ import annotations

import os
import struct
from errno import EINVAL
from typing import TYPE_CHECKING, NoReturn

from bpfctl.kernel.map import Map
from tests.kernel import client

if TYPE_CHECKING:
    from contextlib import ExitStack


def create(stack: ExitStack, kind: int, key: int, value: int, entries: int, **extra: int) -> int:
    """Make a map, which ends with the stack; return its descriptor."""
    fd = client.map_create(kind, key, value, entries, name="walked", **extra)
    stack.callback(os.close, fd)
    return fd


def opened(stack: ExitStack, fd: int) -> Map:
    """Open a map as bpfctl does."""
    return stack.enter_context(Map.by_id(client.id_of("map", fd)))


def prefix(number: int) -> bytes:
    """Return a prefix of some length; numbers up to 2**18 have a prefix each."""
    length = 19 + number % 14
    address = (number << 14 | 0x1A5A) >> (32 - length) << (32 - length)
    return struct.pack("=I", length) + (address & 0xFFFFFFFF).to_bytes(4, "big")


def refusing(*_args: object, **_kw: object) -> NoReturn:
    """Answer as a kernel that lacks a command does."""
    raise OSError(EINVAL, "no such command")
