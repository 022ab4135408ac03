"""What help, man pages and the reference say of objects, of values, and of the words of single commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class About(NamedTuple):
    """What an object of the command line is: in a few words, and at more length."""

    short: str
    long: str = ""


OBJECTS: Mapping[str, About] = {
    "batch": About(
        "run many commands at once",
        "A file of commands is run in one process, in order, up to the first that fails. Lines are command lines "
        "without bpfctl; # begins a comment.",
    ),
    "prog": About(
        "inspect, run and measure loaded programs",
        "Programs that the kernel has loaded, whoever has loaded them: what they are, who holds them, their code, "
        "what they write, and what they cost.",
    ),
    "map": About(
        "inspect and change maps",
        "Maps hold what programs and processes share. Keys and values are shown by the types that the map has (BTF), "
        "and can be given in their words.",
    ),
    "link": About(
        "inspect, pin and detach links",
        "A link keeps a program attached to something, as long as anybody holds it or it is pinned.",
    ),
    "cgroup": About("show and change which programs are attached to cgroups"),
    "perf": About("show the programs at perf events, tracepoints, kprobes and uprobes"),
    "net": About("show and change which programs see packets"),
    "feature": About(
        "find out what a kernel can do with BPF",
        "What the kernel has of program types, map types, helpers, kfuncs and all else is found out by trying, "
        "never by its version.",
    ),
    "btf": About(
        "look at types: of the kernel, its modules, programs and files",
        "BTF describes types, functions and variables: the kernel's own in /sys/kernel/btf, those of loaded programs "
        "and maps, and those in object files.",
    ),
    "gen": About("generate code from objects"),
    "struct_ops": About("register structures of the kernel whose functions are programs"),
    "iter": About("pin programs that go through objects of the kernel"),
    "token": About("show BPF tokens, which delegate rights"),
    "probe": About(
        "count, trace and time what the kernel and processes do",
        "A probe is a place where something can be noticed: a tracepoint, a function of the kernel or of a file, "
        "an event of a CPU. What is done at a hit is assembled and loaded as a program; nothing of it stays when "
        "the command ends, however that comes about.",
    ),
    "plugin": About("show the plugins, which bring kinds of probes"),
    "events": About("show the records of a ring buffer or perf event array"),
    "completion": About("have a shell complete command lines"),
    "explain": About("explain the words of BPF"),
}

#: What stands for something in synopses, in the order in which it is told.
TERMS: Mapping[str, str] = {
    "PROG": "A loaded program. A tag or a name may be that of several: lists show all of them, what needs one refuses.",
    "MAP": "A map. A name may be that of several.",
    "QUEUE": "A queue or stack, or a bloom filter, which takes values too.",
    "RING": "A ring buffer or perf event array.",
    "PERF": "A perf event array.",
    "LINK": "What keeps a program attached.",
    "SOURCE": "Whose types: those of a BTF object, of a program or map, or in a file, raw or ELF; without it the "
    "kernel's. Several files are looked at as one.",
    "VALUE": "The bytes of a value; in maps of maps the map, and in program arrays the program.",
    "DATA": "bpftool's [hex] BYTES, a word for each, or: one number, where 2 to 16 bytes are wanted; str TEXT; an "
    "address such as 10.0.0.1, fe80::1 or aa:bb:cc:dd:ee:ff; a network such as 10.0.0.0/8 in a trie; by the types also "
    "JSON ('{\"pid\": 7}'), parts of a value (.pid=7), whose rest stays as it is, and names of "
    "enumerators; cpu N DATA for the value of one CPU.",
    "ATTACH_TYPE": "What the program is attached as.",
    "CGROUP": "A cgroup of version 2, by its folder, such as /sys/fs/cgroup/system.slice.",
    "CGROUP_TYPE": "What the program is attached as; bpftool's older words such as ingress and connect4 will do too.",
    "NET_TYPE": "What the program is attached as: xdp, in the driver where that can do it, or one of its ways; or tcx.",
    "METRIC": "What is counted, up to four at a time: cpu_clock is nanoseconds, all others need counters in the CPU.",
    "GROUP": "What is listed.",
    "PATH": "A file in a BPF file system that is not there yet, such as /sys/fs/bpf/counts.",
    "FILE": "A file.",
    "TYPE": "The name of a type.",
    "NAME": "A name of up to 15 characters.",
    "N": "A number: decimal, or hexadecimal with 0x.",
    "DEV": "A network device, such as eth0.",
    "PREFIX": "What names begin with.",
    "OBJECT": "An object file of BPF programs, such as program.o.",
    "STRUCT": "A struct of functions that programs implement: by the id of its map, or by its name.",
    "SPEC": "A probe: KIND:TARGET, such as tracepoint:sched:sched_switch, kprobe:vfs_read, uprobe:c:malloc or "
    "profile:99hz. The target may have wildcards; tracepoint: may be left out. bpfctl probe list shows all.",
    "WORD": "A name or a number, in the kernel's spelling or bpftool's.",
    "COMMAND": "A command that is run, with its own words.",
}

_PROG_DUMP = {
    "xlated": "The instructions that the verifier has made of the program.",
    "jited": "The machine code that the kernel has made of it.",
    "file FILE": "Write the code as it is into a file that only you may read.",
    "opcodes": "Also the bytes of each instruction.",
    "linum": "Also file, line and column of each line of source.",
    "visual": "The control flow as a graph in DOT, for Graphviz.",
}
_PROG_LOAD = {
    "type SECTION": "What all programs are, instead of what their sections say, such as xdp or cgroup/connect4.",
    "map idx N MAP": "A map that is there is taken for the Nth one of the object; so is it for map name NAME MAP.",
    "offload_dev DEV": "The network device that is to run them.",
    "xdpmeta_dev DEV": "The network device whose metadata XDP programs read.",
    "pinmaps PATH": "Pin the maps too, in this folder.",
    "autoattach": "Attach programs to what their sections name, and pin these links instead.",
    "kernel_btf FILE": "The types of the kernel that CO-RE relocations are for.",
}
_CGROUP = {"effective": "What runs for the cgroup, also what is attached above."}
_FLAG = {"any|exist|noexist": "Set it in any case, only if the key is there, or only if it is not."}

#: The words of single commands; those in capitals are told here in another way than above.
WORDS: Mapping[str, Mapping[str, str]] = {
    "batch file": {"FILE": "A file of command lines, or - for stdin."},
    "prog dump": _PROG_DUMP,
    "prog load": _PROG_LOAD,
    "prog loadall": _PROG_LOAD | {"PATH": "A folder in a BPF file system, which gets a pin for each program."},
    "gen min_core_btf": {"FILE": "First the types of a kernel, such as /sys/kernel/btf/vmlinux; then what is written."},
    "struct_ops register": {"PATH": "A folder in a BPF file system, which gets a pin for each link."},
    "iter pin": {"map MAP": "The map whose entries it goes through, if it is an iterator for that."},
    "cgroup show": _CGROUP,
    "cgroup list": _CGROUP,
    "cgroup tree": _CGROUP,
    "cgroup attach": {
        "multi|override": "Let others be attached beside it, also below; or let cgroups below have another instead.",
    },
    "net show": {"dev DEV": "Only what is at this network device."},
    "net list": {"dev DEV": "Only what is at this network device."},
    "net attach": {
        "dev DEV": "The network device.",
        "overwrite": "Take the place of the XDP program that is there.",
        "prepend": "Run before all other programs of tcx, not behind them.",
    },
    "net detach": {"dev DEV": "The network device."},
    "prog tracelog": {"stdout|stderr": "What is in this stream of one program, which is taken out of it (Linux 6.17)."},
    "prog run": {
        "data_in FILE": "The packet, from its Ethernet header on; - is stdin.",
        "data_out FILE": "Where the packet goes as the program leaves it; - is stdout, in hexadecimal.",
        "ctx_in FILE": "The context, such as struct xdp_md or struct __sk_buff.",
        "ctx_out FILE": "Where the context goes.",
        "data_size_out N": "How many bytes have room (32768); so has ctx_size_out N.",
        "repeat N": "Run it N times, and tell the average time.",
    },
    "prog profile": {"duration N": "End after N seconds; otherwise Ctrl-C ends it."},
    "map lookup": {
        "key DATA": "The key whose value is shown.",
        "value DATA": "A value that a bloom filter is asked for.",
    },
    "map event_pipe": {"cpu N index N": "Only events of that CPU, which the program sends to that place of the map."},
    "map create": {
        "type TYPE": "The type, such as hash or ringbuf: bpfctl feature list_builtins map_types.",
        "key N": "The size of a key in bytes.",
        "value N": "The size of a value in bytes.",
        "entries N": "How many entries have room.",
        "name NAME": "A name of up to 15 characters.",
        "flags N": "Flags as the kernel numbers them, such as 1 for BPF_F_NO_PREALLOC.",
        "inner_map MAP": "In maps of maps: a map that those within are like.",
        "offload_dev DEV": "The network device that is to have the map.",
    },
    "map update": _FLAG,
    "map push": _FLAG,
    "map enqueue": _FLAG,
    "map restore": _FLAG | {"FILE": "What map dump -j has written, of any size; - is stdin."},
    "map copy": {
        "create PATH": "Make a new map, alike but for what follows, and pin it there.",
        "name NAME": "The name of the new map.",
        "entries N": "How many entries have room in the new map.",
    },
    "map diff": {"FILE": "What map dump -j has written; - is stdin."},
    "feature probe": {
        "kernel": "Ask the kernel, which is meant without this word too.",
        "dev DEV": "Ask a network device that programs can be offloaded to.",
        "full": "Also the helpers whose check makes the kernel warn in its log.",
        "unprivileged": "What a process without rights may do.",
        "macros": "Write #define lines for a C header.",
        "prefix PREFIX": "What their names begin with.",
    },
    "feature diff": {"FILE": "What feature probe -j has written; the second is this kernel if it is left out."},
    "btf list": {"id ID": "Only the BTF object with this id."},
    "btf show": {
        "id ID": "Only the BTF object with this id.",
        "TYPE": "A name, or an id in brackets such as '[7]'.",
        "struct|union|enum|typedef|func|var": "Which of the types of that name.",
    },
    "btf dump": {
        "format raw|c": "Types one by one, or as a C header.",
        "unsorted": "In C: members and types in the order of their ids, not of their names.",
        "root_id N": "Only this type, and in C those that it needs; may be repeated.",
    },
    "btf find": {"TYPE": "A glob for the whole name, such as tcp_*, or /regex/ for a part of it."},
    "btf diff": {"FILE": "A file with types; the second is this kernel if it is left out."},
    "probe list": {"SPEC": "KIND:PATTERN, or a PATTERN for all kinds; a word without * is found anywhere in names."},
    "probe stat": {
        "SPEC": "What is counted: KIND:TARGET, or a name such as cycles; '{A,B}' are counted at the same times.",
    },
    "probe run": {"FILE": "A session file: TOML with a table for each measurement."},
}

#: What the exit codes of commands mean that bpftool has not.
OWN_STATUSES: Mapping[str, str] = {
    "0": "It is done, or the answer is yes.",
    "1": "The answer is no, or something differs.",
    "2": "The words make no sense.",
    "3": "What they name is not there.",
    "4": "The kernel does not permit it.",
    "5": "This kernel lacks something.",
    "255": "All else, such as a damaged file, or a program that the verifier refuses.",
}
#: What those of bpftool's commands mean.
STATUSES: Mapping[str, str] = {
    "0": "It is done.",
    "255": "It is not, or the words make no sense.",
    "256 - errno": "Some commands of maps, links and programs: the kernel's answer; 254 is no such object.",
}
#: What bpfctl reads of the environment.
ENVIRONMENT: Mapping[str, str] = {
    "NO_COLOR, CLICOLOR_FORCE": "When there are colours, after what --color says.",
    "BPFCTL_PAGER, PAGER": "What shows what is longer than the screen (less -FRX).",
    "VISUAL, EDITOR": "The editor of map edit.",
}
#: What bpfctl keeps.
FILES: Mapping[str, str] = {
    "/run/bpfctl": "What root has found out since the machine was booted: names of kernel functions, features.",
    "$XDG_RUNTIME_DIR/bpfctl": "The same of others.",
}
