"""bpfctl perf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt, voice
from bpfctl.kernel import task_fd
from bpfctl.views.task_fd import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.owner import How
    from bpfctl.kernel.select import Select
    from bpfctl.kernel.task_fd import PerfRow


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    type_: opt.Type = None,
    name: opt.Name = None,
    owner: opt.Owner = None,
    pinned: opt.Pinned = False,
    sort: opt.Sort = None,
    watch: opt.Watch = None,
    fields: opt.Columns = None,
    no_header: opt.NoHeader = False,
    csv: opt.Csv = False,
) -> None:
    """Show the programs at perf events and raw tracepoints: kprobes, uprobes, tracepoints.

    bpftool tells those that processes have open. Tables, CSV, --fields and --extra tell those of links as well, which
    may be held by a pin alone.
    """
    run = ctx.obj
    grammar.Words(words).end()
    links = run.options.extra or csv or fields is not None or voice.is_table(run.out.sink, run.options)
    wanted = lists.Wanted(type_, name, owner, pinned, sort, watch, fields, no_header=no_header, csv=csv)

    def rows(which: Select | None, *, pinned: bool, owners: How) -> Iterator[PerfRow]:
        del which, pinned  # looked up when it is shown
        return task_fd.rows(links=links, owners=owners)

    lists.show(run, VIEW, rows, None, wanted)
