"""Owners: which processes hold an object open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.host import fdinfo
from bpfctl.kernel.handle import FILE_KINDS

if TYPE_CHECKING:
    from bpfctl.kernel.handle import Kind


class Owner(NamedTuple):
    """A process that holds an object: its thread-group id and the name of its leader."""

    pid: int
    comm: str


def table(kind: Kind) -> dict[int, tuple[Owner, ...]]:
    """Return the owners of every object of a kind, by its id, as /proc/PID/fdinfo tells."""
    found: dict[int, list[Owner]] = {}
    ours = os.getpid()
    files = {name for name, word in FILE_KINDS.items() if word == kind.word}
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == ours:
            continue
        held: set[int] = set()
        folder = f"/proc/{entry}/fd"
        try:
            for fd in os.listdir(folder):
                if os.readlink(f"{folder}/{fd}") in files:
                    held.add(int(fdinfo.read(fd, entry)[kind.word + "_id"]))
            if held:
                with open(f"/proc/{entry}/comm", "rb") as file:  # noqa: PTH123
                    comm = file.read().removesuffix(b"\n").decode(errors="surrogateescape")
                for id_ in held:
                    found.setdefault(id_, []).append(Owner(int(entry), comm))
        except OSError:  # the process ended meanwhile, or is not ours to look at
            continue
    return {id_: tuple(sorted(owners)) for id_, owners in found.items()}
