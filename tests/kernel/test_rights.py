"""Each command under exactly the capabilities that `bpfctl.cli.rights` tells, and without each one of them."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from bpfctl.cli.rights import RIGHTS
from bpfctl.cli.table import OBJECTS, OURS
from btf.relo_kind import FIELD_BYTE_OFFSET
from btf.write import Builder
from tests.build.bpf_object import Relo, bpf_object
from tests.kernel import client, hardship
from tests.kernel.emitter import Emitter
from tests.kernel.facts import Facts
from tests.kernel.place import Place
from tests.kernel.structs import in_use, own
from tests.kernel.typeblob import SIGNED, Blob

_LIBC = ctypes.CDLL(None, use_errno=True)
_CAPSET = {"x86_64": 126, "aarch64": 91}[os.uname().machine]
_VERSION_3, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _NOBODY = 0x20080522, 4, 8, 65534
_NUMBERS = {
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYSLOG": 34,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
#: Which go on until Ctrl-C, and how many seconds they are let.
_ENDLESS, _ENOUGH, _TOO_LONG = ("prog tracelog", "map event_pipe", "map watch", "probe attach", "events "), 0.5, 60
SOCKET_FILTER, SCHED_CLS, XDP, PERF_EVENT, CGROUP_SOCK, SK_SKB, RAW_TRACEPOINT = 1, 3, 6, 7, 9, 14, 17
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
    "btf dump": ["file /sys/kernel/btf/vmlinux root_id 1", "id 1 root_id 1"],
    "btf find": ["task_struct", "task_struct id 1"],
    "btf diff": ["{D}/types {D}/types", "{D}/types id 1"],
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
    "probe attach": ["raw_tracepoint:task_rename id {raw}", "software:cpu-clock pinned {B}/event"],
    "probe clean": ["", "--dry-run"],
    "events ": ["id {ring}", "pinned {B}/ring", "pinned {B}/perf"],
    "plugin list": [""],
    "completion ": ["bash"],
    "explain ": ["xdp"],
    "version ": [""],
}
WAYS = [
    pytest.param(command, number, id=f"{command.strip()}-{way.when or 'most'}")
    for command, ways in RIGHTS.items()
    for number, way in enumerate(ways)
]


def having(*names, seconds=_TOO_LONG):
    """Return what becomes an ordinary user with these capabilities, and ends what goes on after so many seconds."""
    mask = sum(1 << _NUMBERS[name] for name in names)

    def become():
        hardship._checked(_LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        low, high = mask & 0xFFFFFFFF, mask >> 32
        sets = struct.pack("=6I", low, low, 0, high, high, 0)  # effective, permitted, inheritable
        hardship._checked(_LIBC.syscall(_CAPSET, struct.pack("=Ii", _VERSION_3, 0), sets), "capset")
        hardship._checked(_LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE")
        os.environ["EDITOR"] = "true"
        signal.setitimer(signal.ITIMER_REAL, seconds)

    return become


@pytest.fixture(scope="module")
def scene():
    """Objects of each kind, pinned where everybody may use them; what the lines above name."""
    with Place() as place, ExitStack() as stack:
        place.root.chmod(0o777)
        place.bpffs.chmod(0o777)
        yield _Scene(place, stack)


class _Scene:
    def __init__(self, place, stack):
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

    def run(self, command, number, *capabilities, seconds=_TOO_LONG):
        """Run the line of a way, and return how it ended."""
        self._prepare(command)
        words = shlex.split(f"{command} {LINES[command][number].format(**self.names)}")
        try:
            return hardship.bpfctl(*words, hardship=having(*capabilities, seconds=seconds))
        finally:
            for new in (self.place.bpffs / "new", self.place.root / "new"):
                if new.is_dir():
                    shutil.rmtree(new)
                new.unlink(missing_ok=True)

    def _prepare(self, command):
        """Have there be what the command takes away."""
        client.map_update(self._fds["hash"], bytes([1, 0, 0, 0]), bytes(8))
        if command in ("map peek", "map pop", "map dequeue"):
            client.map_update(self._fds["queue"], None, bytes(8))
        if command.startswith("cgroup"):
            with suppress(FileNotFoundError):
                client.prog_detach(self.place.cgroup_fd, self._fds["socket"], SOCK_CREATE)
        if command.startswith("cgroup") and command != "cgroup attach":
            client.prog_attach(self.place.cgroup_fd, self._fds["socket"], SOCK_CREATE)
        if command.startswith("net"):
            hardship.bpfctl("net", "detach", "xdpgeneric", "dev", "lo")
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
    return bpf_object(types, [Relo(task, "0:0", FIELD_BYTE_OFFSET)], section)


def test_each_command_and_each_way_has_a_line():
    commands = {f"{name} {one.word}" for name, group in OBJECTS.items() for one in group if one.run}

    assert {*RIGHTS} >= commands
    assert {command: len(ways) for command, ways in RIGHTS.items()} == {
        command: len(lines) for command, lines in LINES.items()
    }


@pytest.fixture(scope="module")
def floor(scene):
    """What bpf(2) takes of everybody: before Linux 5.19 kernel.unprivileged_bpf_disabled closes all of it to others."""
    pid = os.fork()
    if not pid:
        try:
            having()()
            client.obj_get(str(scene.place.bpffs / "map"))
        except OSError:
            os._exit(1)
        os._exit(0)
    return ("CAP_BPF",) if os.waitpid(pid, 0)[1] else ()


def _setting(name):
    return int(Path("/proc/sys/kernel", name).read_text())


def _skip_where_it_cannot_be(scene, command, way):
    if command in ("prog profile", "iter pin") and scene.place.lockdown != "none":
        pytest.skip(f"kernel lockdown ({scene.place.lockdown}) forbids programs at programs")
    if command.startswith("struct_ops") and not scene.has_structs:
        pytest.skip("the kernel lets no program control congestion (CONFIG_BPF_JIT, Linux 5.6)")
    if "tcx" in way.when and not Facts(scene.place.lockdown).has("enum:BPF_TCX_INGRESS"):
        pytest.skip("there is no tcx before Linux 6.6")
    if "perf_event_paranoid" in way.when and _setting("perf_event_paranoid") > 2:
        pytest.skip("kernel.perf_event_paranoid is above 2")
    if command == "prog tracelog" and "stream" in way.when and not _has_streams(scene):
        pytest.skip("programs have no streams before Linux 6.17")


def _has_streams(scene):
    return hardship.bpfctl("prog", "tracelog", "stdout", "pinned", f"{scene.place.bpffs}/prog").code == 0


def _is_free(capability):
    """Whether this machine is set up to grant everybody what the capability is for."""
    if capability == "CAP_SYSLOG":
        return _setting("kptr_restrict") == 0 and _setting("perf_event_paranoid") <= 1
    if capability == "CAP_PERFMON":
        return _setting("perf_event_paranoid") <= 0
    return capability == "CAP_BPF" and _setting("unprivileged_bpf_disabled") == 0


@pytest.mark.parametrize(("command", "number"), WAYS)
def test_it_takes_just_these_capabilities(scene, floor, command, number):
    way = RIGHTS[command][number]
    _skip_where_it_cannot_be(scene, command, way)
    ends = command not in _ENDLESS
    outcome = scene.run(command, number, *way.needs, *floor, seconds=_TOO_LONG if ends else _ENOUGH)

    assert outcome.code in ((0, 1) if ends else (0, -signal.SIGALRM)), outcome
    assert "permitted" not in outcome.err
    assert "denied" not in outcome.err

    for missing in way.needs:
        if _is_free(missing):
            continue
        held = {*way.needs, *floor} - {missing}
        outcome = scene.run(command, number, *held)
        object_, _, word = command.partition(" ")
        assert outcome.code == 4 if word in OURS.get(object_, ()) else outcome.code not in (0, -signal.SIGALRM), outcome
        errors = [line for line in outcome.err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, outcome
        named = {name for name in _NUMBERS if re.search(rf"{name}\b", errors[0])} - held
        assert named or "tracefs is root's" in errors[0], outcome


@pytest.fixture
def group_may_read_tracefs(scene):
    """Have tracefs as a mount for a group has it; the file system is one for the whole machine, so it is put back."""

    def mount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", scene.place.tracefs], check=True)

    mount(f"gid={_NOBODY},mode=750")
    yield
    mount("gid=0,mode=700")


@pytest.mark.usefixtures("group_may_read_tracefs")
@pytest.mark.parametrize("command", ["probe count", "probe trace", "probe stacks", "probe list"])
def test_tracepoints_for_a_group(scene, command):
    """As the error says: with such a mount CAP_BPF and CAP_PERFMON are enough, and a list takes nothing."""
    outcome = scene.run(command, 1, *([] if command == "probe list" else ["CAP_BPF", "CAP_PERFMON"]))

    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("words", ["btf show task_struct", "btf find task_struct", "probe list software:*"])
def test_an_ordinary_user_sees_the_same(words):
    theirs, ours = hardship.bpfctl(*words.split(), hardship=having()), hardship.bpfctl(*words.split())

    assert theirs == ours
    assert ours.code == 0


def test_the_errors_in_the_document_are_those_that_come():
    """A number in them is a setting of the machine."""
    text = Path(__file__).parents[2].joinpath("docs", "rights.md").read_text()
    shown = re.findall(r"^    \$ bpfctl (.+)\n    (Error: .+)$", text, re.MULTILINE)
    came = [hardship.bpfctl(*command.split(), hardship=having()).err for command, _ in shown]

    assert len(shown) == 2
    assert [re.sub(r"is \d+", "is N", error) for _, error in shown] == [
        re.sub(r"is -?\d+", "is N", error.strip()) for error in came
    ]
