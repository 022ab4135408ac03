"""Questions about types from an enemy: an answer or BTFError, nothing else, and soon."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.views import layout as view
from btf.check import Object, Target
from btf.declare import declare
from btf.diff import diff
from btf.errors import BTFError
from btf.find import Wanted, search
from btf.layout import layout
from btf.read import BTF
from tests.build.odd_types import odd_types
from tests.unit.btf.test_fuzz_relo import OBJECT, damaged

SOUND = BTF.from_bytes(odd_types(random.Random(1), 30).build())
SOON = settings(max_examples=200, deadline=timedelta(seconds=1))


@st.composite
def blobs(draw):
    """Odd types, some of them damaged."""
    data = bytearray(odd_types(random.Random(draw(st.integers(0, 1 << 32))), draw(st.integers(1, 30))).build())
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(24, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@SOON
@given(blobs())
def test_types(data):
    try:
        btf = BTF.from_bytes(data)
    except BTFError:
        return
    for wanted in (Wanted(), Wanted(embeds=frozenset({1, 2}), points_to=frozenset({3, 4}))):
        with suppress(BTFError):
            list(search(btf, wanted))
    for other in (btf, SOUND):
        with suppress(BTFError):
            assert other is not btf or list(diff(btf, other)) == []
            list(diff(btf, other))
    for type_id in (0, *btf.ids, btf.ids.stop):
        with suppress(BTFError):
            assert isinstance(declare(btf, type_id, "x"), str)
        with suppress(BTFError):
            layout(btf, type_id, expand=True)
        with suppress(BTFError):
            list(view.lines(view.Shown("", btf, type_id)))
        with suppress(BTFError):
            view.json(view.Shown("", btf, type_id, expand=True))


@SOON
@given(damaged(OBJECT))
def test_objects(data):
    with suppress(BTFError):
        Object(data).check(Target(SOUND))
