"""bpfctl perf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt, voice
from bpfctl.kernel import task_fd
from bpfctl.views.task_fd import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from bpfctl.kernel.owner import How
    from bpfctl.kernel.select import Select
    from bpfctl.kernel.task_fd import PerfRow


def show(ctx: opt.Context, words: opt.Words = None, **options: Unpack[opt.Rows]) -> None:
    """Show the programs at perf events and raw tracepoints: kprobes, uprobes, tracepoints.

    bpftool tells those that processes have open. Tables, CSV, --fields and --extra tell those of links as well, which
    may be held by a pin alone.
    """
    run = ctx.obj
    grammar.Words(words).end()
    wanted = lists.Wanted(**options)
    links = run.options.extra or wanted.csv or wanted.fields is not None or voice.is_table(run.out.sink, run.options)

    def rows(which: Select | None, *, pinned: bool, owners: How) -> Iterator[PerfRow]:
        del which, pinned  # looked up when it is shown
        return task_fd.rows(links=links, owners=owners)

    lists.show(run, VIEW, rows, None, wanted)
