"""bpfctl map event_pipe, as bpftool's (src/map_perf_ring.c do_event_pipe)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.cli.stop import stopping
from bpfctl.errors import BpfctlError, KernelError, UsageError
from bpfctl.kernel.consumer import consumers
from bpfctl.kernel.map import Map
from bpfctl.kernel.perf_buffer import PerfRecords
from bpfctl.uapi.enums import MapType
from bpfctl.views.record import PIPE

if TYPE_CHECKING:
    from bpfctl.kernel.owner import Owner

_PAGES = 16  # for each CPU, as many as bpftool has


def event_pipe(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show what programs send to a perf event array, until Ctrl-C.

    It is taken from whoever read it before, which bpfctl events does only with --take.
    """
    left = grammar.Words(words)
    left.at_least(2, "event_pipe")
    out = ctx.obj.out
    with Map.writable(grammar.map_(left)) as map_, stopping() as stop:
        info = map_.info()
        if info.type is not MapType.PERF_EVENT_ARRAY:
            raise UsageError("map is not a perf event array")
        where = _where(left)
        others = consumers(info)
        try:
            reader = PerfRecords(map_, where, pages=_PAGES)
        except KernelError as error:
            number = error.errno or 0
            refused = BpfctlError(f"failed to create perf buffer: {os.strerror(number)} ({number})")
            refused.hint = error.hint
            raise refused from None
        with reader:
            stop.closes(reader)
            if others:
                out.warn(f"{named(others)} reads map {info.id} and gets nothing from it any more")
            out.follow(PIPE, reader.batches(), array=True)
        if stop.came:
            out.warn("Stopping...")


def _where(words: grammar.Words) -> list[tuple[int, int]] | None:
    """Read ``cpu N index M``; None for all CPUs."""
    found: dict[str, int] = {}
    while words:
        given = words.peek()
        word = words.keyword("cpu", "index") if len(words) > 1 else None
        if word is None:
            raise UsageError(f"what is '{given}'?")
        found[word] = grammar.number(words.next("the number"), "CPU ID" if word == "cpu" else "index")
    if len(found) == 1:
        raise UsageError("cpu and index must be specified together")
    return [(found["index"], found["cpu"])] if found else None


def named(processes: tuple[Owner, ...]) -> str:
    """Return processes as people call them."""
    return " and ".join(f"{process.comm}({process.pid})" for process in processes)
