"""btf.relo: which types of a kernel are meant, by name, and what they have to agree on."""

from __future__ import annotations

import pytest

from btf import relo_kind as kind
from btf.ext import CoreRelo
from btf.read import BTF
from btf.relo import Resolver, Target, _Index
from btf.write import Builder
from tests.unit.btf.relo_world import World, ask, btf, pair, values


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("s___x", "s"),
        ("s___x___y", "s___x"),
        ("s____x", "s____x"),
        ("___x", "___x"),
        ("s___x____y", "s"),
        ("a_b___c", "a_b"),
        ("s", "s"),
    ],
)
def test_flavours(name, plain):
    """What comes behind the last three underscores, no more and no fewer, does not count."""
    local, target = World(), World()
    s = local.add_struct(name, 4, [])
    target.add_struct(plain, 8, [])
    other = World()
    other.add_struct(f"{plain}___other", 8, [])

    assert [8] == values(ask(local, target, (s, "0", kind.TYPE_SIZE)))
    assert [8] == values(ask(local, other, (s, "0", kind.TYPE_SIZE)))


def test_underscores_at_the_end_are_no_flavour():
    """A flavour has a name."""
    local, target = World(), World()
    s = local.add_struct("s___", 4, [])
    target.add_struct("s", 8, [])

    assert [0] == values(ask(local, target, (s, "0", kind.TYPE_SIZE)))


def test_candidates_must_agree():
    """Several candidates are fine as long as it does not matter which; else the relocation is an error."""
    local, target = World(), World()
    s = local.add_struct("s", 4, [("a", local.int), ("b", local.int)])
    target.add_struct("s", 8, [("a", target.int), ("b", target.int, 32)])
    target.add_struct("s___2", 16, [("a", target.int), ("b", target.int, 64)])
    a, b, size = ask(local, target, (s, "0:0", 0), (s, "0:1", 0), (s, "0:1", 1))

    assert (0, None) == (a.value, a.error)
    assert 2 == len(a.candidates)
    assert "ambiguous: 4 by struct s [6] in vmlinux, 8 by struct s___2 [7] in vmlinux" == b.error
    assert "ambiguous: bit 32 by struct s [6] in vmlinux, bit 64 by struct s___2 [7] in vmlinux" == size.error


def test_a_candidate_that_failed_once_is_out():
    """All facts about one type of the program are to come from the same types of the kernel."""
    local, target = World(), World()
    s = local.add_struct("s", 4, [("a", local.int), ("b", local.int)])
    target.add_struct("s", 8, [("a", target.int)])
    target.add_struct("s", 8, [("b", target.int), ("a", target.int, 32)])
    both, only, a = ask(local, target, (s, "0:1", 2), (s, "0:1", 0), (s, "0:0", 0))

    assert [1, 0, 4] == values([both, only, a])
    assert "is out since the existence of struct s.b, as it has no member b" == a.candidates[0].refusal


def test_other_kinds_are_no_candidates():
    """A union is no struct; the reason says that there is one."""
    local, target = World(), World()
    s = local.add_struct("s", 4, [("a", local.int)])
    target.add_union("s___x", 4, [("a", target.int)])
    (found,) = ask(local, target, (s, "0:0", 0))

    assert found.poison
    assert "no struct s in vmlinux, only union s___x [6]" == found.reason


def test_modules_are_asked_when_vmlinux_has_no_candidate():
    """Modules are read when they are needed; types of vmlinux come first."""
    kernel = World()
    kernel.add_struct("s", 4, [("a", kernel.int)])
    vmlinux = btf(kernel)
    module = World(base=vmlinux)
    m = module.add_struct("m", 8, [("a", 1, 32)])
    module.add_struct("s", 8, [("a", 1, 32)])
    read = []

    def modules():
        for name in ("nf", "xt"):
            read.append(name)
            yield name, btf(module, vmlinux)

    local = World()
    mine = local.add_struct("s", 4, [("a", local.int)]), local.add_struct("m", 4, [("a", local.int)])
    gone = local.add_struct("gone", 4, [])
    target = Target(vmlinux, modules())

    assert [0] == values(ask(local, target, (mine[0], "0:0", 0)))
    assert [] == read
    found, where, nothing = ask(local, target, (mine[1], "0:0", 0), (mine[1], "0", 7), (gone, "0", 8))
    assert [4, m, 0] == values([found, where, nothing])
    assert ["nf", "xt"] == read == [candidate.where for candidate in found.candidates]
    assert "no struct gone in vmlinux, nf, xt" == nothing.reason


def test_the_same_question_has_the_same_answer():
    """An answer is computed once; each relocation keeps its place."""
    local, target, s = pair(lambda w: [("a", w.int)], lambda w: [("a", w.int, 32)])
    resolver = Resolver(btf(local), Target(btf(target)))
    first, second = (resolver.resolve(CoreRelo(offset, s, "0:0", 0)) for offset in (0, 64))

    assert (0, 64) == (first.relo.insn_off, second.relo.insn_off)
    assert first[1:] == second[1:]


def test_types_are_found_with_and_without_an_index():
    """The first few types are looked for one by one, later ones in an index: flavours and all, the same ids."""
    b = Builder()
    names = [
        "task",
        "task___old",
        "task___",
        "task___a___b",
        "___task",
        "tasks___old",
        "x_task___old",
        "task__",
        "other",
    ]
    for name in names * 2:
        b.add_struct(name, 0, [])
    index = _Index("vmlinux", BTF.from_bytes(b.build()))
    wanted = ["task", "___task", "tasks", "x_task", "task__", "other", "none", "tas"]
    first = {name: index.ids(name) for name in wanted}

    assert first == {name: index.ids(name) for name in wanted}
    assert first["task"] == [1, 2, 10, 11]
    assert first["none"] == first["tas"] == []
