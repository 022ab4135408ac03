"""Names of functions as people write them: of C++ and Rust; those of C and Go are so already."""

from __future__ import annotations

import re
import sys
from typing import IO, TYPE_CHECKING

from bpfctl._sys.fd import Closing
from bpfctl.elf import cxx
from bpfctl.symbols import rust

if TYPE_CHECKING:
    import subprocess

_CXX = re.compile(r"(_Z[\w$]+)((?:\.[\w.]+)?)")  # behind a dot is what the compiler made of a function
_LONGEST = 1 << 10  # of which the demangler of GCC takes no more anyway
_MOST_FAULTS = 4


class Demangler(Closing):
    """Makes names readable. What libstdc++ cannot do, or is not there for, stays as the linker has it.

    Its demangler runs in a process of its own, which is started for the first name of C++: `_demangler` says why.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._faults = 0

    def __call__(self, symbol: str) -> str:
        """Return a name as people write it."""
        if not symbol.startswith(("_Z", "_R", "__ZN")):
            return symbol
        return rust.plain(symbol) or self._cxx(symbol) or symbol

    def _cxx(self, symbol: str) -> str:
        found = _CXX.fullmatch(symbol)
        if found is None or len(symbol) > _LONGEST:
            return ""
        name = self._asked(found[1]) or cxx.plain(found[1])
        return name + found[2] if name else ""

    def _asked(self, symbol: str) -> str:
        if self._faults >= _MOST_FAULTS:
            return ""
        try:
            process = self._process or self._started()
            to, back = _pipes(process)
            to.write(symbol.encode() + b"\n")
            to.flush()
            line = back.readline()
            if line.endswith(b"\n"):
                return line[:-1].decode("utf-8", "replace")
        except (OSError, ValueError):  # it has ended, or could not begin
            line = b""
        self._faults += 1
        self.close()
        return ""

    def _started(self) -> subprocess.Popen[bytes]:
        import subprocess  # noqa: PLC0415 - few programs are of C++

        command = [sys.executable, "-I", "-S", _demangler_path()]
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


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    to, back = process.stdin, process.stdout
    if to is None or back is None:
        raise ValueError("it has no pipes")
    return to, back


def _demangler_path() -> str:
    return __file__.replace("demangle.py", "_demangler.py")
