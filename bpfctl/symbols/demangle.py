"""Names of functions as people write them: of C++ and Rust; those of C and Go are so already."""

from __future__ import annotations

import os
import re
import sys
from typing import IO, TYPE_CHECKING

from bpfctl._sys.fd import Closing
from bpfctl.elf import cxx
from bpfctl.symbols import rust

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator

_CXX = re.compile(r"(_Z[\w$]+)((?:\.[\w.]+)?)", re.ASCII)  # behind a dot is what the compiler made of a function
_MANGLED = ("_Z", "_R", "__ZN")
_LONGEST = 1 << 10  # bytes, of which the demangler of GCC takes no more anyway
_BATCH = 32 << 10  # bytes of names, which a pipe has room for
_MOST = 1 << 16  # names that are kept
_MOST_FAULTS = 8  # of that process, until names stay as they are


class Demangler(Closing):
    """Makes names readable. What libstdc++ cannot do, or is not there for, stays as the linker has it.

    Its demangler runs in a process of its own, which is started for the first name of C++: `_demangler` says why.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._faults = 0
        self._known: dict[str, str] = {}

    def __call__(self, symbol: str) -> str:
        """Return a name as people write it."""
        if not symbol.startswith(_MANGLED):
            return symbol
        if symbol not in self._known:
            self.expect([symbol])
        return self._known[symbol]

    def expect(self, symbols: Iterable[str]) -> None:
        """Make names readable that are asked for next: several at once cost little more than one."""
        if len(self._known) >= _MOST:
            self._known.clear()
        new = [symbol for symbol in symbols if symbol.startswith(_MANGLED) and symbol not in self._known]
        of_cxx: dict[str, re.Match[str]] = {}
        for symbol in new:
            found = _CXX.fullmatch(symbol) if len(symbol) <= _LONGEST else None
            self._known[symbol] = rust.plain(symbol) or symbol
            if found is not None and self._known[symbol] == symbol:
                of_cxx[symbol] = found
        names: dict[str, str] = {}
        for batch in _batches(dict.fromkeys(found[1] for found in of_cxx.values())):
            names |= self._asked(batch)
        for symbol, found in of_cxx.items():
            name = names.get(found[1]) or cxx.plain(found[1])
            self._known[symbol] = name + found[2] if name else symbol

    def _asked(self, symbols: list[str]) -> dict[str, str]:
        """Return the names of symbols, as far as there are any: at some the other process ends."""
        if self._faults >= _MOST_FAULTS:
            return {}
        try:
            to, back = _pipes(self._process or self._started())
            to.write("".join(f"{symbol}\n" for symbol in symbols).encode() + b"\n")
            to.flush()
            lines = [back.readline() for _ in symbols]
        except (OSError, ValueError):  # it has ended, or could not begin
            lines = [b""]
        except BaseException:  # such as Ctrl-C: what is not read yet would be the answer to the next question
            self.close()
            raise
        if lines[-1].endswith(b"\n"):
            return {symbol: line[:-1].decode("utf-8", "replace") for symbol, line in zip(symbols, lines, strict=True)}
        self._faults += 1
        self.close()
        found: dict[str, str] = {}
        for symbol in symbols if len(symbols) > 1 else ():
            found |= self._asked([symbol])
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        import subprocess  # noqa: PLC0415 - few programs are of C++

        command = [sys.executable or "python3", "-I", "-S", *_demangler()]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, start_new_session=True, **pipes)  # type: ignore[call-overload]
        if not _pipes(self._process)[1].readline():  # there is no libstdc++
            self._faults = _MOST_FAULTS
            raise ValueError(command)
        return self._process

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in _pipes(process):
                try:
                    pipe.close()
                except OSError:  # what is left to write has nobody who reads it
                    continue
            process.wait()


def _batches(symbols: Iterable[str]) -> Iterator[list[str]]:
    batch, size = list[str](), 0
    for symbol in symbols:
        if size + len(symbol) >= _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(symbol)
        size += len(symbol) + 1
    if batch:
        yield batch


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    to, back = process.stdin, process.stdout
    if to is None or back is None:
        raise ValueError("it has no pipes")
    return to, back


def _demangler() -> list[str]:
    """Return what Python is to run: the file, or its text where we are in an archive."""
    path = __file__.replace("demangle.py", "_demangler.py")
    if os.path.exists(path):
        return [path]
    from importlib.resources import files  # noqa: PLC0415 - files are the rule

    return ["-c", (files("bpfctl.symbols") / "_demangler.py").read_text(encoding="utf-8")]
