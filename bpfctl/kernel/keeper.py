"""Attached programs: their names, and what keeps them there: links, pins, processes; looked up when asked for."""

from __future__ import annotations

from errno import ENOENT, EPERM
from typing import TYPE_CHECKING

from bpfctl.errors import KernelError
from bpfctl.kernel import handle
from bpfctl.kernel.surroundings import Surroundings

if TYPE_CHECKING:
    from bpfctl.kernel.link import LinkRow
    from bpfctl.kernel.owner import How, Owner


class Keepers:
    """The links of this machine, their pins and their owners, and those of programs; asked for once."""

    __slots__ = ("_links", "_names", "_of_links", "_of_programs")

    def __init__(self, *, owners: bool | How = True) -> None:
        self._of_links = Surroundings(handle.LINK, pinned=True, owners=owners)
        self._of_programs = Surroundings(handle.PROG, pinned=True, owners=owners)
        self._links: tuple[LinkRow, ...] | None = None
        self._names: dict[int, str] = {}

    def name(self, prog_id: int) -> str:
        """Return a program's name, in full where its BTF has it; empty when it has none, or is gone."""
        if prog_id not in self._names:
            self._names[prog_id] = _name(prog_id)
        return self._names[prog_id]

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


def _name(prog_id: int) -> str:
    from bpfctl.kernel.prog import Program  # noqa: PLC0415 - what bpftool prints seldom needs it

    try:
        with Program.by_id(prog_id) as program:
            return program.full_name(program.info())
    except KernelError as error:
        if error.errno in {ENOENT, EPERM}:
            return ""
        raise
