"""What surrounds an object and is looked up once for a whole listing: where it is pinned, who holds it, its maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.host import fdinfo

if TYPE_CHECKING:
    from bpfctl.kernel.handle import Kind
    from bpfctl.kernel.metadata import Metadata
    from bpfctl.kernel.owner import How, Owner, Table
    from btf.value import Value


class Surroundings:
    """Pins and owners of the objects of one kind, gathered when first asked for."""

    __slots__ = ("_held", "_how", "_kind", "_metadata", "_pins", "_want_pins")

    def __init__(self, kind: Kind, *, pinned: bool, owners: bool | How) -> None:
        self._kind = kind
        self._want_pins = pinned
        self._how: How = owners if isinstance(owners, str) else "auto" if owners else "none"
        self._pins: dict[int, tuple[str, ...]] | None = None
        self._held: Table | None = None
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
        if self._how == "none":
            return ()
        found = self._holding()
        if found.partial and id_ not in found.owners:
            found = self._complete(found)
        return found.owners.get(id_, ())

    def cookie(self, id_: int) -> int | None:
        """Return the cookie of a perf event link, for kernels that do not tell it with the link (before 6.9).

        Only a BPF iterator knows it; None where none may run, and where nobody asked for owners.
        """
        if self._how == "none":
            return None
        found = self._holding()
        if found.cookies is None:
            found = self._complete(found)
        return found.cookies.get(id_) if found.cookies else None

    def fdinfo(self, id_: int, fd: int) -> bytes:
        """Return what /proc tells of an object that we hold as ``fd``; empty without /proc."""
        # The search for owners has read most of these already.
        known = self._holding().fdinfo.get(id_) if self._how != "none" else None
        return fdinfo.own(fd) if known is None else known

    def _holding(self) -> Table:
        if self._held is None:
            from bpfctl.kernel import owner  # noqa: PLC0415 - an empty listing needs no owners

            self._held = owner.table(self._kind, self._how)
        return self._held

    def _complete(self, found: Table) -> Table:
        if self._how == "auto":
            from bpfctl.kernel import owner  # noqa: PLC0415 - as above

            self._held = found = owner.complete(found, self._kind)
        return found

    def metadata(self, map_ids: tuple[int, ...]) -> tuple[tuple[str, Value], ...]:
        """Return the metadata of a program that uses these maps."""
        if self._metadata is None:
            from bpfctl.kernel.metadata import Metadata  # noqa: PLC0415 - programs without maps have none

            self._metadata = Metadata()
        return self._metadata.variables(map_ids)
