"""bpfctl prog profile, as bpftool's (src/prog.c do_profile)."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.errors import UsageError, status

if TYPE_CHECKING:
    from bpfctl.attach.profile import Metric

_LONGEST = 1 << 31  # seconds


def profile(ctx: opt.Context, words: opt.Words = None) -> None:
    """Count events of perf in the runs of a program, until Ctrl-C or so long.

    Two programs are attached to it (fentry, fexit), which read counters before and after each run. The program
    needs types (BTF), and the kernel must not be locked down.
    """
    from bpfctl.attach.profile import Profile
    from bpfctl.cli.stop import held_back, wait
    from bpfctl.kernel.prog import Program
    from bpfctl.views import profile as view

    left = grammar.Words(words)
    left.at_least(3, "profile", exit_code=status(EINVAL))
    with Program.one(grammar.prog(left)) as program:
        seconds = None
        if len(left) > 2 and left.keyword("duration"):
            seconds = grammar.number(left.next("the duration"), "duration")
            if seconds >= _LONGEST:
                raise UsageError(f"can't profile for {seconds} seconds")
        if seconds is None and ctx.obj.depth:
            raise UsageError("prog profile has no end without a duration, so it is no command for a batch")
        with Profile(program, _metrics(left)) as counting, held_back():
            wait(seconds)
            counting.stop()
            reading = counting.read()
    ctx.obj.out.lines(view.plain(reading), view.json(reading))
    if not reading.run_cnt:
        ctx.obj.out.note("the program did not run")


def _metrics(words: grammar.Words) -> list[Metric]:
    """Read metrics; the order is that of the table, and one that is named twice counts once."""
    from bpfctl.attach.profile import METRICS, MOST

    names = [metric.name for metric in METRICS]
    wanted = set()
    while words:
        given = words.peek()
        name = words.keyword(*names)
        if name is None:
            raise UsageError(f"unknown metric {given}, there are: {', '.join(names)}")
        wanted.add(name)
    if not wanted:
        raise UsageError(f"which metric? There are: {', '.join(names)}")
    if len(wanted) > MOST:
        raise UsageError(f"too many ({len(wanted)}) metrics, please specify no more than {MOST} metrics at a time")
    return [metric for metric in METRICS if metric.name in wanted]
