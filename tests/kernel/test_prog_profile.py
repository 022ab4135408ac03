"""Events in the runs of a program: as many as there were, by the API and by the command, and why there are none."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import time
from contextlib import ExitStack, suppress

import pytest

from bpfctl import KernelError, NotSupported, Program, UsageError
from bpfctl.attach.profile import METRICS, Profile
from bpfctl.uapi.perf import PerfType
from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.probing import has_counter, links, until
from tests.kernel.typeblob import SIGNED, Blob

XDP, SOCKET_FILTER = 6, 1
HW_CACHE, ITLB_READ_MISSES = 3, 4 | 1 << 16
RETURN_0 = bytes.fromhex("b7000000000000009500000000000000")
RETURN_2 = bytes.fromhex("b7000000020000009500000000000000")
PACKET = bytes(64)
PATIENCE = 120
BY_NAME = {metric.name: metric for metric in METRICS}


@pytest.fixture
def program():
    """A program with types."""
    with ExitStack() as stack:
        blob = Blob()
        number = blob.int_("int", 4, SIGNED)
        function = blob.func("profiled", number, [("ctx", blob.ptr(0))])
        btf = client.btf_load(blob.raw())
        stack.callback(os.close, btf)
        func_info = {"func_info": struct.pack("=II", 0, function), "func_info_rec_size": 8, "func_info_cnt": 1}
        fd = client.prog_load(XDP, RETURN_2, name="profiled", prog_btf_fd=btf, **func_info)
        stack.callback(os.close, fd)
        yield fd


@pytest.fixture
def profiled(program):
    """Return what opens a profile of the program, where this kernel and this machine allow it."""

    def open_(*names):
        with Program.by_id(client.id_of("prog", program)) as ours:
            try:
                return Profile(ours, [BY_NAME[name] for name in names])
            except NotSupported as error:
                metrics = [BY_NAME[name] for name in names]
                counts = all(has_counter(one.config) for one in metrics if one.type == PerfType.HARDWARE)
                if counts and os.uname().machine == "x86_64":  # others cannot attach to programs on all kernels
                    raise
                pytest.skip(f"{error} {error.hint}")
            except KernelError as error:
                if "lockdown" not in str(error):
                    raise
                pytest.skip("lockdown forbids tracing programs")

    return open_


@pytest.mark.parametrize(
    "names", [["cpu_clock"], ["cycles"], ["cycles", "instructions"], ["cpu_clock"] * 4], ids="+".join
)
def test_each_run_is_counted_once(program, profiled, names):
    with profiled(*names) as profile:
        nothing = profile.read()
        client.run(program, PACKET, repeat=1000)
        profile.stop()
        client.run(program, PACKET, repeat=10)
        reading = profile.read()

    assert nothing.run_cnt == 0
    assert [(value.counter, value.enabled) for value in nothing.values] == [(0, 0)] * len(names)
    assert reading.run_cnt == 1000
    assert [value.metric.name for value in reading.values] == names
    for value in reading.values:
        assert value.counter > 1000
        assert 0 < value.running <= value.enabled < PATIENCE * 10**9


def bpfctl(*words, options=()):
    command = [*BPFCTL, *options, "prog", "profile", *words]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process, program=None):
    """Return what a command has told; the program runs meanwhile."""
    end = time.monotonic() + PATIENCE
    try:
        while program is not None and process.poll() is None and time.monotonic() < end:
            client.run(program, PACKET, repeat=10)
            time.sleep(0.01)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, out.decode(), err.decode()


def test_the_command(program, profiled):
    profiled("cpu_clock").close()
    handle = ["id", str(client.id_of("prog", program)), "duration", "1", "cpu"]
    rc, out, err = ended(bpfctl(*handle), program)

    assert (rc, err) == (0, "")
    blank, runs, clock = out.splitlines()
    assert blank == ""
    assert runs[18:] == " run_cnt             "
    assert int(runs[:18]) >= 10
    assert clock[18:41] == " cpu_clock           # "
    assert clock[41:].split(maxsplit=1)[1] == "ns per run                    "
    assert float(clock[41:].split()[0]) == pytest.approx(int(clock[:18]) / int(runs[:18]), abs=0.01)
    rc, out, _ = ended(bpfctl(*handle, options=["-j"]), program)
    (row,) = json.loads(out)
    assert list(row) == ["metric", "run_cnt", "value", "enabled", "running"]
    assert row["run_cnt"] >= 10


def test_ctrl_c_ends_it(program, profiled):
    """What was counted until then is told."""
    profiled("cpu_clock").close()
    process = bpfctl("id", str(client.id_of("prog", program)), "cpu_clock", options=["-j"])
    assert until(lambda: len(links(process.pid)) == 2)
    client.run(program, PACKET, repeat=100)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    rc, out, err = ended(process)

    assert (rc, err) == (0, "")
    assert json.loads(out)[0]["run_cnt"] == 100


def test_a_program_without_types():
    fd = client.prog_load(SOCKET_FILTER, RETURN_0, name="untyped")
    try:
        id_ = client.id_of("prog", fd)
        with Program.by_id(id_) as ours, pytest.raises(UsageError, match=rf"^program {id_} has no types \(BTF\)"):
            Profile(ours, [BY_NAME["cpu_clock"]])
    finally:
        os.close(fd)


def test_what_the_machine_does_not_count(program):
    """Guests on x86 have no counters at all, those on arm64 few."""
    with suppress(OSError):
        os.close(client.perf_event_open(HW_CACHE, ITLB_READ_MISSES))
        pytest.skip("this machine counts itlb misses")
    with (
        Program.by_id(client.id_of("prog", program)) as ours,
        pytest.raises(NotSupported, match=r"^failed to create event itlb_misses on cpu 0$") as caught,
    ):
        Profile(ours, [BY_NAME["itlb_misses"]])

    assert caught.value.hint.startswith("this machine has no counter for it")


def test_a_kernel_that_is_locked_down_is_called_so(program):
    with Program.by_id(client.id_of("prog", program)) as ours:
        try:
            Profile(ours, [BY_NAME["cpu_clock"]]).close()
        except KernelError as error:
            told = str(error)
        else:
            pytest.skip("this kernel is not locked down")

    assert told.startswith("can't load the programs that profile: Operation not permitted (")
    assert "(kernel lockdown: " in told


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["duration", "1", "foo"], "unknown metric foo, there are: cycles, "),
        (["duration", "1", "cyc", "i", "l1d", "llc", "it"], "too many (5) metrics, please specify no more than 4"),
        (["duration", "x", "cycles"], "can't parse x as duration"),
        (["duration", "0x80000000", "cycles"], "can't profile for 2147483648 seconds"),
    ],
)
def test_mistakes(program, words, error):
    rc, out, err = ended(bpfctl("id", str(client.id_of("prog", program)), *words))

    assert (rc, out) == (255, "")
    assert err.startswith(f"Error: {error}")


def test_too_few_words():
    rc, out, err = ended(bpfctl("id", "1"))

    assert (rc, out) == (234, "")
    assert err.startswith("Error: 'profile' needs at least 3 arguments, 2 found (")
