"""The language of conditions on what is hit: its words, and the tree that they make.

::

    pid == 1234 && comm != "bash"
    args.count > 4096 || (retval < 0 and not args.flags & 0x80)
    (time / 1000) % 2 == 0

Operators are those of C, but that ``&``, ``^`` and ``|`` bind more closely than comparisons do; ``and`` and ``or`` are
words for ``&&`` and ``||``, and ``not`` is ``!`` of the whole comparison that follows. Strings stand in quotes and can
be compared with ``==`` and ``!=``. A number alone holds where it is not zero.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from bpfctl.probe.field import Field

_LEXEME = r"""\s*(?:
    (?P<sign>&&|\|\||==|!=|<=|>=|<<|>>|[-+*/%&|^~!<>()])
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<number>\d\w*)
  | (?P<name>[^\W\d]\w*(?:(?:\.|->)\w+|\[\d+\])*)
)"""
_WORDS = {"and": "&&", "or": "||", "not": "not"}
_UNARY = {"-": "-", "~": "~", "!": "!", "not": "!"}
#: How closely operators bind: those of a line less than those below it.
_LEVELS = (
    ("||",),
    ("&&",),
    ("==", "!=", "<", "<=", ">", ">="),
    ("|",),
    ("^",),
    ("&",),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_COMPARE = 2
COMPARES = frozenset(_LEVELS[_COMPARE])
_DEEPEST = 50
_LARGEST = (1 << 64) - 1


class Number(NamedTuple):
    """A number as it stands."""

    value: int


class String(NamedTuple):
    """A string as it stands."""

    text: str


class Name(NamedTuple):
    """A field by its name."""

    name: str


class Given(NamedTuple):
    """A field itself, which no word stands for."""

    field: Field


class Unary(NamedTuple):
    """One of ``- ~ !`` before something."""

    sign: str
    of: Tree


class Binary(NamedTuple):
    """An operator between two things."""

    sign: str
    left: Tree
    right: Tree


Tree: TypeAlias = Number | String | Name | Given | Unary | Binary


def parse(text: str) -> Tree:
    """Return the tree of a condition; UsageError where it is none."""
    parser = _Parser(text)
    tree = parser.level(0)
    if parser.kind:
        parser.refuse("an operator is missing before it")
    return tree


def names(tree: Tree) -> Iterator[str]:
    """Yield the fields that a tree names."""
    left = [tree]
    while left:
        one = left.pop()
        if isinstance(one, Name):
            yield one.name
        elif isinstance(one, Unary):
            left.append(one.of)
        elif isinstance(one, Binary):
            left += (one.right, one.left)


class _Parser:
    """Reads a condition from left to right; ``kind`` and ``word`` are what comes next, both empty at the end."""

    def __init__(self, text: str) -> None:
        # Compiled for who has a condition: that takes longer than it takes to import most modules.
        self._token = re.compile(_LEXEME, re.VERBOSE | re.DOTALL | re.ASCII)
        self._text = text
        self._at = self._start = self._depth = 0
        self._closed = False  # whether what was read last stands in brackets
        self._next()

    def refuse(self, why: str) -> NoReturn:
        """Raise the UsageError about what comes next."""
        rest = self._text[self._start :].strip()
        here = f"at '{rest[:30]}'" if rest else "at its end" if self._text.strip() else "in nothing at all"
        raise UsageError(f"--where: {here}: {why}")

    def _next(self) -> None:
        self._start = self._at
        self.kind = self.word = ""
        if not self._text[self._at :].strip():
            return
        match = self._token.match(self._text, self._at)
        if match is None:
            sign = self._text[self._at :].lstrip()[0]
            self.refuse("use == to compare" if sign == "=" else "a quote is open" if sign in "\"'" else "what is this?")
        self._at = match.end()
        self.kind = match.lastgroup or ""
        self.word = match[self.kind]
        if self.word in _WORDS:
            self.kind, self.word = "sign", _WORDS[self.word]

    def level(self, at: int) -> Tree:
        """Read what the operators of a level, and of those that bind more closely, join."""
        if at == len(_LEVELS):
            return self._one()
        if at == _COMPARE and self.kind == "sign" and self.word == "not":
            return self._deeper(lambda: Unary("!", self.level(at)))
        left = self.level(at + 1)
        while self.kind == "sign" and self.word in _LEVELS[at]:
            sign = self.word
            if sign in COMPARES and isinstance(left, Binary) and left.sign in COMPARES and not self._closed:
                self.refuse("two comparisons in a row: join them with &&")
            self._next()
            left = Binary(sign, left, self.level(at + 1))
            self._closed = False
        return left

    def _one(self) -> Tree:
        kind, word = self.kind, self.word
        if kind == "sign" and word in _UNARY:
            return self._deeper(lambda: Unary(_UNARY[word], self._one()))
        if kind == "sign" and word == "(":
            tree = self._deeper(lambda: self.level(0))
            if self.word != ")":
                self.refuse("a ')' is missing")
            self._next()
            self._closed = True
            return tree
        if kind in ("", "sign"):
            self.refuse("a field or a value is missing")
        self._next()
        if kind == "text":
            return String(re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL))
        return Number(self._number(word)) if kind == "number" else Name(word.replace("->", "."))

    def _deeper(self, read: Callable[[], Tree]) -> Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            self.refuse("this is nested too deeply")
        self._next()
        tree = read()
        self._depth -= 1
        return tree

    def _number(self, word: str) -> int:
        try:
            value = int(word, 0)
        except ValueError:
            raise UsageError(f"--where: '{word[:30]}' is no number") from None
        if value > _LARGEST:
            raise UsageError(f"--where: {word[:30]} is more than 64 bits hold")
        return value
