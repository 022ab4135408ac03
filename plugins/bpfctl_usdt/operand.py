"""Where the arguments of a static probe are, in the words of the machine's assembler.

Each is ``N@OPERAND``: N bytes, with a sign where N is negative, and an ``f`` behind it where they are a floating-point
number. The operand is whatever the compiler had: a constant, a register, or memory.

    x86     $5   $-1   $name   %rax   %al   -4(%rbp)   8(%rax,%rbx,4)   name+4(%rip)   name   name(,%rax,8)
    arm64   5    x0    w0    sp    [x0]    [sp, 12]    [x0, x1]    [x0, w1, sxtw 3]    [x0, #:lo12:name]

What is not one of these is None; so are numbers in registers that a program cannot see.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.plugin import Registers

_SIZED = re.compile(r"(-?)(\d{1,2})(f?)@(.*)", re.DOTALL)
_NUMBER = r"(?:0[xX][0-9a-fA-F]{1,16}|\d{1,20})"
_NAME = r"[A-Za-z_.][\w.$@]*"
_TERM = re.compile(rf"\s*([+-]?)\s*(?:({_NUMBER})|({_NAME}))\s*")
_X86_MEMORY = re.compile(
    r"(?P<moved>[^()%:]*)\(\s*(?:%(?P<base>\w+))?\s*(?:,\s*%(?P<index>\w+)\s*(?:,\s*(?P<scale>[1248])\s*)?)?\)"
)
_ARM64_MEMORY = re.compile(
    rf"\[\s*(?P<base>\w+)\s*(?:,\s*(?:"
    rf"#?(?P<moved>-?{_NUMBER})"
    rf"|#?:lo12:(?P<page>{_NAME}(?:[+-]{_NUMBER})?)"
    rf"|(?P<index>\w+)\s*(?:,\s*(?P<extend>lsl|uxtw|uxtx|sxtw|sxtx)\s*(?:#?(?P<scale>[0-4]))?)?"
    rf"))?\s*\]"
)


class Constant(NamedTuple):
    """A number, or the address of something."""

    value: int
    symbol: str = ""


class InRegister(NamedTuple):
    """What is in a register: its place among those of the process."""

    at: int


class Index(NamedTuple):
    """A register that is added to an address."""

    at: int
    shift: int
    size: int = 8
    signed: bool = False


class InMemory(NamedTuple):
    """What is in memory, at the sum of all of these."""

    base: int | None  # the place of a register
    plus: Index | None
    moved: int
    symbol: str = ""
    is_low: bool = False  # of the symbol's address the lowest 12 bits alone


Operand: TypeAlias = Constant | InRegister | InMemory


class Argument(NamedTuple):
    """An argument: its bytes, and where they are; None where they cannot be read."""

    text: str
    size: int
    signed: bool
    operand: Operand | None


def arguments(text: str, registers: Registers, symbols: dict[str, int]) -> tuple[Argument, ...]:
    """Return the arguments that a note tells of; ``symbols`` are addresses by name."""
    return tuple(_argument(word, registers, symbols) for word in _words(text))


def _words(text: str) -> Iterator[str]:
    """Yield what spaces part, but those in brackets."""
    word, depth = "", 0
    for letter in text:
        depth += (letter in "[(") - (letter in "])")
        if letter.isspace() and depth <= 0:
            if word:
                yield word
            word = ""
        else:
            word += letter
    if word:
        yield word


def _argument(word: str, registers: Registers, symbols: dict[str, int]) -> Argument:
    match = _SIZED.fullmatch(word)
    signed, size, text = (match[1] == "-", int(match[2]), match[4]) if match else (False, 8, word)
    if size not in (1, 2, 4, 8) or (match and match[3]):
        return Argument(word, 8, signed=False, operand=None)
    read = _x86 if registers.machine == "x86_64" else _arm64
    operand = read(text.strip(), registers, size)
    symbol = "" if operand is None or isinstance(operand, InRegister) else operand.symbol
    return Argument(word, size, signed, operand if not symbol or symbol in symbols else None)


def _x86(text: str, registers: Registers, size: int) -> Operand | None:
    if text.startswith("%"):
        at = _x86_register(text[1:], registers, high=size == 1)
        return None if at is None else InRegister(at)
    if text.startswith("$"):
        value = _sum(text[1:])
        return None if value is None else Constant(*value)
    match = _X86_MEMORY.fullmatch(text)
    if match is None:
        value = _sum(text)
        return None if value is None else InMemory(None, None, *value)
    moved = _sum(match["moved"] or "0")
    if moved is None:
        return None
    if match["base"] == "rip":  # only names make sense from there, and their addresses are known
        return InMemory(None, None, *moved) if moved[1] and not match["index"] else None
    base, place = (_x86_register(match[role] or "", registers) for role in ("base", "index"))
    if (match["base"] and base is None) or (match["index"] and place is None):
        return None
    index = None if place is None else Index(place, "1248".index(match["scale"] or "1"))
    return InMemory(base, index, *moved)


def _x86_register(name: str, registers: Registers, *, high: bool = False) -> int | None:
    """Return the place of a register of any width."""
    if high and re.fullmatch("[abcd]h", name):
        return registers.at[f"r{name[0]}x"] + 1
    if re.fullmatch(r"r(?:8|9|1[0-5])[bwdl]", name):
        return registers.at[name[:-1]]
    if name == "rip" or re.fullmatch(r"r(?:8|9|1[0-5])|r[abcd]x|r[sd]i|r[bs]p", name):
        return registers.at[name]
    if re.fullmatch(r"e?[abcd]x|e?[sd]i|e?[bs]p", name):
        return registers.at["r" + name.removeprefix("e")]
    if re.fullmatch(r"[abcd]l", name):
        return registers.at[f"r{name[0]}x"]
    if re.fullmatch(r"(?:[sd]i|[bs]p)l", name):
        return registers.at["r" + name[:-1]]
    return None


def _arm64(text: str, registers: Registers, size: int) -> Operand | None:
    del size
    if text in ("xzr", "wzr"):
        return Constant(0)
    at = _arm64_register(text, registers)
    if at is not None:
        return InRegister(at)
    if re.fullmatch(rf"#?-?{_NUMBER}", text):
        return Constant(_integer(text.removeprefix("#")))
    match = _ARM64_MEMORY.fullmatch(text)
    if match is None:
        return None
    base = _arm64_register(match["base"], registers)
    if base is None or match["base"].startswith("w"):
        return None
    if match["page"]:
        value = _sum(match["page"])
        return None if value is None else InMemory(base, None, *value, is_low=True)
    if not match["index"]:
        return InMemory(base, None, _integer(match["moved"] or "0"))
    place = _arm64_register(match["index"], registers)
    if place is None:
        return None
    is_word, how = match["index"].startswith("w"), match["extend"] or "lsl"
    if is_word != (how in ("uxtw", "sxtw")):
        return None
    return InMemory(base, Index(place, int(match["scale"] or 0), 4 if is_word else 8, how == "sxtw"), 0)


def _arm64_register(name: str, registers: Registers) -> int | None:
    name = {"fp": "x29", "lr": "x30", "wsp": "sp"}.get(name, name)
    if name == "sp" or re.fullmatch(r"[xw](?:[12]?\d|30)", name):
        return registers.at["x" + name[1:] if name != "sp" else name]
    return None


def _sum(text: str) -> tuple[int, str] | None:
    """Return what numbers and at most one name, joined by signs, come to; None where that is not all."""
    value, symbol, at = 0, "", 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None or (at and not match[1]):
            return None
        if match[2]:
            number = _integer(match[2])
            value += -number if match[1] == "-" else number
        elif symbol or match[1] == "-":
            return None
        else:
            symbol = match[3]
        at = match.end()
    return (value, symbol) if text else None


def _integer(text: str) -> int:
    return int(text, 16 if "x" in text.lower() else 10)
