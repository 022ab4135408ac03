"""Ways of asking, where the kernel's answer is not one about what was asked for."""

from __future__ import annotations

import os
from errno import EINVAL, EMFILE, EPERM

import pytest

from bpfctl._sys import programs
from bpfctl._sys.fd import FD
from bpfctl.asm.build import Program
from bpfctl.feature import instructions
from bpfctl.feature.answer import CAP_SYS_ADMIN, NO, UNKNOWN, YES, Rights
from bpfctl.feature.memory import Memory
from bpfctl.feature.running import Running
from bpfctl.feature.shape import Shape, answer
from bpfctl.feature.ways import Asker
from bpfctl.uapi.enums import MapType, ProgType

ROOT = Rights(1 << CAP_SYS_ADMIN, 2, "")
LOOKED_AT = "processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
SHAPE = Shape(ProgType.TRACING, 55)


def refusing(monkeypatch, number, log):
    """Have all loads refused."""

    def load(*_args, **_how):
        error = programs.LoadError(number, os.strerror(number))
        error.log = log
        raise error

    monkeypatch.setattr(programs, "load", load)


@pytest.mark.parametrize(
    ("number", "log", "can", "why"),
    [
        (EINVAL, LOOKED_AT, NO, ""),
        (EINVAL, f"no such target\n{LOOKED_AT}", NO, "no such target"),
        (EINVAL, f"R0 !read_ok\n{LOOKED_AT}", YES, ""),
        (EMFILE, LOOKED_AT, UNKNOWN, "a limit is reached: this process has as many descriptors as it may (ulimit -n)"),
    ],
)
def test_what_a_load_tells(number, log, can, why, monkeypatch):
    """That the verifier tells how much it has looked at is no reason for anything."""
    refusing(monkeypatch, number, log)

    assert answer(SHAPE, ROOT)[:2] == (can, why)


@pytest.mark.parametrize(
    ("number", "log", "can"),
    [
        (EINVAL, f"R1 type=ctx expected=fp\n{LOOKED_AT}", YES),
        (EINVAL, f"invalid func 9999\n{LOOKED_AT}", NO),
        (EINVAL, LOOKED_AT, UNKNOWN),
        (EMFILE, LOOKED_AT, UNKNOWN),
    ],
)
def test_what_a_call_tells(number, log, can, monkeypatch):
    """A kernel that does not know the attach type does not get to the call."""
    running = Running()
    refusing(monkeypatch, number, log)

    assert running._call(SHAPE, bytes(8), ("invalid func ",)).can == can


def test_a_map_that_cannot_be_filled():
    def refused(_fd):
        raise PermissionError(EPERM, os.strerror(EPERM))

    def null():
        return FD(os.open("/dev/null", os.O_RDONLY))

    ask = instructions._with_map(MapType.INSN_ARRAY, null, lambda _fd: Program(), refused)

    assert ask(Asker(ROOT, {}, Memory())).can == UNKNOWN
