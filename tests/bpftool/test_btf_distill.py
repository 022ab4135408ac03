"""btf.distill beside bpftool, which relocates a module's types to the base that it is given."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from btf import dump_raw, elf, types
from btf.distill import distill
from btf.merge import merge
from btf.read import BTF
from btf.subset import subset
from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST
from tests.build.bpf_object import PROGBITS
from tests.build.bpf_object import elf as elf_file

pytestmark = CURRENT


@pytest.mark.parametrize("seed", range(2))
def test_relocation(seed, tmp_path):
    """A module made over part of a kernel is dumped alike over another part that has what it needs."""
    vmlinux = BTF.from_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
    draw = random.Random(seed)
    structs = [each.id for each in vmlinux if isinstance(each, types.Struct) and each.name and len(each.members) < 5]
    drawn = draw.sample(structs, 400)
    base = BTF.from_bytes(subset(vmlinux, drawn[:200]))
    split = BTF.from_bytes(merge([BTF.from_bytes(subset(vmlinux, drawn[190:260]))], base).data, base)
    other = BTF.from_bytes(subset(vmlinux, drawn))
    small = distill(split)
    sections = [(".BTF", PROGBITS, 0, small.data, 0, 0, 0), (".BTF.base", PROGBITS, 0, small.base, 0, 0, 0)]
    module, kernel = tmp_path / "module.ko", tmp_path / "kernel"
    module.write_bytes(elf_file(sections))
    kernel.write_bytes(subset(vmlinux, drawn))

    theirs = peer.run(NEWEST, "-B", str(kernel), "btf", "dump", "file", str(module))
    mine = elf.read(module.read_bytes(), other).btf

    assert theirs == (0, "".join(dump_raw.text(mine)).encode(), b"")
    assert len(split) > 20
