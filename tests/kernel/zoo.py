"""
The zoo: one live object of every kind that the running kernel allows, made without the product's help.

    with Zoo() as zoo:
        zoo.created["prog:xdp"].id
        zoo.refused                    # what the kernel refused, and which missing feature explains it

Everything lives in a ``Place`` of its own and goes away with it.
"""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

from tests.kernel import client
from tests.kernel.facts import Facts
from tests.kernel.inhabitants import Inhabitant, Missing
from tests.kernel.inhabitants.links import LINKS
from tests.kernel.inhabitants.maps import MAPS
from tests.kernel.inhabitants.programs import PROGRAMS
from tests.kernel.inhabitants.types import BTFS, Types, build
from tests.kernel.place import Place, add_device

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

INHABITANTS = [*BTFS, *MAPS, *PROGRAMS, *LINKS]

# What is pinned under which name.
PINS = {
    "xdp": "prog:xdp",
    "twice": "prog:xdp",
    "with_maps": "prog:with_maps",
    "hash": "map:hash_with_btf",
    "dir/below": "link:cgroup_inet_ingress",
}

# Names that a shell, a terminal and a parser find hard.
HOSTILE_PINS = {
    "with space": "map:hash",
    "brackets[bold]": "prog:with_maps",
    "new\nline": "map:array",
    "esc\x1b[31mred": "prog:socket_filter",
    'quote"and\\backslash': "map:hash_with_btf",
    "not utf8 \udcff": "map:queue",
}


@dataclass(frozen=True, slots=True)
class Created:
    """An inhabitant that lives."""

    kind: str
    name: str
    id: int
    fd: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An inhabitant that the kernel did not let in; ``missing`` says why that is right, if it is."""

    name: str
    reason: str
    missing: tuple[str, ...]
    since: str

    def __str__(self) -> str:
        lacks = f"the kernel lacks {', '.join(self.missing)}" if self.missing else "nothing is missing"
        return f"{self.name}: {lacks}{f' (since {self.since})' if self.since else ''}; {self.reason}"


class Zoo:
    """Inhabitants, made on entry and released on exit, all of them or ``only`` some. Needs root.

    ``hostile`` adds the hard names.
    """

    place: Place
    facts: Facts
    types: Types

    def __init__(self, *, hostile: bool = False, only: Iterable[str] | None = None) -> None:
        self._recipes = {recipe.full_name: recipe for recipe in INHABITANTS}
        self._wanted = self._recipes if only is None else only
        self._pins = PINS | HOSTILE_PINS if hostile else PINS
        self._devices: dict[str, int] = {}
        self.types = build()
        self.created: dict[str, Created] = {}
        self.refused: dict[str, Refused] = {}
        self.pins: dict[Path, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._raise_memlock(stack)
            self.place = stack.enter_context(Place())
            self.facts = Facts(self.place.lockdown)
            self._stack = stack.enter_context(ExitStack())
            for name in self._wanted:
                self._admit(name)
            self._pin()
            self._all = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()

    @staticmethod
    def _raise_memlock(stack: ExitStack) -> None:
        """Let kernels before 5.11 lock more memory, which they charge objects to; newer ones do not care."""
        before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (PermissionError, ValueError):
            return
        stack.callback(resource.setrlimit, resource.RLIMIT_MEMLOCK, before)

    def _admit(self, name: str) -> None:
        if name in self.created or name in self.refused:
            return
        recipe = self._recipes[name]
        try:
            fd = self.keep(recipe.make(self))
            id_ = client.id_of(recipe.kind, fd)
        except Missing as error:
            self._refuse(recipe, "not tried", (str(error),))
        except OSError as error:
            log = " ".join(getattr(error, "log", "").split())
            lacking = tuple(need for need in recipe.needs if not self.facts.has(need))
            self._refuse(recipe, f"{error.filename}: {error.strerror}{f' ({log[:200]})' if log else ''}", lacking)
        else:
            self.created[name] = Created(recipe.kind, recipe.name, id_, fd)

    def _refuse(self, recipe: Inhabitant, reason: str, missing: tuple[str, ...]) -> None:
        self.refused[recipe.full_name] = Refused(recipe.full_name, reason, missing, recipe.since)

    def _pin(self) -> None:
        (self.place.bpffs / "dir").mkdir()
        for path, name in self._pins.items():
            if name in self.created:
                client.obj_pin(self.fd(name), str(self.place.bpffs / path))
                self.pins[self.place.bpffs / path] = name

    def alive(self, name: str) -> Created:
        """Return an inhabitant; the test is skipped where the kernel lacks a feature that this one needs."""
        refused = self.refused.get(name)
        if refused and refused.missing:
            pytest.skip(str(refused))
        assert refused is None, str(refused)
        return self.created[name]

    # What recipes ask for.

    def fd(self, name: str) -> int:
        """Return another inhabitant's fd, making it when it is not there yet; Missing when it was refused."""
        self._admit(name)
        if name in self.refused:
            raise Missing(", ".join(self.refused[name].missing) or name)
        return self.created[name].fd

    def keep(self, fd: int) -> int:
        """Close a descriptor with the zoo."""
        self._stack.callback(os.close, fd)
        return fd

    def number(self, name: str) -> int:
        """Return the number of an enumerator; Missing when this kernel has not heard of it."""
        number = self.facts.number(name)
        if number is None:
            raise Missing(f"enum:{name}")
        return number

    def require(self, need: str) -> None:
        """Raise Missing where an older kernel would take the same request for another one."""
        if not self.facts.has(need):
            raise Missing(need)

    def type_id(self, need: str) -> int:
        """Return the BTF id of "func:NAME", "struct:NAME" or "typedef:NAME"; Missing when there is none."""
        kind, _, name = need.partition(":")
        id_ = self.facts.btf.id(kind, name)
        if not id_:
            raise Missing(need)
        return id_

    def device(self, kind: str) -> int:
        """Return the index of a network device of this kind, of which the zoo has one each."""
        if kind not in self._devices:
            self._devices[kind] = add_device(kind, f"zoo-{kind}")
        return self._devices[kind]

    # What tests ask for.

    @property
    def unforeseen(self) -> list[str]:
        """Return the inhabitants that live although a need seems missing: each is a wrong need."""
        return [
            f"{name} lives without {need}"
            for name in self.created
            for need in self._recipes[name].needs
            # A lockdown may refuse; that it must is up to the kernel's builder.
            if not need.startswith("lockdown:") and not self.facts.has(need)
        ]

    def ids(self, kind: str) -> dict[int, str]:
        """Return the ids of a kind of object, with the inhabitants' names."""
        return {made.id: made.name for made in self.created.values() if made.kind == kind}
