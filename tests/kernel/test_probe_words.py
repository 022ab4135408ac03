"""The words that name probes: with and without a kind, with wildcards, and with slips of the pen."""

from __future__ import annotations

import json
import re

import pytest

from bpfctl.errors import NotFound, NotSupported
from bpfctl.probe.sources import Sources
from tests.kernel.command import run

FORK = "tracepoint:sched:sched_process_fork"


@pytest.mark.parametrize("spec", ["sched:sched_process_fork", "sched:sched_process_for?", "sch?d:sched_process_fork"])
def test_a_category_needs_no_kind(spec):
    assert [str(point) for point in Sources().resolve([spec])] == [FORK]


def test_with_and_without_a_kind_it_is_the_same_point():
    assert len(Sources().resolve([FORK, "sched:sched_process_fork", "sched:sched_process_fo*"])) == 1


def test_a_name_in_a_category_that_is_there():
    with pytest.raises(NotFound, match=re.escape("did you mean 'sched:sched_process_fork'?")):
        Sources().resolve(["sched:sched_process_frok"])


@pytest.mark.parametrize(
    ("spec", "meant"), [("trackepoint:sched:x", "tracepoint"), ("shed:sched_switch", "sched"), ("Kprobe:x", "kprobe")]
)
def test_a_word_that_is_nearly_one(spec, meant):
    with pytest.raises(NotFound, match=rf"no plugin offers probes of kind .*, did you mean '{meant}'\? \(there are: "):
        Sources().resolve([spec])


def test_a_word_that_is_like_no_other():
    with pytest.raises(NotFound, match=r"no plugin offers probes of kind 'qqqqq' \(there are: breakpoint, "):
        Sources().resolve(["qqqqq:x"])


def test_without_tracepoints_a_word_is_a_kind_or_nothing(monkeypatch):
    class Without:
        def discover(self, pattern):
            raise NotSupported(f"no tracepoints for {pattern}")

    sources = Sources()
    monkeypatch.setitem(sources._made, "tracepoint", Without())
    with pytest.raises(NotFound, match="no plugin offers probes of kind 'sched'"):
        sources.resolve(["sched:sched_switch"])


def test_all_commands_take_it():
    counts = json.loads(run("-j", "probe", "count", "sched:sched_process_fork", "--duration", "0.1").stdout)
    assert [count["probe"] for count in counts["counts"]] == [FORK]
    assert json.loads(run("-j", "probe", "show", "sched:sched_process_fork").stdout)["spec"] == FORK
    (program,) = json.loads(run("-j", "probe", "dry-run", "sched:sched_process_fork").stdout)
    assert program["points"] == [FORK]
    assert run("probe", "list", "sched:sched_process_f*").stdout == f"{FORK}\n{FORK.replace('fork', 'free')}\n"


def test_list_without_a_kind_looks_at_all():
    found = run("probe", "list", "sched_process_fork").stdout.splitlines()

    assert {FORK, "raw_tracepoint:sched_process_fork", "tp_btf:sched_process_fork"} <= {*found}


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("software:fault", "no probe matches 'software:fault'; for a part of a name write 'software:*fault*'"),
        ("sched:fork", "no probe matches 'sched:fork'; for a part of a name write 'tracepoint:sched:*fork*'"),
        ("software:fault*", "no probe matches 'software:fault*'"),
    ],
)
def test_a_list_of_nothing(pattern, sentence):
    done = run("probe", "list", pattern)

    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"Error: {sentence}\n")
    assert json.loads(run("-j", "probe", "list", pattern).stdout) == {"error": sentence}


def test_a_list_of_nothing_at_all():
    done = run("probe", "list", "no_such_name_anywhere")

    assert (done.returncode, done.stdout) == (3, "")
    assert "\nError: no probe matches 'no_such_name_anywhere'" in f"\n{done.stderr}"
