"""
Objects of each kind, and a line for each way to use a command that `bpfctl.cli.rights` tells.

    with Scene() as scene:
        scene.run("map show", 1, hardship.ordinary_user)

All lives in a `Place` of its own, and is pinned where everybody may use it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import struct
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from btf.relo_kind import FIELD_BYTE_OFFSET
from btf.write import Builder
from tests.build.bpf_object import Relo, bpf_object
from tests.kernel import client, hardship
from tests.kernel.emitter import Emitter
from tests.kernel.facts import Facts
from tests.kernel.place import Place
from tests.kernel.structs import in_use, own
from tests.kernel.typeblob import SIGNED, Blob

#: Which go on until Ctrl-C.
ENDLESS = ("prog tracelog", "map event_pipe", "map watch", "probe attach", "events ")
SOCKET_FILTER, SCHED_CLS, XDP, PERF_EVENT, CGROUP_SOCK, SK_SKB, RAW_TRACEPOINT = 1, 3, 6, 7, 9, 14, 17
_EXIST = 2
ARRAY, SOCKMAP, QUEUE = 2, 15, 22
VERDICT, SOCK_CREATE = 5, 2
ZERO, ONE = bytes.fromhex("b7000000000000009500000000000000"), bytes.fromhex("b7000000010000009500000000000000")
ENTRY = '[{"key":["0x01","0x00","0x00","0x00"],"value":["0x02","0x00","0x00","0x00","0x00","0x00","0x00","0x00"]}]'
SESSION = '[[count]]\nprobes = "{}"\n'


#: A line for each way to use a command that the table tells, in its order. B is a BPF file system, D a folder.
LINES = {
    "batch file": ["{D}/batch"],
    "prog show": ["", "pinned {B}/prog"],
    "prog list": ["name rights", "pinned {B}/prog"],
    "prog dump": ["xlated id {prog}", "xlated pinned {B}/prog", "jited pinned {B}/prog file {D}/new"],
    "prog diff": ["id {prog} id {other}", "pinned {B}/prog pinned {B}/other"],
    "prog pin": ["id {prog} {B}/new", "pinned {B}/prog {B}/new"],
    "prog load": [f"{{D}}/{name} {{B}}/new" for name in ("object", "traced", "xdp")],
    "prog loadall": [f"{{D}}/{name} {{B}}/new" for name in ("object", "traced", "xdp")],
    "prog attach": [
        "id {verdict} sk_skb_stream_verdict id {sockets}",
        "pinned {B}/verdict sk_skb_stream_verdict pinned {B}/sockets",
    ],
    "prog detach": [
        "id {verdict} sk_skb_stream_verdict id {sockets}",
        "pinned {B}/verdict sk_skb_stream_verdict pinned {B}/sockets",
    ],
    "prog tracelog": ["", "stdout pinned {B}/prog"],
    "prog run": ["id {prog} data_in {D}/packet", "pinned {B}/prog data_in {D}/packet"],
    "prog profile": ["id {typed} duration 1 cpu_clock", "pinned {B}/typed duration 1 cpu_clock"],
    "prog top": ["--count 1 --interval 0.1"],
    "map show": ["", "pinned {B}/map"],
    "map list": ["name rights_map", "pinned {B}/map"],
    "map dump": ["id {map}", "pinned {B}/map"],
    "map lookup": ["id {map} key 1", "pinned {B}/map key 1"],
    "map peek": ["id {queue}", "pinned {B}/queue"],
    "map getnext": ["id {map}", "pinned {B}/map"],
    "map update": ["id {map} key 1 value 2", "pinned {B}/map key 1 value 2"],
    "map push": ["id {queue} value 1", "pinned {B}/queue value 1"],
    "map enqueue": ["id {queue} value 1", "pinned {B}/queue value 1"],
    "map pop": ["id {queue}", "pinned {B}/queue"],
    "map dequeue": ["id {queue}", "pinned {B}/queue"],
    "map delete": ["id {hash} key 1", "pinned {B}/hash key 1"],
    "map pin": ["id {map} {B}/new", "pinned {B}/map {B}/new"],
    "map freeze": ["id {frozen}", "pinned {B}/thawed"],
    "map create": [
        "{B}/new type hash key 4 value 4 entries 4 name new",
        "{B}/new type sockmap key 4 value 4 entries 4 name new",
    ],
    "map event_pipe": ["id {perf}", "pinned {B}/perf"],
    "map restore": ["id {map} {D}/saved", "pinned {B}/map {D}/saved"],
    "map copy": ["id {map} id {second}", "pinned {B}/map pinned {B}/second", "pinned {B}/map create {B}/new"],
    "map diff": ["id {map} id {second}", "pinned {B}/map pinned {B}/second"],
    "map edit": ["id {map}", "pinned {B}/map"],
    "map watch": ["id {map}", "pinned {B}/map"],
    "map stat": ["", "pinned {B}/map"],
    "link show": ["", "pinned {B}/link"],
    "link list": ["id {link}", "pinned {B}/link"],
    "link pin": ["id {link} {B}/new", "pinned {B}/link {B}/new"],
    "link detach": ["id {link}", "pinned {B}/link"],
    "cgroup show": ["{C}", "{bare}"],
    "cgroup list": ["{C}", "{bare}"],
    "cgroup tree": ["{C}", "{bare}"],
    "cgroup attach": ["{C} sock_create id {socket}", "{C} sock_create pinned {B}/socket"],
    "cgroup detach": ["{C} sock_create id {socket}", "{C} sock_create pinned {B}/socket"],
    "perf show": [""],
    "perf list": [""],
    "net show": ["dev lo"],
    "net list": ["dev lo"],
    "net attach": [
        "xdpgeneric id {xdp} dev lo",
        "xdpgeneric pinned {B}/xdp dev lo",
        "tcx_ingress pinned {B}/tcx dev lo",
    ],
    "net detach": ["xdpgeneric dev lo"],
    "gen min_core_btf": ["/sys/kernel/btf/vmlinux {D}/new {D}/object"],
    "struct_ops show": [""],
    "struct_ops list": ["name first"],
    "struct_ops dump": [""],
    "struct_ops register": ["{D}/struct {B}/new"],
    "struct_ops unregister": ["id {ops}"],
    "iter pin": ["{D}/iterator {B}/new"],
    "token show": [""],
    "token list": [""],
    "feature probe": ["", "unprivileged", "--full-report"],
    "feature list_builtins": ["prog_types"],
    "feature check": ["{D}/object", "{D}/object --load"],
    "feature diff": ["{D}/report {D}/report"],
    "btf show": ["", "task_struct"],
    "btf list": [""],
    "btf dump": ["file /sys/kernel/btf/vmlinux root_id 1", "id {types} root_id 1"],
    "btf find": ["task_struct", "task_struct id {types}"],
    "btf diff": ["{D}/types {D}/types", "{D}/types id {types}"],
    "btf check": ["{D}/object"],
    "probe list": ["raw_tracepoint:sched_switch", "sched:sched_switch"],
    "probe show": ["raw_tracepoint:sched_switch", "sched:sched_switch"],
    "probe dry-run": ["software:cpu-clock", "sched:sched_switch"],
    "probe run": ["{D}/raw", "{D}/event"],
    **{
        f"probe {word}": [f"{spec} {more}--duration 0.1" for spec in ("software:cpu-clock", "sched:sched_switch")]
        for word, more in {"count": "", "trace": "--fields comm ", "hist": "--of pid ", "stacks": "--kernel "}.items()
    },
    "probe latency": [
        "uprobe:c:getppid --duration 0.1",
        "syscalls:sys_enter_read --duration 0.1",
    ],
    "probe stat": ["task-clock --duration 0.1", "task-clock -- /bin/true"],
    "probe attach": ["raw_tracepoint:task_newtask id {raw}", "software:cpu-clock pinned {B}/event"],
    "probe clean": ["", "--dry-run"],
    "events ": ["id {ring}", "pinned {B}/ring", "pinned {B}/perf"],
    "plugin list": [""],
    "completion ": ["bash"],
    "explain ": ["xdp"],
    "version ": [""],
}


class Scene:
    """What the lines above name; root, entered by ``with``."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._begin(stack.enter_context(Place()), stack)
            self._all = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._all.close()

    def _begin(self, place, stack):
        place.root.chmod(0o777)
        place.bpffs.chmod(0o777)
        self.place, self._stack = place, stack
        bare = place.cgroup / "bare"
        bare.mkdir()
        stack.callback(bare.rmdir)
        self.names = {"B": place.bpffs, "D": place.root, "C": place.cgroup, "bare": bare}
        self._fds = {}
        self._put("map", "map", client.map_create(ARRAY, 4, 8, 4, name="rights_map"))
        self._put("map", "second", client.map_create(ARRAY, 4, 8, 4, name="rights_second"))
        self._put("map", "hash", client.map_create(1, 4, 8, 4, name="rights_hash"))
        self._put("map", "frozen", client.map_create(ARRAY, 4, 8, 4, name="rights_frozen"))
        self._put("map", "thawed", client.map_create(ARRAY, 4, 8, 4, name="rights_thawed"))
        self._put("map", "queue", client.map_create(QUEUE, 0, 8, 64, name="rights_queue"))
        self._put("map", "sockets", client.map_create(SOCKMAP, 4, 4, 4, name="rights_sockets"))
        self._put("prog", "prog", client.prog_load(SOCKET_FILTER, ZERO, name="rights"))
        self._put("prog", "other", client.prog_load(SOCKET_FILTER, ONE, name="rights_other"))
        self._put("prog", "event", client.prog_load(PERF_EVENT, ZERO, name="rights_event"))
        self._put("prog", "raw", client.prog_load(RAW_TRACEPOINT, ZERO, name="rights_raw"))
        verdict = client.prog_load(SK_SKB, ONE, name="rights_verdict", expected_attach_type=VERDICT)
        self._put("prog", "verdict", verdict)
        self._put("prog", "typed", _typed(stack))
        self._put("prog", "xdp", client.prog_load(XDP, ONE, name="rights_xdp"))
        self._put("prog", "tcx", client.prog_load(SCHED_CLS, ONE, name="rights_tcx"))
        self._put("prog", "socket", client.prog_load(CGROUP_SOCK, ONE, name="rights_socket"))
        self._put("link", "link", client.raw_tracepoint_open("task_rename", self._fds["raw"]))
        for name, is_perf in (("ring", False), ("perf", True)):
            self._pin(name, Emitter(stack, perf=is_perf).map_fd, "map")
        self._write("batch", b"version\n")
        self._write("packet", bytes(64))
        self._write("saved", ENTRY.encode())
        self._write("report", hardship.bpfctl("-j", "feature", "probe", "unprivileged").out)
        self._write("raw", ("duration = 0.1\n" + SESSION.format("software:cpu-clock")).encode())
        self._write("event", ("duration = 0.1\n" + SESSION.format("sched:sched_switch")).encode())
        blob = Blob()
        blob.int_("int", 4, SIGNED)
        self._write("types", blob.raw())
        types = client.btf_load(blob.raw())
        stack.callback(os.close, types)
        self.names["types"] = client.id_of("btf", types)
        for name, part in (("struct", "struct_ops_link"), ("iterator", "iter")):
            self._write(name, own(part))
        self.names["ops"] = client.id_of("map", self._registered())
        for name, section in (("object", "socket"), ("traced", "raw_tp"), ("xdp", "xdp")):
            self._write(name, _object(section))

    def _registered(self):
        """Put two structs of functions to use, and return the descriptor of the first one's map."""
        if not self.has_structs:
            return self._fds["map"]
        return in_use(self._stack).maps["first"].fileno()

    @property
    def has_structs(self):
        return Facts(self.place.lockdown).has("struct:bpf_struct_ops_tcp_congestion_ops")

    def _put(self, kind, name, fd):
        self._stack.callback(os.close, fd)
        self._fds[name] = fd
        self._pin(name, fd, kind)

    def _pin(self, name, fd, kind):
        client.obj_pin(fd, str(self.place.bpffs / name))
        (self.place.bpffs / name).chmod(0o666)
        self.names[name] = client.id_of(kind, fd)

    def _write(self, name, data):
        (self.place.root / name).write_bytes(data)

    def run(self, command, number, become, start=hardship.bpfctl):
        """Run the line of a way where BECOME brings it, and return how it ended."""
        with self.prepared(command, number) as words:
            return start(*words, hardship=become)

    @contextmanager
    def prepared(self, command, number):
        """Have there be what the line of a way takes, and give its words; what it makes is removed at the end."""
        self._prepare(command)
        try:
            yield shlex.split(f"{command} {LINES[command][number].format(**self.names)}")
        finally:
            for new in (self.place.bpffs / "new", self.place.root / "new"):
                if new.is_dir():
                    shutil.rmtree(new)
                new.unlink(missing_ok=True)

    def _prepare(self, command):
        """Have there be what the command takes away."""
        client.map_update(self._fds["hash"], bytes([1, 0, 0, 0]), bytes(8))
        if command in ("map peek", "map pop", "map dequeue"):
            client.map_update(self._fds["queue"], None, bytes(8), _EXIST)  # the oldest goes where it is full
        if command.startswith("cgroup"):
            with suppress(FileNotFoundError):
                client.prog_detach(self.place.cgroup_fd, self._fds["socket"], SOCK_CREATE)
        if command.startswith("cgroup") and command != "cgroup attach":
            client.prog_attach(self.place.cgroup_fd, self._fds["socket"], SOCK_CREATE)
        if command.startswith("net"):
            for kind in ("xdpgeneric", "tcx_ingress"):
                hardship.bpfctl("net", "detach", kind, "dev", "lo")
        if command.startswith("net") and command != "net attach":
            hardship.bpfctl("net", "attach", "xdpgeneric", "pinned", str(self.place.bpffs / "xdp"), "dev", "lo")
        if command == "prog detach":
            client.prog_attach(self._fds["sockets"], self._fds["verdict"], VERDICT)


def _typed(stack):
    """Load a program with types, by which others attach to it."""
    blob = Blob()
    function = blob.func("rights_typed", blob.int_("int", 4, SIGNED), [("ctx", blob.ptr(0))])
    btf = client.btf_load(blob.raw())
    stack.callback(os.close, btf)
    func_info = {"func_info": struct.pack("=II", 0, function), "func_info_rec_size": 8, "func_info_cnt": 1}
    return client.prog_load(XDP, ONE, name="rights_typed", prog_btf_fd=btf, **func_info)


def _object(section):
    """Return an object with one program."""
    types = Builder()
    task = types.add_struct("task_struct", 8, [("pid", types.add_int("int", 4), 32)])
    return bpf_object(types, [Relo(task, "0:0", FIELD_BYTE_OFFSET, 4)], section)
