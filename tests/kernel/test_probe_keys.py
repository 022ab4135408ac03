"""What tells hits apart: what people can see of values, and nothing behind the end of a string."""

from __future__ import annotations

import ctypes
import os
import threading

import pytest

from bpfctl.asm.insn import R0
from bpfctl.errors import VerifierError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.hist import Hist
from bpfctl.probe.common import FIELDS
from bpfctl.probe.field import Field, Text
from bpfctl.uapi.helpers import Helper
from tests.kernel.probing import YIELD, probing

PR_SET_NAME = 15
OURS = f"pid == {os.getpid()}"


def _store(code, base, offset):
    """Write a string, and behind its end what is never the same."""
    code.call(Helper.ktime_get_ns).stx(4, base, offset + 8, R0).st(4, base, offset + 12, 0)
    for at, byte in enumerate(b"string\0!"):
        code.st(1, base, offset + at, byte)


@pytest.fixture
def _comm_with_more_behind_it(monkeypatch):
    monkeypatch.setitem(FIELDS, "comm", Field("comm", Text(16), _store, None))


def yields(times):
    for _ in range(times):
        os.sched_yield()


@pytest.mark.usefixtures("_comm_with_more_behind_it")
@pytest.mark.parametrize("by", [("comm",), ("comm", "probe"), ("pid", "comm")])
def test_what_lies_behind_a_string_tells_no_counts_apart(by):
    counts = Count(by)
    with probing(counts, YIELD, where=OURS) as run:
        yields(100)
        run.stop()

        assert [row.hits for row in counts.rows()] == [100]
        assert "string" in counts.rows()[0].values


@pytest.mark.usefixtures("_comm_with_more_behind_it")
def test_what_lies_behind_a_string_tells_no_histograms_apart():
    hists = Hist("cpu", ("comm", "probe"))
    with probing(hists, YIELD, where=OURS) as run:
        yields(100)
        run.stop()

        assert [(row.hits, row.values[0]) for row in hists.rows()] == [(100, "string")]


def test_names_that_look_the_same_are_shown_apart():
    """Threads may be called whatever they like."""
    libc = ctypes.CDLL(None)

    def called(name):
        libc.prctl(PR_SET_NAME, name, 0, 0, 0)
        yields(3)

    names = [b"same", b"same ", b"same  ", b"same\x7f", b"same\xff", b"same\xc2\xa0", b"same\xe2\x80\x8b"]
    counts = Count(("comm", "probe"))
    with probing(counts, YIELD, where=OURS) as run:
        for name in names:
            thread = threading.Thread(target=called, args=(name,))
            thread.start()
            thread.join()
        run.stop()
        found = {counts.spelled(row)[0]: row.hits for row in counts.rows()}

    assert {name: hits for name, hits in found.items() if name.startswith("same")} == {
        "same": 3,
        r"same\x20": 3,
        r"same\x20\x20": 3,
        "same\x7f": 3,
        "same\udcff": 3,
        "same\xa0": 3,
        "same\u200b": 3,
    }


def test_a_program_that_the_verifier_refuses_is_no_question_of_rights(monkeypatch):
    """A plugin's, say: the kernel has the same answer to both."""

    def unaligned(code, base, offset):
        code.st(8, base, offset + 3, 0).st(8, base, offset + 8, 0)

    monkeypatch.setitem(FIELDS, "comm", Field("comm", Text(16), unaligned, None))
    with pytest.raises(VerifierError, match="misaligned") as error, probing(Count(("comm",)), YIELD):
        pass

    assert error.value.hint == ""
