"""CO-RE relocations come to what libbpf makes of them, which bpftool prints with -d."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest

from btf import elf, relo_kind
from btf._core_spec import parse
from btf.ext import CoreRelo
from btf.read import BTF
from btf.relo import Resolver, Target
from tests.bpftool import peer
from tests.build.bpf_object import bpf_object
from tests.build.odd_types import odd_relos, odd_types
from tests.kernel.place import Place

VMLINUX = Path("/sys/kernel/btf/vmlinux")
SOURCE = Path(__file__).with_name("core_relo.bpf.c")
#: libbpf's words for the kinds (src/relo_core.c core_relo_kind_str).
KINDS = (
    "byte_off",
    "byte_sz",
    "field_exists",
    "signed",
    "lshift_u64",
    "rshift_u64",
    "local_type_id",
    "target_type_id",
    "type_exists",
    "type_size",
    "enumval_exists",
    "enumval_value",
    "type_matches",
)
ALL_BITS = (1 << 64) - 1


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """core_relo.bpf.c, compiled."""
    path = tmp_path_factory.mktemp("core") / "core_relo.o"
    subprocess.run(["clang", "-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c", SOURCE, "-o", path], check=True)
    return path


@pytest.fixture(scope="module")
def resolved(compiled):
    """The results for its relocations on this kernel, and the program's code."""
    data = compiled.read_bytes()
    image = elf.read(data)
    resolver = Resolver(image.btf, Target(BTF.from_bytes(VMLINUX.read_bytes())))
    relos = image.ext.core_relos["socket"]
    return image, [resolver.resolve(relo) for relo in relos], elf.sections(data, ["socket"])["socket"]


def debug(*args):
    """What libbpf says of each relocation, by its number, and whether bpftool was content."""
    answer = peer.run(peer.bpftools()[0], "-d", *args)
    said = {}
    for line in (answer.stdout + answer.stderr).decode(errors="replace").splitlines():
        found = re.fullmatch(r"libbpf: prog '.*?': relo #(\d+): (.*)", line)
        if found:
            said.setdefault(int(found[1]), []).append(found[2])
    return said, answer


def spell(btf, kind, spec):
    """A spec as libbpf spells it (src/relo_core.c bpf_core_format_spec)."""
    of = btf.type(spec.root)
    text = f"<{KINDS[kind]}> [{spec.root}] {type(of).__name__.lower()} {of.name}"
    if kind in relo_kind.TYPE:
        return text
    if kind in relo_kind.ENUMVAL:
        value = btf.type(btf.resolve(spec.root)).values[spec.raw[0]]
        return f"{text}::{value.name} = {value.val}"
    for position, (_, index, name) in enumerate(spec.path):
        text += f".{name}" if name is not None else f"[{index}]" if position or index else ""
    offset = f"{spec.bit_offset // 8}" + (f".{spec.bit_offset % 8}" if spec.bit_offset % 8 else "")
    return f"{text} ({':'.join(map(str, spec.raw))} @ offset {offset})"


def expected(local, result):
    """What libbpf says of a relocation, but for its patching of the instruction."""
    kind = result.relo.kind
    lines = [spell(local, kind, parse(local, result.relo))]
    if kind == relo_kind.TYPE_ID_LOCAL:
        return lines
    left = [one for one in result.candidates if not (one.refusal or "").startswith("is out ")]
    for number, one in enumerate(left):
        if one.spec is None:
            lines.append(f"non-matching candidate #{number}")
        else:
            lines.append(f"matching candidate #{number} {spell(one.btf, kind, one.spec)}")
    if all(one.spec is None for one in left):
        lines.append("no matching targets found")
    return lines


def decisions(lines):
    """libbpf's lines without what it does to instructions, and without how far it got on what does not match."""
    return [
        re.sub(r"(non-matching candidate #\d+).*", r"\1", line)
        for line in lines
        if not line.startswith(("patched insn", "substituting insn", "insn #"))
    ]


def test_values_on_this_kernel(compiled, resolved):
    """Each instruction of a compiled program is given our value, or poisoned where we say so."""
    _, results, code = resolved
    with Place() as place:
        said, answer = debug("prog", "load", str(compiled), str(place.bpffs / "core_relo"))

    assert answer.rc == 255, "no verifier accepts the program"
    assert set(range(len(results))) == set(said)
    for number, result in enumerate(results):
        loads = code[result.relo.insn_off] & 7 in (1, 2, 3)
        cannot = loads and result.size != result.local_size and not result.resizable
        patched = [
            re.match(r"patched insn #\d+ \(.*\) (?:imm|imm64|off) (\d+) -> (\d+)", line) for line in said[number]
        ]
        values = [(int(found[1]), int(found[2])) for found in patched if found]
        if result.poison or cannot:
            assert [] == values, result
            assert any("substituting insn" in line for line in said[number]), result
        else:
            ((old, new),) = values
            assert result.value & ALL_BITS == new, result
            assert result.local & ALL_BITS == old or not result.exact, result


def test_every_kind_is_asked_for(resolved):
    """The program has relocations of every kind that its compiler knows; clang knows TYPE_MATCHES since 15."""
    _, results, _ = resolved
    kinds = {result.relo.kind for result in results}

    assert set(range(len(KINDS))) - {relo_kind.TYPE_MATCHES} <= kinds
    assert {True, False} == {result.poison for result in results}
    assert not any(result.error for result in results)


def test_candidates_on_this_kernel(compiled, resolved, tmp_path):
    """Candidates, and the paths taken on them, are those of libbpf."""
    image, results, _ = resolved
    said, answer = debug("gen", "min_core_btf", str(VMLINUX), str(tmp_path / "out"), str(compiled))

    assert answer.rc == 0
    assert [expected(image.btf, result) for result in results] == [decisions(said[n]) for n in range(len(results))]


@pytest.mark.parametrize("seed", range(40))
def test_odd_types(seed, tmp_path):
    """Random types and relocations: the same candidates, paths and errors."""
    dice = random.Random(seed)
    builder, kernel = odd_types(dice, 25), odd_types(dice, 35)
    local, target = (BTF.from_bytes(each.build()) for each in (builder, kernel))
    relos = odd_relos(dice, local, 40)
    resolver = Resolver(local, Target(target))
    results = [resolver.resolve(CoreRelo(0, *relo[:3])) for relo in relos]
    wrong = [relo for relo, result in zip(relos, results, strict=True) if result.error]
    good = [relo for relo in relos if relo not in wrong]
    paths = [tmp_path / name for name in ("kernel.btf", "out.btf", "program.o")]
    paths[0].write_bytes(kernel.build())

    resolver = Resolver(local, Target(target))
    results = [resolver.resolve(CoreRelo(0, *relo[:3])) for relo in good]
    paths[2].write_bytes(bpf_object(builder, good))
    said, answer = debug("gen", "min_core_btf", *map(str, paths))
    # bpftool, not libbpf, may stop on the way: it does not know how to keep a forward declaration
    assert len(said) == len(good) or b"unsupported kind: fwd" in answer.stdout + answer.stderr
    assert [expected(local, result) for result in results[: len(said)]] == [decisions(lines) for lines in said.values()]

    resolver = Resolver(local, Target(target))
    for relo in [relo for relo in wrong if resolver.resolve(CoreRelo(0, *relo[:3])).error][:2]:
        paths[2].write_bytes(bpf_object(builder, [relo]))
        assert debug("gen", "min_core_btf", *map(str, paths))[1].rc != 0, relo
