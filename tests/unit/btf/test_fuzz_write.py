"""What is written out of input from an enemy: BTF that can be read, or BTFError, soon."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from btf.dedup import dedup
from btf.distill import distill, relocate
from btf.errors import BTFError
from btf.merge import merge
from btf.read import BTF
from btf.sanitize import Feature, sanitize
from btf.write import Builder
from tests.soon import soon
from tests.unit.btf.c_cases import CASES
from tests.unit.btf.enemy import any_types
from tests.unit.btf.test_fuzz import SOUND

BASE = BTF.from_bytes(SOUND)


def exercise(data):
    """Write a blob in every way, alone and over a base."""
    for base in (None, BASE):
        try:
            btf = BTF.from_bytes(data, base)
        except BTFError:
            return
        with suppress(BTFError):
            result = dedup(btf)
            again = dedup(BTF.from_bytes(result.data, base))
            assert again.data == result.data
        with suppress(BTFError):
            BTF.from_bytes(merge([btf, BASE]).data)
        with suppress(BTFError):
            BTF.from_bytes(merge([BASE, btf], BASE).data, BASE)
        for features in ((), frozenset(Feature) - {Feature.DATASEC}):
            with suppress(BTFError):
                assert len(BTF.from_bytes(sanitize(btf, features), base)) >= len(btf)
        with suppress(BTFError):
            small = distill(btf)
            relocate(BTF.from_bytes(small.data, BTF.from_bytes(small.base)), BASE)
        with suppress(BTFError):
            relocate(btf, BASE)


@settings(max_examples=300, deadline=5000)
@given(any_types(40))
def test_any_types(data):
    """Arbitrary words as type section."""
    exercise(data)


@settings(max_examples=300, deadline=5000)
@given(
    st.sampled_from([SOUND, *(case.data for case in CASES.values())]),
    st.lists(st.tuples(st.integers(24, 600), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_damaged_types(sound, damage):
    """Sound types with some of their bytes changed."""
    data = bytearray(sound)
    for at, byte in damage:
        data[at % len(data)] = byte
    exercise(bytes(data))


def test_names_that_become_unclear_one_after_the_other():
    """Each name has two structs that differ only by what the next name announces: the search gives up, soon."""
    b = Builder()
    number, count = b.add_int("int", 4), 3000
    for at in range(count):
        announced = b.add_fwd(f"s{at + 1}")
        pointer = b.add_ptr(announced)
        b.add_struct(f"s{at}", 8, [("x", pointer)])
        b.add_struct(f"s{at}", 8, [("x", b.add_ptr(b.next_id + 4 if at + 1 < count else number))])
    b.add_struct(f"s{count}", 8, [("x", number)])
    btf = BTF.from_bytes(b.build())

    with soon():
        result = dedup(btf)

    assert len(result.ids) == len(btf) + 1


def test_long_chains():
    """Pointers to pointers, deeper than anything that recurses could follow."""
    b = Builder()
    for _ in range(2):
        target = b.add_int("int", 4)
        for _ in range(20000):
            target = b.add_ptr(target)
    btf = BTF.from_bytes(b.build())

    assert len(BTF.from_bytes(dedup(btf).data)) == 20001
