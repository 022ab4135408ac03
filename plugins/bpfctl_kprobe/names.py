"""Which functions the kernel has, and what a target means."""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import (
    BpfctlError,
    KernelSymbols,
    KprobePlace,
    NotFound,
    Tracefs,
    UsageError,
    chosen,
    is_pattern,
    protected_functions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_TARGET = re.compile(
    r"(?:(?P<module>\w+):)?(?P<symbol>[\w.$]+)(?:\+(?P<offset>0x[0-9a-fA-F]{1,16}|0|[1-9]\d{0,18}))?"
    r"(?:,maxactive=(?P<active>\d{1,9}))?$",
    re.ASCII,
)
_MOST_ACTIVE = 4096  # KRETPROBE_MAXACTIVE_MAX in kernel/trace/trace_kprobe.c
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}$")
#: Stands for a place in code that was thrown away (FTRACE_INVALID_FUNCTION in include/linux/ftrace.h).
_NO_ADDRESS = "__ftrace_invalid_address___"
#: Padding before a function (tools/objtool/elf.c), and where a static call jumps (STATIC_CALL_TRAMP_PREFIX).
_NO_FUNCTIONS = ("__pfx_", "__SCT__")
# What compilers append to the name of a function that they have changed, or cut off of it.
_CLONE = re.compile(r"\.(isra|constprop|part|cold|llvm|lto_priv)\b")


class Target(NamedTuple):
    """A place as a user names it; an address has no symbol."""

    module: str
    symbol: str
    offset: int
    maxactive: int = 0  # calls that are followed until they return; 0: as many as the kernel thinks fit

    @classmethod
    @cache
    def parse(cls, target: str) -> Target:
        """Return what a target means; UsageError where it means nothing."""
        if target.isascii() and target.isidentifier():  # a plain name, as most are
            return cls("", target, 0)
        if _ADDRESS.match(target):
            return cls("", "", int(target, 16))
        found = _TARGET.match(target)
        if found is None:
            raise UsageError(f"'{target}' should be [MODULE:]SYMBOL[+OFFSET] or 0xADDRESS")
        if found["active"] and not 0 < int(found["active"]) <= _MOST_ACTIVE:
            raise UsageError(f"'{target}': maxactive is a number from 1 to {_MOST_ACTIVE}")
        module = "" if found["module"] == "vmlinux" else found["module"] or ""
        return cls(module, found["symbol"], int(found["offset"] or "0", 0), int(found["active"] or 0))

    @property
    def is_entry(self) -> bool:
        """Whether this is where a function begins."""
        return bool(self.symbol) and not self.offset

    def place(self, cookie: int) -> KprobePlace:
        """Return the place to attach to, where the program is told this number."""
        symbol = f"{self.module}:{self.symbol}" if self.module else self.symbol
        return KprobePlace(symbol, self.offset, cookie, self.maxactive)


class Functions:
    """The functions of the running kernel, read when first asked for."""

    def __init__(self, is_typed: Callable[[str], bool]) -> None:
        self._is_typed = is_typed  # whether the types of the kernel tell of a function
        self._symbols = KernelSymbols()
        self._traceable: list[str] | None = None
        self._of_modules: dict[str, str] | None = None

    def chosen(self, target: str) -> list[str]:
        """Return the targets that one with wildcards matches; of one without, itself, if it is there."""
        if is_pattern(target):
            pattern, comma, option = target.partition(",")
            found = chosen(self.matching(pattern), pattern, "function of the kernel")
            return [f"{name}{comma}{option}" for name in found]
        parsed = Target.parse(target)
        if parsed.symbol:
            self._check(parsed, target)
        return [target]

    def module(self, target: Target) -> str:
        """Return the module that a function is of, empty for the kernel proper."""
        if target.module:
            return target.module
        if self._of_modules is None:
            if self._traceable is None and self._symbols.address(target.symbol):  # one name is found at once
                return ""
            self._of_modules = {name: module for name, module in self._symbols.functions() if module}
        return self._of_modules.get(target.symbol, "")

    def matching(self, pattern: str) -> list[str]:
        """Return the names of the functions that can be traced and match, those of modules as MODULE:SYMBOL.

        Those that several functions have are left out, as a name alone means none of them then.
        """
        found = Counter(filter(re.compile(translate(pattern)).match, self._names()))
        protected = protected_functions() if found else frozenset()
        return sorted(
            name
            for name, times in found.items()
            if times == 1 and name.rpartition(":")[2] not in protected and not name.startswith(_NO_ADDRESS)
        )

    def _names(self) -> list[str]:
        """Return the names of all places that can be traced, as the kernel has them; there are some 50,000."""
        if self._traceable is None:
            try:
                with Tracefs.open() as files:
                    text = files.read("available_filter_functions")
            except (OSError, BpfctlError):  # no tracefs, or no ftrace in this kernel: then every function is tried
                every = (one for one in self._symbols.functions() if not one[0].startswith(_NO_FUNCTIONS))
                self._traceable = [f"{module}:{name}" if module else name for name, module in every]
            else:
                end = text.rfind("\n", 0, text.find(" [")) + 1  # of those of the kernel proper, which come first
                modules = map(_of_module, text[end:].splitlines())
                self._traceable = [*text[:end].splitlines(), *modules]
        return self._traceable

    def _check(self, target: Target, text: str) -> None:
        """Raise the reason why a name is none of a function, or of several."""
        symbol = target.symbol
        addresses = self._symbols.addresses(symbol, target.module)
        if len(addresses) > 1:
            where = ", ".join(f"{address:#x}" for address in addresses if address)
            one = f"the address of one{where and f': {where}'}"
            raise UsageError(f"{len(addresses)} functions are called '{text}': name {one}")
        if addresses:
            return
        every = list(self._symbols.functions())
        if not every:
            return  # the names are kept from us; the kernel knows them
        there = {module for name, module in every if name == symbol}
        if there:
            module = there.pop()
            raise NotFound(f"'{symbol}' is a function of {f'module {module}' if module else 'the kernel itself'}")
        clones = sorted({name for name, _ in every if name.startswith(f"{symbol}.") and _CLONE.search(name)})
        if clones:
            raise NotFound(f"there is no function '{text}': the compiler has made {' and '.join(clones)} of it")
        if self._symbols.has(symbol):
            raise NotFound(f"'{symbol}' is a variable of the kernel, no function")
        if self._is_typed(symbol):
            raise NotFound(
                f"function '{text}' has no code of its own: the compiler has put it into its callers, or the kernel "
                "has thrown it away after its start"
            )
        chosen({name for name, _ in every}, symbol, "function of the kernel")

    def location(self, target: Target) -> dict[str, int | str]:
        """Return the function that a target is in, and where that is for those who may know."""
        if not target.symbol:
            return {"address": target.offset}
        found: dict[str, int | str] = {"function": target.symbol}
        module = self.module(target)
        if module:
            found["module"] = module
        addresses = self._symbols.addresses(target.symbol, module)
        if len(addresses) == 1 and addresses[0]:
            found["address"] = addresses[0] + target.offset
        return found

    def obstacle(self, target: Target) -> str:
        """Return why the kernel refuses a probe at a function; empty where nothing tells."""
        if target.symbol in protected_functions():
            return "the kernel protects it from probes: they would run into themselves"
        here = {target.symbol, f"{self.module(target)}:{target.symbol}"}
        if target.is_entry and self._symbols.has(target.symbol) and here.isdisjoint(self._names()):
            return "the kernel keeps tracers out of it (notrace)"
        return ""


def _of_module(line: str) -> str:
    """Return what a line about a function means, NAME or NAME [MODULE]."""
    name, _, module = line.partition(" [")
    return f"{module[:-1]}:{name}" if module else name
