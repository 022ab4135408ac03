"""Instructions know what extension they belong to."""

from __future__ import annotations

import pytest

from bpfctl.asm.insn import Insn
from bpfctl.feature import instructions, isa

# What has to do with maps has its programs elsewhere, and the number of a map in them.
CODE = {name: extension.code for name, extension in isa.EXTENSIONS.items()}
CODE |= {isa.CAST: instructions._casts(7).exit_().assemble("little")}
CODE |= {isa.GOTOX: instructions._jumps(7).exit_().assemble("little")}


@pytest.mark.parametrize("name", isa.EXTENSIONS)
def test_the_program_of_an_extension_uses_it_alone(name):
    found = {isa.extension(insn) for insn in Insn.decode_all(CODE[name], "little")}

    assert found == {"", name}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("b700000001000000", ""),  # r0 = 1
        ("0500000000000000", ""),  # goto +0
        ("1500000000000000", ""),  # if r0 == 0
        ("c500000000000000", isa.V2),  # if r0 s< 0
        ("1600000000000000", isa.V3),  # if w0 == 0
        ("0600000000000000", isa.V4),  # gotol +0
        ("db0af8ff00000000", ""),  # lock *(u64 *)(r10 - 8) += r0
        ("db0af8ffe1000000", isa.ATOMICS),  # r0 = xchg
        ("91a0f8ff00000000", isa.V4),  # r0 = *(s8 *)(r10 - 8)
        ("3700010002000000", isa.V4),  # r0 s/= 2
        ("d700000010000000", isa.V4),  # r0 = bswap16 r0
        ("d400000010000000", ""),  # r0 = le16 r0
        ("db0af8ff10010000", isa.ACQUIRE),  # store_release
        ("bf00010001000000", isa.CAST),
    ],
)
def test_instructions(code, name):
    assert isa.extension(Insn.decode(bytes.fromhex(code), "little")) == name
