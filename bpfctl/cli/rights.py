"""Which capabilities each command takes: what the kernel asks for, proved by running them with just these.

CAP_SYS_ADMIN stands for CAP_BPF, CAP_PERFMON and, in bpf(2), CAP_NET_ADMIN, but not the other way round: the kernel
opens objects by their ids, and so by their names, for CAP_SYS_ADMIN alone (BPF_*_GET_FD_BY_ID in
kernel/bpf/syscall.c). What is pinned is opened by the rights to the file.
"""

from __future__ import annotations

from typing import NamedTuple

BPF, PERFMON, NET_ADMIN, SYSLOG = "CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_SYSLOG"
SYS_ADMIN, READ_SEARCH, OVERRIDE = "CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"


class Way(NamedTuple):
    """A way to use a command: when it is that, and the capabilities that it takes then."""

    when: str  # empty for the first, which is how the command is used most
    needs: tuple[str, ...] = ()


_FREE = (Way(""),)
_BY_ID = (Way("", (SYS_ADMIN,)),)
_LISTS = (*_BY_ID, Way("with 'pinned FILE'"))
_READS_CODE = (*_BY_ID, Way("with 'pinned FILE'", (BPF,)))
_LOADS = (Way("", (BPF,)), Way("for programs that trace", (BPF, PERFMON)), Way("for XDP and tc", (BPF, NET_ADMIN)))
_CGROUPS = (*_BY_ID, Way("of a cgroup without programs", (NET_ADMIN,)))
_PROBES = (Way("", (BPF, PERFMON)), Way("for tracepoints", (BPF, PERFMON, READ_SEARCH)))
_POINTS = (Way(""), Way("for tracepoints", (READ_SEARCH,)))
_TYPES = (Way(""), Way("with 'id', 'prog' and 'map'", (SYS_ADMIN,)))

#: Of each command, by its object and its word.
RIGHTS: dict[str, tuple[Way, ...]] = {
    "batch file": _FREE,
    "prog show": _LISTS,
    "prog list": _LISTS,
    "prog dump": (*_READS_CODE, Way("for 'jited' with 'pinned FILE'", (BPF, SYSLOG))),
    "prog diff": _READS_CODE,
    "prog pin": _LISTS,
    "prog load": _LOADS,
    "prog loadall": _LOADS,
    "prog attach": _LISTS,
    "prog detach": _LISTS,
    "prog tracelog": (Way("", (READ_SEARCH,)), Way("for the stream of 'pinned FILE'")),
    "prog run": _LISTS,
    "prog profile": (*_BY_ID, Way("with 'pinned FILE'", (BPF, PERFMON))),
    "prog top": _BY_ID,
    "map show": _LISTS,
    "map list": _LISTS,
    "map dump": _LISTS,
    "map lookup": _LISTS,
    "map peek": _LISTS,
    "map getnext": _LISTS,
    "map update": _LISTS,
    "map push": _LISTS,
    "map enqueue": _LISTS,
    "map pop": _LISTS,
    "map dequeue": _LISTS,
    "map delete": _LISTS,
    "map pin": _LISTS,
    "map freeze": _LISTS,
    "map create": (Way("", (BPF,)), Way("for maps of sockets and devices", (BPF, NET_ADMIN))),
    "map event_pipe": (*_BY_ID, Way("with 'pinned FILE'", (PERFMON,))),
    "map restore": _LISTS,
    "map copy": (*_LISTS, Way("from 'pinned FILE' into a new map", (BPF,))),
    "map diff": _LISTS,
    "map edit": _LISTS,
    "map watch": _LISTS,
    "map stat": _LISTS,
    "link show": _LISTS,
    "link list": _LISTS,
    "link pin": _LISTS,
    "link detach": _LISTS,
    "cgroup show": _CGROUPS,
    "cgroup list": _CGROUPS,
    "cgroup tree": _CGROUPS,
    "cgroup attach": _LISTS,
    "cgroup detach": _LISTS,
    "perf show": _BY_ID,
    "perf list": _BY_ID,
    "net show": _BY_ID,
    "net list": _BY_ID,
    "net attach": (
        Way("", (SYS_ADMIN, NET_ADMIN)),
        Way("with 'pinned FILE'", (NET_ADMIN,)),
        Way("for tcx with 'pinned FILE'"),
    ),
    "net detach": (Way("", (NET_ADMIN,)),),
    "feature probe": (
        Way("", (SYS_ADMIN, BPF, NET_ADMIN, PERFMON)),
        Way("with 'unprivileged'"),
        Way("with --full-report, which says what could not be asked"),
    ),
    "feature list_builtins": _FREE,
    "feature check": (Way(""), Way("with --load, which says what could not be asked")),
    "feature diff": _FREE,
    "btf show": (*_BY_ID, Way("for a type of the kernel, a module or a file")),
    "btf list": _BY_ID,
    "btf dump": _TYPES,
    "btf find": _TYPES,
    "btf diff": _TYPES,
    "btf check": _FREE,
    "gen min_core_btf": _FREE,
    "struct_ops show": _BY_ID,
    "struct_ops list": _BY_ID,
    "struct_ops dump": _BY_ID,
    "struct_ops register": (Way("", (BPF, PERFMON)),),
    "struct_ops unregister": _BY_ID,
    "iter pin": (Way("", (BPF, PERFMON)),),
    "token show": _FREE,
    "token list": _FREE,
    "probe list": _POINTS,
    "probe show": _POINTS,
    "probe count": _PROBES,
    "probe trace": _PROBES,
    "probe hist": _PROBES,
    "probe stacks": _PROBES,
    "probe latency": _PROBES,
    "probe run": _PROBES,
    "probe dry-run": (Way("", (BPF, PERFMON)), Way("for tracepoints", (BPF, READ_SEARCH))),
    "probe stat": (
        Way("", (PERFMON,)),
        Way("for a command of yours, where kernel.perf_event_paranoid is at most 2"),
    ),
    "probe attach": (*_BY_ID, Way("with 'pinned FILE' at perf events and functions", (PERFMON,))),
    "probe clean": (Way("", (OVERRIDE,)), Way("with --dry-run", (READ_SEARCH,))),
    "events ": (*_LISTS, Way("for a pinned perf event array", (PERFMON,))),
    "plugin list": _FREE,
    "completion ": _FREE,
    "explain ": _FREE,
    "version ": _FREE,
}


def rights_of(object_: str, command: str = "") -> str:
    """Return which capabilities a command takes, in one line; empty for a command that this does not know.

    The command is empty where the object is one, as in ``bpfctl events``.
    """
    ways = RIGHTS.get(f"{object_} {command}", ())
    return "; ".join(_told(way) for way in ways)


def _told(way: Way) -> str:
    names = " and ".join(filter(None, [", ".join(way.needs[:-1]), *way.needs[-1:]])) or "none"
    return f"{names} {way.when}".rstrip()
