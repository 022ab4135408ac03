"""What the kernel is known to refuse to probe."""

from __future__ import annotations

from errno import EINVAL
from types import SimpleNamespace

import pytest

from bpfctl.attach import uprobe
from bpfctl.attach.uprobe import is_probeable
from bpfctl.elf.image import EM_AARCH64, EM_ARM, EM_X86_64
from bpfctl.errors import KernelError


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


@pytest.mark.parametrize(
    ("code", "probeable"),
    [
        ("a9bf7bfd", True),  # stp x29, x30, [sp, #-16]!
        ("d503201f", True),  # nop
        ("d503233f", True),  # paciasp
        ("d50323bf", False),  # autiasp
        ("d503245f", True),  # bti c
        ("d503203f", False),  # yield
        ("d5033bbf", True),  # dmb ish
        ("d53bd040", True),  # mrs x0, tpidr_el0
        ("d53b4220", False),  # mrs x0, daif
        ("d51bd040", False),  # msr tpidr_el0, x0
        ("d50342df", False),  # msr daifset, #2
        ("d4000001", False),  # svc #0
        ("d4200000", False),  # brk #0
        ("90000000", True),  # adrp x0, .
        ("94000001", True),  # bl .+4
        ("54000040", True),  # b.eq .+8
        ("b4000040", True),  # cbz x0, .+8
        ("d61f0200", True),  # br x16
        ("d65f03c0", True),  # ret
        ("d65f0bff", False),  # retaa
        ("d71f0a11", False),  # braa x16, x17
        ("58000040", False),  # ldr x0, .+8
        ("98000040", False),  # ldrsw x0, .+8
        ("d8000040", False),  # prfm pldl1keep, .+8
        ("c85f7c01", False),  # ldxr x1, [x0]
        ("c8027c01", False),  # stxr w2, x1, [x0]
        ("c8dffc01", True),  # ldar x1, [x0]
        ("f8e10000", True),  # ldaddal x1, x0, [x0]
        ("19010440", False),  # cpyfp [x0]!, [x1]!, x2!
        ("", True),
    ],
)
def test_instructions_of_arm64(code, probeable):
    assert is_probeable(bytes.fromhex(code)[::-1], EM_AARCH64) is probeable


def test_what_arm64_refuses_is_found_in_the_file(tmp_path, monkeypatch):
    """Its kernel says EINVAL, which may mean anything else."""
    path = tmp_path / "code"
    path.write_bytes(bytes.fromhex("1f2003d5 007c5fc8"))  # nop; ldxr x0, [x0]
    error = OSError(EINVAL, "")
    monkeypatch.setattr(uprobe.os, "uname", lambda: SimpleNamespace(machine="aarch64"))

    assert str(uprobe._refused(str(path), [0, 4], error, None)).endswith(
        f"the instruction at {path}+0x4: it can't execute one of this kind elsewhere"
    )
    assert str(uprobe._refused(str(path), [0, 2], error, None)).endswith("+0x2: they begin at multiples of 4")
    assert isinstance(uprobe._refused(str(path), [0], error, None), KernelError)
    monkeypatch.setattr(uprobe.os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    assert isinstance(uprobe._refused(str(path), [0, 4], error, None), KernelError)


def test_other_machines_are_asked_themselves():
    assert is_probeable(bytes.fromhex("c5f96ec6"), EM_ARM)
