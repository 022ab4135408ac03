"""What is the same of every kernel that is asked for what objects need: what its types and settings alone tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

from bpfctl.feature import by_type, facts
from bpfctl.feature import need as needed
from bpfctl.feature.answer import AVAILABLE, NO, Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.feature.need import Need
    from bpfctl.feature.setting import Settings
    from bpfctl.feature.types import Types
    from bpfctl.spec import Extern, ObjectSpec
    from btf.check import Target
    from btf.read import BTF

    Way = Callable[[Need, ObjectSpec], Answer]


class Known(ABC):
    """A kernel whose types and settings are known, if they are; a `bpfctl.feature.check.Kernel`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ways: dict[str, Way] = {
            needed.LOADER: lambda _, __: Answer(NO, "libbpf 1 refuses it"),
            needed.LICENSE: lambda _, spec: AVAILABLE if spec.is_gpl else Answer(NO, f'it is "{spec.license}"'),
            needed.KSYM: lambda need, spec: by_type.variable(need, spec, self._types),
            needed.FIELD: lambda need, _: by_type.field(need, self._types),
            needed.STRUCT_OPS: lambda need, _: by_type.struct_ops(need, self._types),
            needed.KCONFIG: lambda need, spec: self._settings.answer(need.extern, spec.btf),
            needed.SIZE: lambda need, _: self._size(need.number),
            **self._own_ways(),
        }

    @abstractmethod
    def _own_ways(self) -> dict[str, Way]:
        """Return how it is asked for all else, by kind of need."""

    @abstractmethod
    def _read_types(self) -> Types | None:
        """Return its types; None where they are not at hand."""

    @abstractmethod
    def _long_programs(self) -> Answer:
        """Return whether it takes programs that are longer than those of old."""

    @cached_property
    def _types(self) -> Types | None:
        return self._read_types()

    def ask(self, need: Need, spec: ObjectSpec) -> Answer:
        """Return whether it has what an object needs."""
        return self._ways[need.kind](need, spec)

    def types(self) -> Target | None:
        """Return its types, with those of its modules where they are known too; None where it does not tell them."""
        return self._types.target if self._types is not None else None

    def setting(self, extern: Extern, btf: BTF) -> bytes:
        """Return a kconfig extern as it lies in memory; empty for one that is unknown."""
        found = self._settings.value(extern, btf)
        return found if isinstance(found, bytes) else b""

    def _size(self, number: int) -> Answer:
        if number > facts.LONGEST:
            return Answer(NO, f"no kernel takes more than {facts.LONGEST} instructions")
        return AVAILABLE if number <= facts.OLD_LONGEST else self._long_programs()
