"""The fuzzer of values with maps of the kernel: what is written into a map by its types is what was read there."""

from __future__ import annotations

from random import Random

from tests.fuzz.maps import Maps


def test_some_maps():
    maps = Maps()
    for number in range(60):
        maps.run(Random(f"maps/{number}"))

    assert maps.made > 20, maps.told()
