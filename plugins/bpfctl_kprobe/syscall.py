"""ksyscall and kretsyscall: the functions behind system calls, by the names of the calls.

A function gets the registers of the process as they were when it made the call (SYSCALL_DEFINEx() in
arch/*/include/asm/syscall_wrapper.h). What they are is told by the format of the call's tracepoint.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import (
    CTX,
    BpfctlError,
    Integer,
    KernelSymbols,
    NotFound,
    ProbePoint,
    Tracefs,
    chosen,
    is_text,
    known,
    memory,
    number,
    registers,
    returned_fields,
    string,
    syscall_number,
)
from bpfctl_kprobe import KprobeSource
from bpfctl_kprobe.names import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.plugin import Code, Field, Reg

_WRAPPERS = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}
#: Where a process puts the arguments of a call: entry_SYSCALL_64 in arch/x86/entry/entry_64.S, and arm64's psABI.
_ARGUMENTS = {
    "x86_64": ("rdi", "rsi", "rdx", "r10", "r8", "r9"),
    "aarch64": ("x0", "x1", "x2", "x3", "x4", "x5"),
}
#: Calls whose function has another name; that which has theirs is what 32 bits had once.
_OTHERWISE = {
    "stat": "newstat",
    "fstat": "newfstat",
    "lstat": "newlstat",
    "uname": "newuname",
    "sendfile": "sendfile64",
    "umount2": "umount",
}
_FIELD = re.compile(r"^\s*field:(?P<type>[^;]+?)\s*\b(?P<name>\w+);", re.MULTILINE)
_WORD = Integer(8, hexadecimal=True)


class _Told(NamedTuple):
    """An argument as the format file tells it."""

    name: str
    type: str


class KsyscallSource(KprobeSource):
    """System calls as they begin."""

    kind = "ksyscall"
    kinds = ("ksyscall", "kretsyscall")
    summary = "system calls when they begin, in the function that does them, by NAME"

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, str] | None = None
        self._told: dict[str, list[_Told]] = {}

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the system calls that match; NotSupported where the kernel has no kprobes."""
        self._check()
        try:
            names = chosen(sorted(self._functions_of_calls()), pattern, "system call")
        except NotFound:
            names = []
        return (ProbePoint(self.kind, name) for name in names)

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the calls of a name or pattern; NotFound says what is close."""
        there = self._functions_of_calls()
        other = _OTHERWISE.get(target, target)
        name = other if other in there else target
        return [ProbePoint(self.kind, found) for found in chosen(sorted(there), name, "system call")]

    def _functions_of_calls(self) -> dict[str, str]:
        """Return the kernel's function for each call."""
        if self._calls is None:
            names = [name for name, module in KernelSymbols().functions() if not module]
            wrapper = _WRAPPERS[registers().machine]
            found = {name.removeprefix(wrapper): name for name in names if name.startswith(wrapper)}
            # Without ni_syscall, which stands for all that are not there, and what the compiler has cut off.
            unused = {"ni_syscall", *(name for name, other in _OTHERWISE.items() if other in found)}
            self._calls = {name: at for name, at in found.items() if name.isidentifier() and name not in unused}
        return self._calls

    def _target(self, point: ProbePoint) -> Target:
        return Target("", self._functions_of_calls()[point.target], 0)

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the arguments by the names that the call's tracepoint tells, or else by their numbers."""
        if self.returns:
            return self._plain_fields()
        told = self._arguments_of(point.target)
        return [self._argument(at, *one) for at, one in enumerate(told)] if told else self._plain_fields()

    def _plain_fields(self) -> Sequence[Field]:
        if self.returns:
            return returned_fields(user=False)[:1]
        plain = tuple(self._argument(at, f"arg{at}", "unsigned long") for at in range(6))
        return (*plain, *(self._argument(at, f"str{at}", "char *") for at in range(6)))

    def _field(self, points: Sequence[ProbePoint], name: str) -> Field:
        return known([*self.fields(points[0]), *self._plain_fields()], name, str(points[0]))

    def _arguments_of(self, name: str) -> list[_Told]:
        if name not in self._told:
            try:
                with Tracefs.open() as files:
                    text = files.read(f"events/syscalls/sys_enter_{name}/format")
            except (OSError, BpfctlError):  # CONFIG_FTRACE_SYSCALLS, or a call that has no arguments to tell
                text = ""
            found = (_Told(match["name"], match["type"]) for match in _FIELD.finditer(text))
            self._told[name] = [one for one in found if not one.name.startswith(("common_", "__"))]
        return self._told[name]

    def _argument(self, at: int, name: str, type_: str) -> Field:
        if is_text(type_):
            return string(name, partial(self._load, at, _WORD), user=True, told=type_)
        plain = _WORD if type_ == "unsigned long" and name == f"arg{at}" else syscall_number(type_)
        return number(name, partial(self._load, at, plain), plain, type_)

    def _load(self, at: int, type_: Integer, code: Code, register: Reg) -> None:
        """Load an argument by way of the first register of the function."""
        here = registers()
        code.ldx(8, register, CTX, here.at[here.arguments[0]])
        memory(code, register, here.at[_ARGUMENTS[here.machine][at]], type_)


class KretsyscallSource(KsyscallSource):
    """System calls as they end."""

    kind = "kretsyscall"
    summary = "system calls when they end, in the function that does them, by NAME"
    returns = True
