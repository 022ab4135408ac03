"""Declarators of C.

A declarator grows around the name that it declares: in ``int (*name[4])(void)`` the pointer, the
array and the function stand on both sides of it. `Chain` is a declarator without its name, and wraps
one reference after another around it, from the type at the end outwards.

The words are those of libbpf (src/btf_dump.c), which for C that a compiler has seen are C again; for
odd types (a modifier of a type tag) they are libbpf's all the same.
"""

from __future__ import annotations

from typing import NamedTuple

# How a chain goes on: qualifiers stand before `last`, or at the end, or are dropped.
_BEFORE, _AFTER, _ARRAY, _FUNCTION = range(4)


class Chain(NamedTuple):
    """A declarator without its name."""

    named: str  # what stands before a name
    bare: str  # the same when there is no name
    after: str  # what stands behind it
    pointer: bool  # whether the text before ends in "*", which a name follows without a space
    how: int
    last: str  # what comes at the end of the text before, or first in the text behind
    fixed: bool  # whether the text is the same wherever it stands

    def parts(self) -> tuple[str, str, str]:
        """Return what stands before a name, before no name, and behind."""
        named, bare, after, pointer, how, last, _ = self
        if how == _BEFORE:
            return f"{named}{last} ", bare + last, after
        return named if pointer else named + " ", bare, last + after

    def _opened(self, *, array: bool = False) -> Chain:
        """Return the chain with room for more around its name, where it ended in [N] or (parameters)."""
        named, bare, after, pointer, how, last, fixed = self
        if how == _AFTER:
            return self
        if how == _BEFORE:
            return Chain(named + last, bare + last, after, False, _AFTER, "", fixed)
        space = " " if how == _FUNCTION or not pointer else ""
        if how == _FUNCTION:
            bare += " "
        if how == _ARRAY and array:
            return Chain(named + space, bare, last + after, True, _AFTER, "", fixed)
        return Chain(f"{named}{space}(", bare + "(", f"){last}{after}", True, _AFTER, "", fixed)

    def pointed_at(self) -> Chain:
        """Return the chain of a pointer to this."""
        named, bare, after, pointer, how, last, fixed = self
        if how >= _ARRAY:
            named, bare, after, pointer, _, last, _ = self._opened()
        star = "*" if pointer else last + " *"
        return Chain(named + star, bare + star, after, True, _AFTER, "", fixed)

    def qualified(self, word: str) -> Chain:
        """Return the chain of this with a qualifier."""
        named, bare, after, pointer, how, last, fixed = self
        if how == _BEFORE:
            return Chain(f"{named}{word} ", f"{bare}{word} ", after, pointer, how, last, fixed)
        if how == _AFTER:
            return Chain(f"{named} {word}", f"{bare} {word}", after, False, how, last, fixed)
        return self  # compilers give arrays and functions those of their elements and results

    def tagged(self, attribute: str) -> Chain:
        """Return the chain of this with a type tag."""
        named, bare, after, *_, fixed = self._opened()
        return Chain(named, bare, after, False, _BEFORE, f" __attribute__(({attribute}))", fixed)

    def times(self, number: int) -> Chain:
        """Return the chain of an array of this."""
        named, bare, after, pointer, _, _, fixed = self._opened(array=True)
        return Chain(named, bare, after, pointer, _ARRAY, f"[{number}]", fixed)

    def called_with(self, params: str, *, fixed: bool) -> Chain:
        """Return the chain of a function that returns this."""
        named, bare, after, pointer, _, _, result = self._opened()
        return Chain(named, bare, after, pointer, _FUNCTION, f"({params})", result and fixed)


def named(text: str, *, fixed: bool = True) -> Chain:
    """Return the chain of a type by itself; not ``fixed`` when it is defined right there."""
    return Chain("", "", "", False, _BEFORE, text, fixed)
