"""A program of one's own is told the number with which it was attached, wherever there are such numbers."""

from __future__ import annotations

import os
import sys

import pytest

from bpfctl.asm.insn import R0, R1, R2, R6, R10
from bpfctl.kernel.prog import Program
from bpfctl.kernel.select import Select
from bpfctl.probe.code import Code
from bpfctl.probe.types import kernel_types
from bpfctl.uapi.enums import AttachType, ProgType
from bpfctl.uapi.helpers import Helper
from btf.types import Typedef
from tests.kernel import client
from tests.kernel.command import run
from tests.kernel.facts import KPROBES, needs
from tests.kernel.probing import FORK, RAW_FORK

COOKIE = 0xFEDC_BA98_7654_3210
NAME = client.own("own")

TYPES = {
    FORK: ProgType.TRACEPOINT,
    "tracepoint:sched:sched_process_exit": ProgType.RAW_TRACEPOINT,
    RAW_FORK: ProgType.RAW_TRACEPOINT,
    "tp_btf:sched_process_fork": ProgType.TRACING,
    "software:context-switches": ProgType.PERF_EVENT,
    "uprobe:c:getppid": ProgType.KPROBE,
    "kprobe:vfs_read": ProgType.KPROBE,
    "kretprobe:vfs_read": ProgType.KPROBE,
}


def _bound():
    """Return what a program of a typed tracepoint has to say when it is loaded."""
    found = kernel_types().find("btf_trace_sched_process_fork", Typedef)
    return {"expected_attach_type": AttachType.TRACE_RAW_TP, "attach_btf_id": found.id}


class Own:
    """A program that keeps the cookie it is told, or of a kernel that tells none, that it has run."""

    def __init__(self, type_, keep):
        self._kept = keep(client.map_create(2, 4, 8, 1))  # an array
        more = {"name": NAME} | (_bound() if type_ == ProgType.TRACING else {})
        self.is_told = True
        try:
            keep(client.prog_load(type_, self._program(is_told=True), **more))
        except OSError:  # no such helper for this type, before Linux 5.15 or later
            self.is_told = False
            keep(client.prog_load(type_, self._program(is_told=False), **more))

    def _program(self, *, is_told):
        code = Code()
        code.mov(R6, R1).st(4, R10, -4, 0).mov(R2, R10).add(R2, -4).ld_map_fd(R1, self._kept)
        code.call(Helper.map_lookup_elem).jump("jeq", R0, 0, "out").mov(R2, R0).stx(8, R10, -16, R2)
        if is_told:
            code.mov(R1, R6).call(Helper.get_attach_cookie)
        else:
            code.mov(R0, 1)
        code.ldx(8, R2, R10, -16).stx(8, R2, 0, R0)
        return code.end()

    def told(self):
        return int.from_bytes(client.map_lookup(self._kept, bytes(4), 8), sys.byteorder)


def _happens():
    """Have each of these events happen."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    os.getppid()
    with open("/dev/zero", "rb", buffering=0) as zeros:
        zeros.read(1)


@pytest.mark.parametrize("spec", TYPES)
def test_the_program_is_told(held, place, spec):
    if "probe:vfs" in spec:
        needs(*KPROBES)
    program = Own(TYPES[spec], held)
    pin = str(place.bpffs / "cookie")
    try:
        done = run("probe", "attach", spec, "name", NAME, "--cookie", hex(COOKIE), "--pin", pin)
        if not program.is_told:
            assert (done.returncode, os.path.exists(pin)) == (5, False)
            assert "this kernel has no cookies for" in done.stderr
            return
        assert (done.returncode, done.stderr) == (0, "")
        _happens()
        assert program.told() == COOKIE
    finally:
        _unpinned(pin)


def _unpinned(pin):
    if os.path.isdir(pin):  # of an event on several CPUs there is a link for each
        for name in os.listdir(pin):
            os.unlink(f"{pin}/{name}")
        os.rmdir(pin)
    elif os.path.exists(pin):
        os.unlink(pin)


@pytest.mark.parametrize("number", ["-1", "x", str(1 << 64), "1.5"])
def test_what_is_no_cookie(held, number):
    Own(ProgType.RAW_TRACEPOINT, held)
    done = run("probe", "attach", RAW_FORK, "name", NAME, f"--cookie={number}", "--duration", "0.1")

    assert done.returncode == 2
    assert done.stderr == f"Error: --cookie: '{number}' is no number of 64 bits\n"


def test_a_program_that_is_bound_elsewhere(held):
    """It would be attached where it was loaded for, whatever was asked."""
    Own(ProgType.TRACING, held)
    with Program.one(Select("name", NAME)) as program:
        if program.info().attach_btf_id is None:
            pytest.skip("this kernel does not tell what a program was loaded for (Linux 6.0)")
    done = run("probe", "attach", "tp_btf:sched_process_exit", "name", NAME, "--duration", "0.1")

    assert "was loaded for another place than tp_btf:sched_process_exit" in done.stderr
