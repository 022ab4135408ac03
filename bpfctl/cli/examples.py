"""Examples of each command, which help, man pages and the reference show; tests run all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What some need of a kernel, in the words of tests/kernel/facts.py.
_KPROBES = ("pmu:kprobe",)
_PERF_LINKS = ("enum:BPF_LINK_TYPE_PERF_EVENT",)
_FENTRY = ("lockdown:none", "func:bpf_fentry_test1")
_LINKED_TCP = ("struct:bpf_struct_ops_tcp_congestion_ops", "word:BPF_F_LINK")
_TCP = ("struct:bpf_struct_ops_tcp_congestion_ops",)
_STREAMS = ("word:BPF_PROG_STREAM_READ_BY_FD",)


class Example(NamedTuple):
    """A line for a shell, and what it is good for."""

    line: str
    about: str
    status: int = 0
    goes_on: bool = False  # until Ctrl-C
    needs: tuple[str, ...] = ()


#: Those of the program as a whole.
FIRST = (
    Example("bpfctl prog", "what is loaded, and by whom"),
    Example("bpfctl prog show name count_packets", "all about one program"),
    Example("bpfctl map list --owner 'cilium*' --sort -memlock", "the largest maps of some processes first"),
    Example("bpfctl probe count 'syscalls:sys_enter_*' --duration 5", "which system calls there are, and how many"),
)

#: Those of each command; one that is the same as another has that one's.
EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "batch file": (
        Example("bpfctl batch file commands.txt", "run what the file says"),
        Example("echo 'map show name flows' | bpfctl -j batch file -", "from stdin; with -j an array of answers"),
    ),
    "prog show": (
        Example("bpfctl prog show", "all programs, and who holds them"),
        Example("bpfctl prog show pinned /sys/fs/bpf/count_packets", "one program, with all its details"),
        Example("bpfctl prog show --type xdp --sort -memlock", "those of a type, the largest first"),
        Example("bpfctl prog show --stats", "what each does in one second"),
    ),
    "prog dump": (
        Example("bpfctl prog dump xlated name count_packets linum", "instructions, with the lines of source"),
        Example("bpfctl prog dump xlated id 7 visual > code.dot", "the control flow, for Graphviz"),
        Example("bpfctl prog dump jited id 7 opcodes", "the machine code, with its bytes"),
    ),
    "prog pin": (
        Example("bpfctl prog pin id 7 /sys/fs/bpf/kept", "keep it loaded whoever ends"),
        Example("bpfctl prog pin name drop_packets /sys/fs/bpf/drop_kept", "by its name"),
    ),
    "prog load": (
        Example("bpfctl prog load firewall.o /sys/fs/bpf/firewall", "its first program, with its maps"),
        Example("bpfctl prog load firewall.o /sys/fs/bpf/limited --set limit=9", "with another value of a variable"),
        Example("bpfctl prog load firewall.o /sys/fs/bpf/as_xdp type xdp", "as another type than its section says"),
    ),
    "prog loadall": (
        Example("bpfctl prog loadall firewall.o /sys/fs/bpf/all pinmaps /sys/fs/bpf/maps", "programs, and maps"),
        Example(
            "bpfctl prog loadall trace.o /sys/fs/bpf/trace autoattach",
            "attached, as long as the pins are there",
            needs=_PERF_LINKS,
        ),
    ),
    "prog diff": (
        Example(
            "bpfctl prog diff name count_packets name drop_packets", "what differs; exit code 1 if anything does", 1
        ),
        Example("bpfctl -j prog diff name count_packets name drop_packets", "for a script", 1),
    ),
    "prog attach": (
        Example(
            "bpfctl prog attach name check_messages sk_msg_verdict name sockets", "have it judge what sockets send"
        ),
    ),
    "prog detach": (Example("bpfctl prog detach name check_messages sk_msg_verdict name sockets", "undo prog attach"),),
    "prog tracelog": (
        Example("bpfctl prog tracelog --limit 10", "the next ten lines of bpf_printk()"),
        Example("bpfctl prog tracelog stderr id 7", "what the kernel has told of one program", needs=_STREAMS),
    ),
    "prog run": (
        Example("bpfctl prog run name count_packets data_in packet", "what it returns for a packet"),
        Example("bpfctl prog run name count_packets data_in packet repeat 1000", "how long a run takes"),
    ),
    "prog profile": (
        Example("bpfctl prog profile id 7 duration 10 cpu_clock", "nanoseconds in its runs, for 10 s", needs=_FENTRY),
    ),
    "prog top": (
        Example("bpfctl prog top", "the most expensive programs, live", goes_on=True),
        Example("bpfctl -j prog top --interval 1 --count 3", "three rounds for a script"),
    ),
    "map show": (
        Example("bpfctl map show", "all maps, and who holds them"),
        Example("bpfctl map show name flows", "one map, with all its details"),
        Example("bpfctl map show --fields id,name,memlock --sort -memlock", "some columns, the largest first"),
    ),
    "map dump": (
        Example("bpfctl map dump name flows", "all entries, by the map's types"),
        Example("bpfctl map dump name flows --where '.bytes > 1000' --top .packets 10", "the largest of some"),
        Example("bpfctl -j map dump name flows > saved.json", "save them for map restore and map diff"),
    ),
    "map lookup": (
        Example("bpfctl map lookup name flows key 10.0.0.1", "the value of a key that is an address"),
        Example("bpfctl map lookup name flows key hex 0a 00 00 01", "the same in bytes, as bpftool has them"),
    ),
    "map getnext": (
        Example("bpfctl map getnext name flows", "the first key"),
        Example("bpfctl map getnext name sockets key 0 0 0 0", "the key behind another one"),
    ),
    "map event_pipe": (
        Example("bpfctl map event_pipe name samples", "what programs send, until Ctrl-C", goes_on=True),
        Example("bpfctl -j map event_pipe name samples", "for a script, as one array", goes_on=True),
    ),
    "map peek": (
        Example("bpfctl map peek name jobs", "what map pop would take out"),
        Example("bpfctl -j map peek name jobs", "for a script"),
    ),
    "map update": (
        Example(
            'bpfctl map update name flows key 10.0.0.9 value \'{"packets": 1, "state": "OPEN"}\'',
            "by the names of the map's types",
        ),
        Example("bpfctl map update name flows key 10.0.0.1 value .state=CLOSED --dry-run", "look at the bytes first"),
        Example("bpfctl map update name blocked key 10.1.0.0/16 value 1 noexist", "a network, unless it is there"),
    ),
    "map push": (
        Example("bpfctl map push name jobs value 7", "behind all others in a queue, on top of a stack"),
        Example("bpfctl map push name jobs value hex 07 00 00 00", "the same in bytes"),
    ),
    "map delete": (
        Example("bpfctl map delete name flows key 10.0.0.2 --dry-run", "look at the bytes of the key first"),
        Example("bpfctl map delete name flows key 10.0.0.2", "what is not there is an error"),
    ),
    "map pin": (
        Example("bpfctl map pin id 7 /sys/fs/bpf/flows_kept", "keep it whoever ends"),
        Example("bpfctl map pin name settled /sys/fs/bpf/settled", "by its name"),
    ),
    "map create": (
        Example(
            "bpfctl map create /sys/fs/bpf/hits type hash key 4 value 8 entries 1024 name hits", "an empty hash map"
        ),
        Example(
            "bpfctl map create /sys/fs/bpf/allowed type lpm_trie key 8 value 4 entries 64 name allowed flags 1",
            "networks: four bytes of an address, and before them their length",
        ),
    ),
    "map freeze": (
        Example("bpfctl map freeze name settled", "programs may still change it"),
        Example("bpfctl map freeze pinned /sys/fs/bpf/allowed", "one that is pinned"),
    ),
    "map pop": (
        Example("bpfctl map pop name jobs", "the next one of a queue or stack"),
        Example("bpfctl -j map pop name jobs", "for a script"),
    ),
    "map restore": (
        Example("bpfctl map restore name flows flows.json", "put saved entries beside those that are there"),
        Example("bpfctl map restore name flows flows.json --replace --dry-run", "check what is in the file"),
    ),
    "map copy": (
        Example("bpfctl map copy name flows create /sys/fs/bpf/larger name larger entries 4096", "into a larger map"),
        Example("bpfctl map copy name flows pinned /sys/fs/bpf/spare --replace", "make another map equal"),
    ),
    "map diff": (
        Example("bpfctl map diff name flows flows.json", "what has changed since; exit code 1 if anything", 1),
        Example("bpfctl -j map diff name flows pinned /sys/fs/bpf/spare", "for a script", 1),
    ),
    "map edit": (
        Example("bpfctl map edit name flows", "all entries, as JSON in $EDITOR"),
        Example("bpfctl map edit name flows key 10.0.0.1", "one of them"),
    ),
    "map watch": (
        Example("bpfctl map watch name flows", "what changes, and how fast", goes_on=True),
        Example("bpfctl map watch name flows --top .bytes 5 --interval 2", "what grows most", goes_on=True),
    ),
    "map stat": (
        Example("bpfctl map stat", "how full maps are"),
        Example("bpfctl map stat name flows --watch 5", "and how fast one fills", goes_on=True),
    ),
    "link show": (
        Example("bpfctl link show", "all links, with what they are attached to"),
        Example("bpfctl -f link show --type xdp", "those of a type, and where they are pinned"),
    ),
    "link pin": (
        Example("bpfctl link pin id 7 /sys/fs/bpf/link_kept", "keep it attached whoever ends"),
        Example("bpfctl link pin pinned /sys/fs/bpf/lo_link /sys/fs/bpf/lo_too", "one that is pinned elsewhere"),
    ),
    "link detach": (
        Example("bpfctl link detach pinned /sys/fs/bpf/lo_link", "the link stays, but does nothing"),
        Example("bpfctl link detach id 7", "by its number, of `bpfctl link`"),
    ),
    "cgroup show": (
        Example("bpfctl cgroup show /sys/fs/cgroup/web", "what is attached there"),
        Example("bpfctl cgroup show /sys/fs/cgroup/web effective", "and what runs for it, also from above"),
    ),
    "cgroup tree": (
        Example("bpfctl cgroup tree /sys/fs/cgroup", "all cgroups that have programs"),
        Example("bpfctl -j cgroup tree /sys/fs/cgroup", "for a script"),
    ),
    "cgroup attach": (
        Example(
            "bpfctl cgroup attach /sys/fs/cgroup/web cgroup_inet_ingress name count_ingress multi",
            "beside others, for all processes in it and below",
        ),
        Example(
            "bpfctl cgroup attach /sys/fs/cgroup/web cgroup_inet_ingress name count_ingress --pin /sys/fs/bpf/ingress",
            "by a link, which ends with its pin",
        ),
    ),
    "cgroup detach": (
        Example("bpfctl cgroup detach /sys/fs/cgroup/web cgroup_inet_ingress name count_ingress", "undo cgroup attach"),
    ),
    "perf show": (
        Example("bpfctl perf show", "which programs run at which tracepoint, function or event"),
        Example("bpfctl -j perf show", "for a script"),
    ),
    "net show": (
        Example("bpfctl net show", "all that see packets of this network namespace"),
        Example("bpfctl net show dev eth0", "at one device"),
    ),
    "net attach": (
        Example("bpfctl net attach xdpgeneric name count_packets dev eth0", "without a link, until net detach"),
        Example("bpfctl net attach xdpgeneric name drop_packets dev eth0 overwrite", "in the place of another one"),
    ),
    "net detach": (Example("bpfctl net detach xdpgeneric dev eth0", "undo net attach"),),
    "feature probe": (
        Example("bpfctl feature probe", "what bpftool asks"),
        Example("bpfctl -j feature probe --full-report > report.json", "all there is to ask, for feature diff"),
        Example("bpfctl feature probe macros prefix HAVE_", "a header for C"),
    ),
    "feature list_builtins": (
        Example("bpfctl feature list_builtins map_types", "names that map create takes"),
        Example("bpfctl feature list_builtins helpers", "all helpers that there have been"),
    ),
    "feature check": (
        Example("bpfctl feature check program.o", "exit code 0 when this kernel has all that it needs"),
        Example("bpfctl feature check program.o --unmet --load", "only what is missing; loads it too"),
        Example("bpfctl feature check program.o --report before.json", "ask another kernel, by its report", 1),
    ),
    "feature diff": (
        Example("bpfctl feature diff before.json", "what is new here; exit code 1 if anything differs", 1),
        Example("bpfctl -j feature diff before.json report.json", "two saved reports, for a script", 1),
    ),
    "btf show": (
        Example("bpfctl btf show task_struct", "offsets, sizes and holes of a kernel's type"),
        Example("bpfctl btf show struct traffic map name flows", "a type of a map"),
        Example("bpfctl btf show", "all BTF objects"),
    ),
    "btf list": (
        Example("bpfctl btf list", "all BTF objects"),
        Example("bpfctl btf list --sort -size", "the largest first"),
    ),
    "btf dump": (
        Example("bpfctl btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h", "the header for CO-RE programs"),
        Example("bpfctl btf dump map name flows kv", "the types of a map's keys and values"),
    ),
    "btf find": (
        Example("bpfctl btf find 'tcp_*' --kind struct", "types by name"),
        Example("bpfctl btf find --points-to task_struct --kind func --limit 20", "functions that take or return one"),
    ),
    "btf diff": (
        Example("bpfctl btf diff older.btf --type 'task_*'", "what this kernel has otherwise; exit code 1 if any", 1),
        Example("bpfctl -j btf diff older.btf program.o", "the types of two files, for a script", 1),
    ),
    "btf check": (
        Example("bpfctl btf check program.o", "does every CO-RE relocation resolve here?"),
        Example("bpfctl btf check program.o --against older.btf --all", "and on another kernel?"),
    ),
    "gen min_core_btf": (
        Example("bpfctl gen min_core_btf /sys/kernel/btf/vmlinux small.btf program.o", "types to go with program.o"),
        Example("bpfctl gen min_core_btf /sys/kernel/btf/vmlinux both.btf program.o firewall.o", "for several objects"),
    ),
    "struct_ops show": (
        Example("bpfctl struct_ops show", "all that programs implement", needs=_TCP),
        Example("bpfctl -j struct_ops show name first", "one of them, for a script", needs=_TCP),
    ),
    "struct_ops dump": (
        Example("bpfctl struct_ops dump name first", "its functions, and their programs", needs=_TCP),
        Example("bpfctl struct_ops dump", "all of them", needs=_TCP),
    ),
    "struct_ops register": (
        Example(
            "bpfctl struct_ops register congestion.o /sys/fs/bpf/links",
            "as long as the pin is there",
            needs=_LINKED_TCP,
        ),
    ),
    "struct_ops unregister": (
        Example("bpfctl struct_ops unregister name first", "one that no link holds", needs=_TCP),
    ),
    "iter pin": (Example("bpfctl iter pin tasks.o /sys/fs/bpf/tasks", "cat /sys/fs/bpf/tasks runs it", needs=_FENTRY),),
    "token show": (
        Example("bpfctl token show", "BPF file systems that delegate rights"),
        Example("bpfctl -j token show", "for a script"),
    ),
    "probe list": (
        Example("bpfctl probe list 'tracepoint:sched:*'", "what there is of a kind"),
        Example("bpfctl probe list -v sched:sched_switch", "and what can be read there"),
        Example("bpfctl probe list uprobe:c:malloc", "functions of a library"),
    ),
    "probe count": (
        Example(
            "bpfctl probe count syscalls:sys_enter_openat --by comm,args.filename --top 10 --duration 5",
            "who opens which files",
        ),
        Example("bpfctl probe count 'sched:*' --interval 1 --duration 10", "each second"),
        Example("bpfctl probe count 'kprobe:vfs_*' --duration 5", "functions of the kernel", needs=_KPROBES),
    ),
    "probe trace": (
        Example("bpfctl probe trace sched:sched_process_exec", "each program that starts", goes_on=True),
        Example(
            "bpfctl probe trace syscalls:sys_exit_openat --where 'ret < 0' --fields pid,comm,ret --limit 20",
            "who fails to open files",
        ),
        Example("bpfctl -j probe trace uprobe:c:getaddrinfo --duration 10", "calls in a library, for a script"),
    ),
    "probe hist": (
        Example("bpfctl probe hist syscalls:sys_exit_read --of ret --by comm --duration 5", "sizes of reads"),
        Example("bpfctl probe hist syscalls:sys_exit_read --of ret --linear 0:4096:512 --duration 5", "in equal steps"),
    ),
    "probe stacks": (
        Example("bpfctl probe stacks profile:99hz --duration 10 --svg cpu.svg", "a flame graph of all CPUs"),
        Example("bpfctl probe stacks sched:sched_switch --off-cpu --over 1ms --duration 10", "where threads wait"),
        Example("bpfctl probe stacks software:page-faults --user --by comm --top 5 --duration 5", "who faults, where"),
    ),
    "probe latency": (
        Example("bpfctl probe latency syscalls:sys_enter_fsync --by comm --duration 5", "how long a system call takes"),
        Example(
            "bpfctl probe latency kprobe:vfs_read --over 10ms --duration 5", "a line for slow ones", needs=_KPROBES
        ),
        Example(
            "bpfctl probe latency --from sched:sched_wakeup --to sched:sched_switch --key args.pid=args.next_pid"
            " --duration 5",
            "how long threads wait for a CPU",
        ),
    ),
    "probe stat": (
        Example("bpfctl probe stat -- true", "what a command costs; the exit code is its own"),
        Example("bpfctl probe stat context-switches,page-faults --repeat 5 -- true", "the mean of five runs"),
        Example("bpfctl probe stat -a --per-cpu context-switches --duration 10", "the whole machine, CPU by CPU"),
    ),
    "probe show": (
        Example("bpfctl probe show sched:sched_switch", "the fields, and whether it can be attached"),
        Example("bpfctl probe show uprobe:c:malloc", "also where in which file it is"),
    ),
    "probe dry-run": (
        Example("bpfctl probe dry-run syscalls:sys_enter_openat --by comm", "the program of a count"),
        Example("bpfctl probe dry-run sched:sched_switch --fields comm,next_comm", "that of a trace"),
    ),
    "probe attach": (
        Example(
            "bpfctl probe attach raw_tracepoint:sched_process_exec name on_exec --pin /sys/fs/bpf/on_exec", "for good"
        ),
    ),
    "probe clean": (
        Example("bpfctl probe clean --dry-run", "tell what there is to remove"),
        Example("bpfctl probe clean", "remove it"),
    ),
    "probe run": (
        Example("bpfctl probe run session.toml", "as long as the file says"),
        Example("bpfctl -j probe run session.toml --duration 5", "for 5 s, for a script"),
    ),
    "plugin list": (
        Example("bpfctl plugin list", "kinds of probes, and whose they are"),
        Example("bpfctl -p plugin list", "as JSON, with what is wrong with those that are broken"),
    ),
    "events ": (
        Example("bpfctl events name events --type event --limit 10", "ten records, by their type"),
        Example("bpfctl -j events pinned /sys/fs/bpf/events --seconds 10", "a line of JSON for each"),
    ),
    "completion ": (
        Example("source <(bpfctl completion bash)", "in this shell; in ~/.bashrc in each one"),
        Example("bpfctl completion zsh > _bpfctl", "the script for a folder of $fpath"),
    ),
    "explain ": (
        Example("bpfctl explain ringbuf", "a type of maps"),
        Example("bpfctl explain bpf_ringbuf_reserve", "a helper"),
        Example("bpfctl explain E2BIG", "an error of bpf()"),
    ),
}
