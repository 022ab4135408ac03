"""Conditions as instructions: what does not hold is not seen by any action."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.insn import R0, R1, R2, R10
from bpfctl.errors import UsageError
from bpfctl.probe.field import Text
from bpfctl.probe.where import COMPARES, Binary, Given, Name, Number, String, Unary

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.asm.insn import Reg
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.where import Tree

_JUMPS = {"==": "jeq", "!=": "jne", "<": "jlt", "<=": "jle", ">": "jgt", ">=": "jge"}
_SIGNED = {"<": "jslt", "<=": "jsle", ">": "jsgt", ">=": "jsge"}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_ALU = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor", "<<": "lsh"}
_HALF = 1 << 31


class Filter(NamedTuple):
    """Puts conditions into a program; ``field`` returns a field by its name, or raises UsageError."""

    code: Code
    field: Callable[[str], Field]

    def unless(self, tree: Tree, label: str) -> None:
        """Jump to the label where the condition does not hold; UsageError for one that is of no use."""
        try:
            self._branch(tree, label, when=False)
        except RecursionError:
            raise UsageError("--where: so many operators make no condition") from None

    def _branch(self, tree: Tree, label: str, *, when: bool) -> None:
        """Jump to the label where the condition is what ``when`` says."""
        if isinstance(tree, Unary) and tree.sign == "!":
            self._branch(tree.of, label, when=not when)
        elif isinstance(tree, Binary) and tree.sign in ("&&", "||"):
            *before, last = _chain(tree)
            alone = (tree.sign == "||") == when  # whether each decides alone
            other = label if alone else self.code.fresh()
            for each in before:
                self._branch(each, other, when=when if alone else not when)
            self._branch(last, label, when=when)
            if not alone:
                self.code.label(other)
        elif isinstance(tree, Binary) and tree.sign in COMPARES:
            self._compare(tree, label, when=when)
        else:
            self._value(tree)
            self.code.jump("jne" if when else "jeq", R0, 0, label)

    def _compare(self, tree: Binary, label: str, *, when: bool) -> None:
        if self._is_text(tree.left) or self._is_text(tree.right):
            self._compare_text(tree, label, when=when)
            return
        sign = tree.sign if when else _OPPOSITE[tree.sign]
        signed = self._is_signed(tree.left) or self._is_signed(tree.right)
        self._pair(tree.left, tree.right)
        self.code.jump(_SIGNED.get(sign, _JUMPS[sign]) if signed else _JUMPS[sign], R0, R1, label)

    def _pair(self, left: Tree, right: Tree) -> None:
        """Put the values of both sides into r0 and r1."""
        if isinstance(right, Number):
            self._value(left)
            self._constant(R1, right.value)
            return
        self._value(left)
        with self.code.scratch():
            kept = self.code.room(8)
            self.code.stx(8, R10, kept, R0)
            self._value(right)
            self.code.mov(R1, R0).ldx(8, R0, R10, kept)

    def _value(self, tree: Tree) -> None:
        """Put a value into r0."""
        if isinstance(tree, Number):
            self._constant(R0, tree.value)
        elif isinstance(tree, Name):
            field = self.field(tree.name)
            if field.load is None:
                raise UsageError(f"--where: {tree.name} is no number: it can only be compared with a string")
            field.load(self.code, R0)
        elif isinstance(tree, Given) and tree.field.load is not None:
            tree.field.load(self.code, R0)
        elif isinstance(tree, String):
            raise UsageError(f"--where: the string '{tree.text}' is compared with nothing")
        elif isinstance(tree, Unary) and tree.sign != "!":
            self._value(tree.of)
            self.code.neg(R0) if tree.sign == "-" else self.code.xor(R0, -1)
        elif isinstance(tree, Binary) and tree.sign not in COMPARES and tree.sign not in ("&&", "||"):
            self._calculate(tree)
        else:
            holds = self.code.fresh()
            with self.code.scratch():
                kept = self.code.room(8)
                self.code.st(8, R10, kept, 1)
                self._branch(tree, holds, when=True)
                self.code.st(8, R10, kept, 0)
                self.code.label(holds).ldx(8, R0, R10, kept)

    def _calculate(self, tree: Binary) -> None:
        self._pair(tree.left, tree.right)
        signed = self._is_signed(tree.left) or self._is_signed(tree.right)
        if tree.sign == ">>":
            self.code.alu("arsh" if self._is_signed(tree.left) else "rsh", R0, R1)
        elif tree.sign in "/%" and signed:
            self._divide(tree.sign)
        elif tree.sign in "/%":
            self.code.alu("div" if tree.sign == "/" else "mod", R0, R1)
        else:
            self.code.alu(_ALU[tree.sign], R0, R1)

    def _divide(self, sign: str) -> None:
        """Divide as C does where numbers may be negative; kernels before 6.6 have no instruction for that."""
        code = self.code
        code.mov(R2, R0)
        if sign == "/":
            code.xor(R2, R1)
        for register in (R0, R1):
            positive = code.fresh()
            code.jump("jsge", register, 0, positive).neg(register).label(positive)
        code.alu("div" if sign == "/" else "mod", R0, R1)
        positive = code.fresh()
        code.jump("jsge", R2, 0, positive).neg(R0).label(positive)

    def _constant(self, register: Reg, value: int) -> None:
        if -_HALF <= value < _HALF:
            self.code.mov(register, value)
        else:
            self.code.ld_imm64(register, value)

    def _is_text(self, tree: Tree) -> bool:
        return isinstance(tree, String) or (isinstance(tree, Name) and isinstance(self.field(tree.name).type, Text))

    def _is_signed(self, tree: Tree) -> bool:
        """Return whether a value may be negative."""
        if isinstance(tree, Name):
            return bool(getattr(self.field(tree.name).type, "signed", False))
        if isinstance(tree, Unary):
            return tree.sign == "-" or (tree.sign == "~" and self._is_signed(tree.of))
        if isinstance(tree, Binary) and tree.sign not in COMPARES:
            return self._is_signed(tree.left) or self._is_signed(tree.right)
        return False

    def _compare_text(self, tree: Binary, label: str, *, when: bool) -> None:
        left, right = (tree.right, tree.left) if isinstance(tree.left, String) else (tree.left, tree.right)
        if tree.sign not in ("==", "!="):
            raise UsageError(f"--where: strings can be compared with == and !=, not with {tree.sign}")
        if not isinstance(left, Name) or not isinstance(right, String):
            raise UsageError("--where: a string can be compared with a field that is one, and nothing else")
        field = self.field(left.name)
        if not isinstance(field.type, Text):
            raise UsageError(f"--where: {left.name} is no string")
        wanted = right.text.encode(errors="surrogateescape")
        most = field.type.size - 2 if field.type.may_be_cut else field.type.size  # what fills its room may go on
        if len(wanted) > most or b"\0" in wanted:
            raise UsageError(f"--where: {left.name} can be compared with up to {most} bytes, but not '{right.text}'")
        code = self.code
        with code.scratch():
            at = code.cleared(field.type.size)
            field.store(code, R10, at)
        equal = (tree.sign == "==") == when  # whether to jump where they are
        differs = code.fresh() if equal else label
        wanted = wanted[: field.type.size] + b"\0" * (len(wanted) < field.type.size)
        for start in range(0, len(wanted), 8):
            part = wanted[start : start + 8]
            # what lies behind the end of the string is zero, so that all of a word can be compared
            code.ld_imm64(R1, int.from_bytes(part.ljust(8, b"\0"), sys.byteorder)).ldx(8, R0, R10, at + start)
            code.jump("jne", R0, R1, differs)
        if equal:
            code.jmp(label).label(differs)


def _chain(tree: Binary) -> list[Tree]:
    """Return what one operator joins, of which there may be thousands."""
    found: list[Tree] = []
    one: Tree = tree
    while isinstance(one, Binary) and one.sign == tree.sign:
        found.append(one.right)
        one = one.left
    return [one, *reversed(found)]
