"""Each command under exactly the capabilities that `bpfctl.cli.rights` tells, and without each one of them."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from bpfctl.cli.rights import RIGHTS
from bpfctl.cli.table import OBJECTS, OURS
from tests.kernel import client, hardship
from tests.kernel.facts import Facts, needs
from tests.kernel.scene import ENDLESS, LINES, SOCK_CREATE, Scene

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
WAYS = [
    pytest.param(command, number, id=f"{command.strip()}-{way.when or 'most'}")
    for command, ways in RIGHTS.items()
    for number, way in enumerate(ways)
]


_HASH = 1
_PARANOIA, _PARANOID = Path("/proc/sys/kernel/perf_event_paranoid"), 2  # the highest that Linux itself knows
_ENOUGH, _TOO_LONG = 0.5, 60  # seconds that a command is let, which goes on and which ends


def having(*names, seconds=_TOO_LONG):
    """Return what becomes an ordinary user with these capabilities, and ends what goes on after so many seconds."""
    mask = sum(1 << _NUMBERS[name] for name in {*names})

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
    with Scene() as there:
        yield there


@pytest.fixture(scope="module", autouse=True)
def _settings():
    """Have what the table is for, which Debian's Linux 5.10 has otherwise: it bounds memory and knows more paranoia."""
    limit, paranoid = resource.getrlimit(resource.RLIMIT_MEMLOCK), _setting("perf_event_paranoid")
    if _is_charged():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if paranoid > _PARANOID:
        _PARANOIA.write_text(str(_PARANOID))
    yield
    if paranoid > _PARANOID:
        _PARANOIA.write_text(str(paranoid))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)


def _is_charged():
    """Whether memory of objects is charged to RLIMIT_MEMLOCK, as it was before Linux 5.11."""
    return Facts("").has("struct:bpf_map_memory")


def test_each_command_and_each_way_has_a_line():
    commands = {f"{name} {one.word}" for name, group in OBJECTS.items() for one in group if one.run}

    assert {*RIGHTS} >= commands
    assert {command: len(ways) for command, ways in RIGHTS.items()} == {
        command: len(lines) for command, lines in LINES.items()
    }


def _is_refused(ask, *names):
    """Return whether an ordinary user with these capabilities is not answered."""
    pid = os.fork()
    if not pid:
        try:
            having(*names)()
            ask()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


@pytest.fixture(scope="module")
def floor(scene):
    """What bpf(2) takes of everybody: before Linux 5.19 kernel.unprivileged_bpf_disabled closes all of it to others."""
    return ("CAP_BPF",) if _is_refused(lambda: client.obj_get(str(scene.place.bpffs / "map"))) else ()


@pytest.fixture(scope="module")
def besides(scene, floor):
    """What kernels take besides that are older than the table, of each way of a command."""
    asked = ("CAP_SYS_ADMIN", *floor)
    is_refused = _is_refused(lambda: client.prog_query(scene.place.cgroup_fd, SOCK_CREATE), *asked)
    queries = ("CAP_NET_ADMIN",) if is_refused else ()
    map_fd = client.map_create(_HASH, 4, 4, 1)
    freezes = ("CAP_BPF",) if _is_refused(lambda: client.map_freeze(map_fd), *floor) else ()
    os.close(map_fd)
    has_links = Facts(scene.place.lockdown).has("enum:BPF_TRACE_UPROBE_MULTI")
    return {
        **{(f"cgroup {word}", 0): queries for word in ("show", "list", "tree")},
        **{(f"net {word}", 0): queries for word in ("show", "list")},
        **{("map freeze", number): freezes for number in (0, 1)},
        # A perf event of a function takes CAP_SYS_ADMIN, and one of tracefs is root's.
        ("probe latency", 0): () if has_links else ("CAP_DAC_OVERRIDE",),
    }


def _setting(name):
    return int(Path("/proc/sys/kernel", name).read_text())


def _skip_where_it_cannot_be(scene, command, way):
    if command in ("prog profile", "iter pin") and scene.place.lockdown != "none":
        pytest.skip(f"kernel lockdown ({scene.place.lockdown}) forbids programs at programs")
    if command.startswith("struct_ops") and not scene.has_structs:
        pytest.skip("the kernel lets no program control congestion (CONFIG_BPF_JIT, Linux 5.6)")
    if command == "struct_ops register":
        needs("func:bpf_struct_ops_link_create", "links of structs (Linux 6.4)")
    if "tcx" in way.when and not Facts(scene.place.lockdown).has("enum:BPF_TCX_INGRESS"):
        pytest.skip("there is no tcx before Linux 6.6")
    if "perf_event_paranoid" in way.when and _setting("perf_event_paranoid") > 2:
        pytest.skip("kernel.perf_event_paranoid is above 2")
    if command == "prog tracelog" and "stream" in way.when:
        needs("word:BPF_PROG_STREAM_READ_BY_FD", "streams of programs (Linux 6.17)")


def _is_free(capability):
    """Whether this machine is set up to grant everybody what the capability is for."""
    if capability == "CAP_SYSLOG":
        return _setting("kptr_restrict") == 0 and _setting("perf_event_paranoid") <= 1
    if capability == "CAP_PERFMON":
        return _setting("perf_event_paranoid") <= 0
    return capability == "CAP_BPF" and _setting("unprivileged_bpf_disabled") == 0


@pytest.mark.parametrize(("command", "number"), WAYS)
def test_it_takes_just_these_capabilities(scene, floor, besides, command, number):
    way = RIGHTS[command][number]
    _skip_where_it_cannot_be(scene, command, way)
    floor = (*floor, *besides.get((command, number), ()))
    ends = command not in ENDLESS
    outcome = scene.run(command, number, having(*way.needs, *floor, seconds=_TOO_LONG if ends else _ENOUGH))

    assert outcome.code in ((0, 1) if ends else (0, -signal.SIGALRM)), outcome
    assert "permitted" not in outcome.err
    assert "denied" not in outcome.err

    for missing in way.needs:
        if _is_free(missing):
            continue
        held = {*way.needs, *floor} - {missing}
        outcome = scene.run(command, number, having(*held))
        object_, _, word = command.partition(" ")
        assert outcome.code == 4 if word in OURS.get(object_, ()) else outcome.code not in (0, -signal.SIGALRM), outcome
        errors = [line for line in outcome.err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, outcome
        named = {name for name in _NUMBERS if re.search(rf"{name}\b", errors[0])} - held
        assert named or "tracefs is root's" in errors[0], outcome


def test_memory_that_is_charged(scene):
    """Linux before 5.11 bounds it, and there the answer says so and what to do; later ones ask nothing of the kind."""

    def become():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        having("CAP_BPF")()

    outcome = scene.run("map create", 0, become)

    if _is_charged():
        assert outcome.code == 255
        assert "RLIMIT_MEMLOCK is 0 bytes, to which Linux before 5.11 charges objects of BPF" in outcome.err
    else:
        assert (outcome.code, outcome.err) == (0, "")
    assert scene.run("map create", 0, having("CAP_BPF")).code == 0


@pytest.fixture
def paranoid():
    """More than Linux itself knows: a patch of Debian's and Ubuntu's."""
    before = _setting("perf_event_paranoid")
    _PARANOIA.write_text(str(_PARANOID + 1))
    yield
    _PARANOIA.write_text(str(before))


@pytest.mark.usefixtures("paranoid")
def test_more_paranoia_than_linux_knows(scene):
    """Where a kernel knows it, CAP_PERFMON may not be enough, and the answer says what is."""
    outcome = scene.run("probe stat", 0, having("CAP_PERFMON"))

    if outcome.code:
        assert outcome.code == 4
        assert "with kernel.perf_event_paranoid at 3 it needs CAP_SYS_ADMIN" in outcome.err
    assert scene.run("probe stat", 0, having("CAP_PERFMON", "CAP_SYS_ADMIN")).code == 0


@pytest.fixture
def group_may_read_tracefs(scene):
    """Have tracefs as a mount for a group has it; the file system is one for the whole machine, so it is put back."""

    before = scene.place.tracefs.stat()

    def mount(group, mode):
        subprocess.run(["mount", "-o", f"remount,gid={group},mode={mode:o}", scene.place.tracefs], check=True)

    mount(_NOBODY, 0o750)
    yield
    mount(before.st_gid, before.st_mode & 0o7777)


@pytest.mark.usefixtures("group_may_read_tracefs")
@pytest.mark.parametrize("command", ["probe count", "probe trace", "probe stacks", "probe list"])
def test_tracepoints_for_a_group(scene, command):
    """As the error says: with such a mount CAP_BPF and CAP_PERFMON are enough, and a list takes nothing."""
    outcome = scene.run(command, 1, having(*([] if command == "probe list" else ["CAP_BPF", "CAP_PERFMON"])))

    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("words", ["btf show task_struct", "btf find task_struct", "probe list software:*"])
def test_an_ordinary_user_sees_the_same(words):
    theirs, ours = hardship.bpfctl(*words.split(), hardship=having()), hardship.bpfctl(*words.split())

    assert (theirs.code, theirs.err) == (ours.code, ours.err) == (0, "")
    # Whether the kernel has an event is told to those who may open it.
    assert {*ours.out.splitlines()} <= {*theirs.out.splitlines()}


def test_the_errors_in_the_document_are_those_that_come():
    """A number in them is a setting of the machine."""
    text = Path(__file__).parents[2].joinpath("docs", "rights.md").read_text()
    shown = re.findall(r"^    \$ bpfctl (.+)\n    (Error: .+)$", text, re.MULTILINE)
    came = [hardship.bpfctl(*command.split(), hardship=having()).err for command, _ in shown]

    assert len(shown) == 2
    assert [re.sub(r"is \d+", "is N", error) for _, error in shown] == [
        re.sub(r"is -?\d+", "is N", error.strip()) for error in came
    ]
