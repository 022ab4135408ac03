"""What the types of a kernel tell."""

from __future__ import annotations

from bpfctl.elf.read import read
from bpfctl.feature import by_type
from bpfctl.feature.answer import NO, UNKNOWN, YES
from bpfctl.feature.need import STRUCT_OPS, needs
from bpfctl.feature.types import Types
from btf.read import BTF
from btf.write import Builder
from tests.build.compiled import compiled


def kernel(*enumerators):
    """A kernel that lets programs be congestion control, and has some enumerators."""
    b = Builder()
    b.add_struct("bpf_struct_ops_tcp_congestion_ops", 0, [])
    b.add_enum("", [(name, at) for at, name in enumerate(enumerators)])
    return Types(BTF.from_bytes(b.build()))


def asked(name, known):
    (need,) = [one for one in needs(read(compiled(name))) if one.kind == STRUCT_OPS]
    return by_type.struct_ops(need, known).can


def test_structs_of_functions_and_their_links():
    """A struct that is to be linked wants a kernel with links for such structs (Linux 6.4)."""
    old, new = kernel("BPF_F_CLONE"), kernel("BPF_F_CLONE", "BPF_F_LINK")

    assert [asked("struct_ops", known) for known in (None, old, new)] == [UNKNOWN, YES, YES]
    assert [asked("struct_ops_link", known) for known in (None, old, new)] == [UNKNOWN, NO, YES]
    assert asked("struct_ops_missing", new) == NO
