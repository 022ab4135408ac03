"""What the kernel is known to refuse to probe."""

from __future__ import annotations

import pytest

from bpfctl.attach.uprobe import is_probeable
from bpfctl.elf.image import EM_AARCH64, EM_X86_64


@pytest.mark.parametrize(
    ("code", "probeable"),
    [
        ("f3 0f 1e fa", True),  # endbr64
        ("55", True),  # push %rbp
        ("41 57", True),  # push %r15
        ("66 90", True),  # a nop of two bytes
        ("c5 f9 6e c6", False),  # vmovd %esi, %xmm0
        ("62 a1 fd 48 6f 04 24", False),  # with an EVEX prefix
        ("f0 83 07 01", False),  # lock addl $1, (%rdi)
        ("66 f0 83 07 01", False),
        ("f4", False),  # hlt
        ("cc", False),  # int3
        ("", True),
        ("66", True),
    ],
)
def test_instructions_of_x86(code, probeable):
    assert is_probeable(bytes.fromhex(code), EM_X86_64) is probeable


def test_other_machines_are_asked_themselves():
    assert is_probeable(bytes.fromhex("c5f96ec6"), EM_AARCH64)
