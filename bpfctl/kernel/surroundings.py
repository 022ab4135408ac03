"""What surrounds an object and is looked up once for a whole listing: where it is pinned, who holds it, its maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfctl.kernel.handle import Kind
    from bpfctl.kernel.metadata import Metadata
    from bpfctl.kernel.owner import Owner
    from btf.value import Value


class Surroundings:
    """Pins and owners of the objects of one kind, gathered when first asked for."""

    __slots__ = ("_kind", "_metadata", "_owners", "_pins", "_want_owners", "_want_pins")

    def __init__(self, kind: Kind, *, pinned: bool, owners: bool) -> None:
        self._kind = kind
        self._want_pins = pinned
        self._want_owners = owners
        self._pins: dict[int, tuple[str, ...]] | None = None
        self._owners: dict[int, tuple[Owner, ...]] | None = None
        self._metadata: Metadata | None = None

    def pinned(self, id_: int) -> tuple[str, ...] | None:
        """Return where an object is pinned; None when nobody asked or when nothing of its kind is pinned at all."""
        if not self._want_pins:
            return None
        if self._pins is None:
            from bpfctl.kernel import pin  # noqa: PLC0415 - only -f needs it

            self._pins = pin.table(self._kind)
        return self._pins.get(id_, ()) if self._pins else None

    def owners(self, id_: int) -> tuple[Owner, ...]:
        """Return the processes that hold an object; empty when nobody asked."""
        if not self._want_owners:
            return ()
        if self._owners is None:
            from bpfctl.kernel import owner  # noqa: PLC0415 - an empty listing needs no owners

            self._owners = owner.table(self._kind)
        return self._owners.get(id_, ())

    def metadata(self, map_ids: tuple[int, ...]) -> tuple[tuple[str, Value], ...]:
        """Return the metadata of a program that uses these maps."""
        if self._metadata is None:
            from bpfctl.kernel.metadata import Metadata  # noqa: PLC0415 - programs without maps have none

            self._metadata = Metadata()
        return self._metadata.variables(map_ids)
