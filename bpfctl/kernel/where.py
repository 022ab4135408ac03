"""The language of conditions on entries: its words, and the tree that they make.

::

    .pid == 7 && (key.saddr == 10.0.0.1 || state =~ RUN*) && !locked
    value[3] >= 0x10
    comm =~ /^nginx-[0-9]+$/
    .used > .limit

A path stands at the left, a value or another path at the right. A path alone holds where it is not zero. Strings may
be quoted and must be where they have spaces or signs in them. What a path means is told in bpfctl.kernel.field.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from typing import NoReturn

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<sign>&&|\|\||==|!=|<=|>=|=~|[<>()!])
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[^\s()<>=!&|"']+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_PATTERN = re.compile(r"\s*/((?:[^/\\]|\\.)*)/", re.DOTALL)
_PATH = re.compile(r"\.?[^\W\d]|(?:key|value)\[")
_COMPARES = frozenset({"==", "!=", "<", "<=", ">", ">=", "=~"})
_DEEPEST = 50


class Word(NamedTuple):
    """What a path is compared with."""

    text: str
    kind: str  # "word"; "text" for what was quoted, "pattern" for a regular expression


class Compare(NamedTuple):
    """A path and what it is compared with; ``other`` is a path instead of a word."""

    path: str
    sign: str
    word: Word | None
    other: str = ""


class Holds(NamedTuple):
    """A path that must not be zero."""

    path: str


class Not(NamedTuple):
    """The opposite."""

    of: Tree


class All(NamedTuple):
    """Everything of this."""

    of: tuple[Tree, ...]


class Some(NamedTuple):
    """Something of this."""

    of: tuple[Tree, ...]


Tree: TypeAlias = Compare | Holds | Not | All | Some


def parse(text: str) -> Tree:
    """Return the tree of a condition; UsageError where it is none."""
    parser = _Parser(text)
    tree = parser.either()
    if parser.kind:
        parser.refuse("&& or || is missing before it")
    return tree


class _Parser:
    """Reads a condition from left to right; ``kind`` and ``word`` are what comes next, both empty at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.kind = self.word = ""
        self._start = 0
        self._next()

    def refuse(self, why: str) -> NoReturn:
        """Raise the UsageError about what comes next."""
        raise _refusal(self._text, self._start, why)

    def _next(self) -> None:
        rest = self._text[self._at :]
        self._start = self._at + len(rest) - len(rest.lstrip())
        self.kind = self.word = ""
        if not rest.strip():
            return
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            word = self._text[self._start]
            self.refuse(
                {"=": "use == to compare", "&": "use && for and", "|": "use || for or"}.get(word, "a quote is open")
            )
        self._at = match.end()
        self.kind = match.lastgroup or ""
        self.word = match[self.kind]
        if self.kind == "text":
            self.word = re.sub(r"\\(.)", r"\1", self.word[1:-1], flags=re.DOTALL)

    def either(self) -> Tree:
        """Read what || joins."""
        parts = [self._both()]
        while self.kind == "sign" and self.word == "||":
            self._next()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _both(self) -> Tree:
        parts = [self._one()]
        while self.kind == "sign" and self.word == "&&":
            self._next()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Tree:
        if self.kind != "sign":
            return self._compare()
        sign = self.word
        if sign not in ("!", "("):
            self.refuse("a field is missing before it")
        self._depth += 1
        if self._depth > _DEEPEST:
            self.refuse("this is nested too deeply")
        self._next()
        tree: Tree = Not(self._one()) if sign == "!" else self.either()
        if sign == "(":
            if self.word != ")" or self.kind != "sign":
                self.refuse("a ')' is missing")
            self._next()
        self._depth -= 1
        return tree

    def _compare(self) -> Tree:
        path = self.word
        if self.kind != "word":
            self.refuse("a field is wanted here" if self.kind else "a field is missing")
        if not _PATH.match(path):
            self.refuse("a field is wanted here, such as .pid, key.saddr, value[3]")
        self._next()
        if self.kind != "sign" or self.word not in _COMPARES:
            return Holds(path)
        sign = self.word
        pattern = _PATTERN.match(self._text, self._at) if sign == "=~" else None
        if pattern:
            self._at = pattern.end()
            self._next()
            return Compare(path, sign, Word(pattern[1].replace(r"\/", "/"), "pattern"))
        self._next()
        kind, word = self.kind, self.word
        if kind not in ("word", "text"):
            self.refuse(f"a value is missing after {sign}")
        self._next()
        if kind == "word" and sign != "=~" and _is_path(word):
            return Compare(path, sign, None, word)
        return Compare(path, sign, Word(word, kind))


def _is_path(word: str) -> bool:
    """Return whether a word at the right is a path; names alone are those of enums there."""
    if word in ("key", "value", "cpu"):
        return True
    return (word[:1] == "." and not word[1:2].isdecimal()) or word.startswith(("key.", "key[", "value.", "value["))


def _refusal(text: str, at: int, why: str) -> UsageError:
    before, after = text[:at].strip(), text[at:].strip()
    here = (
        f"at '{_short(after)}'" if after else f"after '{_short(before, end=True)}'" if before else "in nothing at all"
    )
    return UsageError(f"--where: {here}: {why}")


def _short(text: str, *, end: bool = False) -> str:
    if len(text) <= 30:
        return text
    return f"...{text[-27:]}" if end else f"{text[:27]}..."
