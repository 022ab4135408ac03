"""What the types of the kernel and of its modules tell of functions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import NotSupported, kernel_types, module_types
from btf.types import Func, FuncProto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf.read import BTF


class Prototype(NamedTuple):
    """A function with its arguments; ``module`` is empty for the kernel proper."""

    module: str
    btf: BTF
    id: int
    proto: FuncProto


class Prototypes:
    """The prototypes of functions, looked up when first asked for."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Prototype | None] = {}

    def of(self, module: str, name: str) -> Prototype | None:
        """Return that of a function; None where no types tell of it."""
        if (module, name) not in self._known:
            self._known[module, name] = next(self._find(module, name), None)
        return self._known[module, name]

    @staticmethod
    def _find(module: str, name: str) -> Iterator[Prototype]:
        with suppress(NotSupported):
            for there, btf in module_types(name) if module else [("", kernel_types())]:
                function = btf.find(name, Func) if there == module else None
                proto = btf.type(function.type_id) if function is not None else None
                if function is not None and isinstance(proto, FuncProto):
                    yield Prototype(there, btf, function.id, proto)
