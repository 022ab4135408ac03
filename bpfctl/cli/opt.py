"""The options of commands: what they are called, what they hold, and what is said of them.

A command names them as the annotations of its parameters, several as ``**options: Unpack[opt.Rows]``. They are read by
`bpfctl.cli.parse`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import Annotated, TypeAlias, TypedDict

    from bpfctl.cli.session import Direct

    #: What a command is given before its words.
    Context: TypeAlias = Direct
else:

    class Annotated:
        """A pair of a type and an option; typing's own takes two milliseconds for all that follow."""

        def __class_getitem__(cls, pair: tuple[Any, Option]) -> tuple[Any, Option]:
            return pair

    class TypedDict:
        """Options by name; typing's own has to be made anew for each."""

        def __init_subclass__(cls, *, total: bool) -> None:
            """Take what typing's takes."""


_NUMERIC = frozenset("0123456789.")
_U32 = (1 << 32) - 1
_LAST_PID = 1 << 22  # PID_MAX_LIMIT in include/linux/threads.h


class Option(NamedTuple):
    """An option, but for the type of its values, which the annotation has."""

    names: tuple[str, ...]
    text: str  # what is said of it
    metavar: str | None
    low: int | None
    high: int | None
    alone: str | None  # the value that is meant where none follows
    values: str  # the kind of its values where the metavar does not tell, see `bpfctl.cli.candidates`

    def takes(self, word: str) -> bool:
        """Return whether the word behind it is its value: behind one that may stand alone, only a number is."""
        return self.alone is None or word[:1] in _NUMERIC


def option(
    *names: str,
    text: str,
    metavar: str | None = None,
    low: int | None = None,
    high: int | None = None,
    alone: str | None = None,
    values: str = "",
) -> Option:
    """Return an option."""
    return Option(names, text, metavar, low, high, alone, values)


#: The words that are no options.
Words = list[str] | None
Type = Annotated[
    str | None,
    option("--type", metavar="TYPE", text="Only those of one type, such as xdp of programs or hash of maps."),
]
Name = Annotated[str | None, option("--name", metavar="GLOB", text="Only those whose name matches.")]
Owner = Annotated[
    str | None,
    option("--owner", metavar="PID|GLOB", text="Only those that a process holds: its id, or its name."),
]
Pinned = Annotated[bool, option("--pinned", text="Only those that are pinned; also shows where.")]
Sort = Annotated[
    str | None,
    option("--sort", metavar="COLUMN", text="Sort by a column of the table; -COLUMN for the reverse order."),
]
Watch = Annotated[
    float | None,
    option("--watch", metavar="[SECONDS]", alone="2", text="Show again every so many seconds (2) until Ctrl-C."),
]
Columns = Annotated[
    list[str] | None,
    option(
        "--fields",
        metavar="COLUMN,...",
        text="These columns, in this order; in a pipe with tabs between them, and exact values.",
    ),
]
NoHeader = Annotated[bool, option("--no-header", text="Leave the titles of the columns out.")]
Csv = Annotated[bool, option("--csv", text="Write CSV, with exact values: all columns, or those of --fields.")]


class AnyRows(TypedDict, total=False):
    """The options of all lists of objects, see `bpfctl.cli.lists.Wanted`."""

    owner: Owner
    sort: Sort
    watch: Watch
    fields: Columns
    no_header: NoHeader
    csv: Csv


class NamedRows(AnyRows, total=False):
    """Those of lists of objects that have names."""

    name: Name


class PinnedRows(AnyRows, total=False):
    """Those of lists of objects that have types and may be pinned."""

    type: Type
    pinned: Pinned


class Rows(PinnedRows, NamedRows, total=False):
    """Those of lists of objects that have both."""


Values = Annotated[
    list[str] | None,
    option(
        "--set",
        metavar="NAME=VALUE",
        text="Give a variable another value before the object is loaded.",
        values="VARIABLE",
    ),
]
DryRun = Annotated[bool, option("--dry-run", text="Change nothing, but show the bytes of key and value.")]
CheckOnly = Annotated[bool, option("--dry-run", text="Change nothing, but check all entries.")]
Replace = Annotated[bool, option("--replace", text="Also delete the keys of the map that are not among these.")]
Create = Annotated[bool, option("--create", text="Make the map, and pin it when all its entries are there.")]
Cpus = Annotated[
    str | None,
    option("--cpus", metavar="same|fit", text="Refuse values of other CPUs than are here, or take those that fit."),
]
From = Annotated[
    str | None, option("--from", metavar="ID|NAME", text="Which map of a file that has entries of several.")
]
Limit = Annotated[int | None, option("--limit", metavar="N", low=1, text="At most so many entries.")]
KeyPrefix = Annotated[
    str | None,
    option("--key-prefix", metavar="DATA", text="Only keys that begin so: '0a 00', 'str abc', 10.0.0.0/8, fe80::/10."),
]
Where = Annotated[
    list[str] | None,
    option("--where", metavar="EXPR", text="Only entries for which this holds, such as '.pid > 1 && cpu == 0'."),
]
Sum = Annotated[bool, option("--sum", text="Add the numbers that the CPUs have, and show one value for each key.")]
Top = Annotated[
    tuple[str, int] | None,
    option("--top", metavar="FIELD N", text="The N entries with the largest numbers in a field."),
]
Interval = Annotated[float, option("--interval", metavar="SECONDS", text="How long a round lasts.")]
SortTop = Annotated[
    str,
    option(
        "--sort",
        metavar="COLUMN",
        text="Sort by cpu, runs, runs/s, ns/run, missed, 'total runs', 'total time' (the largest first), id, type, "
        "name or tag; -COLUMN for the reverse order.",
    ),
]
Count = Annotated[int | None, option("--count", metavar="N", low=1, text="End after so many rounds.")]
Lines = Annotated[int | None, option("--limit", metavar="N", low=1, text="End after so many lines.")]
LimitPrograms = Annotated[int | None, option("--limit", metavar="N", low=1, text="At most so many programs.")]
Stats = Annotated[
    bool, option("--stats", text="Have the kernel count for some time (--interval), and tell what ran in it.")
]
RecordType = Annotated[
    str | None, option("--type", metavar="TYPE", text="Show records as values of this BTF type, such as event.")
]
Verbose = Annotated[bool, option("--verbose", "-v", text="Also show what can be read at each.")]
PinPath = Annotated[
    str | None, option("--pin", metavar="FILE", text="Keep it attached by a pin there, and end at once.")
]
LinkPin = Annotated[
    str | None, option("--pin", metavar="FILE", text="Attach it by a link, and pin that there: it ends with the pin.")
]
Of = Annotated[
    str | None, option("--of", metavar="FIELD", text="The number that is put into buckets: args.NAME, ret, ...")
]
LinearScale = Annotated[
    str | None,
    option("--linear", metavar="MIN:MAX:STEP", text="Buckets of the same size; without it, powers of 2."),
]
MaxHistograms = Annotated[
    int, option("--max-entries", metavar="N", low=1, text="How many sets of values have room (1000).")
]
By = Annotated[
    list[str] | None,
    option("--by", metavar="FIELD,...", text="Count by these: probe, comm, pid, cpu, args.NAME, ... (probe)."),
]
ProbeWhere = Annotated[
    str | None,
    option("--where", metavar="EXPR", text="Only hits for which this holds, such as 'pid == 7 && args.len > 0'."),
]
Pid = Annotated[
    int | None,
    option("--pid", "-p", metavar="PID", low=0, high=_LAST_PID, text="Only this process, with files as it sees them."),
]
Cgroup = Annotated[
    str | None,
    option("--cgroup", metavar="PATH", text="Only tasks in this cgroup, or below it: its folder, or cgroup:/PATH."),
]
CountPid = Annotated[
    int | None,
    option("--pid", "-p", metavar="PID", low=1, high=_LAST_PID, text="This process, and what it starts from now on."),
]
AllCpus = Annotated[
    bool, option("--all-cpus", "-a", text="Whatever runs on this machine; the default without COMMAND.")
]
CpuList = Annotated[
    str | None,
    option("--cpu", "-C", metavar="LIST", text="On these CPUs, such as 0-3,8; without -p whatever runs there."),
]
PerCpu = Annotated[bool, option("--per-cpu", text="Tell each CPU apart.")]
AsGroup = Annotated[bool, option("--group", text="Count all at the same times or not at all, as '{EVENT,EVENT}' does.")]
NoScale = Annotated[bool, option("--no-scale", text="Leave counts as they are that had to share a CPU's counters.")]
Repeat = Annotated[
    int, option("--repeat", "-r", metavar="N", low=1, high=_U32, text="Run COMMAND N times, and tell the mean.")
]
CountsFile = Annotated[
    str | None,
    option("--output", "-o", metavar="FILE", text="Write the counts there, apart from what COMMAND writes."),
]
Cookie = Annotated[
    str | None,
    option("--cookie", metavar="N", text="What bpf_get_attach_cookie() tells the program: a number of 64 bits."),
]
Way = Annotated[
    str,
    option("--way", metavar="WAY", text="Attach this way alone, such as 'perf event'; its beginning will do."),
]
TellOnly = Annotated[bool, option("--dry-run", text="Remove nothing, but tell what would be.")]
EachInterval = Annotated[
    float | None, option("--interval", metavar="SECONDS", text="Show the counts every so many seconds.")
]
Duration = Annotated[float | None, option("--duration", metavar="SECONDS", text="End after so many seconds.")]
TopRows = Annotated[int | None, option("--top", metavar="N", low=1, text="Only the N largest counts.")]
MaxEntries = Annotated[
    int, option("--max-entries", metavar="N", low=1, high=_U32, text="How many sets of values have room (10000).")
]
TraceFields = Annotated[
    list[str] | None,
    option("--fields", metavar="FIELD,...", text="What is read: pid, comm, ..., args.NAME (all that there is)."),
]
HitLimit = Annotated[int | None, option("--limit", metavar="N", low=1, text="End after so many hits.")]
Buffer = Annotated[int, option("--buffer", metavar="BYTES", text="Size of the ring buffer, a power of two (8388608).")]
Records = Annotated[int | None, option("--limit", metavar="N", low=1, text="End after so many records.")]
Seconds = Annotated[float | None, option("--seconds", metavar="S", low=0, text="End after so many seconds.")]
Take = Annotated[
    bool, option("--take", text="Take the records even if another process reads them, which then lacks them.")
]
Expand = Annotated[bool, option("--expand", "-E", text="Of a type: show members of members too.")]
Kinds = Annotated[
    list[str] | None,
    option("--kind", metavar="KIND", text="Only these: struct, union, enum, typedef, func, var, member, type..."),
]
Embeds = Annotated[str | None, option("--embeds", metavar="TYPE", text="What has such a type by value.")]
PointsTo = Annotated[str | None, option("--points-to", metavar="TYPE", text="What has a pointer to such a type.")]
TypeGlob = Annotated[
    list[str] | None, option("--type", metavar="GLOB", text="Only types whose name matches, or /regex/.")
]
CallsBy = Annotated[
    list[str] | None,
    option("--by", metavar="FIELD,...", text="A histogram for each of these: probe, comm, args.NAME, retval, ..."),
]
FromProbe = Annotated[
    list[str] | None,
    option("--from", metavar="PROBE", text="Time what begins here, and ends at --to; may be repeated."),
]
ToProbe = Annotated[list[str] | None, option("--to", metavar="PROBE", text="Where that ends; may be repeated.")]
SameKey = Annotated[
    list[str] | None,
    option(
        "--key",
        metavar="FIELD[=FIELD],...",
        text="What belongs together has the same values of these, there and at --to; without it, the same thread.",
    ),
]
TimeScale = Annotated[
    str | None,
    option("--linear", metavar="MIN:MAX:STEP", text="Buckets of the same size, such as 0:10ms:500us."),
]
TimeUnit = Annotated[
    str | None, option("--unit", metavar="ns|us|ms|s", text="Buckets, and what is shown, in this unit.")
]
SlowerThan = Annotated[
    str | None, option("--over", metavar="TIME", text="A line for each call that takes so long at least, such as 10ms.")
]
CallFields = Annotated[
    list[str] | None,
    option("--fields", metavar="FIELD,...", text="With --over: what is read: pid, args.NAME, retval, ... (all)."),
]
CallStacks = Annotated[bool, option("--stacks", text="With --over: also the calls in the kernel and in the process.")]
MaxCalls = Annotated[
    int, option("--max-calls", metavar="N", low=1, high=_U32, text="How many calls may be on their way (10240).")
]
StacksBy = Annotated[
    list[str] | None,
    option("--by", metavar="FIELD,...", text="Tell stacks apart by these: probe, comm, pid, cpu, ... (comm,pid)."),
]
StacksOf = Annotated[
    str | None, option("--of", metavar="FIELD", text="Add up this number instead of counting: args.NAME, ...")
]
OffCpu = Annotated[
    bool, option("--off-cpu", text="Add up how long threads were off CPU after a switch (sched:sched_switch).")
]
OverOffCpu = Annotated[
    str | None, option("--over", metavar="TIME", text="With --off-cpu: only what took so long at least, such as 1ms.")
]
KernelStacks = Annotated[bool, option("--kernel", text="Only the calls in the kernel.")]
UserStacks = Annotated[bool, option("--user", text="Only the calls in processes.")]
StackDepth = Annotated[
    int | None, option("--depth", metavar="N", low=1, text="The innermost N calls of each stack (127).")
]
TopStacks = Annotated[int | None, option("--top", metavar="N", low=1, text="Only the N hottest stacks.")]
MaxStacks = Annotated[
    int, option("--max-entries", metavar="N", low=1, high=_U32, text="How many different stacks have room (10000).")
]
Folded = Annotated[
    bool, option("--folded", text="A line for each stack, from its root on, for flamegraph.pl and others.")
]
FlameGraph = Annotated[
    str | None, option("--svg", metavar="FILE", text="Write a flame graph that a browser searches and zooms.")
]
Pprof = Annotated[str | None, option("--pprof", metavar="FILE", text="Write a profile for pprof.")]
Against = Annotated[
    list[str] | None,
    option("--against", metavar="FILE", text="Types of a kernel: a file of BTF; without it, the kernel that runs."),
]
Svg = Annotated[
    str | None,
    option("--svg", metavar="FILE", text="Have Graphviz's dot draw the control flow into a file."),
]
Every = Annotated[bool, option("--all", text="Also the relocations that resolve.")]
FullReport = Annotated[
    bool,
    option("--full-report", text="All there is a probe for: what is there, what is not, what cannot be told."),
]
Fresh = Annotated[
    bool, option("--fresh", text="Ask the kernel everything anew, also what it has answered since it was booted.")
]
Unmet = Annotated[bool, option("--unmet", text="Only the needs that are not met, or cannot be told.")]
Report = Annotated[
    str | None,
    option("--report", metavar="FILE", text="Ask what 'feature probe -j' wrote elsewhere, not this kernel."),
]
ReportBtf = Annotated[
    str | None, option("--btf", metavar="FILE", text="The types of the kernel of the report: its vmlinux.")
]
Reports = Annotated[
    str | None,
    option("--reports", metavar="DIR", text="Ask what a folder has of many hosts: NAME.json, and NAME.btf."),
]
EveryNeed = Annotated[bool, option("--all", text="With --reports: also the needs that all hosts meet.")]
TryLoad = Annotated[bool, option("--load", text="Load each object too, and let it go; nothing is attached.")]
