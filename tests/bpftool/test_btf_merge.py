"""btf.merge beside bpftool's linker, which puts the types of objects together by libbpf's btf__dedup."""

from __future__ import annotations

import random
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from btf import elf, types
from btf.dump_c import header
from btf.merge import merge
from btf.read import BTF
from btf.subset import map_ids, references
from btf.write import Builder
from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST
from tests.build.bpf_object import PROGBITS, STRTAB, SYMTAB
from tests.build.bpf_object import elf as elf_file

pytestmark = CURRENT


def linked(blobs, directory):
    """What bpftool makes of objects that have BTF and nothing else."""
    files = [directory / f"{number}.o" for number in range(len(blobs))]
    for path, blob in zip(files, blobs, strict=True):
        symbols = (".symtab", SYMTAB, 0, bytes(24), 2, 1, 24)
        path.write_bytes(
            elf_file([symbols, (".strtab", STRTAB, 0, b"\0", 0, 0, 0), (".BTF", PROGBITS, 0, blob, 0, 0, 0)])
        )
    return by_bpftool(files, directory)


def by_bpftool(files, directory):
    answer = peer.run(NEWEST, "gen", "object", str(directory / "out.o"), *map(str, files))
    assert not answer.rc, answer.stderr
    return elf.read((directory / "out.o").read_bytes()).btf


def ours(blobs):
    return BTF.from_bytes(merge([BTF.from_bytes(blob) for blob in blobs]).data)


@cache
def vmlinux():
    return BTF.from_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())


def unit(btf, roots, known):
    """A unit of compilation that defines ``roots`` and structs of ``known`` names, and announces the others."""
    needed, waiting = {}, list(roots)
    while waiting:
        type_id = waiting.pop()
        if type_id in needed:
            continue
        found = btf.type(type_id)
        if isinstance(found, types.Struct | types.Union) and found.name and type_id not in roots | known:
            found = types.Fwd(type_id, found.name, isinstance(found, types.Union))
        needed[type_id] = found
        waiting += references(found)
    numbers = {old: new for new, old in enumerate(sorted(needed), 1)} | {0: 0}
    builder = Builder()
    for type_id in sorted(needed):
        builder.add_type(map_ids(needed[type_id], numbers.__getitem__))
    return builder.build()


@pytest.mark.parametrize("seed", range(3))
def test_units_of_the_kernel(seed, tmp_path):
    """Five units that know different parts of the kernel become the same types, in the same order."""
    draw = random.Random(seed)
    structs = [each.id for each in vmlinux() if isinstance(each, types.Struct | types.Union) and each.name]
    pool, share = draw.sample(structs, 40), draw.random()
    blobs = [
        unit(vmlinux(), set(draw.sample(pool, 12)), set(draw.sample(structs, int(share * len(structs)))))
        for _ in range(5)
    ]

    theirs, mine = linked(blobs, tmp_path), ours(blobs)

    assert list(theirs) == list(mine)
    assert sorted(theirs.strings.split(b"\0")) == sorted(mine.strings.split(b"\0"))


def test_the_company_an_announcement_keeps(tmp_path):
    """bpftool too finds which of two structs of a name is meant, by the struct that mentions it."""
    blobs = []
    for size in (4, 8, None):
        b = Builder()
        target = b.add_fwd("x") if size is None else b.add_struct("x", size, [])
        b.add_struct("user", 8, [("x", b.add_ptr(target)), *([("y", target, 64)] if size == 4 else [])])
        blobs.append(b.build())

    theirs, mine = linked(blobs, tmp_path), ours(blobs)

    assert list(theirs) == list(mine)
    assert [types.Struct, types.Struct] == [type(each) for each in mine.find_all("x")]


def test_what_clang_makes(tmp_path):
    """Twenty programs over vmlinux.h: the same types, but for variables and sections, which a linker joins."""
    structs = [each for each in vmlinux() if isinstance(each, types.Struct) and re.fullmatch(r"\w+", each.name)]
    names = Counter(each.name for each in structs)
    draw = random.Random(20)
    chosen = draw.sample([each for each in structs if names[each.name] == 1], 100)
    roots = [vmlinux().find("task_struct", types.Struct).id, *(each.id for each in chosen)]
    (tmp_path / "vmlinux.h").write_text("".join(header(vmlinux(), roots=roots)))
    files = []
    for number in range(20):
        users = "\n".join(
            f"unsigned long use_{each.name}(struct {each.name} *p) {{ return sizeof(*p) + (unsigned long)p; }}"
            for each in chosen[number::20]
        )
        source = tmp_path / f"{number}.c"
        source.write_text(f"""
            #include "vmlinux.h"
            struct local {{ {"int" if number % 2 else "long"} a; struct task_struct *task; struct only_here *rest; }};
            {"struct only_here { struct local *back; };" if number % 5 == 0 else "struct only_here;"}
            static long count;
            long count_{number}(struct local *l, struct only_here *o) {{ return l->a + count++; }}
            {users}
        """)
        files.append(source.with_suffix(".o"))
        subprocess.run(
            ["clang", "-target", "bpf", "-g", "-O2", "-w", "-c", source, "-o", files[-1]], check=True, cwd=tmp_path
        )
    blobs = [elf.read(path.read_bytes()).btf for path in files]

    theirs, mine = by_bpftool(files, tmp_path), BTF.from_bytes(merge(blobs).data)

    assert shapes(theirs) == shapes(mine)
    assert len(mine) < sum(map(len, blobs)) * 2 / 3


def shapes(btf):
    """All types but variables and sections, without ids."""
    return sorted(
        repr(map_ids(each, lambda target: 0 if not target else btf.kind(target))._replace(id=0))
        for each in btf
        if not isinstance(each, types.Var | types.Datasec)
    )
