"""Structs of functions in use. The kernel knows each by a name, so that each process that runs tests needs its own."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from bpfctl.elf.read import read
from bpfctl.errors import KernelError
from bpfctl.load.object import Loaded
from bpfctl.load.register import register
from tests.build.compiled import everything

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bpfctl.kernel.map import Map

_ROOM = 16  # TCP_CA_NAME_MAX


def own(name: str) -> bytes:
    """Return an object whose structs the kernel knows by names of this process; its maps are called as ever."""
    data = everything()[name].read_bytes()
    for known in (b"first", b"another", b"ours", b"fresh"):
        data = data.replace(known.ljust(_ROOM, b"\0"), (b"%.4s_%d" % (known, os.getpid())).ljust(_ROOM, b"\0"))
    return data


def in_use(stack: ExitStack) -> Loaded:
    """Put the structs ``first`` and ``another`` to use until the end, unless somebody ends that before."""
    loaded = stack.enter_context(Loaded(read(own("load_ops"))))
    register(loaded)
    for one in loaded.maps.values():
        stack.callback(_out_of_use, one)
    return loaded


def _out_of_use(map_: Map) -> None:
    with suppress(KernelError):
        map_.delete(bytes(4))
