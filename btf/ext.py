"""``.BTF.ext``: what a BPF object tells about its instructions.

Three parts, each by ELF section: which function starts where, which line of source an instruction
comes from, and which instructions hold a fact about a type that another kernel may see otherwise
(CO-RE relocations, see `btf.relo`). Offsets of instructions are in bytes from the section's start.

Format: the kernel's ``Documentation/bpf/btf.rst``; records are ``struct bpf_func_info``,
``bpf_line_info`` and ``bpf_core_relo`` of ``include/uapi/linux/bpf.h``. Records longer than these are
cut, as newer compilers may say more.
"""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from btf._section import MAGIC, VERSION
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from btf.read import BTF

    T = TypeVar("T")

#: Header without and with the two fields for CO-RE relocations.
_HEADER, _HEADER_WITH_RELOS = 24, 32
_INSTRUCTION = 8


class FuncInfo(NamedTuple):
    """A function starts at ``insn_off``; ``type_id`` is that of a `btf.types.Func`."""

    insn_off: int
    type_id: int


class LineInfo(NamedTuple):
    """Where an instruction comes from; file name and line of source are string offsets of the BTF."""

    insn_off: int
    file_name_off: int
    line_off: int
    line_col: int

    @property
    def line(self) -> int:
        """The number of the line."""
        return self.line_col >> 10

    @property
    def column(self) -> int:
        """The column in the line."""
        return self.line_col & 0x3FF


class CoreRelo(NamedTuple):
    """The instruction at ``insn_off`` holds a fact of ``kind`` (see `btf.relo_kind`) about ``type_id``.

    ``access`` leads to what is meant: "0:1:2" is member 2 of member 1 of element 0.
    """

    insn_off: int
    type_id: int
    access: str
    kind: int


class Ext(NamedTuple):
    """The three parts; the keys are names of ELF sections."""

    func_infos: dict[str, tuple[FuncInfo, ...]]
    line_infos: dict[str, tuple[LineInfo, ...]]
    core_relos: dict[str, tuple[CoreRelo, ...]]

    @classmethod
    def from_bytes(cls, data: bytes, btf: BTF) -> Self:
        """Decode a section ``.BTF.ext``, whose strings are those of ``btf``.

        Raises BTFError when the header, a part or a record does not fit the data, when a string is
        not there, or when an offset is not that of an instruction. Type ids are not looked at.
        """
        sign = _sign(data)
        if len(data) < _HEADER:
            raise BTFError(f".BTF.ext: header is cut off after {len(data)} bytes")
        _, version, _, hdr_len, *places = unpack_from(f"{sign}HBBIIIII", data)
        if version != VERSION:
            raise BTFError(f".BTF.ext: version {version} is unknown")
        if not _HEADER <= hdr_len <= len(data):
            raise BTFError(f".BTF.ext: header length {hdr_len} is out of range")
        if hdr_len >= _HEADER_WITH_RELOS:
            places += unpack_from(f"{sign}II", data, _HEADER)
        else:
            places += [0, 0]
        parts = [
            _Part(what, data, sign, hdr_len + places[at], places[at + 1])
            for what, at in (("func_info", 0), ("line_info", 2), ("core_relo", 4))
        ]

        def relo(insn_off: int, type_id: int, access: int, kind: int) -> CoreRelo:
            return CoreRelo(insn_off, type_id, btf.string(access), kind)

        return cls(
            _decode(parts[0], btf, "II", FuncInfo),
            _decode(parts[1], btf, "IIII", LineInfo),
            _decode(parts[2], btf, "IIII", relo),
        )


class _Part(NamedTuple):
    """One of the three parts: a record size, then sections of records."""

    what: str
    data: bytes
    sign: str
    start: int
    length: int

    def error(self, problem: str) -> BTFError:
        return BTFError(f".BTF.ext: {self.what}: {problem}")

    def sections(self, least: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield the name offset, record size and records of each section."""
        _, data, sign, position, length = self
        if not length:
            return
        end = position + length
        if end > len(data):
            raise self.error(f"ends at {end}, the data at {len(data)}")
        if position % 4 or length < 4:
            raise self.error(f"{length} bytes at {position} cannot hold a record size")
        (size,) = unpack_from(f"{sign}I", data, position)
        if size < least or size % 4:
            raise self.error(f"record size {size}, which must be a multiple of 4 and at least {least}")
        position += 4
        while position < end:
            if end - position < 8:
                raise self.error("a section is cut off")
            name, count = unpack_from(f"{sign}II", data, position)
            position += 8
            if not count or count * size > end - position:
                raise self.error(f"a section of {count} records of {size} bytes in {end - position} bytes")
            yield name, size, data[position : position + count * size]
            position += count * size


def _decode(part: _Part, btf: BTF, form: str, make: Callable[..., T]) -> dict[str, tuple[T, ...]]:
    """Return the records of each section."""
    record = Struct(part.sign + form)
    found: dict[str, list[T]] = {}
    for name_off, size, rows in part.sections(record.size):
        wide = Struct(f"{part.sign}{form}{size - record.size}x")
        name = btf.string(name_off)
        values = list(wide.iter_unpack(rows))
        stray = next((row[0] for row in values if row[0] % _INSTRUCTION), None)
        if stray is not None:
            raise part.error(f"no instruction of section {name} starts at {stray}")
        found.setdefault(name, []).extend([make(*row) for row in values])
    return {name: tuple(records) for name, records in found.items()}


def _sign(data: bytes) -> str:
    magic = data[:2]
    if magic == MAGIC.to_bytes(2, "little"):
        return "<"
    if magic == MAGIC.to_bytes(2, "big"):
        return ">"
    raise BTFError(".BTF.ext: wrong magic number")
