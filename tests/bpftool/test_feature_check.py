"""`feature check` says that all is met exactly of those objects that libbpf and the verifier take."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.bpftool import peer
from tests.build.compiled import NAMES, OBJECTS
from tests.kernel.place import Place

#: What no kernel has, or lets anybody have: the kind and the name of the need.
NEVER = {
    "core_missing": ("relocation", "byte offset of struct task_struct.surely_not_there"),
    "fentry_missing": ("attach target", "no_such_function"),
    "helper_gpl": ("helper", "probe_read"),
    "helper_in_subprogram": ("helper", "9999"),
    "helper_may_sleep": ("helper", "copy_from_user"),
    "helper_missing": ("helper", "9999"),
    "helper_of_others": ("helper", "skb_store_bytes"),
    "callback_helper": ("helper", "9999"),
    "iter_missing": ("attach target", "no_such_thing"),
    "kconfig_form": ("kconfig", "CONFIG_HZ"),
    "kconfig_missing": ("kconfig", "CONFIG_NO_SUCH_OPTION"),
    "kfunc_missing": ("kfunc", "bpf_no_such_kfunc"),
    "kfunc_not_gpl": ("license", "compatible with GPL"),
    "kfunc_of_others": ("kfunc", "tcp_reno_ssthresh"),
    "kfunc_type": ("kfunc", "bpf_rcu_read_lock"),
    "kfunc_weak_used": ("kfunc", "bpf_no_such_kfunc"),
    "ksym_missing": ("address", "no_such_symbol"),
    "lsm_not_gpl": ("license", "compatible with GPL"),
    "map_extra": ("map type", "hash"),
    "map_flags": ("map flag", "mmapable"),
    "map_legacy": ("loader", "maps of section maps are declared in a way that libbpf 1.0 gave up"),
    "map_sizes": ("map type", "array"),
    "map_storage_prealloc": ("map type", "sk_storage"),
    "map_trie_prealloc": ("map type", "lpm_trie"),
    "map_unknown_type": ("map type", "200"),
    "struct_ops_member": ("attach target", "no_such_member"),
    "struct_ops_missing": ("struct_ops", "no_such_ops"),
    "struct_ops_reused": ("loader", "program two is undo_cwnd of struct tcp_congestion_ops, and another member too"),
    "struct_ops_unused": ("attach target", "ssthresh"),
    "tp_btf_missing": ("attach target", "no_such_tracepoint"),
    "unknown_section": ("loader", "section no_such_section tells no program type"),
    "wanted_by_constant": ("helper", "9999"),
    "wanted_by_version": ("helper", "9999"),
}
#: Those of which only the one who loads them can tell: another program has to be loaded before.
LOADERS_OWN = {"freplace"}


@pytest.fixture(scope="module")
def checked(compiled):
    """What `feature check` says of all of them, by name."""
    names = {str(path): name for name, path in compiled.items()}
    answer = peer.inside("-j", "feature", "check", *names)
    assert answer.stderr == b""
    assert answer.rc == 1, "some of them need what no kernel has"
    document = json.loads(answer.stdout)
    found = {names[check["object"]]: (check, []) for check in document["checks"]}
    for need in document["needs"]:
        found[names[need["object"]]][1].append(need)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_foretells_what_is_loaded(name, checked, loaded, refused):
    check, needs = checked[name]
    unmet = [need for need in needs if need["status"] != "met"]

    assert check["needs"] == len(needs) == check["met"] + check["not_met"] + check["cannot_be_told"]
    if peer.version(peer.bpftools()[0]) >= peer.CURRENT:
        assert (name in loaded) == (not unmet), (unmet, refused.get(name, "")[-1500:])
    else:  # its libbpf does not know all sections, nor all that an object may have
        assert name not in loaded or not unmet
    assert all(need["reason"] for need in unmet)


def test_the_account(checked, loaded):
    """Over all objects: nothing is promised that does not load, and hardly anything denied that does."""
    count = Counter((_foretold(check), name in loaded) for name, (check, _) in checked.items())
    false_met, false_not_met = count["met", False], count["not met", True]
    print(
        f"{len(checked)} objects: {count['met', True]} met and loaded, {count['not met', False]} not met and refused, "
        f"cannot be told: {count['open', True]} loaded and {count['open', False]} refused; "
        f"{false_met} falsely met, {false_not_met} falsely not met"
    )

    assert sum(count.values()) == len(NAMES)
    if peer.version(peer.bpftools()[0]) >= peer.CURRENT:
        assert false_met == 0
        assert false_not_met <= len(NAMES) * 0.02


def _foretold(check):
    if check["not_met"]:
        return "not met"
    return "open" if check["cannot_be_told"] else "met"


@pytest.mark.parametrize("name", NEVER)
def test_it_names_what_is_missing(name, checked):
    """What no kernel has is not met, and a program that needs it is named, with the line in its source."""
    needs = [need for need in checked[name][1] if need["status"] == "not met"]
    (need, *_) = [need for need in needs if (need["kind"], need["name"]) == NEVER[name]]
    lines = [use["source"] for use in need["needed_by"] if "source" in use]

    assert all(line.startswith(f"./{name}.bpf.c:") for line in lines)
    assert lines or need["kind"].startswith("map") or need["kind"] in {"loader", "struct_ops"}


def test_what_cannot_be_told_has_a_reason_outside_of_the_object(checked, loaded):
    """Either this machine forbids to ask, as with fentry under lockdown, or whoever loads the object has a say."""
    unknown = {name for name, (check, _) in checked.items() if check["cannot_be_told"] and not check["not_met"]}

    assert LOADERS_OWN <= unknown
    assert "fentry" not in loaded or unknown == LOADERS_OWN


@pytest.fixture(scope="module", params=[(), ("--full-report",)], ids=["bpftool", "full"])
def report(request, tmp_path_factory):
    """What `feature probe -j` says of this kernel, in a file."""
    path = tmp_path_factory.mktemp("report") / "host.json"
    path.write_bytes(peer.ours("-j", "feature", "probe", *request.param).stdout)
    return path


def test_a_report_of_this_kernel_promises_nothing_wrong(compiled, checked, loaded, report):
    """A report and the types tell less than the kernel, and nothing else: no false promise, and no false no."""
    options = ["--report", str(report), "--btf", "/sys/kernel/btf/vmlinux"]
    answer = peer.ours("-j", "feature", "check", *map(str, compiled.values()), *options)
    names = {str(path): name for name, path in compiled.items()}
    document = json.loads(answer.stdout)
    states = {
        (name, need["kind"], need["name"], need.get("for")): need["status"]
        for name, (_, needs) in checked.items()
        for need in needs
    }

    assert {check["against"] for check in document["checks"]} == {"host.json"}
    promised = {names[check["object"]] for check in document["checks"] if check["met"] == check["needs"]}
    if peer.version(peer.bpftools()[0]) >= peer.CURRENT:
        assert promised <= loaded
    assert {"socket", "xdp", "tcx", "maps", "core", "core_guarded", "struct_ops", "printk", "atomics"} <= promised
    for need in document["needs"]:
        here = states[names[need["object"]], need["kind"], need["name"], need.get("for")]
        if need["status"] == "not met":
            # a constant of the kernel's that a program asks for first is not in a report
            assert here != "met" or need["name"] == "9999", need


def test_a_report_needs_no_kernel(compiled, report):
    """An ordinary user, who may not ask this kernel anything, has the same answer out of a report."""
    options = ["--report", str(report), "--btf", "/sys/kernel/btf/vmlinux", str(compiled["socket"])]
    asked = "import sys; from bpfctl.__main__ import run; from bpfctl.render.sink import Sink; "
    forbid = "import bpfctl._sys.calls as c; c.answer = c.call = None; "
    code = f"{forbid}{asked}sys.exit(run(['--plain', 'feature', 'check', *sys.argv[1:]], Sink(1)))"
    command = [sys.executable, "-c", code, *options]
    done = subprocess.run(command, capture_output=True, text=True, env=peer.ENVIRONMENT, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("socket.o on host.json: 11 met")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"program_types": []}', b"[" * 100_000])
def test_no_report(content, compiled, tmp_path):
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    answer = peer.ours("feature", "check", str(compiled["socket"]), "--report", str(path))

    assert answer.rc == 255
    assert answer.stderr.decode().startswith(f"Error: {path} cannot be used: ")


def test_a_helper_deep_inside(checked):
    """A helper that a subprogram of a subprogram calls is told with the program that gets there, and its line."""
    (need,) = [one for one in checked["helper_in_subprogram"][1] if one["name"] == "9999"]
    (use,) = need["needed_by"]

    assert (use["by"], use["section"], need["for"]) == ("classify", ".text", "sched_cls")
    assert use["source"].endswith("helper_in_subprogram.bpf.c:4")


def test_all_met(compiled):
    """An object of which all is met ends with 0; as text, a line for it and one for each need."""
    path = str(compiled["maps"])
    answer = peer.ours("feature", "check", path)
    lines = answer.stdout.decode().splitlines()

    assert answer.rc == 0
    assert lines[0] == f"{path} on this kernel: {len(lines) - 1} met"
    assert f"met: {path}: program type socket_filter by filter at ./maps.bpf.c:18" in lines
    assert peer.ours("feature", "check", "--unmet", path).stdout.decode().splitlines() == lines[:1]


def test_the_kernel_is_as_before(compiled):
    """Nothing is left behind: no program, no map, and no line in the kernel's log of those that we could cause."""
    trace = Path("/sys/kernel/tracing/events/bpf_trace/bpf_trace_printk/enable")
    before = trace.read_text() if trace.exists() else ""
    answer = peer.ours("feature", "check", str(compiled["printk"]))

    assert answer.rc == 0
    assert before == (trace.read_text() if trace.exists() else "")


def test_an_object_for_other_machines(tmp_path):
    """Neither libbpf nor the kernel turns the bytes of another order around."""
    other = "bpfeb" if sys.byteorder == "little" else "bpfel"
    path = tmp_path / "other.o"
    clang = ["clang", "-target", other, "-g", "-O2", "-c"]
    subprocess.run([*clang, OBJECTS / "socket.bpf.c", "-o", path], check=True)
    needs = json.loads(peer.ours("-j", "feature", "check", "--unmet", str(path)).stdout)["needs"]

    assert [need["kind"] for need in needs] == ["byte order"]
    with Place() as place:
        assert peer.run(peer.bpftools()[0], "prog", "load", str(path), str(place.bpffs / "other")).rc != 0


def test_who_may_not_ask(compiled):
    """Without the capabilities for BPF, that is told for each need of which only the kernel could tell."""
    code = (
        "import sys; from bpfctl.__main__ import run; from bpfctl.feature import rights; "
        "from bpfctl.render.sink import Sink\n"
        "with rights.without_capabilities():\n"
        "    code = run(['-j', 'feature', 'check', '--unmet', sys.argv[1]], Sink(1))\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", code, compiled["maps"]]
    done = subprocess.run(command, capture_output=True, env=peer.ENVIRONMENT, check=False)
    document = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (1, b"")
    assert {need["status"] for need in document["needs"]} == {"cannot be told"}
    assert all("a capability is missing" in need["reason"] for need in document["needs"])
    assert document["checks"][0]["not_met"] == 0 < document["checks"][0]["met"]


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"int main;\n", b"\x7fELF" + bytes(60)])
def test_no_object(content, tmp_path):
    path = tmp_path / "not.o"
    path.write_bytes(content)
    answer = peer.ours("feature", "check", str(path))

    assert answer.rc == 255
    assert answer.stderr.decode().startswith(f"Error: {path} cannot be checked: ")
