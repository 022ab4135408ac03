"""What differs between two programs, beside what every difference must be."""

from __future__ import annotations

from difflib import SequenceMatcher
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm import diff as room
from bpfctl.asm.diff import Item, Step, align, diff

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

KEYS = st.lists(st.sampled_from("abcdefgh"), max_size=40)


def longest(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Return how much two sequences have in common at most, by the table that everyone knows."""
    row = [0] * (len(second) + 1)
    for one in first:
        before = row[:]
        for at, other in enumerate(second):
            row[at + 1] = before[at] + 1 if one == other else max(row[at], before[at + 1])
    return row[-1]


def valid(first: Sequence[Hashable], second: Sequence[Hashable], pairs: list[tuple[int, int]]) -> None:
    """Pairs are of what is the same, and in the order of both."""
    assert all(first[one] == second[other] for one, other in pairs)
    for side in range(2):
        places = [pair[side] for pair in pairs]
        assert places == sorted(set(places))


@given(KEYS, KEYS)
def test_any_two(first: list[str], second: list[str]) -> None:
    """Pairs keep their order; what is put in or taken out alone leaves all the rest."""
    valid(first, second, align(first, second))
    both = first + second
    assert len(align(first, both)) == len(align(both, first)) == len(first)


@given(KEYS, KEYS)
def test_without_anchors_it_is_the_shortest(first: list[str], second: list[str]) -> None:
    """Where each instruction comes more than once, as many as can be are the same."""
    first, second = first * 2, second * 2
    pairs = list(room._shortest([*map(ord, first)], [*map(ord, second)], (0, 0)))

    valid(first, second, sorted(pairs))
    assert len(pairs) == longest(first, second)


@given(KEYS, KEYS)
def test_long_differences_are_looked_for_in_pieces(first: list[str], second: list[str]) -> None:
    """Then it is not the shortest, but one."""
    before, room._LONG = room._LONG, 2
    try:
        valid(first * 3, second * 3, align(first * 3, second * 3))
    finally:
        room._LONG = before


def test_what_both_have_once_comes_first() -> None:
    """It is the same, though without it more would be."""
    assert [(0, 3)] == align("xaaa", "aaax")


@given(st.permutations(range(12)))
def test_as_many_as_can_be_of_what_both_have_once(second: list[int]) -> None:
    """Those that come in the same order in both."""
    pairs = align(range(12), second)

    valid(range(12), second, pairs)
    assert len(pairs) == longest(range(12), second)


def test_behind_what_both_have_once() -> None:
    """What follows it at another place is found there."""
    assert [(0, 1), (2, 2), (3, 3), (4, 4)] == align("xabab", "cxbaba")


def test_two_large_ones_that_have_little_in_common() -> None:
    """Twenty thousand instructions take a moment, not minutes; difflib finds less or takes much longer."""
    rng = Random(1)
    first, second = (["".join(rng.choices("abcd", k=2)) for _ in range(20_000)] for _ in range(2))
    pairs = align(first, second)

    valid(first, second, pairs)
    assert len(pairs) > 7000


def test_beside_difflib() -> None:
    """A program with a few changes."""
    rng = Random(2)
    first = [str(rng.randrange(300)) for _ in range(2000)]
    second = [key for key in first if rng.random() > 0.02]
    for _ in range(30):
        second.insert(rng.randrange(len(second)), "new")
    found = sum(block.size for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks())

    assert len(align(first, second)) >= found


def test_a_jump_over_something_new_is_the_same() -> None:
    """It leads to the same instruction, though further away."""
    first = [Item("jump", 2), Item("a"), Item("exit")]
    second = [Item("jump", 3), Item("a"), Item("new"), Item("exit")]

    assert [Step(0, 0), Step(1, 1), Step(None, 2), Step(2, 3)] == diff(first, second)


def test_a_jump_to_another_place_is_another() -> None:
    """All else is the same."""
    first = [Item("jump", 1), Item("a"), Item("exit")]
    second = [Item("jump", 2), Item("a"), Item("exit")]

    assert [Step(0, None), Step(None, 0), Step(1, 1), Step(2, 2)] == diff(first, second)


def test_a_jump_to_what_is_replaced_is_the_same() -> None:
    """The place is, though another instruction stands there."""
    first = [Item("jump", 2), Item("a"), Item("old"), Item("exit")]
    second = [Item("jump", 2), Item("a"), Item("new"), Item("exit")]

    assert [Step(0, 0), Step(1, 1), Step(2, None), Step(None, 2), Step(3, 3)] == diff(first, second)


def test_a_jump_to_what_is_replaced_by_more_is_the_same() -> None:
    """However many stand before it and behind it."""
    first = [Item("jump", 2), Item("a"), Item("old"), Item("exit")]
    second = [Item("jump", 3), Item("new"), Item("a"), Item("newer"), Item("newest"), Item("exit")]

    assert diff(first, second)[0] == Step(0, 0)


def test_a_jump_further_into_what_is_replaced_is_another() -> None:
    """Places between the same two are told apart."""
    first = [Item("jump", 2), Item("a"), Item("x"), Item("y"), Item("exit")]
    second = [Item("jump", 3), Item("a"), Item("p"), Item("q"), Item("exit")]

    assert [Step(0, None), Step(None, 0)] == diff(first, second)[:2]


def test_a_jump_elsewhere_than_a_place_is_none() -> None:
    """Out of the program, or by a register."""
    assert [Step(0, None), Step(None, 0)] == diff([Item("x", 0)], [Item("x")])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)), max_size=10))
def test_equal_programs_do_not_differ(items: list[tuple[str, int | None]]) -> None:
    """However they jump."""
    program = [Item(key, target % len(items) if target is not None else None) for key, target in items]

    assert [Step(at, at) for at in range(len(items))] == diff(program, program)
