"""Maps that are filled, without a kernel."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from errno import EINVAL

import pytest

from bpfctl import spec as words
from bpfctl._sys import maps
from bpfctl._sys.fd import FD
from bpfctl.errors import KernelError
from bpfctl.feature.here import Here
from bpfctl.load import maps as made
from bpfctl.spec import MapSpec
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag


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


@pytest.mark.parametrize(("made_of", "flags"), [(words.DATA, [MapFlag.MMAPABLE, MapFlag(0)]), ("", [MapFlag.MMAPABLE])])
def test_variables_need_not_be_mapped(made_of, flags, monkeypatch):
    """Kernels before Linux 5.5 know no such maps; what an author asks for by name is not left out."""
    asked = []

    def create(*_words, flags, **_more):
        asked.append(flags)
        if flags:
            raise OSError(EINVAL, os.strerror(EINVAL))
        return FD(os.open("/dev/null", os.O_RDONLY))

    monkeypatch.setattr(maps, "create", create)
    spec = MapSpec(".data", MapType.ARRAY, 4, 8, 1, MapFlag.MMAPABLE, made_of=made_of)
    with suppress(KernelError), made.Maker(0, Here(), int, "odd", 0).make(spec):
        assert made_of

    assert asked == flags
