"""Comparing reports."""

from __future__ import annotations

import copy
import json

from bpfctl.feature import saved
from bpfctl.feature.diff import GAINED, LOST, UNTOLD, compare
from bpfctl.render.json import dumps
from bpfctl.render.text import safe
from bpfctl.views import feature_diff
from tests.unit.feature.test_saved import FULL, SHORT


def with_(document, **parts):
    """A report with other answers in its parts."""
    out = copy.deepcopy(document)
    for part, answers in parts.items():
        if isinstance(out[part], dict):
            out[part] |= answers
        else:
            out[part] = [row for row in out[part] if row["name"] not in answers] + [
                {"name": name, "available": answer} for name, answer in answers.items()
            ]
    return out


def compared(first, second):
    return compare(saved.of(first), saved.of(second))


def changes(first, second):
    return [(one.change, one.kind, one.name, one.of) for one in compared(first, second).differences]


def plain(found):
    return "".join(b"".join(stream.plain()).decode() for stream in feature_diff.streams(found, safe)).splitlines()


def test_the_same_twice():
    for document in (SHORT, FULL):
        found = compared(document, document)

        assert (found.differences, found.one_sided, plain(found)) == ([], [], [])
        assert found.compared


def test_what_has_become_of_features():
    """Gained one way is lost the other way; what one cannot tell is neither."""
    later = with_(FULL, program_types={"lirc_mode2": True, "xdp": None})
    there = {change for change in changes(FULL, later) if change[1] == "program type"}
    back = {change for change in changes(later, FULL) if change[1] == "program type"}

    assert there == {(GAINED, "program type", "lirc_mode2", ""), (UNTOLD, "program type", "xdp", "")}
    assert back == {(LOST, "program type", "lirc_mode2", ""), (UNTOLD, "program type", "xdp", "")}


def kfunc(name, *programs, unknown=()):
    """What a report says of a kfunc."""
    available = None if unknown else bool(programs)
    return {"name": name, "available": available, "program_types": [*programs], "cannot_be_told": [*unknown]}


def test_kfuncs():
    """By the types of programs that may call them; a report lists those that there are."""
    first = FULL | {"kfuncs": [kfunc("bpf_a", "xdp"), kfunc("bpf_b"), kfunc("bpf_c", "xdp")]}
    second = FULL | {"kfuncs": [kfunc("bpf_b", "xdp"), kfunc("bpf_c", unknown=["xdp"]), kfunc("bpf_d", "xdp")]}

    assert plain(compared(first, second)) == [
        "- kfunc bpf_a (xdp)",
        "+ kfunc bpf_b, bpf_d (xdp)",
        "? kfunc bpf_c (xdp): available -> cannot be told (it cannot be told)",
    ]


def test_kfuncs_of_an_older_report():
    """They are compared by name."""
    old = FULL | {"kfuncs": [{"name": "bpf_a", "available": True}, {"name": "bpf_b", "available": True}]}
    new = FULL | {"kfuncs": [kfunc("bpf_b", "xdp"), kfunc("bpf_c", "xdp")]}

    assert plain(compared(old, new)) == ["- kfunc bpf_a", "+ kfunc bpf_c"]


def test_a_kernel_that_does_not_tell_its_kfuncs():
    """Nothing is lost then."""
    old = FULL | {"kfuncs": [{"name": "bpf_a", "available": True}]}
    silent = FULL | {"kfuncs": [kfunc("any", unknown=["xdp"])]}

    assert changes(old, silent) == []
    assert [(one.kind, one.told_by, one.names) for one in compared(old, silent).one_sided] == [
        ("kfunc", "first", ("bpf_a",)),
        ("kfunc", "second", ("any",)),
    ]


def test_values():
    first, second = SHORT, with_(SHORT, system_config={"unprivileged_bpf_disabled": 0, "CONFIG_HZ": "250"})

    assert plain(compared(first, second)) == [
        "~ sysctl kernel.unprivileged_bpf_disabled: 2 -> 0",
        "~ kernel option CONFIG_HZ: not set -> 250",
    ]
    told = with_(SHORT, system_config={"bpf_jit_limit": 5})
    assert plain(compared(first, told)) == [
        "? sysctl net.core.bpf_jit_limit: cannot be told -> 5 (it could not be read)"
    ]


def test_options_of_full_reports():
    """They list those that are set; where nothing tells the configuration, they may all be."""
    second = with_(FULL, surroundings={"CONFIG_BPF_LSM": "y"})
    silent = with_(FULL, surroundings={"configuration": None})
    del silent["surroundings"]["CONFIG_BPF"]

    assert plain(compared(FULL, second)) == ["~ kernel option CONFIG_BPF_LSM: not set -> y"]
    assert [one.names for one in compared(second, silent).one_sided] == [("CONFIG_BPF", "CONFIG_BPF_LSM")]


def test_helpers_with_the_same_fate_are_told_together():
    lists = {"xdp_available_helpers": ["bpf_redirect"], "sched_cls_available_helpers": ["bpf_redirect"]}
    more = {name: ["bpf_redirect", "bpf_loop", "bpf_get_stack"] for name in lists}
    more["xdp_available_helpers"].append("bpf_xdp_output")
    found = compared(with_(SHORT, helpers=lists), with_(SHORT, helpers=more))

    assert plain(found) == [
        "+ helper bpf_loop, bpf_get_stack (xdp, sched_cls)",
        "+ helper bpf_xdp_output (xdp)",
    ]
    _, gained, *_ = feature_diff.streams(found, safe)
    rows = json.loads(b"[" + b",".join(gained.json(None, dumps)) + b"]")
    assert {"kind": "helper", "name": "bpf_loop", "for": "sched_cls", "first": False, "second": True} in rows
    assert len(rows) == len(found.differences) == 5


def test_noisy_helpers_that_only_one_was_asked_for():
    """``full`` asks for three more: that is no difference between kernels."""
    asked = with_(SHORT, helpers={"xdp_available_helpers": ["bpf_redirect", "bpf_loop", "bpf_trace_printk"]})

    assert plain(compared(SHORT, asked)) == ["# only the second report tells: helper bpf_trace_printk"]


def test_a_short_report_and_a_full_one():
    """What both tell agrees, and the rest is named, however long its list."""
    many = {f"type_{number}": True for number in range(9)}
    found = compared(SHORT, with_(FULL, limits=many))

    assert [one.name for one in found.differences] == []
    assert "# only the second report tells: limit type_0, type_1, type_2 and 6 more" in plain(found)
    assert "# only the first report tells: helpers of lirc_mode2, lsm" not in plain(found), "it knows none of lsm"
