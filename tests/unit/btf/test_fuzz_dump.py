"""Dumps of input from an enemy: text or BTFError, soon, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from btf import _loops, dump_raw
from btf.dump_c import declaration, header
from btf.errors import BTFError
from btf.prototype import prototype
from btf.read import BTF
from tests.unit.btf.c_cases import CASES
from tests.unit.btf.enemy import any_types

SOUND = [case.data for case in CASES.values()]


FAST = _loops.fast
DUMPS = (header, partial(header, sort=False), dump_raw.text, dump_raw.json, partial(dump_raw.json, pretty=True))


def outcomes(data):
    """Return what each dump says, or what is wrong."""
    try:
        btf = BTF.from_bytes(data)
    except BTFError as error:
        return [repr(error)]
    texts = []
    for dump in DUMPS:
        try:
            texts.append("".join(dump(btf)))
        except BTFError as error:
            texts.append(repr(error))
    return texts


def exercise(data):
    """Dump a blob in every form, with the loops in C and in Python."""
    assert FAST
    fast = outcomes(data)
    with mock.patch.object(_loops, "fast", None):
        assert outcomes(data) == fast
    try:
        btf = BTF.from_bytes(data)
    except BTFError:
        return
    for type_id in (-1, 0, *btf.ids, btf.ids.stop):
        with suppress(BTFError):
            list(header(btf, roots=[type_id]))
        with suppress(BTFError):
            assert isinstance(declaration(btf, type_id, "x"), str)
        with suppress(BTFError):
            assert isinstance(prototype(btf, type_id), str)


@settings(max_examples=300, deadline=5000)
@given(any_types(12))
def test_any_types(data):
    """Arbitrary words as type section."""
    exercise(data)


@settings(max_examples=300, deadline=5000)
@given(st.sampled_from(SOUND), st.lists(st.tuples(st.integers(24, 600), st.integers(0, 12)), min_size=1, max_size=5))
def test_damaged_types(sound, damage):
    """Sound types with some of their bytes changed to small numbers, which often are ids and kinds."""
    data = bytearray(sound)
    for at, byte in damage:
        data[at % len(data)] = byte
    exercise(bytes(data))
