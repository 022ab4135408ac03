"""bpfctl events: what it shows, and that it takes nothing silently from whoever reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from select import select

import pytest

from bpfctl import PerfBuffer, RingBuffer
from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.emitter import PATIENCE, Emitter
from tests.kernel.probing import until
from tests.terminal import Terminal


class Running:
    """bpfctl events, and its output as it comes."""

    def __init__(self, stack, *words):
        self.process = subprocess.Popen(
            [*BPFCTL, "events", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)

    def line(self):
        return self.process.stdout.readline().decode()

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.end()

    def end(self):
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode(), err.decode()


def wait_until_stopped(process):
    """Wait until SIGSTOP has had its effect."""
    assert until(lambda: b") T " in Path(f"/proc/{process.pid}/stat").read_bytes())


def by_id(emitter):
    return "id", str(emitter.id)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_records_until_somebody_stops_it(stack, ring, number):
    ring.emit(0x41)
    events = Running(stack, *by_id(ring))
    head, body = events.line(), events.line()
    ring.emit(0x42)
    later = events.line(), events.line()

    assert head.endswith("  16 bytes\n")
    assert body == "\t41 00 00 00 41 00 00 00  41 00 00 00 41 00 00 00  |A...A...A...A...|\n"
    assert later[1].startswith("\t42 00 00 00")
    assert events.stop(number) == (0, "", "")


def test_json_is_a_document_in_each_line(stack, ring):
    before = time.time_ns()
    ring.emit(64, 65, 66)
    code, out, err = Running(stack, *by_id(ring), "-j", "--limit", "2").end()
    documents = [json.loads(line) for line in out.splitlines()]

    assert (code, err) == (0, "")
    assert [document["data"] for document in documents] == [ring.event(64).hex(), ring.event(65).hex()]
    assert all(list(document) == ["time", "size", "data"] for document in documents)
    assert before < documents[0]["time"] < time.time_ns()
    with RingBuffer(ring.id) as reader:
        assert reader.read() == [ring.event(66)]  # --limit takes no more


def test_values_and_seconds(stack, ring):
    ring.emit(64)
    code, out, err = Running(stack, *by_id(ring), "-j", "--type", "u32", "--seconds", "0.3").end()

    assert (code, err) == (0, "")
    assert [list(json.loads(line).items())[1] for line in out.splitlines()] == [("value", 64)]


def test_it_looks_on_where_another_process_reads(stack, ring):
    with RingBuffer(ring.id) as reader:
        reader.read()
        events = Running(stack, *by_id(ring), "-j", "--limit", "2")
        told = events.process.stderr.readline().decode()
        ring.emit(64, 65)
        code, out, err = events.end()
        taken = reader.read()

    comm = Path("/proc/self/comm").read_text().strip()
    assert told == f"{comm}({os.getpid()}) reads map {ring.id}: looking on, --take takes records from it\n"
    assert (code, err) == (0, "")
    assert [json.loads(line)["data"] for line in out.splitlines()] == [record.hex() for record in taken]
    assert len(taken) == 2


def test_what_was_overwritten_is_told(stack):
    """It is stopped while the consumer goes round the buffer."""
    ring = Emitter(stack, perf=False, room=os.sysconf("SC_PAGESIZE"))
    with RingBuffer(ring.id) as reader:
        events = Running(stack, *by_id(ring), "-j")
        events.process.stderr.readline()
        ring.emit(64)
        first = json.loads(events.line())
        events.process.send_signal(signal.SIGSTOP)
        wait_until_stopped(events.process)
        for _ in range(10):
            ring.emit(*[65] * 100)
            reader.read()
        events.process.send_signal(signal.SIGCONT)
        second = json.loads(events.line())
        ring.emit(66)
        third = json.loads(events.line())
        code, rest, err = events.stop()

    assert first["data"] == ring.event(64).hex()
    assert list(second) == ["time", "missed_bytes"]
    assert second["missed_bytes"] == 1000 * 24
    assert third["data"] == ring.event(66).hex()
    assert (code, rest) == (0, "")
    assert err == "24000 bytes of records were overwritten before they could be copied\n"


def test_a_reader_that_comes_later_is_left_alone(stack, ring):
    events = Running(stack, *by_id(ring), "-j")
    ring.emit(64)
    assert json.loads(events.line())["data"] == ring.event(64).hex()
    with RingBuffer(ring.id) as reader:
        events.process.send_signal(signal.SIGSTOP)
        wait_until_stopped(events.process)
        ring.emit(65)
        assert len(reader.read()) == 1
        events.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:  # it notices with the next record that it takes
            ring.emit(66)
            if json.loads(events.line())["data"] == ring.event(66).hex():
                break
        told = events.process.stderr.readline().decode()
        ring.emit(67)
        assert json.loads(events.line())["data"] == ring.event(67).hex()
        assert reader.read()[-1] == ring.event(67)
    assert told == f"another process has begun to read map {ring.id}: looking on from here\n"
    assert events.stop()[0] == 0


def test_taking_is_told_too(stack, ring):
    with RingBuffer(ring.id):
        events = Running(stack, *by_id(ring), "--take", "--limit", "1")
        told = events.process.stderr.readline().decode()
        ring.emit(64)
        assert events.end()[0] == 0
    assert told.endswith(f"reads map {ring.id} too: each gets a part of the records\n")


def test_perf_events_are_not_taken_from_another_process(stack, perf):
    with PerfBuffer(perf.id, pages=1) as reader:
        code, out, err = Running(stack, *by_id(perf)).end()
        assert (code, out) == (255, "")
        assert f"({os.getpid()}) reads map {perf.id}, and a perf event array has no two readers" in err
        perf.emit(64)
        assert len(reader.read()) == 1

        events = Running(stack, *by_id(perf), "--take", "-j")
        assert events.process.stderr.readline().endswith(b"and gets nothing from it any more\n")
        assert until(lambda: perf.emit(65) and select([events.process.stdout], [], [], 0.02)[0])
        assert events.stop()[0] == 0


def test_perf_losses_where_they_happen_and_in_all(stack, perf):
    events = Running(stack, *by_id(perf), "-j")
    perf.emit_when_read(64)
    first = json.loads(events.line())
    events.process.send_signal(signal.SIGSTOP)
    wait_until_stopped(events.process)
    pages = 64 * os.sysconf("SC_PAGESIZE")
    sent = pages // 40 + 500
    placed = perf.emit(*[65] * sent)
    events.process.send_signal(signal.SIGCONT)
    seen = [json.loads(events.line()) for _ in range(placed)]
    perf.emit(66)
    last = [json.loads(events.line()) for _ in range(2)]
    code, rest, err = events.stop()

    (cpu,) = os.sched_getaffinity(0)
    assert list(first) == ["time", "cpu", "size", "data"]
    assert abs(first["time"] - time.time_ns()) < 120 * 10**9
    assert {document["data"][:8] for document in seen} == {"41000000"}
    assert {tuple(document.items())[1:] for document in last if "lost" in document} == {
        (("cpu", cpu), ("lost", sent - placed))
    }
    assert [document["data"][:8] for document in last if "data" in document] == ["42000000"]
    assert (code, rest) == (0, "")
    assert err == f"{sent - placed} records were lost: the buffer of their CPU was full\n"


@pytest.mark.parametrize(
    ("words", "expected", "sentence"),
    [
        (["id"], 2, "'events' needs at least 2 arguments, 1 found"),
        (["id", "RING", "more"], 2, "what is 'more'?"),
        (["id", "RING", "--type", "nobody"], 3, "no type 'nobody' among the types of map RING"),
        (["id", "RING", "--type", "vfs_read"], 3, "no type 'vfs_read'"),
        (["id", "ARRAY"], 2, "map ARRAY is neither a ring buffer nor a perf event array"),
    ],
)
def test_mistakes(stack, ring, words, expected, sentence):
    array = client.map_create(2, 4, 8, 1)
    stack.callback(os.close, array)
    names = {"RING": str(ring.id), "ARRAY": str(client.id_of("map", array))}
    code, out, err = Running(stack, *[names.get(word, word) for word in words]).end()
    for name, id_ in names.items():
        sentence = sentence.replace(name, id_)

    assert (code, out) == (expected, "")
    assert err.startswith(f"Error: {sentence}")


def test_on_a_terminal(ring):
    ring.emit(0x41)
    with Terminal([*BPFCTL, "events", *by_id(ring), "--limit", "1"], env=ENVIRONMENT | {"TERM": "xterm"}) as terminal:
        assert terminal.finish() == 0
        seen = terminal.lines()

    assert seen[0][8] == "."
    assert seen[0].endswith("  16 bytes")
    assert seen[1].strip() == "41 00 00 00 41 00 00 00  41 00 00 00 41 00 00 00  |A...A...A...A...|"


def test_a_batch_is_one_document(ring):
    ring.emit(64, 65)
    script = f"events id {ring.id} --limit 2\nversion\n"
    done = subprocess.run(
        [*BPFCTL, "-j", "batch", "file", "-"],
        input=script,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    commands = json.loads(done.stdout)

    assert done.returncode == 0
    assert [document["data"] for document in commands[0]["output"]] == [ring.event(64).hex(), ring.event(65).hex()]
