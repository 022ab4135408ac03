"""Maps that are filled, without a kernel."""

from __future__ import annotations

import struct

import pytest

from bpfctl._sys import maps
from bpfctl.load import maps as made
from bpfctl.spec import MapSpec
from bpfctl.uapi.enums import MapType


@pytest.mark.parametrize("order", ["<", ">"])
def test_indices_and_descriptors_are_numbers_of_the_machine(order, monkeypatch):
    """What a map of maps begins with is written in whatever order the machine has."""
    updates = []
    monkeypatch.setattr(made, "pack", lambda form, *numbers: struct.pack(form.replace("=", order), *numbers))
    monkeypatch.setattr(maps, "update", lambda *words: updates.append(words))
    spec = MapSpec("outer", MapType.ARRAY_OF_MAPS, 4, 4, 3, slots=((0, "first"), (2, "second"), (1, "unmade")))

    class Map:
        def fileno(self):
            return 7

    made.fill(spec, Map(), {"first": 258, "second": 5})

    assert updates == [(7, struct.pack(f"{order}I", at), struct.pack(f"{order}I", fd)) for at, fd in ((0, 258), (2, 5))]
