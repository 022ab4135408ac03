"""Follows the words of a command along its synopsis, to tell what may come next.

A synopsis becomes a finite automaton by Thompson's construction; all the ways to read the words so far are followed at
once, since a keyword that is cut short may be several, and a value may look like a keyword.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TOKEN = re.compile(r"\.\.\.|[\[\]{}|]|[^\s\[\]{}|]+")
_DEEPEST = 8  # definitions within definitions


class Expected(NamedTuple):
    """What may stand somewhere: a keyword, or a value of a kind."""

    word: str

    @property
    def is_keyword(self) -> bool:
        """Whether it is a word to be taken as it is."""
        return not self.word.isupper()


class _State:
    """A place between words."""

    def __init__(self) -> None:
        self.free: list[_State] = []
        self.edges: list[tuple[Expected, _State]] = []


class _Piece(NamedTuple):
    begin: _State
    end: _State


class Synopsis:
    """What a command takes."""

    def __init__(self, text: str, definitions: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._whole = self._sequence(_TOKEN.findall(text), 0)

    def after(self, words: Sequence[str]) -> list[Expected]:
        """Return what may come after these words, in the order of the synopsis; nothing after what makes no sense."""
        states = _reached([self._whole.begin])
        for word in words:
            ends = [end for state in states for expected, end in state.edges if fits(expected, word)]
            states = _reached(ends)
        return list(dict.fromkeys(expected for state in states for expected, _ in state.edges))

    def _sequence(self, tokens: list[str], depth: int) -> _Piece:
        """Make the automaton of tokens up to a bracket or bar that closes, and take them."""
        begin = end = _State()
        while tokens and tokens[0] not in "]}|":
            piece = self._one(tokens, depth)
            if tokens[:1] == ["..."]:
                tokens.pop(0)
                piece.end.free.append(piece.begin)
            end.free.append(piece.begin)
            end = piece.end
        return _Piece(begin, end)

    def _one(self, tokens: list[str], depth: int) -> _Piece:
        first = tokens.pop(0)
        if first in "[{":
            piece = self._choice(tokens, depth)
            if first == "[":
                piece.begin.free.append(piece.end)
            return piece
        if first in self._definitions and depth < _DEEPEST:
            return self._sequence(_TOKEN.findall(self._definitions[first]), depth + 1)
        begin, end = _State(), _State()
        begin.edges.append((Expected(first), end))
        return _Piece(begin, end)

    def _choice(self, tokens: list[str], depth: int) -> _Piece:
        begin, end = _State(), _State()
        while True:
            piece = self._sequence(tokens, depth)
            begin.free.append(piece.begin)
            piece.end.free.append(end)
            if tokens.pop(0) != "|":
                return _Piece(begin, end)


def _reached(states: Iterable[_State]) -> list[_State]:
    """Return these and all that is reached from them without a word, each once, in order."""
    found: dict[_State, None] = {}
    waiting = list(states)[::-1]
    while waiting:
        state = waiting.pop()
        if state not in found:
            found[state] = None
            waiting += reversed(state.free)
    return list(found)


def fits(expected: Expected, word: str) -> bool:
    """Return whether a word may be what is expected, a keyword perhaps cut short."""
    return expected.word.startswith(word) if expected.is_keyword else True
