"""The zoo itself: everything that this kernel can hold is in it, and the kernel's own lists agree."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel import client
from tests.kernel.zoo import HOSTILE_PINS, INHABITANTS, PINS, Zoo

if TYPE_CHECKING:
    from collections.abc import Iterator

# A kernel with CONFIG_BPF_PRELOAD pins two iterators into each new bpffs.
PRELOADED = {"maps.debug", "progs.debug"}
KINDS = ("prog", "map", "link", "btf")


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    """One zoo for all tests, and after them the proof that nothing of it stays."""
    with Zoo(hostile=True) as inhabited:
        gone = {kind: set(inhabited.ids(kind)) for kind in KINDS}
        yield inhabited
    # The kernel frees objects behind grace periods and in its own threads.
    deadline = time.monotonic() + 30
    while any(gone[kind] & set(client.ids(kind)) for kind in KINDS):
        assert time.monotonic() < deadline, "objects outlive the zoo"
        time.sleep(0.05)
    assert not inhabited.place.root.exists()


@pytest.mark.parametrize("name", [recipe.full_name for recipe in INHABITANTS])
def test_it_lives(zoo: Zoo, name: str) -> None:
    """Where the kernel has all that an inhabitant needs, it lives; a skip names the missing feature."""
    assert zoo.alive(name).id > 0


def test_no_need_is_wrong(zoo: Zoo) -> None:
    """An inhabitant that lives without a need shows that the need would hide a failure elsewhere."""
    assert zoo.unforeseen == []


@pytest.mark.parametrize(
    ("kind", "enum"), [("prog", "bpf_prog_type"), ("map", "bpf_map_type"), ("link", "bpf_link_type")]
)
def test_every_type_of_this_kernel_is_tried(zoo: Zoo, kind: str, enum: str) -> None:
    """A type that the kernel's BTF names, and the zoo does not know, asks for a new inhabitant."""
    numbers = {
        number
        for name, number in zoo.facts.btf.enumerators(enum).items()
        if number and not name.lstrip("_").startswith("MAX_")
    }
    tried = {zoo.facts.number(recipe.type) for recipe in INHABITANTS if recipe.kind == kind}

    assert numbers - tried == set()


@pytest.mark.parametrize("kind", ["prog", "map", "link"])
def test_the_kernel_agrees_on_types(zoo: Zoo, kind: str) -> None:
    """What the kernel says about each inhabitant is the type that it was made for."""
    recipes = {recipe.name: recipe for recipe in INHABITANTS if recipe.kind == kind}
    expected = {name: zoo.number(recipes[name].type) for name in zoo.ids(kind).values()}
    actual = {
        made.name: struct.unpack_from("=I", client.info(made.fd))[0]
        for made in zoo.created.values()
        if made.kind == kind
    }

    assert actual == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_lists_the_inhabitants(zoo: Zoo, kind: str) -> None:
    """Each inhabitant is on the kernel's list of ids, and this process holds nothing but inhabitants."""
    ids = set(zoo.ids(kind))

    assert ids - set(client.ids(kind)) == set()
    assert held(kind) == ids


@pytest.mark.parametrize("kind", KINDS)
def test_an_inhabitant_opens_by_its_id(zoo: Zoo, kind: str) -> None:
    """The id is the way back to the same object."""
    for id_ in zoo.ids(kind):
        fd = client.fd_by_id(kind, id_)
        try:
            assert client.id_of(kind, fd) == id_
        finally:
            os.close(fd)


def test_pins_lead_to_their_inhabitants(zoo: Zoo) -> None:
    """Every pin is there under its exact name, hard ones included, and opens its object."""
    expected = {name for name, pinned in {**PINS, **HOSTILE_PINS}.items() if pinned in zoo.created}
    found = {str(path.relative_to(zoo.place.bpffs)) for path in zoo.place.bpffs.rglob("*") if not path.is_dir()}

    assert found - PRELOADED == expected
    for path, name in zoo.pins.items():
        fd = client.obj_get(str(path))
        try:
            assert client.id_of(name.partition(":")[0], fd) == zoo.created[name].id
        finally:
            os.close(fd)


def held(kind: str) -> set[int]:
    """Return the ids that the kernel names in /proc/self/fdinfo, each on a line of its own."""
    found = set()
    for path in Path("/proc/self/fdinfo").iterdir():
        try:
            lines = path.read_text().splitlines()
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        found |= {int(line.split()[1]) for line in lines if line.startswith(f"{kind}_id:")}
    return found
