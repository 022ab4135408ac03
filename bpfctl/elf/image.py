"""Executables, libraries and their debug files: where their code lies, and what their sections hold.

Format: the System V ABI's chapters 4 and 5; 32 and 64 bits, both byte orders. Files are read piece by piece and never
mapped: one that somebody cuts off meanwhile would end the process. Whatever is wrong with a file is an ObjectError.
"""

from __future__ import annotations

import os
import stat
import zlib
from functools import cached_property, partial
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import KernelError, NotFound, ObjectError
from bpfctl.host import binary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    Read = Callable[[int, int], bytes]

EM_386, EM_ARM, EM_X86_64, EM_AARCH64 = 3, 40, 62, 183

_MAGIC = b"\x7fELF"
_IDENT = 16
_LOAD, _EXECUTE = 1, 1  # PT_LOAD, PF_X
_SYMTAB, _NOTE, _NOBITS = 2, 7, 8  # SHT_SYMTAB, SHT_NOTE, SHT_NOBITS
_CODE, _COMPRESSED = 0x4, 0x800  # SHF_EXECINSTR, SHF_COMPRESSED
_ZLIB = 1  # ELFCOMPRESS_ZLIB
_LARGEST_UNPACKED = 256 << 20  # bytes
_XINDEX = 0xFFFF  # SHN_XINDEX
_LARGEST = 1 << 30  # bytes of a section that are read: more is no honest one
_LARGEST_NAMES = 16 << 20  # bytes of the names of sections, and of notes with a build id
_LONGEST_NAME = 1 << 12  # bytes of the name of a section
_MOST = 1 << 16  # segments, sections

#: The file's header behind its first 16 bytes, a segment's and a section's, each by the class of the file.
_FILE = {1: "HHIIIIIHHHHHH", 2: "HHIQQQIHHHHHH"}
_SEGMENT = {1: "IIIIIIII", 2: "IIQQQQQQ"}
_SECTION = {1: "IIIIIIIIII", 2: "IIQQQQIIQQ"}


class Segment(NamedTuple):
    """A part of the file that is loaded, and at which address as the linker knows it."""

    offset: int
    address: int
    size: int  # bytes in the file
    is_code: bool


class Section(NamedTuple):
    """A section, as its header tells."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int

    @property
    def is_compressed(self) -> bool:
        """Whether its bytes are packed."""
        return bool(self.flags & _COMPRESSED)


class Identity(NamedTuple):
    """What tells a file from another of the same name."""

    device: int
    inode: int
    size: int
    changed: int  # nanoseconds since 1970


class Note(NamedTuple):
    """A note: whose it is, what kind, and what it says."""

    owner: bytes
    type: int
    data: bytes


class Image:
    """An ELF file of code, ``name`` in errors.

    ``read(offset, size)`` returns so many bytes of it, or fewer where it ends; ``identity`` tells it from others.
    """

    def __init__(self, read: Read, name: str, identity: Identity | None = None) -> None:
        self.name = name
        self.identity = identity
        self._read = read
        ident = read(0, _IDENT)
        if not ident.startswith(_MAGIC) or len(ident) < _IDENT:
            raise ObjectError(f"{name}: " + ("a script, no ELF file" if ident.startswith(b"#!") else "no ELF file"))
        self._class, order = ident[4], ident[5]
        if self._class not in _FILE or order not in (1, 2):
            raise ObjectError(f"{name}: an ELF file of no known kind")
        self.bits = 32 * self._class
        self.sign = "<" if order == 1 else ">"
        head = Struct(self.sign + _FILE[self._class])
        self._head = head.unpack(self._exactly(_IDENT, head.size, "its header"))
        self.machine: int = self._head[1]

    @classmethod
    def open(cls, path: str) -> Self:
        """Look at a file; NotFound where there is none, KernelError where it may not be read."""
        identity = identify(path)
        return cls(partial(_read, path, identity), path, identity)

    @classmethod
    def of(cls, data: bytes, name: str) -> Self:
        """Look at a file that is in memory."""
        return cls(lambda offset, size: data[offset : offset + size], name)

    def _exactly(self, start: int, size: int, what: str, most: int = _LARGEST) -> bytes:
        if size > most:
            raise ObjectError(f"{self.name}: {what} claims {size} bytes")
        data = self._read(start, size) if start < 1 << 63 else b""
        if len(data) < size:
            raise ObjectError(f"{self.name}: {what} is cut off")
        return data

    def _table(self, form: str, start: int, count: int, entry: int, what: str) -> Iterator[tuple[int, ...]]:
        row = Struct(self.sign + form)
        if not count:
            return iter(())
        if count > _MOST or entry != row.size:
            raise ObjectError(f"{self.name}: {what} is damaged")
        return row.iter_unpack(self._exactly(start, count * row.size, what))

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """What is loaded of the file."""
        start, entry, count = self._head[4], self._head[8], self._head[9]
        found = []
        for row in self._table(_SEGMENT[self._class], start, count, entry, "the table of segments"):
            kind, *rest = row
            if kind != _LOAD:
                continue
            if self._class == 2:
                flags, offset, address, _, size = rest[:5]
            else:
                offset, address, _, size, _, flags = rest[:6]
            found.append(Segment(offset, address, size, bool(flags & _EXECUTE)))
        return tuple(found)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections, the first of which is none; empty where the file has no table of them."""
        start, entry, count, names = self._head[5], *self._head[10:13]
        form = _SECTION[self._class]
        if not start:
            return ()
        if not count or names == _XINDEX:  # the first section has what finds no room in the header
            row = Struct(self.sign + form)
            first = row.unpack(self._exactly(start, row.size, "the table of sections"))
            count, names = count or first[5], first[6] if names == _XINDEX else names
        rows = list(self._table(form, start, count, entry, "the table of sections"))
        strings = b""
        if 0 < names < len(rows) and rows[names][1] != _NOBITS:
            strings = self._exactly(rows[names][4], rows[names][5], "the names of sections", _LARGEST_NAMES)
        found = tuple(Section(_string(strings, row[0]), *row[1:8]) for row in rows)
        if sum(len(section.name) for section in found) > _LARGEST_NAMES:  # which may share their ends
            raise ObjectError(f"{self.name}: the names of sections claim more than {_LARGEST_NAMES} bytes")
        return found

    def section(self, name: str) -> Section | None:
        """Return the first section of a name."""
        return next((section for section in self.sections if section.name == name), None)

    @property
    def has_symbols(self) -> bool:
        """Whether it has a table of all functions, and not just one of those that others may call."""
        return any(section.type == _SYMTAB for section in self.sections)

    def contents(self, section: Section, most: int = _LARGEST) -> bytes:
        """Return what is in a section, ``most`` bytes: nothing for one that is not in the file, or is compressed."""
        if section.type == _NOBITS or section.is_compressed:
            return b""
        return self._exactly(section.offset, section.size, section.name or "a section", most)

    def part(self, section: Section, at: int, size: int) -> bytes:
        """Return some bytes of a section as they are in the file, or fewer where it ends."""
        if section.type == _NOBITS or at >= section.size or section.offset + at >= 1 << 63:
            return b""
        return self._read(section.offset + at, min(size, section.size - at))

    def unpacked(self, section: Section) -> bytes:
        """Return what is in a section, which may be compressed: nothing where Python cannot read that."""
        if not section.is_compressed:
            return self.contents(section)
        if section.type == _NOBITS:
            return b""
        kind, size, start = self._packed(section)
        if kind != _ZLIB:
            return b""
        if size > _LARGEST_UNPACKED:
            raise ObjectError(f"{self.name}: {section.name} claims {size} bytes")
        unpacker = zlib.decompressobj()
        try:
            found = unpacker.decompress(self._exactly(section.offset, section.size, section.name)[start:], size or 1)
        except zlib.error:
            found = b""
        if len(found) != size:
            raise ObjectError(f"{self.name}: {section.name} is damaged")
        return found

    def _packed(self, section: Section) -> tuple[int, int, int]:
        """Return how a section is packed, how large it is unpacked, and where in it what is packed begins."""
        head = Struct(self.sign + ("IIQQ" if self.bits == 64 else "III"))
        data = self.part(section, 0, head.size)
        if len(data) < head.size:
            raise ObjectError(f"{self.name}: {section.name} is cut off")
        kind, *_, size, _ = head.unpack(data)
        return kind, size, head.size

    def unpacked_size(self, section: Section) -> int:
        """Return how much is in a section, which may be compressed."""
        return self._packed(section)[1] if section.is_compressed else section.size

    def notes(self, section: Section) -> Iterator[Note]:
        """Yield the notes of a section."""
        data, head, at = self.contents(section), Struct(self.sign + "III"), 0
        while at + head.size <= len(data):
            owner, size, kind = head.unpack_from(data, at)
            start = at + head.size
            body = start + -(-owner // 4) * 4
            at = body + -(-size // 4) * 4
            if body + size > len(data):
                raise ObjectError(f"{self.name}: the notes in {section.name} are damaged")
            yield Note(data[start : start + owner].rstrip(b"\0"), kind, data[body : body + size])

    @cached_property
    def build_id(self) -> str:
        """What the linker calls this build, in hexadecimal; empty where it has no such note."""
        section = self.section(".note.gnu.build-id")
        if section is None or section.type != _NOTE or section.size > _LARGEST_NAMES:
            return ""
        return next((note.data.hex() for note in self.notes(section) if note.owner == b"GNU" and note.type == 3), "")

    def code(self, address: int, size: int) -> bytes:
        """Return so many bytes of the code at an address, or fewer where it ends."""
        for segment in self.segments:
            into = address - segment.address
            if segment.is_code and 0 <= into < segment.size and segment.offset + into < 1 << 63:
                return self._read(segment.offset + into, min(size, segment.size - into))
        return b""

    @cached_property
    def _code(self) -> tuple[Section, ...]:
        return tuple(section for section in self.sections if section.flags & _CODE)

    def _is_code(self, address: int) -> bool:
        """Return whether there is code: linkers may have put the file's header and constants into the same segment."""
        return not self._code or any(0 <= address - section.address < section.size for section in self._code)

    def file_offset(self, address: int, *, code: bool = False) -> int:
        """Return where in the file lies what is loaded at an address, or of that what is code; NotFound."""
        for segment in self.segments:
            if 0 <= address - segment.address < segment.size and (segment.is_code or not code):
                if code and not self._is_code(address):
                    break
                return segment.offset + address - segment.address
        raise NotFound(f"{self.name} has no {'code' if code else 'bytes'} at {address:#x}")


def _string(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at, at + _LONGEST_NAME)
    return strings[at:end].decode("utf-8", "surrogateescape") if end >= 0 else ""


def identify(path: str) -> Identity:
    """Return what tells a file from one that takes its place; NotFound, ObjectError where it is none, KernelError."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise _unread(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise ObjectError(f"{path}: a folder, pipe or device, no ELF file")
    return _identity(status)


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _read(path: str, identity: Identity, offset: int, size: int) -> bytes:
    """Read from a file as long as it is the same; no descriptor stays open."""
    try:
        with open(os.open(path, binary.FLAGS), "rb", buffering=0) as file:
            if _identity(os.fstat(file.fileno())) != identity:
                raise ObjectError(f"{path}: changed while it was read")
            return os.pread(file.fileno(), min(size, max(identity.size - offset, 0)), offset)
    except OSError as error:
        raise _unread(path, error) from None


def _unread(path: str, error: OSError | ValueError) -> NotFound | KernelError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)):  # the last: a path has no zero in it
        return NotFound(f"there is no file '{path}'")
    return KernelError(f"can't read {path}", error.errno or 0)
