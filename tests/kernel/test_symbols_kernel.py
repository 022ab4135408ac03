"""Names of addresses in the running kernel: its own functions, those of modules, and BPF programs."""

from __future__ import annotations

import os
from collections import defaultdict
from itertools import pairwise
from struct import pack

import pytest

from bpfctl.symbols.kernel import Kernel
from tests.kernel import client

SOCKET_FILTER = 1
#: r0 = 7; exit
SEVEN = pack("<BBhiBBhi", 0xB7, 0, 0, 7, 0x95, 0, 0, 0)


@pytest.fixture
def known():
    """The names of each address, as the kernel tells them."""
    names = defaultdict(list)
    with open("/proc/kallsyms", encoding="ascii") as file:
        for address, _, name, *module in map(str.split, file):
            names[int(address, 16)].append((name, module[0] if module else ""))
    return names


def test_functions(known):
    """What begins at an address has one of its names, down to the byte before the next."""
    kernel = Kernel()
    first = next(address for address, names in known.items() if ("_stext", "") in names)
    addresses = [address for address in sorted(known) if address >= first and known[address][0][1] != "[bpf]"]
    some = [*pairwise(addresses)][:: len(addresses) // 2000]  # those of BPF come and go

    assert len(some) > 1000
    for start, end in some:
        if end - start < 1 << 16:
            name, offset, module = kernel.frame(end - 1)
            assert (name, module) in known[start]
            assert offset == end - 1 - start


def test_alike(known):
    """Inside of a function it is the same as at its beginning, and a call at its end is its own."""
    kernel = Kernel()
    start = next(address for address, names in known.items() if ("vfs_read", "") in names)
    inside, caller = kernel.frame(start + 5), kernel.frames([start, start + 9])[1]

    assert kernel.frame(start).name == "vfs_read"
    assert inside == ("vfs_read", 5, "")
    assert caller == ("vfs_read", 9, "")


def test_program():
    """One that was loaded after the first look is known, by its tag and name."""
    kernel = Kernel()
    assert kernel.frame(0).name == ""
    name = client.own("told")
    fd = client.prog_load(SOCKET_FILTER, SEVEN, name=name)
    try:
        with open("/proc/kallsyms", encoding="ascii") as file:
            line = next(line.split() for line in file if f"_{name}\t[bpf]" in line)
        kernel.turn()
        frame = kernel.frame(int(line[0], 16) + 2)

        assert frame == (line[2], 2, "[bpf]")
        assert frame.name.startswith("bpf_prog_")
    finally:
        os.close(fd)
