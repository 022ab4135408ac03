"""bpfctl explain: what it says of this kernel is what the kernel answers when it is probed."""

from __future__ import annotations

import json
import os
import struct

import pytest

from bpfctl.explain import meaning
from bpfctl.explain.here import Here
from bpfctl.feature.answer import NO, YES
from tests.kernel import client
from tests.kernel.asked import answers, report
from tests.kernel.command import run

GROUPS = {
    meaning.PROGRAM: "program_types",
    meaning.MAP: "map_types",
    meaning.LINK: "link_types",
    meaning.ATTACH: "attach_types",
    meaning.MAP_FLAG: "map_flags",
    meaning.PROGRAM_FLAG: "program_flags",
}
NOT_PROBED = {"sleepable", "xdp_dev_bound_only"}
AVAILABLE = {YES: True, NO: False}


@pytest.fixture(scope="module")
def found():
    """The full report, asked anew."""
    return report()


@pytest.fixture(scope="module")
def kernel():
    return Here()


@pytest.mark.parametrize("kind", GROUPS)
def test_it_agrees_with_the_report(kind, kernel, found):
    there = answers(found)
    names = [one.name for one in meaning.entries() if one.kind == kind and one.name not in NOT_PROBED]
    meanings = [next(one for one in meaning.of(name) if one.kind == kind) for name in names]
    said = {one.name: AVAILABLE.get(kernel.explained(one).here.can) for one in meanings}

    assert {name: there[GROUPS[kind], name] for name in names} == said
    assert all(kernel.explained(one).meaning.since for one in meanings)


@pytest.mark.parametrize("name", ["bpf_xdp_adjust_head", "bpf_ringbuf_reserve", "bpf_d_path", "bpf_bind"])
def test_callers_of_a_helper_are_those_of_the_report(name, kernel, found):
    callers = {place["program_type"] for place in found["helpers"] if name in place["available"]}

    assert set(kernel.explained(meaning.of(name)[0]).callers) == callers


def test_kfuncs_are_those_of_the_report(kernel, found):
    """Those that many programs may call, and those of few; of a kernel that has any."""
    rows = sorted((row for row in found["kfuncs"] if row["program_types"]), key=lambda row: len(row["program_types"]))
    for row in (*rows[:2], *rows[-2:]):
        said = {(*one.callers,): one.meaning.prototype for one in kernel.kfuncs(row["name"])}

        assert f"{row['name']}(" in said[(*row["program_types"],)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bpf_map_lookup_elem", 1),
        ("bpf_get_prandom_u32", 1),
        ("bpf_probe_read_kernel", 17),
        ("bpf_perf_event_output", 17),
        ("bpf_get_stackid", 17),
        ("bpf_fib_lookup", 6),
    ],
)
def test_who_needs_a_license(name, kind):
    """A call with arguments of no sense is refused for the license first."""
    (one,) = meaning.of(name)
    call = struct.pack("=BBhi", 0x85, 0, 0, one.number) + bytes.fromhex("9500000000000000")
    log = ""
    try:
        os.close(client.prog_load(kind, call, license=b"Proprietary"))
    except OSError as error:
        log = error.log

    assert ("GPL-restricted function" in log) == one.gpl_only


def test_the_command():
    done = run("explain", "ringbuf", "-j")
    (one,) = json.loads(done.stdout)["meanings"]

    assert (done.returncode, done.stderr) == (0, "")
    assert (one["constant"], one["number"], one["since"]) == ("BPF_MAP_TYPE_RINGBUF", 27, "5.8")
    assert one["here"]["available"] is True


@pytest.mark.parametrize("word", ["-E2BIG", "-7", "e2big"])
def test_errors_behind_a_minus(word):
    done = run("explain", word)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("E2BIG: error (7)\n")


def test_a_word_that_means_nothing():
    done = run("explain", "ringbuff")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "Error: nothing of BPF is named 'ringbuff', did you mean 'ringbuf' or 'user_ringbuf'?\n"


def test_a_function_of_other_kernels_is_told_as_such(found):
    """It was there from Linux 6.1 to 6.2."""
    name = "bpf_cgroup_kptr_get"
    done = run("explain", name)

    if any(row["name"] == name for row in found["kfuncs"]):
        assert done.returncode == 0
    else:
        assert done.returncode == 3
        assert done.stderr.startswith(f"Error: {name} is a function that other kernels let programs call: ")


@pytest.mark.parametrize("words", [(), ("xdp", "tc")])
def test_wrong_words(words):
    assert run("explain", *words).returncode == 2
