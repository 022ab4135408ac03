"""Conditions as the kernel runs them, beside what Python makes of the same tree."""

from __future__ import annotations

import os
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.asm.insn import R0, R1, R10
from bpfctl.errors import UsageError
from bpfctl.probe.code import CTX, Code
from bpfctl.probe.field import Field, Integer, Text, number
from bpfctl.probe.filter import Filter
from bpfctl.probe.where import COMPARES, Binary, Name, Number, Unary, parse
from tests.kernel import client

SOCKET_FILTER = 1
MASK = (1 << 64) - 1
PACKET = bytes(64)


def _load(value, code, register):
    code.ld_imm64(register, value)


def _integer(name, value, size, *, signed):
    """Return a field with this value, its sign extended."""
    return number(name, partial(_load, value & MASK), Integer(size, signed=signed))


def _text(name, value, size, *, may_be_cut=False):
    def store(code, base, offset):
        data = value.encode() + b"\0"
        for at, byte in enumerate(data[:size]):
            code.st(1, base, offset + at, byte)

    return Field(name, Text(size, may_be_cut), store, None)


FIELDS = {
    "a": _integer("a", 7, 4, signed=False),
    "b": _integer("b", -3, 4, signed=True),
    "c": _integer("c", 0xFFFF_FFFF_0000_0000, 8, signed=False),
    "d": _integer("d", 0, 8, signed=True),
    "s": _text("s", "nginx", 16),
    "t": _text("t", "", 12),
    "cut": _text("cut", "sixbyt", 8, may_be_cut=True),
}
VALUES = {"a": 7, "b": -3, "c": 0xFFFF_FFFF_0000_0000, "d": 0}
TEXTS = {"s": "nginx", "t": ""}
SIGNED = {"b", "d"}


def holds(tree):
    """Return whether the kernel lets a packet through."""
    code = Code()
    code.mov(CTX, R1)
    Filter(code, FIELDS.__getitem__).unless(tree, "no")
    code.mov(R0, 1).exit_().label("no").mov(R0, 0).exit_()
    fd = client.prog_load(SOCKET_FILTER, code.assemble())
    try:
        return bool(client.run(fd, PACKET))
    finally:
        os.close(fd)


def is_signed(tree):
    if isinstance(tree, Name):
        return tree.name in SIGNED
    if isinstance(tree, Unary):
        return tree.sign == "-" or (tree.sign == "~" and is_signed(tree.of))
    return isinstance(tree, Binary) and tree.sign not in COMPARES and (is_signed(tree.left) or is_signed(tree.right))


def number_of(value, *, signed):
    value &= MASK
    return value - (1 << 64) if signed and value >> 63 else value


def value(tree):
    """Return what a tree is in C, of 64 bits without a sign."""
    if isinstance(tree, Number):
        return tree.value
    if isinstance(tree, Name):
        return VALUES[tree.name] & MASK
    if isinstance(tree, Unary):
        inner = value(tree.of)
        return {"-": -inner & MASK, "~": ~inner & MASK, "!": int(not inner)}[tree.sign]
    if tree.sign == "&&":
        return int(bool(value(tree.left)) and bool(value(tree.right)))
    if tree.sign == "||":
        return int(bool(value(tree.left)) or bool(value(tree.right)))
    signed = is_signed(tree.left) or is_signed(tree.right)
    left, right = (number_of(value(side), signed=signed) for side in (tree.left, tree.right))
    match tree.sign:
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)
        case "<=":
            return int(left <= right)
        case ">":
            return int(left > right)
        case ">=":
            return int(left >= right)
        case "+":
            return left + right & MASK
        case "-":
            return left - right & MASK
        case "*":
            return left * right & MASK
        case "&":
            return left & right & MASK
        case "|":
            return (left | right) & MASK
        case "^":
            return (left ^ right) & MASK
        case "<<":
            return left << (right & 63) & MASK
        case ">>":
            return number_of(value(tree.left), signed=is_signed(tree.left)) >> (right & 63) & MASK
        case "/":
            quotient = abs(left) // abs(right) if right else 0
            return (-quotient if (left < 0) != (right < 0) else quotient) & MASK
        case "%":
            rest = abs(left) % abs(right) if right else abs(left)  # as the kernel has it
            return (-rest if left < 0 else rest) & MASK
    raise AssertionError(tree)


NUMBERS = st.sampled_from([0, 1, 2, 5, 63, 1 << 31, 1 << 40, (1 << 63) - 1, MASK]).map(Number)
TREES = st.recursive(
    NUMBERS | st.sampled_from(list(VALUES)).map(Name),
    lambda inner: (
        st.builds(Unary, st.sampled_from("-~!"), inner)
        | st.builds(
            Binary,
            st.sampled_from(
                ["||", "&&", "==", "!=", "<", "<=", ">", ">=", "|", "^", "&", "<<", ">>", "+", "-", "*", "/", "%"]
            ),
            inner,
            inner,
        )
    ),
    max_leaves=8,
)


@settings(database=None, max_examples=300, deadline=None)
@given(TREES)
def test_as_in_c(tree):
    assert holds(tree) == bool(value(tree))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s == 'nginx'", True),
        ("s != 'nginx'", False),
        ("s == 'ngin'", False),
        ("s == 'nginx2'", False),
        ("'nginx' == s", True),
        ("s == 'nginx-long'", False),
        ("s != 'nginx-long'", True),
        ("t == ''", True),
        ("t != 'x'", True),
        ("!(s == 'nginx')", False),
        ("s == 'nginx' && a == 7", True),
        ("s == 'apache' || s == 'nginx'", True),
        ("not (s == 'apache' or t == 'x') and b < 0", True),
        ("b / 2 == -1 && b % 2 == -1 && -7 / b == 2", True),
        ("c > 0x7fffffffffffffff", True),
        ("(s == 'nginx') + 1 == 2", True),
        ("cut == 'sixbyt'", True),
    ],
)
def test_strings_and_signs(text, wanted):
    assert holds(parse(text)) == wanted


@pytest.mark.parametrize(
    ("sign", "compare", "last", "wanted"),
    [("||", "==", "b < 0", True), ("||", "==", "b > 0", False), ("&&", "!=", "b < 0", True), ("&&", "!=", "d", False)],
)
def test_thousands_are_joined(sign, compare, last, wanted):
    tree = parse(f" {sign} ".join([*(f"a {compare} {number}" for number in range(8, 3000)), last]))

    assert holds(tree) == wanted
    assert holds(Unary("!", tree)) != wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" + ".join("a" * 3000), "so many operators make no condition"),
        ("s", "s is no number"),
        ("s + 1", "s is no number"),
        ("s < 'x'", "strings can be compared with == and !=, not with <"),
        ("s == t", "a string can be compared with a field that is one"),
        ("a == 'x'", "a is no string"),
        ("'x'", "the string 'x' is compared with nothing"),
        ("s == 'a name of 17 byte'", "s can be compared with up to 16 bytes"),
        ("cut == 'sevenby'", "cut can be compared with up to 6 bytes"),
        ("cut != 'more than seven'", "cut can be compared with up to 6 bytes"),
    ],
)
def test_refusals(text, why):
    with pytest.raises(UsageError, match=why):
        holds(parse(text))


def test_a_stack_has_an_end():
    deep = Name("a")
    for _ in range(40):
        deep = Binary("-", Number(1), deep)
    assert holds(deep)
    for _ in range(40):
        deep = Binary("-", Number(1), deep)
    with pytest.raises(UsageError, match="more than the 512 bytes"):
        holds(deep)


def test_registers_are_kept():
    """A condition leaves to the action what is the action's."""
    code = Code()
    code.mov(CTX, R1)
    for register in (7, 8, 9):
        code.mov(type(R1)(register), register)
    Filter(code, FIELDS.__getitem__).unless(parse("s == 'nginx' && b / 3 < 0 && (a > 1) == 1"), "no")
    code.mov(R0, 0)
    for register in (7, 8, 9):
        code.add(R0, type(R1)(register))
    code.exit_().label("no").mov(R0, 0).stx(8, R10, -8, R0).exit_()
    fd = client.prog_load(SOCKET_FILTER, code.assemble())
    try:
        assert client.run(fd, PACKET) == 24
    finally:
        os.close(fd)
