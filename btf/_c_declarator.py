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
        space = "" if self.pointer else " "
        if self.how == _BEFORE:
            return self.named + self.last + space, self.bare + self.last, self.after
        return self.named + space, self.bare, self.last + self.after

    def opened(self, *, array: bool) -> Chain:
        """Return the chain with room for more around its name, where it ended in [N] or (parameters)."""
        if self.how == _BEFORE:
            return self._replace(named=self.named + self.last, bare=self.bare + self.last, how=_AFTER, last="")
        if self.how == _AFTER:
            return self
        space = "" if self.pointer else " "
        if self.how == _FUNCTION:
            named, bare, after = self.named + " (", self.bare + " (", f"){self.last}{self.after}"
        elif array:
            named, bare, after = self.named + space, self.bare, self.last + self.after
        else:
            named, bare, after = f"{self.named}{space}(", self.bare + "(", f"){self.last}{self.after}"
        return Chain(named, bare, after, True, _AFTER, "", self.fixed)

    def pointed_at(self) -> Chain:
        """Return the chain of a pointer to this."""
        named, bare, after, pointer, _, last, fixed = self if self.how < _ARRAY else self.opened(array=False)
        star = "*" if pointer else last + " *"
        return Chain(named + star, bare + star, after, True, _AFTER, "", fixed)

    def qualified(self, word: str) -> Chain:
        """Return the chain of this with a qualifier."""
        if self.how == _BEFORE:
            named, bare, after, pointer, how, last, fixed = self
            return Chain(f"{named}{word} ", f"{bare}{word} ", after, pointer, how, last, fixed)
        if self.how == _AFTER:
            return self._replace(named=f"{self.named} {word}", bare=f"{self.bare} {word}", pointer=False)
        return self  # compilers give arrays and functions those of their elements and results

    def tagged(self, attribute: str) -> Chain:
        """Return the chain of this with a type tag."""
        chain = self.opened(array=False)
        return chain._replace(pointer=False, how=_BEFORE, last=f" __attribute__(({attribute}))")

    def times(self, number: int) -> Chain:
        """Return the chain of an array of this."""
        return self.opened(array=True)._replace(how=_ARRAY, last=f"[{number}]")

    def called_with(self, params: str, *, fixed: bool) -> Chain:
        """Return the chain of a function that returns this."""
        chain = self.opened(array=False)
        return chain._replace(how=_FUNCTION, last=f"({params})", fixed=chain.fixed and fixed)


def named(text: str) -> Chain:
    """Return the chain of a type by itself."""
    return Chain("", "", "", False, _BEFORE, text, True)


def inlined(text: str) -> Chain:
    """Return the chain of a type that is defined where it is used, so that it may look different elsewhere."""
    return Chain("", "", "", False, _BEFORE, text, False)
