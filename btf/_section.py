"""The sections of raw BTF: cut out, bounds-checked, and walked over.

Format: the kernel's ``include/uapi/linux/btf.h`` and ``Documentation/bpf/btf.rst``. A BTF is a
header, a section of types and a section of strings. Types have no length of their own: where one
ends follows from its kind and member count, so finding type N means walking over all before it.

Every number in the type section is a 32-bit word, so the section is handled as an array of words.
"""

from __future__ import annotations

import sys
from struct import Struct, unpack_from

from btf import _loops, kind
from btf.errors import BTFError

TYPE_CHECKING = False  # without importing typing, see btf.read
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from mmap import mmap
    from typing import Literal

MAGIC = 0xEB9F
VERSION = 1
#: Header without and with the two fields for the layout section (Linux 7.1).
HEADER, HEADER_WITH_LAYOUT = 24, 32


class Sections:
    """The types and strings of one BTF, and the sizes that its kinds have."""

    __slots__ = ("_types", "byteorder", "strings", "words", "words_by_kind")

    def __init__(self, data: bytes | mmap) -> None:
        self.byteorder = _byteorder(data)
        sign = "<" if self.byteorder == "little" else ">"
        if len(data) < HEADER:
            raise BTFError(f"header is cut off after {len(data)} bytes")
        _, version, _, hdr_len, type_off, type_len, str_off, str_len = unpack_from(f"{sign}HBBIIIII", data)
        if version != VERSION:
            raise BTFError(f"version {version} is unknown")
        if not HEADER <= hdr_len <= len(data):
            raise BTFError(f"header length {hdr_len} is out of range")
        self.strings = _cut(data, hdr_len + str_off, str_len, "string")
        if self.strings and self.strings[-1]:
            raise BTFError("the last string has no end")
        self._types = _native(_cut(data, hdr_len + type_off, type_len, "type"), self.byteorder)
        #: The type section as 32-bit numbers.
        self.words = memoryview(self._types).cast("I")
        self.words_by_kind = kind.WORDS
        if hdr_len >= HEADER_WITH_LAYOUT:
            layout_off, layout_len = unpack_from(f"{sign}II", data, HEADER)
            layout = _cut(data, hdr_len + layout_off, layout_len, "layout")
            self.words_by_kind = _layout(layout, sign) | kind.WORDS

    def string(self, offset: int) -> str:
        """Return the string at ``offset``, bytes that are not UTF-8 as surrogates."""
        if not 0 <= offset < len(self.strings):
            raise BTFError(f"string offset {offset} is out of range")
        end = self.strings.index(0, offset)
        return self.strings[offset:end].decode("utf-8", "surrogateescape")

    def string_offsets(self, name: str) -> Iterator[int]:
        """Yield the offsets at which a string reads ``name``; strings may share their ends."""
        at, wanted = -1, name.encode("utf-8", "surrogateescape") + b"\0"
        while (at := self.strings.find(wanted, at + 1)) >= 0:
            yield at

    def strings_beginning(self, prefix: str) -> Iterator[int]:
        """Yield the offsets of the strings that begin with ``prefix``."""
        strings, at, wanted = b"\0" + self.strings, -1, b"\0" + prefix.encode("utf-8", "surrogateescape")
        while (at := strings.find(wanted, at + 1)) >= 0:
            yield at

    def words_equal(self, word: int) -> Iterator[int]:
        """Yield where in the type section this word stands, and another one after it."""
        at, wanted, end = -1, word.to_bytes(4, sys.byteorder), len(self._types) - 4
        while (at := self._types.find(wanted, at + 1, end)) >= 0:
            if not at % 4:
                yield at // 4

    def walk(self, first_id: int, stop: int | None = None) -> tuple[Sequence[int], int]:
        """Return the word at which each type starts, up to the word ``stop``, and where it ended.

        Raises BTFError for a kind of unknown size and for a type that does not fit.
        """
        if stop is None and _loops.fast and (found := _loops.fast.walk(self.words)):
            return memoryview(found).cast("I"), len(self.words)
        words, strides = self.words, _Strides(self.words_by_kind)
        end = len(words)
        stop = end if stop is None else stop
        starts: list[int] = []
        append, position = starts.append, 0
        try:
            while position < stop:
                append(position)
                position += strides[words[position + 1]]
        except KeyError as error:
            type_id = first_id + len(starts) - 1
            raise BTFError(f"type {type_id} is of unknown kind {error}") from None
        except IndexError:
            position = end + 1
        if position > end:
            raise BTFError(f"type {first_id + len(starts) - 1} is cut off")
        return starts, position


class _Strides(dict[int, int]):
    """Info word -> words its type takes; a whole kernel uses only some 300 info words."""

    __slots__ = ("words_by_kind",)

    def __init__(self, words_by_kind: dict[int, tuple[int, int]]) -> None:
        super().__init__()
        self.words_by_kind = words_by_kind

    def __missing__(self, info: int) -> int:
        fixed, each = self.words_by_kind[kind.of(info)]
        self[info] = stride = fixed + each * kind.vlen(info)
        return stride


def _byteorder(data: bytes | mmap) -> Literal["little", "big"]:
    magic = data[:2]
    if magic == MAGIC.to_bytes(2, "little"):
        return "little"
    if magic == MAGIC.to_bytes(2, "big"):
        return "big"
    raise BTFError("not BTF: wrong magic number")


def _cut(data: bytes | mmap, start: int, length: int, what: str) -> bytes:
    if start + length > len(data):
        raise BTFError(f"{what} section ends at {start + length}, the data at {len(data)}")
    return data[start : start + length]


def _native(section: bytes, byteorder: str) -> bytes | bytearray:
    """Return the type section in the byte order of this machine."""
    if len(section) % 4:
        raise BTFError(f"length {len(section)} of the type section is not a multiple of 4")
    if byteorder == sys.byteorder:
        return section
    swapped = bytearray(len(section))
    for byte in range(4):
        swapped[byte::4] = section[3 - byte :: 4]
    return swapped


def _layout(section: bytes, sign: str) -> dict[int, tuple[int, int]]:
    """Read the layout section: record sizes by kind, so that newer kinds can be stepped over."""
    record = Struct(f"{sign}BBH")
    if len(section) % record.size:
        raise BTFError(f"length {len(section)} of the layout section is not a multiple of 4")
    sizes = {}
    for number, (info_size, member_size, _flags) in enumerate(record.iter_unpack(section)):
        if number and not info_size % 4 and not member_size % 4:
            sizes[number] = (3 + info_size // 4, member_size // 4)
    return sizes
