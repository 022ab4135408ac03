"""bpfctl feature probe on the real kernel: true, harmless, and honest about what it could not find out."""

from __future__ import annotations

import json
import os
import struct
from contextlib import ExitStack
from pathlib import Path

import pytest

from bpfctl._sys import calls, programs
from tests.kernel import client, hardship
from tests.kernel.asked import answers, report
from tests.kernel.command import BPFCTL, ON_TERMINAL
from tests.kernel.place import bind
from tests.terminal import STYLES, Terminal

IN_A_GUEST = Path("/run/bpfctl-vm").exists()
# What kernels say of programs that print, or write to the memory of others.
NOISE = ("trace_printk", "bpf_probe_write_user", "**********", "NOTICE NOTICE")
SOCKET_FILTER, XDP, RAW_TRACEPOINT = 1, 6, 17
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
CALL = bytes.fromhex("8500000000000000 9500000000000000")
PHRASES = (b"invalid func ", b"unknown func ", b"program of this type cannot use helper ")


@pytest.fixture(scope="module")
def as_root():
    return report()


def test_what_lives_here_is_available(zoo, as_root):
    """Every type of program, map and link that an inhabitant has, made without the product's help."""
    words = {"prog": "program_types", "map": "map_types", "link": "link_types"}
    there = answers(as_root)
    lists = {kind: [one["name"] for one in as_root[name]] for kind, name in words.items()}
    seen = set()
    for made in zoo.created.values():
        if made.kind in words:
            number = struct.unpack_from("=I", client.info(made.fd))[0]
            # Programs and maps have all types in their order behind the one without a name, and so have links.
            seen.add((words[made.kind], lists[made.kind][number - 1]))

    assert len(seen) > 40
    assert {one: there[one] for one in seen if there[one] is not True} == {}


# Where struct bpf_link_info has the attach type, by the type of the link.
ATTACH_TYPE_AT = {2: 16, 3: 24, 5: 20, 11: 20, 13: 20, 14: 20}


def test_what_is_attached_here_is_available(zoo, as_root):
    there = {name: answer for (kind, name), answer in answers(as_root).items() if kind == "attach_types"}
    names = [one["name"] for one in as_root["attach_types"]]
    seen = set()
    for made in zoo.created.values():
        info = client.info(made.fd) if made.kind == "link" else bytes(4)
        at = ATTACH_TYPE_AT.get(struct.unpack_from("=I", info)[0])
        if at is not None and len(info) > at:
            seen.add(names[struct.unpack_from("=I", info, at)[0]])

    assert len(seen) > 8
    assert {name: there[name] for name in seen if there[name] is not True} == {}


def _state():
    """Return what a probe might leave behind: objects, where nobody else makes any; pins; taint; statistics."""
    ids = {kind: client.ids(kind) for kind in ("prog", "map", "link", "btf")} if IN_A_GUEST else {}
    pins = sorted(str(path) for path in Path("/sys/fs/bpf").rglob("*")) if IN_A_GUEST else []
    settings = [Path("/proc/sys/kernel", name).read_text() for name in ("tainted", "bpf_stats_enabled")]
    return ids, pins, settings


def test_nothing_is_left_behind():
    """No object, no pin, no descriptor, no taint and no line in the kernel's log, of either probe."""
    with ExitStack() as stack:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, log)
        os.lseek(log, 0, os.SEEK_END)
        before = _state()
        for words in ("", "full", "--full-report --fresh"):
            outcome = hardship.bpfctl("-j", "feature", "probe", *words.split())
            assert outcome.code == 0
        after = _state()
        said = []
        while True:
            try:
                said.append(os.read(log, 8192).decode(errors="replace").partition(";")[2])
            except BlockingIOError:
                break

    assert after == before
    # With "full", helpers are asked for whose mere check makes the kernel warn: that is why it is a word of its own.
    lines = [line for line in said if "bpf" in line.lower() or "verifier" in line or "bpfctl" in line]
    assert [line for line in lines if not any(word in line for word in NOISE)] == []


@pytest.mark.skipif(not IN_A_GUEST, reason="elsewhere others may switch statistics on meanwhile")
def test_statistics_are_not_switched_on(held):
    """Not even for a moment: a program that runs with each system call is not counted meanwhile."""
    run_count_at = 200  # in struct bpf_prog_info
    prog = held(client.prog_load(RAW_TRACEPOINT, RETURN_0))
    held(client.raw_tracepoint_open("sys_enter", prog))

    report()
    still = client.info(prog)[run_count_at:][:8]
    with programs.enable_stats():
        os.getppid()

    assert still == bytes(8)
    assert client.info(prog)[run_count_at:][:8] != bytes(8)


@pytest.mark.parametrize("place", [hardship.ordinary_user, hardship.user_namespace, hardship.forbidden_bpf])
def test_who_may_not_ask_is_told_nothing_wrong(as_root, place):
    """What is said without rights is what root is told; the rest cannot be told, and the reason says why."""
    found = report(place)
    truth, said = answers(as_root), answers(found)
    wrong = {name: answer for name, answer in said.items() if answer is not None and truth[name] is not answer}
    reasons = {one.get("reason", "") for one in found["program_types"] if one["available"] is None}

    # Files that only root may see, and perf events that only root may open, are not lied about either.
    assert wrong == {}
    assert sum(answer is None for answer in said.values()) > 100
    assert reasons
    assert all("capabilit" in reason for reason in reasons)


def test_without_sysfs_nothing_in_it_is_missing(as_root):
    truth, said = answers(as_root), answers(report(hardship.no_sys))

    assert {name: answer for name, answer in said.items() if answer is not None and truth[name] is not answer} == {}


@pytest.mark.skipif(not IN_A_GUEST, reason="only in a guest may ordinary users be let use BPF")
def test_who_may_ask_for_some_is_told_nothing_wrong(as_root):
    """What the kernel denies those without rights it may have for others."""
    setting = Path("/proc/sys/kernel/unprivileged_bpf_disabled")
    before = setting.read_text()
    try:
        setting.write_text("0")
        truth, said = answers(as_root), answers(report(hardship.ordinary_user))
    finally:
        setting.write_text(before)

    assert {name: answer for name, answer in said.items() if answer is not None and truth[name] is not answer} == {}
    assert said["program_types", "socket_filter"] is True
    assert said["map_types", "hash"] is True


@pytest.mark.parametrize("place", [None, hardship.ordinary_user])
def test_what_cannot_be_told_has_a_reason(place):
    found = report(place)
    silent = [
        (group, row["name"])
        for group, rows in found.items()
        if isinstance(rows, list) and group != "helpers"
        for row in rows
        if row["available"] is None and not row.get("reason")
    ]

    assert silent == []
    assert [one["program_type"] for one in found["helpers"] if one["cannot_be_told"] and not one["reasons"]] == []


def test_an_ordinary_user_is_told_what_needs_no_rights(as_root):
    """Files that anybody may read, and events of one's own process."""
    found = report(hardship.ordinary_user)
    open_to_all = ("kernel", "machine", "byte order", "possible CPUs", "page size", "mounted bpf")
    truth, said = answers(as_root), answers(found)
    there = (
        ("attachments", "uprobes of perf"),
        ("attachments", "tracepoints of perf"),
        ("perf_events", "software dummy"),
    )

    assert {name: found["surroundings"][name] for name in open_to_all} == {
        name: as_root["surroundings"][name] for name in open_to_all
    }
    assert [said[one] for one in there[:2]] == [truth[one] for one in there[:2]]
    assert said[there[2]] in (truth[there[2]], None)  # kernel.perf_event_paranoid may be 3, as Debian has it


def test_where_there_is_no_bpf():
    outcome = hardship.bpfctl("-j", "feature", "probe", hardship=hardship.no_bpf)

    assert json.loads(outcome.out)["syscall_config"] == {"have_bpf_syscall": False}
    assert [*json.loads(outcome.out)] == ["system_config", "syscall_config"]


def test_the_loop_in_c_is_that_of_python():
    """A trace takes each load by itself."""
    asked = [
        (kind, CALL, 0, numbers, PHRASES)
        for kind in (SOCKET_FILTER, XDP, 0)
        for numbers in (range(1, 30), range(200, 230), range(-3, 3))
    ]
    quick = [programs.load_each(*words) for words in asked]
    calls.set_trace(lambda *_: None)
    try:
        slow = [programs.load_each(*words) for words in asked]
    finally:
        calls.set_trace(None)

    assert quick == slow
    assert {verdict.said for verdicts in quick for verdict in verdicts} >= {-1, 0, 1}


def test_helpers_of_programs_that_attach(as_root):
    """Where the kernel lets such a program load, at least the helpers that every program has are there."""
    there = {place["program_type"]: place for place in as_root["helpers"]}

    assert "bpf_map_lookup_elem" in there["struct_ops"]["available"] + there["struct_ops"]["cannot_be_told"]
    for word in ("tracing_fentry", "tracing_fexit", "lsm", "ext", "struct_ops"):
        told = there[word]["available"]
        assert bool(told) is not bool(there[word]["reasons"]), word
        assert not told or "bpf_map_lookup_elem" in told


TITLES = {
    "": ["System configuration", "Program types", "Map types", "Helper functions"],
    "--full-report": ["Surroundings", "Program types", "Attach types", "Link types", "Perf events", "Helpers"],
}


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("option", TITLES)
def test_on_a_terminal(option, width):
    """No line is wider than the screen, and nobody has to read thousands of them."""
    command = [*BPFCTL, "feature", "probe", *option.split()]
    alone = ["sh", "-c", 'exec "$@" 2>/dev/null', "sh", *command]  # without the line that tells what is being done
    with Terminal(alone, size=(width, 50), env=ON_TERMINAL) as terminal:
        assert terminal.finish() == 0
        seen = STYLES.sub("", terminal.seen.decode()).replace("\r", "")

    assert seen.startswith(f"{TITLES[option][0]}\n")
    assert [title for title in TITLES[option] if f"\n{title}\n" not in f"\n{seen}"] == []
    assert max(map(len, seen.splitlines())) <= width
    assert len(seen.splitlines()) < {80: 1400, 200: 900}[width]


@pytest.mark.parametrize("words", ["dev lo", "macros"])
def test_the_full_report_is_of_the_kernel(words):
    outcome = hardship.bpfctl("--plain", "feature", "probe", *words.split(), "--full-report")

    assert (outcome.code, outcome.out) == (255, b"")
    assert "--full-report" in outcome.err


CONFIG = "#\n# Automatically generated file; DO NOT EDIT.\nCONFIG_BPF=y\nCONFIG_HZ=77\n# CONFIG_NETKIT is not set\n"


def only_in(folder, name):
    """Return a hardship: the kernel's configuration is in one place, and this is what it says."""

    def place():
        hardship._hide(folder)
        for hidden in ("/proc/config.gz", "/boot", f"/lib/modules/{os.uname().release}"):
            if os.path.exists(hidden) and not folder.startswith(hidden):
                bind(Path("/dev/null" if os.path.isfile(hidden) else folder), Path(hidden))
        path = Path(folder, name.format(release=os.uname().release))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONFIG)

    return place


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/boot", "config-{release}"),
        ("/usr/lib/modules", "{release}/config"),
        ("/usr/lib/modules", "{release}/build/.config"),
    ],
)
def test_the_configuration_is_found(folder, name):
    """In every usual place; /proc/config.gz, which comes first, is what this kernel has or not."""
    if not os.path.isdir(folder):
        pytest.skip(f"there is no {folder} here to put it")
    around = report(only_in(folder, name))["surroundings"]

    assert around["configuration"].endswith(f"{folder}/{name}".format(release=os.uname().release).removeprefix("/usr"))
    assert (around["CONFIG_BPF"], around["CONFIG_HZ"], around["CONFIG_NETKIT"]) == ("y", "77", None)


def test_what_surrounds_bpf(as_root):
    """Beside what the kernel's own files say."""
    around, reasons = as_root["surroundings"], as_root["surroundings_reasons"]
    securityfs = Path("/sys/kernel/security/lsm")

    assert around["kernel"] == os.uname().release
    assert around["possible CPUs"] == Path("/sys/devices/system/cpu/possible").read_text().strip()
    assert around["kernel.perf_event_max_stack"] == Path("/proc/sys/kernel/perf_event_max_stack").read_text().strip()
    assert (around["mounted cgroup2"] or "").split() == [
        line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup2"
    ]
    if securityfs.exists():
        lockdown = securityfs.with_name("lockdown")
        assert around["security modules"] == securityfs.read_text().strip()
        assert not lockdown.exists() or f"[{around['lockdown']}]" in lockdown.read_text()
    else:
        assert around["lockdown"] in (None, "none")
    assert [name for name, value in around.items() if value is None and not name.startswith("CONFIG_")] == [*reasons]
    assert all(reasons.values())
