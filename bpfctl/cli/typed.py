"""The annotations behind bpfctl.cli.opt; loads Typer."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from bpfctl.cli.session import Session

_PERIOD = "2"
_INTERRUPTED = 130  # what newer releases of Typer make of Ctrl-C; commands themselves return nothing
_NUMERIC = frozenset("0123456789.")
_U32 = (1 << 32) - 1
_LAST_PID = 1 << 22  # PID_MAX_LIMIT in include/linux/threads.h

Context = typer.Context
Words = Annotated[list[str] | None, typer.Argument(metavar="WORD", help="bpftool's words, such as: id 7")]
Type = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only those of one type, such as xdp.")]
Name = Annotated[str | None, typer.Option("--name", metavar="GLOB", help="Only those whose name matches.")]
Owner = Annotated[
    str | None,
    typer.Option("--owner", metavar="PID|GLOB", help="Only those that a process holds: its id, or its name."),
]
Pinned = Annotated[bool, typer.Option("--pinned", help="Only those that are pinned; also shows where.")]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="Sort by a column of the table; -COLUMN for the reverse order."),
]
Watch = Annotated[
    float | None,
    typer.Option("--watch", metavar="[SECONDS]", help=f"Show again every so many seconds ({_PERIOD}) until Ctrl-C."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing, but show the bytes of key and value.")]
CheckOnly = Annotated[bool, typer.Option("--dry-run", help="Change nothing, but check all entries.")]
Replace = Annotated[bool, typer.Option("--replace", help="Also delete the keys of the map that are not among these.")]
Create = Annotated[bool, typer.Option("--create", help="Make the map, and pin it when all its entries are there.")]
Cpus = Annotated[
    str | None,
    typer.Option(
        "--cpus", metavar="same|fit", help="Refuse values of other CPUs than are here, or take those that fit."
    ),
]
From = Annotated[
    str | None, typer.Option("--from", metavar="ID|NAME", help="Which map of a file that has entries of several.")
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many entries.")]
KeyPrefix = Annotated[
    str | None,
    typer.Option(
        "--key-prefix", metavar="DATA", help="Only keys that begin so: '0a 00', 'str abc', 10.0.0.0/8, fe80::/10."
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="EXPR", help="Only entries for which this holds, such as '.pid > 1 && cpu == 0'."),
]
Sum = Annotated[
    bool, typer.Option("--sum", help="Add the numbers that the CPUs have, and show one value for each key.")
]
Top = Annotated[
    tuple[str, int] | None,
    typer.Option("--top", metavar="FIELD N", help="The N entries with the largest numbers in a field."),
]
Interval = Annotated[float, typer.Option("--interval", metavar="SECONDS", help="How long a round lasts.")]
SortTop = Annotated[
    str,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Sort by cpu, runs, runs/s, ns/run, missed, 'total runs', 'total time' (the largest first), id, type, "
        "name or tag; -COLUMN for the reverse order.",
    ),
]
Count = Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after so many rounds.")]
Lines = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="End after so many lines.")]
LimitPrograms = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many programs.")]
Stats = Annotated[
    bool, typer.Option("--stats", help="Have the kernel count for some time (--interval), and tell what ran in it.")
]
RecordType = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="Show records as values of this BTF type, such as event.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also show what can be read at each.")]
PinPath = Annotated[
    str | None, typer.Option("--pin", metavar="FILE", help="Keep it attached by a pin there, and end at once.")
]
Of = Annotated[
    str | None, typer.Option("--of", metavar="FIELD", help="The number that is put into buckets: args.NAME, ret, ...")
]
LinearScale = Annotated[
    str | None,
    typer.Option("--linear", metavar="MIN:MAX:STEP", help="Buckets of the same size; without it, powers of 2."),
]
MaxHistograms = Annotated[
    int, typer.Option("--max-entries", metavar="N", min=1, help="How many sets of values have room (1000).")
]
By = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="FIELD,...", help="Count by these: probe, comm, pid, cpu, args.NAME, ... (probe)."),
]
ProbeWhere = Annotated[
    str | None,
    typer.Option("--where", metavar="EXPR", help="Only hits for which this holds, such as 'pid == 7 && args.len > 0'."),
]
Pid = Annotated[
    int | None,
    typer.Option(
        "--pid", "-p", metavar="PID", min=0, max=_LAST_PID, help="Only this process, with files as it sees them."
    ),
]
Cgroup = Annotated[
    str | None,
    typer.Option(
        "--cgroup", metavar="PATH", help="Only tasks in this cgroup, or below it: its folder, or cgroup:/PATH."
    ),
]
Cookie = Annotated[
    str | None,
    typer.Option("--cookie", metavar="N", help="What bpf_get_attach_cookie() tells the program: a number of 64 bits."),
]
Way = Annotated[
    str,
    typer.Option("--way", metavar="WAY", help="Attach this way alone, such as 'perf event'; its beginning will do."),
]
TellOnly = Annotated[bool, typer.Option("--dry-run", help="Remove nothing, but tell what would be.")]
EachInterval = Annotated[
    float | None, typer.Option("--interval", metavar="SECONDS", help="Show the counts every so many seconds.")
]
Duration = Annotated[float | None, typer.Option("--duration", metavar="SECONDS", help="End after so many seconds.")]
TopRows = Annotated[int | None, typer.Option("--top", metavar="N", min=1, help="Only the N largest counts.")]
MaxEntries = Annotated[
    int, typer.Option("--max-entries", metavar="N", min=1, max=_U32, help="How many sets of values have room (10000).")
]
TraceFields = Annotated[
    list[str] | None,
    typer.Option("--fields", metavar="FIELD,...", help="What is read: pid, comm, ..., args.NAME (all that there is)."),
]
HitLimit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="End after so many hits.")]
Buffer = Annotated[
    int, typer.Option("--buffer", metavar="BYTES", help="Size of the ring buffer, a power of two (8388608).")
]
Records = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="End after so many records.")]
Seconds = Annotated[float | None, typer.Option("--seconds", metavar="S", min=0, help="End after so many seconds.")]
Take = Annotated[
    bool, typer.Option("--take", help="Take the records even if another process reads them, which then lacks them.")
]
Expand = Annotated[bool, typer.Option("--expand", "-E", help="Of a type: show members of members too.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help="Only these: struct, union, enum, typedef, func, var, member, type..."),
]
Embeds = Annotated[str | None, typer.Option("--embeds", metavar="TYPE", help="What has such a type by value.")]
PointsTo = Annotated[str | None, typer.Option("--points-to", metavar="TYPE", help="What has a pointer to such a type.")]
TypeGlob = Annotated[
    list[str] | None, typer.Option("--type", metavar="GLOB", help="Only types whose name matches, or /regex/.")
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against", metavar="FILE", help="Types of a kernel: a file of BTF; without it, the kernel that runs."
    ),
]
Svg = Annotated[
    str | None,
    typer.Option("--svg", metavar="FILE", help="Have Graphviz's dot draw the control flow into a file."),
]
Every = Annotated[bool, typer.Option("--all", help="Also the relocations that resolve.")]
FullReport = Annotated[
    bool,
    typer.Option("--full-report", help="All there is a probe for: what is there, what is not, what cannot be told."),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Ask the kernel everything anew, also what it has answered since it was booted.")
]
Unmet = Annotated[bool, typer.Option("--unmet", help="Only the needs that are not met, or cannot be told.")]
Report = Annotated[
    str | None,
    typer.Option("--report", metavar="FILE", help="Ask what 'feature probe -j' wrote elsewhere, not this kernel."),
]
ReportBtf = Annotated[
    str | None, typer.Option("--btf", metavar="FILE", help="The types of the kernel of the report: its vmlinux.")
]
Reports = Annotated[
    str | None,
    typer.Option("--reports", metavar="DIR", help="Ask what a folder has of many hosts: NAME.json, and NAME.btf."),
]
EveryNeed = Annotated[bool, typer.Option("--all", help="With --reports: also the needs that all hosts meet.")]
TryLoad = Annotated[bool, typer.Option("--load", help="Load each object too, and let it go; nothing is attached.")]

# The base of Typer's complaints about a command line; Typer 0.28 has them in a package of its own instead of click's.
_Complaint: type[Exception] = typer.BadParameter.__mro__[2]


def call(session: Session, name: str, function: Any, words: list[str]) -> None:
    """Run a command through Typer; a mistake in the words is a UsageError."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(function)
    command = typer.main.get_command(app)
    help_ = io.StringIO()
    try:
        with contextlib.redirect_stdout(help_):
            ended = command.main(_with_period(words), prog_name=name, standalone_mode=False, obj=session)
        if ended == _INTERRUPTED:
            raise KeyboardInterrupt
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _Complaint as error:
        raise UsageError(_sentence(error)) from None
    if help_.getvalue():
        session.out.sink.write(help_.getvalue().rstrip() + "\n")


def _with_period(words: list[str]) -> list[str]:
    """Give a --watch that no number follows its period: Typer has no options whose value may be left out."""
    end = words.index("--") if "--" in words else len(words)
    out: list[str] = []
    for at, word in enumerate(words):
        out.append(word)
        if word == "--watch" and at < end and not (words[at + 1 : end] and words[at + 1][:1] in _NUMERIC):
            out.append(_PERIOD)
    return out


def _sentence(error: Any) -> str:
    if not hasattr(error, "possibilities"):
        sentence: str = error.format_message().rstrip(".")
        return sentence[:1].lower() + sentence[1:]
    close = f", did you mean '{error.possibilities[0]}'?" if error.possibilities else ""
    return f"unrecognized option '{error.option_name}'{close}"
