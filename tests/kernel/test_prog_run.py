"""Test runs from Python, and what a person sees of them on a terminal."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

import bpfctl
from bpfctl.errors import ENOTSUPP
from tests.kernel import client, hardship
from tests.kernel.command import BPFCTL, ON_TERMINAL
from tests.kernel.inhabitants.programs import returning
from tests.kernel.runnable import PACKET, SCHED_CLS, Runnable, sk_buff, xdp_md
from tests.kernel.test_rights import having
from tests.terminal import Terminal


@pytest.fixture(scope="module")
def programs():
    with Runnable() as made:
        yield made


@pytest.fixture
def opened(programs):
    """Return what opens a program by name."""
    handles = []

    def open_(name):
        if name in programs.refused:
            pytest.skip(f"the kernel takes no such program: {programs.refused[name]}")
        handles.append(bpfctl.Program.by_id(int(programs.id(name))))
        return handles[-1]

    yield open_
    for handle in handles:
        handle.close()


def test_a_packet_and_its_context(opened):
    result = opened("tc").test_run(PACKET, ctx=sk_buff(mark=41, cb=7))

    assert (result.retval, result.data) == (42, bytes([PACKET[0] + 1]) + PACKET[1:])
    assert struct.unpack_from("=I", result.ctx, 8) == (42,)
    assert (result.context["mark"], result.context["cb"]) == (42, [8, 0, 0, 0, 0])
    assert 0 < result.duration < 10**9


def test_members_instead_of_bytes(opened):
    """The kernel's types lay them out; the given context stays as it was."""
    given = {"mark": 1, "cb": [5, 0, 0, 0, 0]}
    result = opened("tc").test_run(PACKET, ctx=given, repeat=10)

    assert (result.retval, result.context["cb"]) == (11, [15, 0, 0, 0, 0])
    assert given == {"mark": 1, "cb": [5, 0, 0, 0, 0]}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("tc", {"marc": 1}, "context: struct __sk_buff has no member 'marc', did you mean 'mark'?"),
        ("tc", {"mark": 1 << 32}, "context: mark: "),
        ("raw_tracepoint", {"a": 1}, "the context of this type of programs has no members: give its bytes"),
    ],
)
def test_members_that_do_not_fit(opened, name, given, message):
    with pytest.raises(bpfctl.DoesNotFit) as caught:
        opened(name).test_run(PACKET, ctx=given)

    assert str(caught.value).startswith(message)


def test_a_packet_that_grows(opened):
    """There is room for it without being asked for, up to what the kernel takes at all."""
    program = opened("xdp")
    for size in (14, len(PACKET), 3000):
        packet = PACKET.ljust(size, b"x")[:size]
        result = program.test_run(packet)
        assert result == (3, result.duration, b"\x01\xa1\xa2\xa3" + packet, None, bpfctl.ProgType.XDP)
        assert result.context is None


def test_what_is_given_back(opened):
    """Nothing where nothing was given, and of raw tracepoints never."""
    args = struct.pack("=2Q", 40, 2)
    assert opened("raw_simple").test_run()[2:4] == (None, None)
    assert opened("raw_tracepoint").test_run(ctx=args) == (42, 0, None, None, bpfctl.ProgType.RAW_TRACEPOINT)
    assert opened("sk_lookup").test_run(ctx={"family": 2, "protocol": 6}).context["protocol"] == 6


def test_a_context_that_is_changed_in_place(opened):
    """What comes back is a copy: bytes of Python never change."""
    args = struct.pack("=2Q", 40, 2)

    assert opened("syscall").test_run(ctx=args)[:4] == (5, 0, None, struct.pack("=2Q", 40, 80))
    assert args == struct.pack("=2Q", 40, 2)


def test_what_sees_nothing_of_it(opened):
    """Tracing programs run on calls of the kernel's own; what is given is ignored, and nothing comes back."""
    assert opened("fentry").test_run(PACKET, ctx=bytes(8)) == (0, 0, None, None, bpfctl.ProgType.TRACING)


def test_on_a_cpu(opened):
    """Raw tracepoints run where they are told to (BPF_F_TEST_RUN_ON_CPU)."""
    program = opened("raw_simple")
    there = max(os.sched_getaffinity(0))

    assert program.test_run(flags=1, cpu=there).retval == 7
    with pytest.raises(bpfctl.KernelError) as caught:
        program.test_run(flags=1, cpu=1 << 20)
    assert caught.value.errno == errno.ENXIO


REFUSED = [
    ("kprobe", None, None, ENOTSUPP, "no test run for programs of type kprobe"),
    ("tc", None, None, errno.EINVAL, "a packet with its Ethernet header"),
    ("tc", bytes(13), None, errno.EINVAL, "13 bytes"),
    ("tc", PACKET, sk_buff(length=1), errno.EINVAL, "must be 0"),
    ("tc", PACKET, sk_buff().ljust(300, b"x"), errno.E2BIG, "behind the end"),
    ("raw_tracepoint", PACKET, None, errno.EINVAL, "run once"),
    ("raw_tracepoint", None, bytes(8), errno.EINVAL, "as large as what they read"),
    ("sk_lookup", PACKET, None, errno.EINVAL, "a struct bpf_sk_lookup"),
]


@pytest.mark.parametrize("refused", REFUSED, ids=[f"{row[0]}-{row[4]}" for row in REFUSED])
def test_what_the_kernel_refuses(opened, refused):
    """The errno is the kernel's, the hint says what is wrong."""
    name, data, ctx, number, hint = refused
    with pytest.raises(bpfctl.KernelError) as caught:
        opened(name).test_run(data, ctx=ctx)

    assert (caught.value.errno, caught.value.tried) == (number, "failed to run program")
    assert hint in caught.value.hint
    assert caught.value.exit_code == -number & 0xFF


def test_too_little_room(opened):
    with pytest.raises(bpfctl.KernelError) as caught:
        opened("xdp").test_run(PACKET, data_room=10)

    assert caught.value.errno == errno.ENOSPC


def test_more_room_than_memory(opened, monkeypatch):
    """It is an error of its own that there is no memory."""
    from bpfctl._sys import programs as calls

    def without_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(calls, "run", without_memory)
    with pytest.raises(bpfctl.KernelError) as caught:
        opened("xdp").test_run(PACKET)

    assert str(caught.value) == "failed to allocate memory for output data/ctx: Cannot allocate memory"


def test_without_rights(programs, tmp_path):
    """One sentence, and what to do."""
    (tmp_path / "packet").write_bytes(PACKET)
    words = ["prog", "run", "id", programs.id("tc"), "data_in", str(tmp_path / "packet")]
    outcome = hardship.bpfctl("--plain", *words, hardship=hardship.ordinary_user)

    assert (outcome.code, outcome.out) == (255, b"")
    assert outcome.err.startswith(f"Error: get by id ({programs.id('tc')}): Operation not permitted (it needs CAP_SYS")
    assert outcome.err.count("\n") == 1


def test_no_rights_to_an_input(programs, tmp_path):
    """Who may run programs need not be allowed to read every file."""
    packet = tmp_path / "packet"
    packet.write_bytes(PACKET)
    packet.chmod(0o600)
    words = ["prog", "run", "id", programs.id("tc"), "data_in"]
    outcome = hardship.bpfctl("--plain", *words, str(packet), hardship=having("CAP_SYS_ADMIN", "CAP_NET_ADMIN"))

    assert (outcome.code, outcome.err) == (255, f"Error: failed to open {packet}: Permission denied\n")
    outcome = hardship.bpfctl("--plain", *words, f"{packet}/file")
    assert (outcome.code, outcome.err) == (255, f"Error: failed to open {packet}/file: Not a directory\n")


def on_terminal(*words, size=(80, 60)):
    with Terminal([*BPFCTL, "prog", "run", *words], size=size, env=ON_TERMINAL) as terminal:
        assert terminal.finish() == 0, terminal.seen
        return [without_duration(line) for line in terminal.lines()]


def without_duration(line):
    return " ".join("N" if word.isdecimal() and line.startswith("took") else word for word in line.split(" "))


XDP_SHOWN = [
    "returned  3 XDP_TX",
    "took      N ns",
    "data out  77 bytes, before 73",
    "          0000  01a1 a2a3 0001 0203 0405 0607 0809 0a0b  ................",
    "          0010  0c0d 0e0f 1011 1213 1415 1617 1819 1a1b  ................",
    "          0020  1c1d 1e1f 2021 2223 2425 2627 2829 2a2b  .... !\"#$%&'()*+",
    "          0030  2c2d 2e2f 3031 3233 3435 3637 3839 3a3b  ,-./0123456789:;",
    "          0040  3c3d 3e3f 007f c280 7ec3 bc1b 5b         <=>?....~...[",
]


def test_on_a_terminal(programs, tmp_path):
    """Return values by name, bytes by line, contexts by member."""
    for name, raw in (("packet", PACKET), ("skb", sk_buff(mark=41, cb=7))):
        (tmp_path / name).write_bytes(raw)
    packet, skb, out = (str(tmp_path / name) for name in ("packet", "skb", "out"))

    assert on_terminal("id", programs.id("xdp"), "data_in", packet, "data_out", "-") == XDP_SHOWN
    words = ["id", programs.id("tc"), "data_in", packet, "data_out", out, "ctx_in", skb, "repeat", "5"]
    lines = on_terminal(*words, size=(200, 60))
    assert lines[:3] == [
        "returned     46",
        "took         N ns on average of N runs",
        f"data out     73 bytes, 1 of them changed, written to {out}",
    ]
    assert lines[3].startswith("context out  ")
    assert {"             mark = 46", "             cb = [12,0,0,0,0]"} <= set(lines[4:])
    assert Path(out).read_bytes() == bytes([5]) + PACKET[1:]


def test_the_context_of_a_packet_on_a_terminal(programs, opened, tmp_path):
    """Xdp programs have a context in test runs since Linux 5.15."""
    for name, raw in (("packet", PACKET), ("md", xdp_md(len(PACKET)))):
        (tmp_path / name).write_bytes(raw)
    try:
        opened("xdp").test_run(PACKET, ctx=xdp_md(len(PACKET)))
    except bpfctl.KernelError as error:
        assert error.hint.endswith("; xdp programs have a context there since Linux 5.15")  # noqa: PT017
        pytest.skip("the kernel runs xdp programs without a context")
    lines = on_terminal("id", programs.id("xdp"), "data_in", str(tmp_path / "packet"), "ctx_in", str(tmp_path / "md"))

    assert lines[2:] == [
        "data out     77 bytes, before 73",
        "context out  24 bytes, 1 of them changed",
        "             data_end = 77",
    ]


def test_flow_keys_on_a_terminal(programs, tmp_path):
    (tmp_path / "packet").write_bytes(PACKET)
    lines = on_terminal("id", programs.id("flow_dissector"), "data_in", str(tmp_path / "packet"))

    assert lines[0].split() in (["returned", "2", "BPF_DROP"], ["returned", "0"])  # 0: before Linux 6.1
    assert {"nhoff = 14", "n_proto = 3340"} <= {line.strip() for line in lines[3:]}


def test_a_handle_keeps_a_program():
    """It runs although nobody else has it any more."""
    fd = client.prog_load(SCHED_CLS, returning(0), name="gone")
    id_ = client.id_of("prog", fd)
    with bpfctl.Program.by_id(id_) as program:
        os.close(fd)
        assert program.test_run(PACKET).retval == 0


def test_a_signal_ends_a_long_run(opened):
    """It is not begun again: the program has run by then. A handler runs before the error comes."""
    came = []
    before = signal.signal(signal.SIGALRM, lambda *_: came.append(True))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(bpfctl.KernelError) as caught:
            opened("tc").test_run(PACKET, repeat=(1 << 32) - 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert (caught.value.errno, came) == (errno.EINTR, [True])


def test_ctrl_c(programs, tmp_path):
    """A run that would take minutes ends by the signal, and JSON says so."""
    (tmp_path / "packet").write_bytes(PACKET)
    words = ["id", programs.id("tc"), "data_in", str(tmp_path / "packet"), "repeat", str((1 << 32) - 1)]
    command = [*BPFCTL, "-d", "-j", "prog", "run", *words]
    with subprocess.Popen(command, env=ON_TERMINAL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while b"PROG_GET_FD_BY_ID" not in running.stderr.readline():
            assert running.poll() is None
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate()

    assert running.returncode == -signal.SIGINT
    assert json.loads(out) == {"error": "interrupted"}
