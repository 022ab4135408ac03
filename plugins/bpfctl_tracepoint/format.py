"""The format files of events (Documentation/trace/events.rst): which fields a record has, and where they lie."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import (
    CTX,
    R1,
    R2,
    R3,
    Blob,
    Bytes,
    Field,
    Helper,
    Integer,
    Numbers,
    Text,
    copied,
    in_context,
    is_text,
    string,
    syscall_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.plugin import Code, Reg

_ID = re.compile(r"^ID:\s*(\d+)", re.MULTILINE)
_FIELD = re.compile(
    r"^\s*field:(?P<type>.+?)\s*\b(?P<name>\w+)(?P<array>\[\w*\])?;"
    r"\s*offset:(?P<at>\d+);\s*size:(?P<size>\d+);(?:\s*signed:(?P<signed>[01]);)?",
    re.MULTILINE,
)
_DYNAMIC = re.compile(r"(__data_loc|__rel_loc)\s+(.+?)\s*\[\]$")
_CHARS = frozenset({"char", "const char"})  # those without a sign are addresses of devices and such
_LONGEST = 8192  # bytes of a record (PERF_MAX_TRACE_SIZE in include/linux/trace_events.h)


class Format(NamedTuple):
    """An event's number and its fields, without those that all events have."""

    id: int
    fields: list[Field]
    items: Sequence[Field] = ()  # of arrays of numbers each one, by its name and ``[NUMBER]``


def parse(text: str, *, is_syscall: bool = False) -> Format:
    """Return what a format file tells; what cannot be read of it is left out."""
    number = _ID.search(text)
    matches = [
        match
        for match in _FIELD.finditer(text)
        if not match["name"].startswith("common_") and int(match["at"]) + int(match["size"]) <= _LONGEST
    ]
    fields = [_field(match, is_syscall=is_syscall) for match in matches]
    items = [item for match, field in zip(matches, fields, strict=True) for item in _items(match, field)]
    return Format(int(number[1]) if number else 0, fields, items)


def _items(match: re.Match[str], field: Field) -> Iterator[Field]:
    if isinstance(field.type, Numbers):
        item = field.type.item
        for number in range(field.type.length):
            yield in_context(f"{field.name}[{number}]", int(match["at"]) + number * item.size, item, match["type"])


def _field(match: re.Match[str], *, is_syscall: bool) -> Field:
    type_, name, at, size = match["type"], match["name"], int(match["at"]), int(match["size"])
    told = type_ + (match["array"] or "")
    dynamic = _DYNAMIC.match(type_)
    if dynamic:
        return _dynamic(name, at, told, is_text=dynamic[2] in _CHARS, from_field=dynamic[1] == "__rel_loc")
    if match["array"]:
        return copied(name, at, Text(size) if type_ in _CHARS else _array(match), told)
    if is_text(type_):
        return string(name, partial(_pointer, at), user=is_syscall, told=told)
    if size not in (1, 2, 4, 8):
        return copied(name, at, Blob(size), told)
    if is_syscall:
        return in_context(name, at, syscall_number(type_), told)
    return in_context(name, at, Integer(size, match["signed"] == "1", hexadecimal="*" in type_), told)


def _array(match: re.Match[str]) -> Numbers | Blob:
    """Return several numbers, but that bytes are shown as such, as are items of other sizes."""
    size, count = int(match["size"]), match["array"][1:-1]
    each, rest = divmod(size, int(count)) if count.isdecimal() and int(count) else (0, 0)
    if rest or each not in (2, 4, 8):
        return Blob(size)
    return Numbers(Integer(each, match["signed"] == "1", hexadecimal="*" in match["type"]), int(count))


def _pointer(at: int, code: Code, register: Reg) -> None:
    code.ldx(8, register, CTX, at)


def _dynamic(name: str, at: int, told: str, *, is_text: bool, from_field: bool) -> Field:
    """Return what lies behind the fixed part of a record: the field has its place, and above 16 bits its length.

    The place is counted from the start of the record, or from the end of the field.
    """
    start = at + 4 if from_field else 0

    def address(code: Code, register: Reg) -> None:
        code.ldx(4, register, CTX, at).and_(register, 0xFFFF).add(register, start).add(register, CTX)

    if is_text:
        return string(name, address, told=told)

    def store(code: Code, base: Reg, offset: int) -> None:
        fits = code.fresh()
        code.ldx(4, R2, CTX, at).rsh(R2, 16).stx(4, base, offset, R2)
        code.jump("jle", R2, _BYTES.room, fits).mov(R2, _BYTES.room).label(fits)
        address(code, R3)
        code.mov(R1, base).add(R1, offset + 4).call(Helper.probe_read_kernel)

    return Field(name, _BYTES, store, None, told)


_BYTES = Bytes(64)
