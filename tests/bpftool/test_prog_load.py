"""bpfctl prog load and loadall beside bpftool's: the same pins of the same programs, maps and links."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST, VOICES
from tests.build.called import NOTES, built
from tests.build.compiled import source
from tests.kernel import client
from tests.kernel.facts import Facts
from tests.kernel.place import Place, add_device, mount

pytestmark = CURRENT
#: What differs from load to load.
_OWN = {"id", "loaded_at", "map_ids", "btf_id", "pinned", "pids", "bytes_memlock", "prog_id"}
TRACING = Path("/sys/kernel/tracing")
PARTS = ["load_data", "load_slots", "load_ops", "struct_ops_link", "load_settings", "map_of_maps", "core", "xdp_frags"]
REFUSED = ["helper_missing", "unknown_section", "map_legacy", "map_sizes", "kconfig_missing", "core_missing"]


@pytest.fixture(scope="module")
def place():
    with Place() as place:
        if not TRACING.is_mount():  # guests have it there already
            mount("tracefs", TRACING)
        yield place


class Twins:
    """The same command by both tools, one after the other, as what one leaves is taken away before the next."""

    def __init__(self, place):
        self.folder = place.bpffs / "here"
        self.plain = place.root / "plain"

    def __call__(self, *words):
        """Return the answers, which leave the same pins of the same objects, and these pins."""
        theirs, left = self._run(lambda *told: peer.run(NEWEST, *told), words)
        mine, mine_left = self._run(peer.inside, words)
        assert (theirs.rc, theirs.stdout) == (mine.rc, mine.stdout), (theirs.stderr, mine.stderr)
        assert left == mine_left
        return theirs, mine, left

    def ours(self, *words):
        return self._run(peer.inside, words)

    def theirs(self, *words):
        return self._run(lambda *told: peer.run(NEWEST, *told), words)

    def _run(self, tool, words):
        self.folder.mkdir()
        try:
            answer = tool(*(str(word).replace("HERE", str(self.folder)) for word in words))
            return answer, self._pins()
        finally:
            shutil.rmtree(self.folder)

    def _pins(self):
        if not any(one.is_file() for one in self.folder.rglob("*")):
            return {}
        found = {}
        for kind in ("prog", "map", "link"):
            for one in json.loads(peer.run(NEWEST, "-jf", kind, "show").stdout):
                for pin in one.get("pinned", ()):
                    if pin.startswith(str(self.folder)):
                        # A list has types of the map before, as since Linux 6.18 what is not told keeps what it was.
                        alone = json.loads(peer.run(NEWEST, "-j", kind, "show", "id", str(one["id"])).stdout)
                        told = {name: value for name, value in alone.items() if name not in _OWN}
                        # libbpf names functions by where ftrace has them, which Linux 6.14 and later tell alike.
                        for called in told.get("funcs", ()):
                            called.pop("addr", None)
                        counts = {"maps": len(alone.get("map_ids", ())), "typed": bool(alone.get("btf_id"))}
                        found[pin.removeprefix(str(self.folder))] = kind, os.stat(pin).st_mode, told | counts
        return found


@pytest.fixture
def twins(place):
    return Twins(place)


@pytest.mark.parametrize("name", PARTS)
def test_all_of_an_object(twins, compiled, name):
    """What an older kernel does not take is refused by both."""
    _, mine, left = twins("prog", "loadall", compiled[name], "HERE/programs", "pinmaps", "HERE/maps")

    assert bool(left) == (mine.rc == 0)
    assert left or name in ("struct_ops_link", "xdp_frags", "core", "load_ops")
    assert mine.stderr == b"" or not left


@pytest.mark.parametrize("voice", VOICES)
def test_the_first_program(twins, compiled, voice):
    _, mine, left = twins(*voice, "prog", "load", compiled["load_slots"], "HERE/one")

    assert mine.rc == 0
    assert [one[:1] for one in left.items()] == [("/one",)]


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_loaded(twins, compiled, voice, name):
    """The exit codes are the same; what is said is the reason, and in JSON one document."""
    words = [*voice, "prog", "loadall", compiled[name], "HERE/programs", "pinmaps", "HERE/maps"]
    theirs, left = twins.theirs(*words)
    mine, mine_left = twins.ours(*words)

    assert theirs.rc == mine.rc == 255
    assert left == mine_left == {}
    assert mine.stdout if voice else mine.stderr.startswith(b"Error: ")
    assert not voice or "error" in json.loads(mine.stdout)


TYPES = ["socket", "xdp", "cgroup_skb/egress", "kprobe", "tracepoint", "raw_tp/sys_enter", "sk_skb/verdict", "tc"]


@pytest.mark.parametrize("type_", TYPES)
def test_types(twins, compiled, type_):
    """All programs of an object become of a type, with its attach type and nothing else of their sections."""
    _, mine, left = twins("prog", "loadall", compiled["unknown_section"], "HERE/programs", "type", type_)

    assert bool(left) == (mine.rc == 0)
    assert left or type_ == "sk_skb/verdict"  # Linux 5.13


@pytest.mark.parametrize("type_", ["xdp", "raw_tp", "tp_btf/sys_enter"])
def test_the_type_of_a_section_that_has_one(twins, compiled, type_):
    twins("prog", "load", compiled["xdp_frags"], "HERE/one", "type", type_)


def test_maps_in_the_place_of_others(twins, compiled):
    """By number and by name; they are pinned by their own names, and nothing is written into them."""
    fd = client.map_create(2, 4, 4, 1, name="mine")
    try:
        client.map_update(fd, bytes(4), b"kept")
        handle = ["id", client.id_of("map", fd)]
        name = "load_dat.data"
        for which in (["idx", "0"], ["name", name], ["n", name]):
            words = ["prog", "loadall", compiled["load_data"], "HERE/programs", "map", *which, *handle]
            _, mine, left = twins(*words, "pinmaps", "HERE/maps")

            assert (mine.rc, mine.stderr) == (0, b"")
            assert left["/maps/mine"][2]["name"] == "mine"
            assert client.map_lookup(fd, bytes(4), 4) == b"kept"
    finally:
        os.close(fd)


WRONG = [
    "",
    "OBJ",
    "OBJ HERE/one more",
    "OBJ HERE/one type",
    "OBJ HERE/one type xdp type xdp",
    "OBJ HERE/one map",
    "OBJ HERE/one map idx 0 id",
    "OBJ HERE/one map foo 0 id 1",
    "OBJ HERE/one map idx x id 1",
    "OBJ HERE/one map idx 0 id MAP map idx 0 id MAP",
    "OBJ HERE/one map name load_dat.data id MAP map idx 0 id MAP",
    "OBJ HERE/one map idx 99 id MAP",
    "OBJ HERE/one map name nothing id MAP",
    "OBJ HERE/one map idx 0 id 4294967295",
    "OBJ HERE/one dev",
    "OBJ HERE/one offload_dev no_such_device",
    "OBJ HERE/one xdpmeta_dev no_such_device",
    "OBJ HERE/one offload_dev lo xdpmeta_dev lo",
    "OBJ HERE/one offload_dev lo",
    "OBJ HERE/one pinmaps",
    "OBJ HERE/one kernel_btf",
    "OBJ HERE/one kernel_btf /no/such/file",
    "OBJ HERE/no/folder",
    "OBJ HERE pinmaps HERE/maps",
    "OBJ HERE/a.dot",
    "/no/such/file HERE/one",
    "/etc/passwd HERE/one",
    "/ HERE/one",
]


@pytest.mark.parametrize("command", ["load", "loadall"])
def test_wrong_words(twins, compiled, command):
    """The same exit codes, and nothing stays; bpfctl says in one sentence why."""
    fd = client.map_create(2, 4, 4, 1, name="mine")
    known = {"OBJ": str(compiled["load_data"]), "MAP": str(client.id_of("map", fd))}
    try:
        for wrong in WRONG:
            if (command, wrong) == ("loadall", "OBJ HERE pinmaps HERE/maps"):
                continue
            words = ["prog", command, *(known.get(word, word) for word in wrong.split())]
            theirs, left = twins.theirs(*words)
            mine, mine_left = twins.ours(*words)
            # the types of kernel_btf are read only where something has to be relocated
            assert "kernel_btf /" in wrong or (theirs.rc, left) == (mine.rc, mine_left), (wrong, theirs, mine)
            assert mine.rc == 0 or mine.stderr.startswith(b"Error: "), (wrong, mine)
            assert mine.rc == 0 or mine_left == {}
            assert mine.stderr.count(b"\n") <= 1, (wrong, mine)
    finally:
        os.close(fd)


def test_where_nothing_is_mounted(place, compiled):
    """A BPF file system is mounted over the folder, with -n not; nothing of it stays where the object is refused."""
    plain = place.root / "plain"
    plain.mkdir()
    good, bad = str(compiled["load_data"]), str(compiled["helper_missing"])
    for words in (["load", f"{plain}/one"], ["loadall", str(plain)], ["loadall", f"{plain}/two"]):
        command, path = words
        for option, object_ in (("-n", good), ("-j", bad)):
            answers = [
                tool(option, "prog", command, object_, path) for tool in (lambda *w: peer.run(NEWEST, *w), peer.inside)
            ]
            assert [one.rc for one in answers] == [255, 255]
            assert os.listdir(plain) == []
            assert not os.path.ismount(plain)
    try:
        answer = peer.inside("prog", "loadall", good, f"{plain}/two", "pinmaps", f"{plain}/maps")
        assert answer.rc == 0
        assert [os.path.ismount(plain / name) for name in ("two", "maps")] == [True, True]
        assert os.stat(plain / "two").st_mode & 0o777 == 0o700
        assert f"mounted a BPF file system on {plain}/two, over what is there: 'umount ".encode() in answer.stderr
        assert "classify" in os.listdir(plain / "two")  # and what the kernel puts into each
    finally:
        for name in ("two", "maps"):
            unmounted(plain / name)
    assert peer.inside("prog", "load", good, "/one").stderr == b"Error: no BPF file system is mounted over /\n"
    # what was mounted for the programs is taken away when the maps find no place
    answer = peer.inside("prog", "loadall", good, f"{plain}/three", "pinmaps", f"{plain}/no/maps")
    assert answer.rc == 255
    assert not (plain / "three").exists()


def unmounted(path):
    from bpfctl._sys import calls

    while os.path.ismount(path):
        calls.unmount(str(path))


LIBC = next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc.so" in line)
ATTACHED = [
    "raw_tp/sys_enter",
    "raw_tracepoint/sys_exit",
    "tp/syscalls/sys_enter_getpid",
    "tracepoint/sched/sched_switch",
    f"uprobe/{LIBC}:getpid",
    f"uretprobe/{LIBC}:getpid",
    f"uprobe/{LIBC}:getpid+0",
    f"uprobe.s/{LIBC}:getpid",
    f"uprobe.multi/{LIBC}:getpi*",
    f"uretprobe.multi/{LIBC}:getpid",
    f"uprobe.session/{LIBC}:getpid",
]
_PERF_LINKS = "enum:BPF_LINK_TYPE_PERF_EVENT"
_SINCE = {"multi": "enum:BPF_TRACE_UPROBE_MULTI", "session": "enum:BPF_TRACE_UPROBE_SESSION"}
STATIC = """#include "bpf.h"
struct arg { u64 val_off; u32 arg_type; short reg_off; bool arg_signed; char arg_bitshift; };
struct spec { struct arg args[12]; u64 usdt_cookie; short arg_cnt; };
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, int); __type(value, struct spec); }
__bpf_usdt_specs SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 4); __type(key, long); __type(value, u32); }
__bpf_usdt_ip_to_spec_id SEC(".maps");
SEC("usdt/%s:made:one") int hit(void *context) { return 0; }
LICENSE("GPL");"""
PINNED = ["tc", "xdp", "kprobe", "uprobe", "tp", "socket", "perf_event", "cgroup_skb/egress"]


def test_what_is_attached(twins, place):
    """Links are pinned where the section names a place; other programs are pinned themselves."""
    facts = Facts(place.lockdown)
    if not facts.has(_PERF_LINKS):
        pytest.skip("there are no links to perf events before Linux 5.15")
    lacking = {word for word, need in _SINCE.items() if not facts.has(need)}
    sections = [one for one in ATTACHED if not any(word in one for word in lacking)] + PINNED
    (path := place.root / "many.o").write_bytes(_only(*sections))
    _, mine, left = twins("prog", "loadall", path, "HERE", "autoattach")

    assert mine.rc == 0, mine
    kinds = ["link"] * (len(sections) - len(PINNED)) + ["prog"] * len(PINNED)
    assert {f"/hit{at}": kind for at, kind in enumerate(kinds)} == {name: kind for name, (kind, *_) in left.items()}
    assert mine.stderr.count(b"pinned itself") == len(PINNED)


IN_KERNEL = [
    "kprobe/vfs_read",
    "kprobe/vfs_read+0",
    "kretprobe/vfs_read",
    "kprobe.multi/vfs_rea*",
    "kretprobe.multi/vfs_rea*",
    "kprobe.session/vfs_rea*",
    "ksyscall/getpid",
    "kretsyscall/getpid",
    "fentry/vfs_read",
    "fexit/vfs_read",
    "fmod_ret/bpf_modify_return_test",
    "tp_btf/sys_enter",
    "lsm/file_open",
    "iter/task",
]


def test_what_is_attached_to_the_kernel(twins, place):
    """As far as bpftool has it attached too: what this kernel lacks is an error here, and no pin of the program."""
    if not Facts(place.lockdown).has("pmu:kprobe") or place.lockdown != "none":
        pytest.skip(f"there are no kprobes, or lockdown ({place.lockdown}) forbids them")
    if not Facts(place.lockdown).has(_PERF_LINKS):
        pytest.skip("there are no links to perf events before Linux 5.15")
    attached = set()
    for name in IN_KERNEL:
        (path := place.root / "one.o").write_bytes(_only(name))
        theirs, left = twins.theirs("prog", "loadall", path, "HERE", "autoattach")
        mine, mine_left = twins.ours("prog", "loadall", path, "HERE", "autoattach")
        if [kind for kind, *_ in left.values()] == ["link"]:
            attached.add(name)
            assert (mine.rc, mine_left) == (0, left), (name, mine)
        else:
            assert (mine.rc, mine_left) == (255, {}), (name, mine, theirs)

    print(sorted(set(IN_KERNEL) - attached), "is not attached here")
    assert attached >= {"kprobe/vfs_read", "kretprobe/vfs_read", "ksyscall/getpid"}


def _only(*sections):
    """Return an object with a program in each section."""
    programs = [f'SEC("{name}") int hit{at}(void *c) {{ return 0; }}' for at, name in enumerate(sections)]
    return source("\n".join(['#include "bpf.h"', *programs, 'LICENSE("GPL");']))


def test_what_cannot_be_attached(twins):
    """bpftool pins the program without a word of why; ours pins nothing, and says it."""
    (path := twins.folder.parent.parent / "gone.o").write_bytes(_only("tp/syscalls/sys_enter_none"))
    theirs, left = twins.theirs("prog", "load", path, "HERE/one", "autoattach")
    mine, mine_left = twins.ours("prog", "load", path, "HERE/one", "autoattach")

    assert (theirs.rc, list(left)) == (0, ["/one"])
    assert (mine.rc, mine_left) == (255, {})
    assert b"sys_enter_none" in mine.stderr


def test_hints_of_a_device(twins, place, compiled):
    """A pair of virtual devices has some; the program is bound to the one that is named."""
    if "mete0" not in dict(map(reversed, socket.if_nameindex())):
        add_device("veth", "mete0")
    hints = Facts(place.lockdown).has("func:bpf_xdp_metadata_rx_hash")  # Linux 6.3
    for device, code in (("mete0", 0 if hints else 255), ("lo", 255)):
        theirs, mine, _ = twins("prog", "load", compiled["xdp"], "HERE/one", "xdpmeta_dev", device)

        assert (theirs.rc, mine.rc) == (code, code)


def test_programs_that_are_not_loaded(twins, compiled):
    """bpftool pins none then; ours those that are."""
    theirs, left = twins.theirs("prog", "loadall", compiled["not_loaded"], "HERE/programs")
    mine, mine_left = twins.ours("prog", "loadall", compiled["not_loaded"], "HERE/programs")

    assert (theirs.rc, left) == (255, {})
    assert (mine.rc, list(mine_left)) == (0, ["/programs/hit"])


def test_static_probes(twins, place):
    """bpftool attaches them by means that it cannot pin, and may pin the program."""
    if not Facts(place.lockdown).has(_SINCE["multi"]):
        pytest.skip("there are no links to many places in files before Linux 6.6")
    main = 'int main(int count, char **words) { NOTE("0", "made", "one", "8@$1", "r"(words)); return count; }'
    (path := place.root / "static.o").write_bytes(source(STATIC % built("one", NOTES + main)))
    _, left = twins.theirs("prog", "load", path, "HERE/one", "autoattach")
    mine, mine_left = twins.ours("prog", "load", path, "HERE/one", "autoattach")

    assert "link" not in {kind for kind, *_ in left.values()}
    assert (mine.rc, [kind for kind, *_ in mine_left.values()]) == (0, ["link"])


def test_a_folder_for_programs_without_a_place(twins, place):
    (path := place.root / "one.o").write_bytes(_only("tc"))
    theirs, left = twins.theirs("prog", "loadall", path, "HERE/new", "autoattach")
    mine, mine_left = twins.ours("prog", "loadall", path, "HERE/new", "autoattach")

    assert (theirs.rc, left) == (255, {})
    assert (mine.rc, list(mine_left)) == (0, ["/new/hit0"])


@pytest.mark.parametrize("options", [["-L"], ["-L", "-S", "-k", "/dev/null", "-i", "/dev/null"]])
def test_loader_programs(twins, compiled, options):
    mine, left = twins.ours(*options, "prog", "load", compiled["socket"], "HERE/one")

    assert (mine.rc, left) == (255, {})
    assert b"objects are loaded without a program that does it" in mine.stderr


def test_what_was_loaded_is_told_to_those_who_ask(twins, compiled):
    words = ["prog", "loadall", compiled["load_data"], "HERE/programs", "pinmaps", "HERE/maps"]
    mine, left = twins.ours("-j", "--extra", *words)
    rows = json.loads(mine.stdout)

    assert {one["pinned"].removeprefix(str(twins.folder)) for one in rows} == set(left)
    assert [(one["kind"], one["type"], one["name"]) for one in rows][:2] == [
        ("prog", "sched_cls", "classify"),
        ("map", "array", "load_dat.data"),
    ]


def test_a_table(place, compiled):
    """People are told what is there now, and where."""
    path = place.bpffs / "here"
    done = peer.bpfctl("--color", "always", "prog", "load", str(compiled["load_data"]), str(path))
    path.unlink()
    lines = re.sub(r"\x1b\[\d*m", "", done.stdout.decode()).splitlines()

    assert (done.rc, done.stderr) == (0, b"")
    assert lines[0].split() == ["kind", "id", "type", "name", "pinned"]
    assert [line.split()[0] for line in lines[2:]] == ["prog", "map", "map", "map", "map"]
    assert lines[2].split()[2:] == ["sched_cls", "classify", str(path)]
