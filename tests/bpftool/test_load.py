"""What the loader puts into the kernel is what libbpf puts there: the same programs, maps and contents."""

from __future__ import annotations

import json
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bpfctl.elf.read import read
from bpfctl.errors import BpfctlError
from bpfctl.feature.here import Here
from bpfctl.kernel.map import Map
from bpfctl.kernel.prog import Program
from bpfctl.load.object import Loaded
from tests.bpftool import peer
from tests.build.compiled import NAMES
from tests.kernel import client
from tests.kernel.place import Place

#: Those of which only who attaches them knows what they are for.
LEFT_OUT = {"freplace"}
#: Programs with a call that nobody gets to; what stands there is each loader's own number.
POISONED = {"kfunc_weak", "load_kfuncs"}
#: bpftool pins no program of an object that has one which is not loaded.
UNPINNED = {"core_not_loaded", "not_loaded"}
LINES = slice(148, 152)  # how many it knows of its source, in struct bpf_prog_info


@pytest.fixture
def pins():
    """A folder for pins that nobody else sees."""
    with Place() as place:
        yield place.bpffs / "pins"


@pytest.fixture(scope="module")
def kernel():
    return Here()


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_what_libbpf_loads(name, compiled, loaded, refused, kernel):
    complaint = _complaint(read(compiled[name].read_bytes()), kernel)
    if complaint.startswith("CannotLoad"):
        assert name in LEFT_OUT, complaint
        return

    if peer.version(peer.bpftools()[0]) >= peer.CURRENT:
        assert (name in loaded) == (not complaint), (complaint, refused.get(name, "")[-1500:])
    else:  # its libbpf does not know all sections, nor all that an object may have
        assert name not in loaded or not complaint


def test_a_check_tries_it(compiled, loaded):
    """The need of kind load comes behind all others; it stays open where the kernel forbids, or we do not know how."""
    answer = peer.ours("-j", "feature", "check", "--load", *map(str, compiled.values()))
    tried = {
        Path(need["object"]).stem: need
        for need in json.loads(answer.stdout)["needs"]
        if (need["kind"], need["name"]) == ("load", "the whole object")
    }
    unknown = {name for name, need in tried.items() if need["status"] == "cannot be told"}

    assert (answer.rc, answer.stderr, tried.keys()) == (1, b"", compiled.keys())
    assert unknown >= LEFT_OUT
    assert "fentry" not in loaded or unknown == LEFT_OUT
    assert all(need.get("reason") for need in tried.values() if need["status"] != "met")
    assert all("forbid" in tried[name]["reason"] for name in unknown - LEFT_OUT)
    if peer.version(peer.bpftools()[0]) >= peer.CURRENT:
        assert {name for name, need in tried.items() if need["status"] == "met"} == loaded


def test_it_says_what_the_verifier_said(compiled):
    answer = peer.ours("feature", "check", "--unmet", "--load", str(compiled["helper_in_subprogram"]))
    line = answer.stdout.decode().splitlines()[-1]

    # Linux 5.10 shows no line of source here.
    assert re.search(
        r"helper_in_subprogram\.o: load the whole object(?: at helper_in_subprogram\.bpf\.c:4)?: program classify "
        "cannot be loaded: the verifier refuses instruction 5: this kernel has no helper 9999$",
        line,
    )


@pytest.mark.parametrize("option", ["--report", "--reports"])
def test_a_report_loads_nothing(option, compiled):
    answer = peer.ours("feature", "check", "--load", str(compiled["socket"]), option, "/nowhere")

    assert answer.rc == 2
    assert answer.stderr.decode() == (
        "Error: --load is for the kernel that runs, and not for a report of another one\n"
    )


def _complaint(spec, kernel):
    try:
        with Loaded(spec, kernel) as ours:
            names = [one.info().name for one in ours.programs.values()]
    except BpfctlError as error:
        return f"{type(error).__name__}: {error}"
    assert names == [one[:15] for one in ours.programs]
    return ""


@pytest.mark.parametrize("name", sorted(set(NAMES) - POISONED - UNPINNED))
def test_it_is_the_same(name, compiled, loaded, kernel, pins):
    """The tag of a program is a hash of its instructions as they were loaded, with no descriptors in them."""
    if name in loaded:
        _compare(compiled[name], kernel, pins)


def test_it_is_the_same_of_several_in_one(compiled, kernel, tmp_path, pins):
    """A linker puts sections together, and the types of all; what is static may have the same name in two of them."""
    parts = [str(compiled[name]) for name in ("load_slots", "core", "maps", "sk_lookup", "printk")]
    answer = peer.run(peer.bpftools()[0], "gen", "object", f"{tmp_path}/one.o", *parts)
    assert answer.rc == 0, answer.stderr

    _compare(tmp_path / "one.o", kernel, pins)


def _compare(path, kernel, pins):
    with ExitStack() as held:
        pins.mkdir()
        words = ["prog", "loadall", str(path), f"{pins}/progs", "pinmaps", f"{pins}/maps"]
        answer = peer.run(peer.bpftools()[0], *words)
        assert answer.rc == 0, answer.stderr
        ours = held.enter_context(Loaded(read(path.read_bytes()), kernel))
        programs = {pin.name: held.enter_context(Program.pinned(str(pin))) for pin in (pins / "progs").iterdir()}
        maps = [held.enter_context(Map.pinned(str(pin))) for pin in pins.glob("maps/*")]

        assert {name: _program(one) for name, one in ours.programs.items()} == {
            name: _program(one) for name, one in programs.items()
        }
        assert sorted(map(_map, ours.maps.values())) == sorted(map(_map, maps))


def _program(program):
    info = program.info()
    names = "type", "tag", "gpl_compatible", "xlated_prog_len", "nr_func_info", "attach_btf_id"
    lines = int.from_bytes(client.info(program.fileno())[LINES], sys.byteorder)
    more = {"maps": len(info.map_ids), "types": bool(info.btf_id), "lines": lines}
    return {name: getattr(info, name) for name in names} | more


def _map(map_):
    """Return what a map is; settings lie in it as each loader likes, and one that variables are in has its own name."""
    info = map_.info()
    name = info.name[max(info.name.find("."), 0) :]
    content = map_.lookup(bytes(4)) if name.startswith((".data", ".rodata", ".bss")) else b""
    sizes = info.type, info.key_size, 0 if name == ".kconfig" else info.value_size, info.max_entries, info.map_flags
    return name, *sizes, info.btf_key_type_id, info.btf_value_type_id, info.map_extra, content
