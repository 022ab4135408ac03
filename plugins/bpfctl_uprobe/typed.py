"""What types tell of the values that registers have: loaded only where somebody asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.plugin import called_with, field_of, fields_of, first, returned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.plugin import Argument, Field
    from bpfctl_uprobe.functions import Functions


class Values:
    """What is known where a function is entered, or where it returns: nothing where no type tells of it."""

    def __init__(self, functions: Functions, addresses: Sequence[int], *, returns: bool) -> None:
        self._functions, self._addresses, self._returns = functions, addresses, returns

    def _all(self, *, is_whole: bool) -> list[Argument | Field]:
        functions, addresses = self._functions, self._addresses
        if len(addresses) != 1 or not functions.binary.is_native or functions.is_changed(addresses[0]):
            return []
        prototype = functions.binary.prototype(addresses[0], is_whole=is_whole)
        if prototype is None:
            return []
        return returned(prototype) if self._returns else called_with(prototype)

    @property
    def fields(self) -> list[Field]:
        """Each value as a whole."""
        return fields_of(self._all(is_whole=False))

    def field(self, path: str) -> Field | None:
        """Return the field at a path that begins with a value's name; None where no value has it."""
        begin = first(path)
        return field_of(self._all(is_whole=begin != path), path, begin)


def is_path(name: str) -> bool:
    """Return whether a name is a path to what a value leads to."""
    return first(name) != name
