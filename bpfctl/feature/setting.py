"""
Settings of a kernel's build, as programs read them through externs of ``.kconfig``.

The rules are libbpf's (src/libbpf.c bpf_object__process_kconfig_line): an option that is not set is one that is not
there, and its form must fit the variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer
from btf import types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bpfctl.spec import Extern
    from btf.read import BTF

_VERSION, _OURS = "LINUX_KERNEL_VERSION", ("LINUX_HAS_BPF_COOKIE", "LINUX_HAS_SYSCALL_WRAPPER")
_TRISTATE = {"n": 0, "y": 1, "m": 2}  # enum libbpf_tristate


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
        if extern.name == _VERSION or extern.name in _OURS:
            return AVAILABLE
        if not extern.name.startswith("CONFIG_"):
            return Answer(NO, "loaders know no such setting")
        options = self._all()
        if not options:
            return Answer(UNKNOWN, "nothing tells what the kernel was built with")
        value = options.get(extern.name)
        if value is None:
            return Answer(NO, "the kernel was built without it")
        kind = btf.type(btf.resolve(extern.type_id))
        return AVAILABLE if _fits(value, kind) else Answer(NO, f"its value is {value}, which the variable cannot hold")

    def number(self, name: str) -> int | None:
        """Return a setting as the number that a program reads; None for one that is unknown or is no number."""
        if name == _VERSION:
            words = re.match(r"(\d+)\.(\d+)\.(\d+)", self._release)
            major, minor, patch = map(int, words.groups()) if words else (0, 0, 0)
            return (major << 16) + (minor << 8) + min(patch, 255) or None
        value = (self._all() or {}).get(name)
        if value is None:
            return None
        if value in _TRISTATE:
            return _TRISTATE[value]
        try:
            return int(value, 0)
        except ValueError:
            return None

    def text(self, name: str) -> str:
        """Return a setting that is text, without its quotes; empty for one that is not there."""
        return (self._all() or {}).get(name, "").removeprefix('"').removesuffix('"')

    def _all(self) -> Mapping[str, str] | None:
        if not self._known:
            self._options, self._known = self._read(), True
        return self._options


def _fits(value: str, kind: types.Type) -> bool:
    """Return whether a value has the form that a variable wants."""
    if value.startswith('"'):
        return isinstance(kind, types.Array)
    if value in _TRISTATE:
        if isinstance(kind, types.Enum):
            return kind.name == "libbpf_tristate"
        if not isinstance(kind, types.Int):
            return False
        return bool(kind.encoding & types.BOOL and value != "m") or (kind.size == 1 and not kind.encoding & types.BOOL)
    return isinstance(kind, types.Int) and not kind.encoding & types.BOOL
