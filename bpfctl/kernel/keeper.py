"""What keeps an attached program where it is: links and the processes that hold them, looked up only when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.kernel import handle
from bpfctl.kernel.surroundings import Surroundings

if TYPE_CHECKING:
    from bpfctl.kernel.link import LinkRow
    from bpfctl.kernel.owner import How, Owner


class Keepers:
    """The links of this machine, their pins and their owners, and those of programs; asked for once."""

    __slots__ = ("_links", "_of_links", "_of_programs")

    def __init__(self, *, owners: bool | How = True) -> None:
        self._of_links = Surroundings(handle.LINK, pinned=True, owners=owners)
        self._of_programs = Surroundings(handle.PROG, pinned=True, owners=owners)
        self._links: tuple[LinkRow, ...] | None = None

    def links(self) -> tuple[LinkRow, ...]:
        """Return all links, without their owners and pins."""
        if self._links is None:
            from bpfctl.kernel import link  # noqa: PLC0415 - what bpftool prints has no need of them

            self._links = tuple(link.rows(owners=False))
        return self._links

    def owners(self, prog_id: int, link_ids: tuple[int, ...]) -> tuple[Owner, ...]:
        """Return the processes that hold an attachment's links; where it has none, its program."""
        found = {owner: None for id_ in link_ids for owner in self._of_links.owners(id_)}
        return tuple(found) if link_ids else self._of_programs.owners(prog_id)

    def pinned(self, prog_id: int, link_ids: tuple[int, ...]) -> tuple[str, ...]:
        """Return where an attachment's links are pinned; where it has none, its program."""
        found = [path for id_ in link_ids for path in self._of_links.pinned(id_) or ()]
        return tuple(found) if link_ids else self._of_programs.pinned(prog_id) or ()
