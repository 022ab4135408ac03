"""Names of Rust functions as people write them.

Formats: RFC 2603 ("v0", names that begin with _R) and what rustc made before it, which are names of C++ that end in a
hash. What they hold may be hostile: how deep names go and how long they get is bounded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 1 << 12  # characters of a name in words
_LONGEST_FOREIGN = 1 << 8  # of a part that is not ASCII: each letter is put in among those that are there
_DEEPEST = 100
_MOST = 1 << 13  # steps, since a name may repeat its parts and those theirs

_LEGACY = re.compile(r"_{1,2}ZN([\w.$]+)17h[0-9a-f]{16}E((?:\.[\w.]+)?)", re.ASCII)
_LENGTH = re.compile("0|[1-9][0-9]{0,3}")
_ESCAPE = re.compile(r"\$(?:(SP|BP|RF|LT|GT|LP|RP|C)|u([0-9a-f]{1,6}))\$|\.\.")
_SIGNS = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}

_BASIC = {
    "a": "i8",
    "b": "bool",
    "c": "char",
    "d": "f64",
    "e": "str",
    "f": "f32",
    "h": "u8",
    "i": "isize",
    "j": "usize",
    "l": "i32",
    "m": "u32",
    "n": "i128",
    "o": "u128",
    "p": "_",
    "s": "i16",
    "t": "u16",
    "u": "()",
    "v": "...",
    "x": "i64",
    "y": "u64",
    "z": "!",
}
_SIGNED, _UNSIGNED = frozenset("asxnli"), frozenset("htmyoj")
_DIGITS = {sign: value for value, sign in enumerate("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")}


class _Wrong(Exception):
    """It is no such name, or a hostile one."""


def plain(symbol: str) -> str:
    """Return a function's name; empty where the symbol is no name of Rust."""
    if symbol.startswith("_R"):
        body, dot, suffix = symbol[2:].partition(".")
        try:
            return _Reader(body).symbol() + _kept(dot + suffix)
        except (_Wrong, RecursionError):
            return ""
    legacy = _LEGACY.fullmatch(symbol)
    return _legacy(legacy[1], _kept(legacy[2])) if legacy else ""


def _kept(suffix: str) -> str:
    """Return what a compiler has put behind a name, without the numbers of LLVM's own."""
    return re.sub(r"\.llvm\.\w+", "", suffix) if suffix else ""


def _legacy(parts: str, suffix: str) -> str:
    names, at = [], 0
    while at < len(parts):
        length = _LENGTH.match(parts, at)
        if length is None:
            return ""
        at = length.end() + int(length[0])
        name = parts[length.end() : at]
        if len(name) < int(length[0]) or not name:
            return ""
        names.append(_ESCAPE.sub(_sign, name.removeprefix("_") if name.startswith("_$") else name))
    return "::".join(names)[:_LONGEST] + suffix


def _sign(found: re.Match[str]) -> str:
    if found[1]:
        return _SIGNS[found[1]]
    if found[2]:
        code = int(found[2], 16)
        return chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else found[0]
    return "::"


class _Reader:
    """Reads a name of v0 behind its _R from the left to the right, and writes the words as it goes."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._words: list[str] = []
        self._length = self._steps = self._depth = 0
        self._lifetimes = 0  # that for<...> has named so far

    def symbol(self) -> str:
        if self._peek().isdecimal():  # a version that is not known yet
            raise _Wrong
        self._path(is_value=True)
        if self._at < len(self._text):  # for which crate it was made
            words = len(self._words)
            self._path(is_value=False)
            del self._words[words:]
        if self._at < len(self._text):
            raise _Wrong
        return "".join(self._words)

    def _say(self, word: str) -> None:
        self._length += len(word)
        if self._length > _LONGEST:
            raise _Wrong
        self._words.append(word)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        sign = self._peek()
        if not sign:
            raise _Wrong
        self._at += 1
        return sign

    def _eat(self, sign: str) -> bool:
        if self._peek() != sign:
            return False
        self._at += 1
        return True

    def _number(self) -> int:
        """Read a number of base 62: nothing is 0, and any digits are one more than their value."""
        if self._eat("_"):
            return 0
        value = 0
        while not self._eat("_"):
            digit = _DIGITS.get(self._next())
            if digit is None or value > 1 << 64:
                raise _Wrong
            value = value * 62 + digit
        return value + 1

    def _optional(self, tag: str) -> int:
        return self._number() + 1 if self._eat(tag) else 0

    def _name(self) -> str:
        is_punycode = self._eat("u")
        length = _LENGTH.match(self._text, self._at)
        if length is None:
            raise _Wrong
        self._at = length.end()
        if self._peek() == "_":
            self._at += 1
        name = self._text[self._at : self._at + int(length[0])]
        if len(name) < int(length[0]):
            raise _Wrong
        self._at += len(name)
        if not is_punycode:
            return name
        if len(name) > _LONGEST_FOREIGN:
            raise _Wrong
        plain_part, found, rest = name.rpartition("_")
        try:
            return f"{plain_part}{'-' if found else ''}{rest}".encode("ascii").decode("punycode")
        except (UnicodeError, ValueError, OverflowError):
            raise _Wrong from None

    def _deeper(self, read: Callable[[], None]) -> None:
        self._steps += 1
        if self._depth >= _DEEPEST or self._steps > _MOST:
            raise _Wrong
        self._depth += 1
        read()
        self._depth -= 1

    def _back(self, read: Callable[[], None]) -> None:
        """Read again what stands further to the left; the tag B has just been read."""
        here = self._at - 1
        there = self._number()
        if there >= here:
            raise _Wrong
        behind, self._at = self._at, there
        self._deeper(read)
        self._at = behind

    def _list(self, read: Callable[[], None], between: str = ", ") -> int:
        """Read until an E, and return how many there were."""
        count = 0
        while not self._eat("E"):
            if count:
                self._say(between)
            read()
            count += 1
        return count

    def _path(self, *, is_value: bool) -> None:
        self._deeper(lambda: self._any_path(is_value=is_value))

    def _any_path(self, *, is_value: bool) -> None:
        tag = self._next()
        if tag == "C":
            self._optional("s")
            self._say(self._name())
        elif tag == "N":
            self._nested(is_value=is_value)
        elif tag in "MXY":
            if tag != "Y":  # where the impl stands
                self._optional("s")
                self._unsaid(lambda: self._path(is_value=False))
            self._say("<")
            self._type()
            if tag != "M":
                self._say(" as ")
                self._path(is_value=False)
            self._say(">")
        elif tag == "I":
            self._path(is_value=is_value)
            self._say("::<" if is_value else "<")
            self._list(self._argument)
            self._say(">")
        elif tag == "B":
            self._back(lambda: self._any_path(is_value=is_value))
        else:
            raise _Wrong

    def _unsaid(self, read: Callable[[], None]) -> None:
        words, length = len(self._words), self._length
        read()
        del self._words[words:]
        self._length = length

    def _nested(self, *, is_value: bool) -> None:
        namespace = self._next()
        if not namespace.isalpha():
            raise _Wrong
        self._path(is_value=is_value)
        number = self._optional("s")
        name = self._name()
        if namespace.isupper():
            kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
            self._say(f"::{{{kind}{':' if name else ''}{name}#{number}}}")
        elif name:
            self._say(f"::{name}")

    def _argument(self) -> None:
        if self._eat("L"):
            self._say(self._lifetime(self._number()))
        elif self._eat("K"):
            self._constant()
        else:
            self._type()

    def _lifetime(self, number: int) -> str:
        if not number:
            return "'_"
        depth = self._lifetimes - number
        if depth < 0:
            raise _Wrong
        return f"'{chr(ord('a') + depth)}" if depth < 26 else f"'_{depth}"

    def _bound(self, read: Callable[[], None]) -> None:
        """Read what for<...> may stand before."""
        count = self._optional("G")
        if count > _MOST:
            raise _Wrong
        before = self._lifetimes
        self._lifetimes += count
        if count:
            self._say("for<" + ", ".join(self._lifetime(number) for number in range(count, 0, -1)) + "> ")
        read()
        self._lifetimes = before

    def _type(self) -> None:
        self._deeper(self._any_type)

    def _any_type(self) -> None:  # noqa: C901 - a letter for each kind
        tag = self._next()
        if tag in _BASIC:
            self._say(_BASIC[tag])
        elif tag in "RQ":
            lifetime = self._number() if self._eat("L") else 0
            self._say("&" + (f"{self._lifetime(lifetime)} " if lifetime else "") + ("mut " if tag == "Q" else ""))
            self._type()
        elif tag in "PO":
            self._say("*const " if tag == "P" else "*mut ")
            self._type()
        elif tag in "AS":
            self._say("[")
            self._type()
            if tag == "A":
                self._say("; ")
                self._constant()
            self._say("]")
        elif tag == "T":
            self._say("(")
            self._say(",)" if self._list(self._type) == 1 else ")")
        elif tag == "F":
            self._bound(self._function)
        elif tag == "D":
            self._say("dyn ")
            self._bound(lambda: self._discard(self._list(self._trait, " + ")))
            if not self._eat("L"):
                raise _Wrong
            lifetime = self._number()
            if lifetime:
                self._say(f" + {self._lifetime(lifetime)}")
        elif tag == "B":
            self._back(self._any_type)
        else:
            self._at -= 1
            self._path(is_value=False)

    def _discard(self, _: int) -> None:
        """Take no notice of how many there were."""

    def _function(self) -> None:
        if self._eat("U"):
            self._say("unsafe ")
        if self._eat("K"):
            abi = "C" if self._eat("C") else self._name().replace("_", "-")
            self._say(f'extern "{abi}" ')
        self._say("fn(")
        self._list(self._type)
        self._say(")")
        if not self._eat("u"):
            self._say(" -> ")
            self._type()

    def _trait(self) -> None:
        """Read a trait; its types by name stand among its arguments."""
        is_open = self._trait_path()
        while self._eat("p"):
            self._say(", " if is_open else "<")
            is_open = True
            self._say(f"{self._name()} = ")
            self._type()
        if is_open:
            self._say(">")

    def _trait_path(self) -> bool:
        """Read the path of a trait; return whether its arguments are not closed yet."""
        if self._eat("B"):
            found = [False]

            def read() -> None:
                found[0] = self._trait_path()

            self._back(read)
            return found[0]
        if self._eat("I"):
            self._path(is_value=False)
            self._say("<")
            self._list(self._argument)
            return True
        self._path(is_value=False)
        return False

    def _constant(self) -> None:
        self._deeper(self._any_constant)

    def _any_constant(self) -> None:
        tag = self._next()
        if tag == "B":
            self._back(self._any_constant)
            return
        if tag == "p":
            self._say("_")
            return
        if tag not in _SIGNED and tag not in _UNSIGNED and tag not in "bc":
            raise _Wrong
        sign = "-" if tag in _SIGNED and self._eat("n") else ""
        end = self._text.find("_", self._at)
        digits = self._text[self._at : end]
        if end < 0 or not re.fullmatch("[0-9a-f]{0,32}", digits):
            raise _Wrong
        self._at = end + 1
        value = int(digits or "0", 16)
        if tag == "b" and value < 2:
            self._say("true" if value else "false")
        elif tag == "c" and value <= 0x10FFFF and not 0xD800 <= value < 0xE000:
            self._say(repr(chr(value)))
        elif tag not in "bc":
            self._say(sign + (str(value) if value < 1 << 64 else hex(value)))
        else:
            raise _Wrong
