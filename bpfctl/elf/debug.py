"""Symbols that were taken out of a binary: in a file of its own, or packed inside (MiniDebugInfo).

Formats: "Debugging Information in Separate Files" and "MiniDebugInfo" in gdb's manual.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING

from bpfctl.elf.image import Image, identify
from bpfctl.errors import BpfctlError
from bpfctl.host import binary

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNPACKED = 64 << 20  # bytes that may come out of a packed table
_CHUNK = 1 << 20
_LARGEST_LINK = 1 << 16  # bytes of a section that names a file
_LARGEST_CHECKED = 4 << 30  # bytes of a debug file that nothing but a checksum ties to its binary


def images(image: Image, path: str, root: str = "") -> Iterator[Image]:
    """Yield what else has symbols of a binary; what is not there, damaged or of another build is passed over.

    ``path`` is the binary's as those see it whose root folder ``root`` is.
    """
    packed = image.section(".gnu_debugdata")
    if packed is not None:
        with suppress(BpfctlError):
            unpacked = _unpacked(image.contents(packed, _UNPACKED))
            if unpacked:
                yield Image.of(unpacked, f"{path}[.gnu_debugdata]")
    _, checksum = _link(image)
    for other in places(image, path, root):
        if not os.path.isfile(other):
            continue
        with suppress(BpfctlError, OSError):
            if identify(other) == image.identity:
                continue
            found = Image.open(other)
            same = found.build_id == image.build_id if found.build_id else _checksum(other) == checksum
            if same and found.machine == image.machine:
                yield found
                return


def places(image: Image, path: str, root: str = "") -> Iterator[str]:
    """Yield where the debug file of a binary may be."""
    return binary.debug_files(path, image.build_id, _link(image)[0], root)


def _link(image: Image) -> tuple[str, int | None]:
    """Return the name of the debug file, and the checksum that it should have."""
    section = image.section(".gnu_debuglink")
    if section is None:
        return "", None
    data, number = image.contents(section, _LARGEST_LINK), Struct(image.sign + "I")
    end = data.find(b"\0")
    at = -(-(end + 1) // 4) * 4
    if end <= 0 or at + number.size > len(data):
        return "", None
    return os.fsdecode(data[:end]), number.unpack_from(data, at)[0]


def _checksum(path: str) -> int:
    """Return the checksum of a file, -1 for one that is too large to be the right one."""
    found = 0
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _LARGEST_CHECKED:
            return -1
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found


def _unpacked(data: bytes) -> bytes:
    """Return what xz has packed; nothing where it is damaged or too much."""
    import lzma  # noqa: PLC0415 - few files have it

    unpacker = lzma.LZMADecompressor(memlimit=_UNPACKED)
    try:
        found = unpacker.decompress(data, _UNPACKED)
    except lzma.LZMAError:
        return b""
    return found if unpacker.eof else b""
