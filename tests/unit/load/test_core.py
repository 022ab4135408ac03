"""CO-RE relocations put into instructions, for a kernel whose types are made up here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bpfctl.asm.insn import BPF_DW, BPF_H, BPF_LDX, BPF_MEM, BPF_W
from bpfctl.elf.read import read
from bpfctl.errors import NotSupported, ObjectError
from bpfctl.feature.types import Types
from bpfctl.load.core import POISON, apply
from btf.read import BTF
from btf.types import SIGNED
from btf.write import Builder
from tests.build.compiled import source

TEXT = """
#include "bpf.h"
struct task {
	u32 pid;
	s32 number;
	u64 *next;
} CORE;
enum kind { KIND_OURS = 3 };
SEC("tp_btf/sched_switch") int switched(u64 *context)
{
	struct task *task = (void *)context[0];

	return %s;
}
LICENSE("GPL");
"""
LDX = BPF_LDX | BPF_MEM


def kernel(width=8, at=24):
    """A kernel that has the members in other places, and with other sizes."""
    made = Builder()
    unsigned, signed = made.add_int("u", width), made.add_int("s", width, encoding=SIGNED)
    pointer = made.add_ptr(0)
    members = [("next", pointer, 0), ("pid", unsigned, 8 * at), ("number", signed, 8 * (at + 8))]
    made.add_struct("task", at + 16, members)
    made.add_enum("kind", [("KIND_NEW", 3), ("KIND_OURS", 70_000)])
    return SimpleNamespace(types=Types(BTF.from_bytes(made.build())))


def patched(expression, here):
    spec = read(source(TEXT % expression))
    before = spec.code["tp_btf/sched_switch"].insns
    after = apply(spec, here)["tp_btf/sched_switch"]
    assert len(before) == len(after)
    return [new for old, new in zip(before, after, strict=True) if old != new]


def test_another_place():
    (insn,) = patched("task->pid", kernel(width=4))

    assert (insn.opcode, insn.off) == (LDX | BPF_W, 24)


def test_another_size():
    """What has no sign, and pointers, are read as wide as they are there."""
    (insn,) = patched("task->pid", kernel())
    (pointer,) = patched("task->next != 0", kernel())

    assert (insn.opcode, insn.off) == (LDX | BPF_DW, 24)
    assert (pointer.opcode, pointer.off) == (LDX | BPF_DW, 0)


def test_another_size_of_what_has_a_sign():
    """It would be another number."""
    assert patched("task->number", kernel()) == [POISON]


def test_facts():
    here = kernel()

    assert [insn.imm for insn in patched("__builtin_preserve_field_info(task->pid, 0)", here)] == [24]
    assert [insn.imm for insn in patched("__builtin_preserve_field_info(task->pid, 1)", here)] == [8]
    assert [insn.imm for insn in patched("__builtin_preserve_enum_value(*(enum kind *)KIND_OURS, 1)", here)] == [70_000]


@pytest.mark.parametrize("type_", ["struct gone { int one; } CORE;"])
def test_a_type_that_is_gone(type_):
    text = TEXT.replace("enum kind", f"{type_}\nenum kind")
    spec = read(source(text % "((struct gone *)task)->one"))

    assert POISON in apply(spec, kernel())["tp_btf/sched_switch"]


def test_too_far():
    with pytest.raises(NotSupported, match="is 40000, which is farther than an instruction reaches"):
        patched("task->pid", kernel(at=40_000))


def test_too_wide():
    """An integer may have more bytes there than any instruction moves."""
    with pytest.raises(NotSupported, match=r"struct task.pid leads to 16 bytes, which no instruction moves at once"):
        patched("task->pid", kernel(width=16))


def damaged(**members):
    """An object whose only relocation is of an instruction that was changed behind the compiler's back."""
    spec = read(source(TEXT % "task->pid"))
    (code,), (rows,) = spec.code.values(), spec.ext.core_relos.values()
    at = rows[0].insn_off // 8
    insns = (*code.insns[:at], code.insns[at]._replace(**members), *code.insns[at + 1 :])
    return spec._replace(code=dict.fromkeys(spec.code, code._replace(insns=insns)))


def test_a_part_of_a_member():
    """Half of a number is not all of a wider one; libbpf refuses it too."""
    with pytest.raises(ObjectError, match="moves more or fewer bytes than the object's types have"):
        apply(damaged(opcode=LDX | BPF_H), kernel())


def test_what_the_instruction_does_not_hold():
    """An instruction that has another number in it than the types tell is not the one that is meant."""
    with pytest.raises(ObjectError, match="has 12 in it, where the object's types have 0: byte offset"):
        apply(damaged(off=12), kernel())


def test_programs_that_are_not_loaded():
    """What cannot be relocated there is of no interest; nobody is to get there either."""
    text = TEXT.replace('SEC("tp_btf', 'SEC("?tp_btf')
    (insns,) = apply(read(source(text % "task->pid")), kernel(at=40_000)).values()

    assert insns.count(POISON) == 1


def test_no_types():
    with pytest.raises(NotSupported, match="the kernel does not tell its types"):
        patched("task->pid", SimpleNamespace(types=None))


def test_nothing_to_relocate():
    """Then the kernel's types are not even read."""
    spec = read(source('#include "bpf.h"\nSEC("tc") int classify(void *c) { return 0; }'))

    assert apply(spec, None) == {"tc": list(spec.code["tc"].insns)}
