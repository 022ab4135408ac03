"""What is known of an address: the function, and what that is part of."""

from __future__ import annotations

from typing import NamedTuple


class Frame(NamedTuple):
    """An address in words; names are as files and processes have them, and may hold anything.

    ``module`` is empty for the kernel proper and where nobody knows, ``[ext4]`` a module of the kernel, ``[bpf]`` code
    of BPF programs, ``[vdso]``, ``[jit]``, or the path of a file as the process sees it.
    """

    name: str  # of the function; empty where nobody knows it
    offset: int  # bytes behind the function's start; without a name behind the file's, and else the address
    module: str = ""

    def __str__(self) -> str:
        if self.name:
            return self.name
        if self.module:
            return f"{self.module.rpartition('/')[2]}+{self.offset:#x}"
        return f"{self.offset:#x}"
