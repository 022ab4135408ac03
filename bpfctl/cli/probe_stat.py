"""bpfctl probe stat."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bpfctl.cli import opt, voice
from bpfctl.cli.probe_run import positive
from bpfctl.cli.stat_run import Wanted, of_command, until_stopped
from bpfctl.errors import CommandEnded, NotFound, OutputError, UsageError
from bpfctl.host import cpus
from bpfctl.probe import countable
from bpfctl.probe.counting import Scope
from bpfctl.probe.sources import Sources
from bpfctl.render.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.options import Options
    from bpfctl.render.output import Output

_USUAL = (
    "software:context-switches",
    "software:cpu-migrations",
    "software:page-faults",
    "hardware:cycles",
    "hardware:instructions",
    "hardware:branches",
    "hardware:branch-misses",
)
_OF_TASKS, _OF_CPUS = "software:task-clock", "software:cpu-clock"
_CPUS = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*", re.ASCII)


def stat(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    pid: opt.CountPid = None,
    all_cpus: opt.AllCpus = False,
    cpu: opt.CpuList = None,
    per_cpu: opt.PerCpu = False,
    cgroup: opt.Cgroup = None,
    group: opt.AsGroup = False,
    no_scale: opt.NoScale = False,
    interval: opt.EachInterval = None,
    duration: opt.Duration = None,
    repeat: opt.Repeat = 1,
    output: opt.CountsFile = None,
) -> None:
    """Count events as perf stat does, of a command or until Ctrl-C.

    No program runs at an event. Without COMMAND it goes on until Ctrl-C; with it the exit code is that of COMMAND,
    and counts go to stderr.
    """
    session, command = ctx.obj, ctx.obj.command
    positive(interval=interval, duration=duration)
    of_machine = all_cpus or cpu is not None or cgroup is not None
    code = 0
    _check(ctx, pid=pid, all_cpus=all_cpus, cgroup=cgroup, duration=duration, repeat=repeat, interval=interval)
    with ExitStack() as held:
        scope = _scope(held, pid=pid, cpu=cpu, per_cpu=per_cpu, cgroup=cgroup)
        is_counted = bool(command) and not of_machine and pid is None
        clock = _OF_TASKS if is_counted or pid is not None else _OF_CPUS
        try:
            groups = countable.groups(Sources(), words or [clock, *_USUAL], together=group)
        except NotFound as error:
            if not command:
                error.hint = "a command to count is told behind --"
            raise
        wanted = Wanted(groups, scope, is_counted, not no_scale, interval, duration, repeat)
        out = held.enter_context(_output(session.out, session.options, output, of_a_command=bool(command)))
        if command:
            stdout = 2 if session.options.json and output is None else 1
            code = of_command(wanted, command, out, stdout, session.options)
        else:
            until_stopped(wanted, out, pid, session.options)
    if code:
        raise CommandEnded(code)


def _check(
    ctx: opt.Context,
    *,
    pid: int | None,
    all_cpus: bool,
    cgroup: str | None,
    duration: float | None,
    repeat: int,
    interval: float | None,
) -> None:
    """Raise UsageError for what contradicts itself."""
    command = ctx.obj.command
    if ctx.obj.depth:
        raise UsageError("probe stat goes on until somebody stops it, so it is no command for a batch")
    if pid is not None and (all_cpus or cgroup is not None):
        raise UsageError(f"--pid and {'--all-cpus' if all_cpus else '--cgroup'} exclude each other")
    if command and duration is not None:
        raise UsageError("--duration is for counting without a command, whose end is that of the counting")
    if repeat > 1 and (not command or interval is not None):
        raise UsageError(
            f"--repeat runs a command several times{', without --interval' if command else ': -- COMMAND'}"
        )


def _scope(held: ExitStack, *, pid: int | None, cpu: str | None, per_cpu: bool, cgroup: str | None) -> Scope:
    process = folder = None
    if pid is not None:
        from bpfctl.host.process import Process

        process = Process(pid)
    if cgroup is not None:
        from bpfctl.probe.cgroup import open_folder

        folder = held.enter_context(open_folder(cgroup))
    chosen = None
    if cpu is not None:
        chosen = cpus.numbers(cpu) if _CPUS.fullmatch(cpu) else []
        if not chosen:
            raise UsageError(f"--cpu: '{cpu[:40]}' should be a list of CPUs, such as 0-3,8")
    return Scope(process, None, folder, chosen, per_cpu)


@contextmanager
def _output(usual: Output, options: Options, path: str | None, *, of_a_command: bool) -> Iterator[Output]:
    """Choose where the counts go: stdout is the command's own, but for JSON."""
    if path is None and (options.json or not of_a_command):
        yield usual
        return
    try:
        fd = 2 if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        raise OutputError(f"can't write '{path}': {getattr(error, 'strerror', error)}") from None
    try:
        out = voice.output(Sink(fd), options)
        yield out
        out.close()
    finally:
        if path is not None:
            os.close(fd)
