"""map event_pipe beside bpftool: the same events, and the same words about them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.bpftool import peer
from tests.kernel.emitter import PATIENCE, Emitter, pinned_to_one_cpu
from tests.kernel.probing import until

OURS = [sys.executable, "-m", "bpfctl", "--plain"]
# When it was, and the kernel's number of the perf event.
VARYING = re.compile(rb'@\d+\.\d{9}|"timestamp": ?\d+|"id": ?\d+')
VOICES = pytest.mark.parametrize("voice", [[], ["-j"], ["-p"]], ids=["plain", "json", "pretty"])
LENGTHS = range(65, 85)
SECOND = 0.4  # enough for whoever waits 200 ms between two looks


@pytest.fixture
def emitter():
    with ExitStack() as stack:
        pinned_to_one_cpu(stack)
        yield Emitter(stack, perf=True, size=44)


def _piped(command, emitter, feed, *, stop=signal.SIGINT):
    # Into files: nobody reads a pipe while we feed.
    with TemporaryFile() as out, TemporaryFile() as err:
        pipe = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=peer.ENVIRONMENT)
        try:
            emitter.emit_when_read(64)
            feed(pipe.pid)
            time.sleep(SECOND)
            pipe.send_signal(stop)
            pipe.wait(PATIENCE)
        finally:
            pipe.kill()
            pipe.wait()
        told, complained = (os.pread(file.fileno(), 1 << 24, 0) for file in (out, err))
        return pipe.returncode, VARYING.sub(b"*", told), complained


def _both(voice, words, emitter, feed, **more):
    words = [*voice, "map", "event_pipe", "id", str(emitter.id), *words]
    return tuple(_piped([*tool, *words], emitter, feed, **more) for tool in ([peer.bpftools()[0]], OURS))


@VOICES
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_events(emitter, voice, stop):
    theirs, ours = _both(voice, [], emitter, lambda _: emitter.emit(*LENGTHS), stop=stop)

    assert theirs == ours
    assert ours[0] == 0
    assert ours[2] == b"Stopping...\n"
    assert ours[1].count(b"\n44 00 00 00" if not voice else b"[68,0,0,0,") == (1 if voice else 3)
    if voice:
        assert len(json.loads(re.sub(rb"\*", b'"x":0', ours[1]))) == 1 + len(LENGTHS)


@VOICES
def test_events_of_one_cpu(emitter, voice):
    cpu = min(os.sched_getaffinity(0))
    words = ["cpu", str(cpu), "index", str(cpu)]
    theirs, ours = _both(voice, words, emitter, lambda _: emitter.emit(*LENGTHS))

    assert theirs == ours
    assert len(ours[1]) > 1000


@VOICES
def test_lost_events(emitter, voice):
    def flood(pid):
        time.sleep(SECOND)  # the first event is read by then
        os.kill(pid, signal.SIGSTOP)
        assert until(lambda: b") T " in Path(f"/proc/{pid}/stat").read_bytes())
        emitter.emit(*[64] * 3000)
        os.kill(pid, signal.SIGCONT)
        time.sleep(SECOND)
        emitter.emit(70)

    theirs, ours = _both(voice, [], emitter, flood)

    assert theirs == ours
    assert (b'"lost"' if voice else b"lost ") in ours[1]


@pytest.mark.parametrize(
    "words",
    [["cpu", "0"], ["index", "0"], ["cpu", "x", "index", "0"], ["cpu", "0", "index", "y"], ["cpu"], ["else", "1"],
     ["cpu", "0", "index", "999999"], ["cpu", "999999", "index", "0"], ["cpu", "2147483648", "index", "0"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("voice", [[], ["-j"]], ids=["plain", "json"])
def test_mistakes(emitter, voice, words):
    command = [*voice, "map", "event_pipe", "id", str(emitter.id), *words]
    theirs, ours = peer.run(peer.bpftools()[0], *command), peer.ours(*command)
    without_libbpf = re.sub(rb"libbpf: .*\n", b"", theirs.stderr)

    assert theirs._replace(stderr=without_libbpf) == ours
    assert ours.rc == 255


def test_a_map_of_another_type(zoo_map):
    command = ["map", "event_pipe", "id", str(zoo_map)]

    assert peer.run(peer.bpftools()[0], *command) == peer.ours(*command)


@pytest.fixture
def zoo_map():
    with ExitStack() as stack:
        yield Emitter(stack, perf=False).id


def test_too_few_words():
    rc, out, err = peer.ours("map", "event_pipe")
    assert (rc, out) == (255, b"")
    assert err.startswith(b"Error: 'event_pipe' needs at least 2 arguments, 0 found (")
    assert peer.ours("map", "event_pipe", "id").rc == 255
    assert peer.run(peer.bpftools()[0], "map", "event_pipe", "id").rc < 0  # a signal


def test_another_reader_is_named(stack, emitter):
    """bpftool takes its events, and so do we, but not silently."""
    words = ["map", "event_pipe", "id", str(emitter.id)]
    first = subprocess.Popen([peer.bpftools()[0], *words], stdout=subprocess.PIPE)
    stack.callback(first.communicate)
    stack.callback(first.kill)
    emitter.emit_when_read(64)
    second = subprocess.Popen([*OURS, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=peer.ENVIRONMENT)
    try:
        told = second.stderr.readline()  # before anything else
        comm = Path(f"/proc/{first.pid}/comm").read_text().strip()
        emitter.emit(70)
        time.sleep(SECOND)
        second.send_signal(signal.SIGINT)
        out, rest = second.communicate(timeout=PATIENCE)
    finally:
        second.kill()

    assert told.decode() == f"{comm}({first.pid}) reads map {emitter.id} and gets nothing from it any more\n"
    assert b"\n46 00 00 00" in out
    assert rest == b"Stopping...\n"
