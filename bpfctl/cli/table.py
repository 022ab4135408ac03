"""The table of commands, in bpftool's order: a word may be cut short, and the first entry that it begins wins.

A command that is not there yet keeps its place, so that no abbreviation ever changes its meaning.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command: its word, ``module:function`` in bpfctl.cli, and one line of help.

    The word is empty where the object is the command, as in ``bpfctl events MAP``.
    """

    word: str
    run: str
    help: str = ""


def _object(module: str, *words: str, **commands: tuple[str, str]) -> tuple[Command, ...]:
    """Return the commands of an object; one in another module than most is told as module:function."""
    return tuple(
        Command(word, _at(module, commands[word][0]), commands[word][1]) if word in commands else Command(word, "")
        for word in words
    )


def _at(module: str, function: str) -> str:
    return function if ":" in function else f"{module}:{function}"


#: Commands that bpftool has not, whose exit codes are ours.
OURS = {
    "prog": frozenset({"top", "diff"}),
    "map": frozenset({"restore", "copy", "diff", "edit", "watch", "stat"}),
    "feature": frozenset({"check", "diff"}),
    "btf": frozenset({"find", "diff", "check"}),
    "probe": frozenset(
        {"list", "count", "trace", "hist", "stacks", "show", "attach", "dry-run", "clean", "stat", "run", "latency"},
    ),
    "plugin": frozenset({"list"}),
    "events": frozenset({""}),
    "completion": frozenset({""}),
    "explain": frozenset({""}),
}

_HELP = ("help", "show the commands of this object")

OBJECTS: dict[str, tuple[Command, ...]] = {
    "help": (),
    "batch": (Command("file", "batch:file", "run the commands in a file"),),
    "prog": _object(
        "prog",
        "show",
        "list",
        "help",
        "dump",
        "pin",
        "load",
        "loadall",
        "attach",
        "detach",
        "tracelog",
        "run",
        "profile",
        "top",
        "diff",
        show=("show", "show loaded programs"),
        list=("show", "show loaded programs"),
        dump=("prog_dump:dump", "show the code of programs"),
        pin=("pin", "pin a program"),
        load=("prog_load:load", "load an object, and pin its first program"),
        loadall=("prog_load:loadall", "load an object, and pin all its programs"),
        diff=("prog_diff:diff", "show what differs between the code of two programs"),
        attach=("prog_attach:attach", "attach a program to a sockmap, or a flow dissector"),
        detach=("prog_attach:detach", "detach a program from a sockmap, or a flow dissector"),
        tracelog=("prog_tracelog:tracelog", "show what programs write with bpf_printk(), or into their streams"),
        run=("prog_run:run", "run a program on data of yours"),
        profile=("prog_profile:profile", "count cycles, instructions and other events in the runs of a program"),
        top=("prog_top:top", "show which programs cost most"),
    ),
    "map": _object(
        "map",
        "show",
        "list",
        "help",
        "dump",
        "update",
        "lookup",
        "getnext",
        "delete",
        "pin",
        "event_pipe",
        "create",
        "peek",
        "push",
        "enqueue",
        "pop",
        "dequeue",
        "freeze",
        "restore",
        "copy",
        "diff",
        "edit",
        "watch",
        "stat",
        show=("show", "show maps"),
        list=("show", "show maps"),
        pin=("pin", "pin a map"),
        dump=("map_read:dump", "show the entries of a map"),
        lookup=("map_read:lookup", "show the value of a key"),
        getnext=("map_read:getnext", "show the key after a key"),
        event_pipe=("map_events:event_pipe", "show what programs send to a perf event array, until Ctrl-C"),
        peek=("map_read:lookup", "show the next value of a queue or stack"),
        update=("map_write:update", "set a value"),
        push=("map_write:update", "put a value into a queue or stack"),
        enqueue=("map_write:update", "put a value into a queue or stack"),
        delete=("map_write:delete", "delete a key"),
        create=("map_write:create", "create a map and pin it"),
        freeze=("map_write:freeze", "make a map read-only for user space"),
        pop=("map_write:pop", "take a value out of a queue or stack"),
        dequeue=("map_write:pop", "take a value out of a queue or stack"),
        watch=("map_look:watch", "show which entries change, and how fast"),
        stat=("map_look:stat", "show how full maps are"),
        restore=("map_save:restore", "bring the entries of a file back that map dump has written"),
        copy=("map_save:copy", "copy the entries of a map into another, or into a new one"),
        diff=("map_diff:diff", "show what differs between two maps, or a map and a file"),
        edit=("map_edit:edit", "change entries in an editor"),
    ),
    "link": _object(
        "link",
        "show",
        "list",
        "help",
        "pin",
        "detach",
        show=("show", "show links"),
        list=("show", "show links"),
        pin=("pin", "pin a link"),
        detach=("detach", "detach a link from its target"),
    ),
    "cgroup": _object(
        "cgroup",
        "show",
        "list",
        "tree",
        "attach",
        "detach",
        "help",
        show=("show", "show the programs of a cgroup"),
        list=("show", "show the programs of a cgroup"),
        tree=("tree", "show the programs of all cgroups"),
        attach=("attach", "attach a program to a cgroup"),
        detach=("detach", "detach a program from a cgroup"),
    ),
    "perf": _object(
        "perf",
        "show",
        "list",
        "help",
        show=("show", "show the programs at perf events and raw tracepoints"),
        list=("show", "show the programs at perf events and raw tracepoints"),
    ),
    "net": _object(
        "net",
        "show",
        "list",
        "attach",
        "detach",
        "help",
        show=("show", "show the programs at network devices"),
        list=("show", "show the programs at network devices"),
        attach=("attach", "attach a program to a network device"),
        detach=("detach", "detach the program of a network device"),
    ),
    "feature": _object(
        "feature",
        "probe",
        "list_builtins",
        "help",
        "check",
        "diff",
        probe=("probe", "tell what the kernel, or a network device, can do"),
        list_builtins=("list_builtins", "list the types and helpers that are known by name"),
        check=("feature_check:check", "tell whether a kernel has what BPF objects need"),
        diff=("feature_diff:diff", "show what differs between two kernels, by their reports"),
    ),
    "btf": _object(
        "btf",
        "show",
        "list",
        "help",
        "dump",
        "find",
        "diff",
        "check",
        show=("show", "show loaded BTF objects, or a type with offsets, sizes and holes"),
        list=("list_", "show loaded BTF objects"),
        dump=("btf_dump:dump", "show types in words or as a C header"),
        diff=("btf_diff:diff", "show what differs between the types of two kernels or objects"),
        check=("btf_check:check", "tell which CO-RE relocations of BPF objects resolve on which kernels"),
        find=("btf_find:find", "find types, members, functions and enumerators, and who uses a type"),
    ),
    "gen": _object(
        "gen",
        "object",
        "skeleton",
        "subskeleton",
        "min_core_btf",
        "help",
        min_core_btf=("min_core_btf", "write as much of a kernel's types as objects need"),
    ),
    "struct_ops": _object(
        "struct_ops",
        "show",
        "list",
        "register",
        "unregister",
        "dump",
        "help",
        show=("show", "show the structs of functions that programs implement"),
        list=("show", "show the structs of functions that programs implement"),
        register=("register", "load an object, and put its structs to use"),
        unregister=("unregister", "take structs out of use"),
        dump=("dump", "show what is in structs"),
    ),
    "iter": _object("iter", "help", "pin", pin=("pin", "pin an iterator, which is run when somebody reads that")),
    "token": _object(
        "token",
        "show",
        "list",
        "help",
        show=("show", "show which BPF file systems delegate rights"),
        list=("show", "show which BPF file systems delegate rights"),
    ),
    "version": (),
    # Our own come after bpftool's, so that no abbreviation of bpftool's changes its meaning.
    "probe": (
        Command("list", "probe:list_", "show what can be probed"),
        Command("count", "probe_count:count", "count hits in the kernel"),
        Command("trace", "probe_trace:trace", "show a line for each hit"),
        Command("hist", "probe_hist:hist", "show how often a number has which values"),
        Command("show", "probe_show:show", "show what can be read at probes, and whether they can be attached"),
        Command("attach", "probe_attach:attach", "attach a loaded program"),
        Command("dry-run", "probe_show:dry_run", "show the programs of a count or trace, and how they are attached"),
        Command("stacks", "probe_stacks:stacks", "count the calls that led to hits, or add up time off CPU"),
        Command("clean", "probe_clean:clean", "remove events of tracefs that a killed bpfctl has left"),
        Command("latency", "probe_latency:latency", "show how long calls take, or what is between two probes"),
        Command("stat", "probe_stat:stat", "count events of the kernel and of CPUs, of a command or of all"),
        Command("run", "probe_file:run", "measure several things at once, as a session file says"),
        Command("help", "", ""),
    ),
    "plugin": (Command("list", "plugin:list_", "show the installed plugins"), Command("help", "", "")),
    "events": (Command("", "events:show", "show the records of a ring buffer or perf event array"),),
    "completion": (Command("", "completion:show", "write the script that has a shell complete command lines"),),
    "explain": (Command("", "explain:show", "explain a type, helper, flag, section or error of BPF"),),
}


def object_of(word: str) -> str | None:
    """Return the object that a word means; None where it begins none."""
    return next((name for name in OBJECTS if name.startswith(word)), None)
