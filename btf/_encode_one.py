"""What writes single values, and the sentences about those that do not fit."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING, Any, TypeVar

from btf.errors import BTFError
from btf.value import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from btf.value import Read


T = TypeVar("T")


class Target:
    """The bytes that are written, and how: members of a record forwards, backwards, or forwards without a change."""

    __slots__ = ("backwards", "checks", "data", "shared")

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.backwards = self.checks = False
        self.shared = False  # whether members were written that may have bytes in common

    def parts(self, parts: Sequence[T], what: str, path: str, *, shared: bool = True) -> Iterator[T]:
        """Yield parts of a record in the order that they are to be written in; BTFError when they disagree."""
        shared = shared and len(parts) > 1
        self.shared |= shared
        if not shared or not self.checks:
            yield from reversed(parts) if self.backwards else parts
            return
        for part in parts:
            before = bytes(self.data)
            yield part
            if self.data != before:
                raise error(path, f"{what} that share their bytes are given different values")


def write_bool(target: Target, at: int, value: Any, path: str) -> None:
    known = {"true": True, "false": False, "0": False, "1": True}
    if isinstance(value, str):
        value = known.get(value, value)
    if not isinstance(value, int) or value not in (0, 1):
        raise error(path, f"{told(value)} is neither true nor false")
    if (target.data[at] != 0) != value:  # any byte but 0 is true
        target.data[at] = int(value)


def write_char(target: Target, at: int, value: Any, path: str) -> None:
    number = value
    if isinstance(value, str):
        number = ord(value) if len(value) == 1 else number_of(value)
    if isinstance(value, bool) or not isinstance(number, int) or not -128 <= number <= 255:
        raise error(path, f"{told(value)} is neither a character of one byte nor a number up to 255")
    target.data[at] = number & 0xFF


def write_text(target: Target, at: int, text: str, path: str, array: tuple[int, str, Read]) -> None:
    room, what, read = array
    data = bytes_of(text, path)
    if b"\0" in data:
        raise error(path, f"{what} cannot hold text with a NUL inside")
    if len(data) >= room:
        raise error(path, f"text of {len(data)} bytes and its NUL do not fit into {what}")
    # text that is there already is left alone, with what lies behind its NUL
    if read(bytes(target.data), at) != text:
        target.data[at : at + room] = data.ljust(room, b"\0")


def bytes_of(text: str, path: str) -> bytes:
    """Return text as UTF-8, with bytes that are no text as they came; JSON can spell what is neither."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise error(path, f"{told(text)} has half a character") from None


def near(word: str, choices: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    close = [f"'{choice}'" for choice in get_close_matches(word, choices, 3)]
    return f", did you mean {' or '.join(close)}?" if close else ""


def error(path: str, message: str) -> BTFError:
    return BTFError(f"{path}: {message}" if path else message)


def told(value: Any) -> str:
    """Return a value for a message."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case str():
            return f"'{value}'" if len(value) <= 40 else f"'{value[:40]}...'"
        case int() | float():
            try:
                digits = str(value)
            except ValueError:  # more digits than Python likes to print
                return "a huge number"
            return digits if len(digits) <= 60 else "a huge number"
        case list() | tuple():
            return "a list"
        case dict() | Record():
            return "an object"
    return type(value).__name__


def number_of(text: str) -> int | None:
    """Read an integer as C spells it, and as Python does; None for anything else."""
    digits = text.lower().removeprefix("-")
    if not digits.isascii() or not digits[:1].isdecimal() or "_" in digits or len(digits) > 140:
        return None
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal()
    try:
        number = int(digits, 8 if octal else 0)
    except ValueError:
        return None
    return -number if text[0] == "-" else number


def float_of(text: str) -> float | str:
    """Read a number as C's strtod does, but no spaces; the text itself when it is none, or too large."""
    if not text.isascii() or "_" in text or text != text.strip() or len(text) > 400:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return text if isinf(number) and "inf" not in text.lower() else number
