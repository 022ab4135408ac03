"""The types of a kernel and of its modules, as far as somebody asks for them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.kernel.btf import module_blobs
from btf.check import Target
from btf.errors import BTFError
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from btf.read import KindOf


class Place(NamedTuple):
    """A type of the kernel; ``module`` is empty for its own."""

    module: str
    btf: BTF
    type_id: int


class Types:
    """The types of one kernel; those of modules are read when they are asked for.

    ``modules`` yields names and types, and may leave out those that have no such string, if it is given one.
    """

    def __init__(self, vmlinux: BTF, modules: Callable[[str], Iterator[tuple[str, BTF]]] | None = None) -> None:
        self.vmlinux = vmlinux
        self._modules = modules
        self._target: Target | None = None
        self._known: dict[tuple[str, type], Place | None] = {}

    @property
    def target(self) -> Target:
        """What relocations are resolved against."""
        if self._target is None:
            self._target = Target(self.vmlinux, self._modules("") if self._modules is not None else ())
        return self._target

    def find(self, name: str, kind: KindOf) -> Place | None:
        """Return the first type of a name and kind: the kernel's own, then those of modules."""
        key = name, kind
        if key not in self._known:
            self._known[key] = next(self._find(name, kind), None)
        return self._known[key]

    def _find(self, name: str, kind: KindOf) -> Iterator[Place]:
        found = self.vmlinux.find(name, kind)
        if found is not None:
            yield Place("", self.vmlinux, found.id)
        for module, btf in self._modules(name) if self._modules is not None else ():
            own = btf.find(name, kind)
            if own is not None:
                yield Place(module, btf, own.id)


def of_modules(vmlinux: BTF) -> Callable[[str], Iterator[tuple[str, BTF]]]:
    """Return what yields the types of the loaded modules; one that goes meanwhile, or is damaged, is left out."""

    def modules(needle: str) -> Iterator[tuple[str, BTF]]:
        for name, data in module_blobs(needle):
            with suppress(BTFError):
                yield name, BTF.from_bytes(data, vmlinux)

    return modules
