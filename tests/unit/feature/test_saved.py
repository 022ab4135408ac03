"""Saved reports: both forms say the same, and files of an enemy are read or refused."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import SavedError
from bpfctl.feature import saved
from bpfctl.feature.answer import NO, UNKNOWN, YES
from bpfctl.feature.diff import compare
from bpfctl.render.json import dumps
from bpfctl.render.text import safe
from bpfctl.views import feature_diff
from tests.soon import soon

SHORT = {
    "system_config": {"unprivileged_bpf_disabled": 2, "bpf_jit_limit": -1, "CONFIG_BPF": "y", "CONFIG_HZ": None},
    "syscall_config": {"have_bpf_syscall": True},
    "program_types": {"have_xdp_prog_type": True, "have_lirc_mode2_prog_type": False, "have_lsm_prog_type": False},
    "map_types": {"have_hash_map_type": True, "have_arena_map_type": False},
    "helpers": {
        "xdp_available_helpers": ["bpf_redirect", "bpf_loop"],
        "lirc_mode2_available_helpers": [],
        "lsm_available_helpers": [],
    },
    "misc": {"have_large_insn_limit": True, "have_v4_isa_extension": False},
}
FULL = {
    "format": 1,
    "surroundings": {"kernel": "6.18.0", "lockdown": None, "configuration": "/proc/config.gz", "CONFIG_BPF": "y"},
    "program_types": [
        {"name": "xdp", "available": True, "since": "4.8"},
        {"name": "lirc_mode2", "available": False},
        {"name": "lsm", "available": None, "reason": "lockdown"},
    ],
    "map_types": [{"name": "hash", "available": True}, {"name": "arena", "available": False, "reason": "too old"}],
    "limits": [
        {"name": "Large program size limit", "available": True},
        {"name": "ISA extension v4", "available": False},
    ],
    "surroundings_reasons": {"lockdown": "securityfs is not mounted"},
    "kfuncs": [
        {"name": "bpf_task_acquire", "available": True, "program_types": ["xdp"], "cannot_be_told": []},
        {
            "name": "bpf_wq_init",
            "available": None,
            "reason": "why",
            "cannot_be_told": ["xdp"],
            "program_types": [],
        },
        {"name": "bpf_throw", "available": False, "program_types": [], "cannot_be_told": []},
    ],
    "helpers": [
        {
            "program_type": "xdp",
            "available": ["bpf_redirect", "bpf_loop"],
            "not_available": ["bpf_probe_read"],
            "cannot_be_told": ["bpf_trace_printk"],
            "reasons": ["nobody asked"],
        }
    ],
}


@pytest.mark.parametrize("document", [SHORT, FULL], ids=["short", "full"])
def test_both_forms_answer_alike(document):
    report = saved.read(json.dumps(document).encode())

    assert report.feature("program_types", "xdp").can == YES
    assert report.feature("program_types", "lirc_mode2").can == NO
    assert report.feature("program_types", "lsm").can == UNKNOWN, "bpftool's word for it is no, also under lockdown"
    assert report.feature("map_types", "hash").can == YES
    assert report.feature("limits", "Large program size limit").can == YES
    assert report.feature("limits", "ISA extension v4").can == NO
    assert report.feature("no_such_group", "x") == saved.SILENT
    assert report.helper("xdp", "bpf_loop").can == YES
    assert report.helper("xdp", "bpf_probe_read").can == NO
    assert report.helper("xdp", "bpf_trace_printk").can == UNKNOWN, "it is not asked for unless one wants it"
    assert report.helper("lsm", "bpf_loop") == saved.SILENT
    assert report.options() == {"CONFIG_BPF": "y"}


def test_who_may_call_which_kfunc():
    """A full report tells; of what it does not list, and of other types, it is silent."""
    report = saved.of(FULL)
    told = {name: report.kfunc("xdp", name) for name in ("bpf_task_acquire", "bpf_wq_init", "bpf_throw", "other")}

    assert [answer.can for answer in told.values()] == [YES, UNKNOWN, NO, UNKNOWN]
    assert told["bpf_wq_init"].why == "why"
    assert (
        saved.SILENT == told["other"] == report.kfunc("lsm", "bpf_throw") == saved.of(SHORT).kfunc("xdp", "bpf_throw")
    )


def test_facts_have_one_name():
    short, full = saved.of(SHORT), saved.of(FULL)

    assert short.fact("kernel.unprivileged_bpf_disabled") == "2"
    assert short.fact("net.core.bpf_jit_limit") is None, "-1 says that it could not be read"
    assert (short.facts["CONFIG_HZ"], full.fact("kernel"), full.fact("lockdown")) == ("not set", "6.18.0", None)
    assert full.facts["lockdown"] == (UNKNOWN, "securityfs is not mounted", False)


def test_lists_of_a_bpftool_that_is_too_old_for_its_kernel():
    """It lists each helper for each type, where no kernel has that: then only what it does not list is told."""
    everything = ["bpf_redirect", "bpf_xdp_adjust_head"]
    lists = {"socket_filter_available_helpers": everything, "xdp_available_helpers": everything}
    report = saved.of(SHORT | {"helpers": lists})

    assert report.helper("xdp", "bpf_redirect").can == UNKNOWN
    assert "too old" in report.helper("xdp", "bpf_redirect").why
    assert report.helper("xdp", "bpf_loop").can == NO


def without(document, **changes):
    return json.dumps(document | changes).encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is no JSON"),
        (json.dumps(FULL).encode()[:-40], "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b'{"program_types": ' + b"9" * 5000 + b"}", "it is no JSON"),
        (b"\xff\xfe{", "it is no JSON"),
        (b"[]", "it is no report of feature probe"),
        (b"{}", "it is no report of feature probe"),
        (b'{"error": "bpf is not there"}', "feature probe has failed there: bpf is not there"),
        (without(SHORT, program_types={}), "it is no report of feature probe"),
        (without(SHORT, program_types=[1]), "program_types in it is no object"),
        (without(SHORT, misc={"have_bounded_loops": 1}), "have_bounded_loops in it is neither true nor false"),
        (without(SHORT, helpers={"xdp_available_helpers": [1]}), "what it lists for xdp are no names"),
        (without(SHORT, system_config={"CONFIG_HZ": []}), "CONFIG_HZ in it is neither text nor a number"),
        (without(FULL, format=2), "its format is not 1: another bpfctl has written it"),
        (without(FULL, map_types=[{}]), "map_types in it has an item without a name"),
        (without(FULL, map_types=[{"name": "x", "available": "y"}]), "x in it is neither true, false nor null"),
        (without(FULL, helpers={}), "helpers in it is no list"),
        (without(FULL, helpers=[{"available": []}]), "helpers in it has an item without a program type"),
        (
            without(FULL, helpers=[{"program_type": "xdp", "available": 7}]),
            "what it lists for xdp are no names",
        ),
        (without(FULL, kfuncs=[{"name": "x", "program_types": 7}]), "what it lists for x are no names"),
        (without(FULL, surroundings_reasons=[]), "surroundings_reasons in it is no object"),
        (without(FULL, surroundings={"kernel": True}), "kernel in it is neither text nor a number"),
    ],
)
def test_what_is_no_report(content, sentence):
    with pytest.raises(SavedError) as caught:
        saved.read(content)

    assert str(caught.value) == sentence


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """The paths of all that is in a document."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield from places(one, (*path, name))


def changed(document, path, value):
    """A document with something else at a place."""
    if not path:
        return value
    inside = dict(document) if isinstance(document, dict) else list(document)
    inside[path[0]] = changed(inside[path[0]], path[1:], value)
    return inside


def use(data):
    """Read a report, if it is one, and show how it differs from others, in all voices."""
    with soon(), suppress(SavedError):
        report = saved.read(data)
        for other in (saved.of(SHORT), saved.of(FULL), report):
            for stream in feature_diff.streams(compare(report, other), safe):
                json.loads(b"[" + b",".join(stream.json(None, dumps)) + b"]")
                assert b"\x1b" not in b"".join(stream.plain())


@given(st.sampled_from([SHORT, FULL]), st.data())
def test_a_report_with_something_else_in_it(document, data):
    path = data.draw(st.sampled_from(list(places(document))))
    use(json.dumps(changed(document, path, data.draw(ODD))).encode())


@given(st.sampled_from([SHORT, FULL]), st.integers(0, 2000), st.binary(max_size=8))
def test_a_report_that_is_damaged(document, at, put):
    data = json.dumps(document).encode()
    use(data[:at] + put)
    use(data[:at] + put + data[at + len(put) :])
