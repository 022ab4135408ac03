"""bpftool's language of words: keywords that may be cut short, and handles of objects."""

from __future__ import annotations

from errno import ENODEV
from typing import TYPE_CHECKING

from bpfctl.errors import KernelError, UsageError
from bpfctl.kernel.select import Select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_PROG_NAME_ROOM = 127  # MAX_PROG_FULL_NAME less its null byte
_MAP_NAME_ROOM = 15  # BPF_OBJ_NAME_LEN less its null byte
_DIGITS = 99  # more than in any number


class Words:
    """The words of a command that are not understood yet."""

    def __init__(self, words: Iterable[str] | None) -> None:
        self._words = list(words or ())

    def __bool__(self) -> bool:
        return bool(self._words)

    def __len__(self) -> int:
        return len(self._words)

    def peek(self, ahead: int = 0) -> str:
        """Return a word without taking it; empty when there is none."""
        return self._words[ahead] if ahead < len(self._words) else ""

    def next(self, what: str) -> str:
        """Take a word; UsageError says ``what`` is missing."""
        if not self._words:
            raise UsageError(f"{what} is missing", is_short=True)
        return self._words.pop(0)

    def at_least(self, count: int, command: str, *, exit_code: int = 255) -> None:
        """Raise UsageError, in bpftool's words, when fewer words are left."""
        if len(self._words) < count:
            message = f"'{command}' needs at least {count} arguments, {len(self._words)} found"
            raise UsageError(message, exit_code=exit_code, is_short=True)

    def keyword(self, *keywords: str) -> str | None:
        """Take the next word if it begins one of these keywords, and return the first that it begins."""
        if self._words:
            for keyword in keywords:
                if keyword.startswith(self._words[0]):
                    self._words.pop(0)
                    return keyword
        return None

    def end(self) -> None:
        """Raise UsageError when words are left."""
        if self._words:
            raise UsageError(f"what is '{self._words[0]}'?")


def first(word: str, keywords: Sequence[str]) -> str | None:
    """Return the first keyword that a word begins."""
    return next((keyword for keyword in keywords if keyword.startswith(word)), None)


def unsigned(word: str) -> int | None:
    """Read a number as C's strtoul with base 0 does: decimal, 0x hexadecimal, 0 octal, in newer libraries 0b binary.

    None for what is none, has a sign, or blanks, or more digits than any number that the kernel takes.
    """
    digits = word.lower()
    octal = digits[:1] == "0" and digits[1:].isdecimal()
    if not digits.isascii() or not digits.isalnum() or digits[1:2] == "o" or len(digits) > _DIGITS:
        return None
    try:
        return int(digits, 8 if octal else 0)
    except ValueError:
        return None


def number(word: str, what: str) -> int:
    """Return a number of 32 bits; UsageError says ``what`` is none."""
    value = unsigned(word.removeprefix("+"))
    if value is None or value >= 1 << 32:
        raise UsageError(f"can't parse {word} as {what}")
    return value


def device(name: str) -> int:
    """Return the number of a network device of this namespace; KernelError where there is none of that name."""
    import socket

    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise KernelError(f"unrecognized netdevice '{name}'", error.errno or ENODEV) from None


def listing(words: Words, read: Callable[[Words], Select]) -> Select | None:
    """Read what a listing is limited to: nothing, or one handle, which is two words to bpftool."""
    if len(words) == 1:
        raise UsageError(f"what is '{words.peek()}'?", is_short=True)
    if len(words) > 2:
        words.end()
    return read(words) if words else None


def _expected(words: Words, choices: str) -> UsageError:
    return UsageError(f"expected {choices}, got: '{words.next('a handle')}'?")


def _name(words: Words, room: int) -> Select:
    name = words.next("the name")
    if len(name.encode(errors="surrogateescape")) > room:
        raise UsageError("can't parse name")
    return Select("name", name)


def _tag(words: Words) -> Select:
    try:
        tag = bytes.fromhex(words.next("the tag"))
    except ValueError:
        tag = b""
    if len(tag) != 8:
        raise UsageError("can't parse tag")
    return Select("tag", tag)


def prog(words: Words) -> Select:
    """Read a program's handle: id N, pinned FILE, tag HEX16 or name NAME."""
    match words.keyword("id", "tag", "name", "pinned"):
        case "id":
            return Select("id", number(words.next("the id"), "ID"))
        case "tag":
            return _tag(words)
        case "name":
            return _name(words, _PROG_NAME_ROOM)
        case "pinned":
            return Select("pinned", words.next("the path"))
    raise _expected(words, "'id', 'tag', 'name' or 'pinned'")


def map_(words: Words) -> Select:
    """Read a map's handle: id N, pinned FILE or name NAME."""
    match words.keyword("id", "name", "pinned"):
        case "id":
            return Select("id", number(words.next("the id"), "ID"))
        case "name":
            return _name(words, _MAP_NAME_ROOM)
        case "pinned":
            return Select("pinned", words.next("the path"))
    raise _expected(words, "'id', 'name' or 'pinned'")


def link(words: Words) -> Select:
    """Read a link's handle: id N or pinned FILE."""
    match words.keyword("id", "pinned"):
        case "id":
            return Select("id", number(words.next("the id"), "ID"))
        case "pinned":
            return Select("pinned", words.next("the path"))
    raise _expected(words, "'id' or 'pinned'")


def btf(words: Words) -> Select:
    """Read a BTF object's handle: id N."""
    if not words.keyword("id"):
        raise _expected(words, "'id'")
    return Select("id", number(words.next("the id"), "ID"))
