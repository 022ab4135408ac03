"""The notes that tell of static probes in executables and libraries.

Format: "UserSpaceProbeImplementation" in SystemTap's wiki, which <sys/sdt.h> writes.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import NotFound

if TYPE_CHECKING:
    from bpfctl.plugin import Binary

_SECTION = ".note.stapsdt"
_BASE = ".stapsdt.base"
_TYPE, _OWNER = 3, b"stapsdt"


class Site(NamedTuple):
    """One of the places of a probe: addresses as the linker knows them, and where its arguments are there."""

    provider: str
    name: str
    address: int
    semaphore: int  # 0: the program does not ask whether anybody listens
    arguments: str


def sites(binary: Binary) -> list[Site]:
    """Return the places of all probes in the order of the notes, without those that are damaged, or that no spec names.

    NotFound where the file has none; ObjectError where the section is damaged.
    """
    image = binary.image
    section = image.section(_SECTION)
    if section is None:
        raise NotFound(f"{binary.name} has no static probes")
    base = image.section(_BASE)
    addresses = Struct(image.sign + ("QQQ" if image.bits == 64 else "III"))
    limit = (1 << image.bits) - 1
    found = []
    for note in image.notes(section):
        if note.type != _TYPE or note.owner != _OWNER or len(note.data) < addresses.size:
            continue
        address, linked_base, semaphore = addresses.unpack_from(note.data)
        words = note.data[addresses.size :].split(b"\0")
        if len(words) < 3 or not words[0] or not words[1] or b":" in words[0] + words[1]:
            continue
        moved = base.address - linked_base if base is not None else 0  # by prelink, after the note was written
        provider, name, arguments = (word.decode("utf-8", "surrogateescape") for word in words[:3])
        found.append(
            Site(provider, name, address + moved & limit, semaphore + moved & limit if semaphore else 0, arguments)
        )
    return found
