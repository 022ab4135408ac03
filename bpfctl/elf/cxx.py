"""Names of C++ functions as people write them: ``names::Class::method``, without arguments.

Format: the Itanium C++ ABI, chapter 5.1. Only names are read that need nothing but names: templates, operators and
what repeats a part of itself stay as the linker has them.
"""

from __future__ import annotations

import re

_PART = re.compile(r"(\d{1,4})")
_ANONYMOUS = "_GLOBAL__N_"
_STRUCTORS = re.compile(r"([CD])[0-4]")


def plain(symbol: str) -> str:
    """Return a function's name without its arguments; empty where the symbol is no such name."""
    if not symbol.startswith("_Z") or "." in symbol:  # behind a dot is what the compiler made of a function
        return ""
    if symbol.startswith("_ZN"):
        return _nested(symbol, re.compile("[rVK]*[RO]?").match(symbol, 3).end())  # type: ignore[union-attr]
    start = 4 if symbol.startswith("_ZSt") else 2
    name, at = _name(symbol, start + (symbol[start : start + 1] == "L"))
    if not name or symbol[at : at + 1] == "I":
        return ""
    return f"std::{name}" if start == 4 else name


def _nested(symbol: str, at: int) -> str:
    parts = []
    if symbol.startswith("St", at):
        parts.append("std")
        at += 2
    while not symbol.startswith("E", at):
        structor = _STRUCTORS.match(symbol, at)
        if structor and parts:
            parts.append("~" * (structor[1] == "D") + parts[-1])
            at = structor.end()
            break
        name, at = _name(symbol, at + (symbol[at : at + 1] == "L"))
        if not name:
            return ""
        parts.append(name)
    return "::".join(parts) if symbol.startswith("E", at) else ""


def _name(symbol: str, at: int) -> tuple[str, int]:
    """Return a name that has its length before it, and where it ends; no name where there is none."""
    length = _PART.match(symbol, at)
    if length is None:
        return "", at
    end = length.end() + int(length[1])
    name = symbol[length.end() : end]
    if len(name) < int(length[1]) or not int(length[1]):
        return "", at
    return "(anonymous namespace)" if name.startswith(_ANONYMOUS) else name, end
