"""
Settings of a kernel's build, as programs read them through externs of ``.kconfig``.

The rules are libbpf's (src/libbpf.c bpf_object__process_kconfig_line and find_kcfg_type): an option that is not set is
one that is not there, and its form must fit the variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer
from bpfctl.host import version
from btf import types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bpfctl.spec import Extern
    from btf.read import BTF

_VERSION = "LINUX_KERNEL_VERSION"
#: What every kernel has, and a number that the variable has to hold for it; the first kernel with bpf(2) was 3.18.
_EVERYWHERE = {_VERSION: 0x31200, "LINUX_HAS_BPF_COOKIE": 1, "LINUX_HAS_SYSCALL_WRAPPER": 1}
_HERE = Answer(UNKNOWN, "only the kernel itself tells it")
_NOT_SET, _UNKNOWN = Answer(NO, "the kernel was built without it"), Answer(NO, "loaders know no such setting")
#: Where the variable is weak it is a zero then; whatever else is wrong with a setting is wrong with a weak one too.
ABSENT = frozenset({_NOT_SET, _UNKNOWN})
_TRISTATE = {"n": 0, "y": 1, "m": 2}  # enum libbpf_tristate
_OCTAL = re.compile(r"^([+-]?)0(?=[0-7]+$)")
_SIZES = frozenset({1, 2, 4, 8})


class Settings:
    """The settings of one kernel; ``read`` returns its options, and is called when one is asked for."""

    def __init__(self, read: Callable[[], Mapping[str, str] | None], release: str) -> None:
        self._read = read
        self._release = release
        self._options: Mapping[str, str] | None = None
        self._known = False

    def answer(self, extern: Extern | None, btf: BTF | None) -> Answer:
        """Return whether a loader can fill an extern in."""
        if extern is None or btf is None:
            return Answer(UNKNOWN, "the object has no types")
        found = self.value(extern, btf)
        if found is _HERE:
            found = of_number(_EVERYWHERE[extern.name], extern, btf)
        return AVAILABLE if isinstance(found, bytes) else found

    def value(self, extern: Extern, btf: BTF) -> bytes | Answer:
        """Return a setting as it lies in memory; text ends with it. An answer when it cannot be filled in, or told."""
        if not _is_filled_in(extern, btf):
            return Answer(NO, "loaders fill in no variables of its type")
        code = version.code(self._release) if extern.name == _VERSION else 0
        if code:
            return of_number(code, extern, btf)
        if extern.name in _EVERYWHERE:
            return _HERE
        if not extern.name.startswith("CONFIG_"):
            return _UNKNOWN if extern.name.startswith("LINUX_") else Answer(NO, "no setting has such a name")
        options = self._all()
        if not options:
            return Answer(UNKNOWN, "nothing tells what the kernel was built with")
        value = options.get(extern.name)
        return _NOT_SET if value is None else _of_option(value, extern, btf)

    def _all(self) -> Mapping[str, str] | None:
        if not self._known:
            self._options, self._known = self._read(), True
        return self._options


def of_number(number: int, extern: Extern, btf: BTF) -> bytes | Answer:
    """Return a number as it lies in a variable; an answer when that cannot hold it."""
    kind = btf.type(btf.resolve(extern.type_id))
    if isinstance(kind, types.Int):
        bits = 1 if kind.encoding & types.BOOL else 8 * kind.size
        low, high = (-(1 << bits - 1), 1 << bits - 1) if kind.signed and bits > 1 else (0, 1 << bits)
        if low <= number < high:
            return number.to_bytes(kind.size, btf.byteorder, signed=kind.signed)
    return _too_much(str(number))


def _of_option(value: str, extern: Extern, btf: BTF) -> bytes | Answer:
    """Return an option as it lies in a variable; an answer when that cannot hold it."""
    kind = btf.type(btf.resolve(extern.type_id))
    if value.startswith('"'):
        if not isinstance(kind, types.Array) or len(value) == 1 or not value.endswith('"'):
            return _too_much(value)
        text = value[1:-1].encode(errors="surrogateescape")
        return text[: kind.nr_elems - 1] + b"\0"
    is_bool = isinstance(kind, types.Int) and bool(kind.encoding & types.BOOL)
    if value in _TRISTATE:
        if isinstance(kind, types.Enum | types.Enum64):
            return _TRISTATE[value].to_bytes(kind.size, btf.byteorder)
        if is_bool and value != "m":
            return of_number(_TRISTATE[value], extern, btf)
        is_letter = isinstance(kind, types.Int) and kind.size == 1 and not is_bool
        return value.encode() if is_letter else _too_much(value)
    try:
        number = int(_OCTAL.sub(r"\g<1>0o", value), 0)
    except ValueError:
        return _too_much(value)
    return _too_much(value) if is_bool else of_number(number, extern, btf)


def _too_much(value: str) -> Answer:
    return Answer(NO, f"its value is {value}, which the variable cannot hold")


def _is_filled_in(extern: Extern, btf: BTF) -> bool:
    """Return whether loaders fill in variables of such a type: numbers, libbpf's enumeration, and text."""
    kind = btf.type(btf.resolve(extern.type_id))
    if isinstance(kind, types.Array):
        letter = btf.type(btf.resolve(kind.type_id))
        is_letter = isinstance(letter, types.Int) and letter.size == 1 and not letter.encoding & types.BOOL
        return is_letter and kind.nr_elems > 0
    if isinstance(kind, types.Enum | types.Enum64):
        return kind.name == "libbpf_tristate"
    return isinstance(kind, types.Int) and kind.size in _SIZES and not (kind.encoding & types.BOOL and kind.size > 1)
