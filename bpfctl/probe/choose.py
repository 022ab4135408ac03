"""Which points and which hits are meant, from the words that people write."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from typing import TYPE_CHECKING

from bpfctl.probe.session import Wanted
from bpfctl.probe.sources import Sources
from bpfctl.probe.where import Binary, Name, Number, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.probe.where import Tree


@contextmanager
def chosen(
    specs: Sequence[str],
    *,
    where: str | None = None,
    pid: int | None = None,
    cgroup: str | None = None,
    way: str = "",
) -> Iterator[tuple[Sources, Wanted]]:
    """Find the points of all specs, and which hits count, for as long as programs are made of that.

    ``where`` is a condition as of ``--where``. UsageError, NotFound.
    """
    sources = Sources(pid)
    with ExitStack() as held:
        parts: list[Tree] = []
        if pid is not None:
            parts.append(Binary("==", Name("pid"), Number(pid)))
        if cgroup is not None:
            from bpfctl.probe.cgroup import Within  # noqa: PLC0415 - most ask for none

            parts.append(held.enter_context(Within(cgroup)).holds)
        if where is not None:
            parts.append(parse(where))
        condition = reduce(partial(Binary, "&&"), parts) if parts else None
        points = sources.resolve(specs)
        yield sources, Wanted(points, condition, way, frozenset(sources.several))
