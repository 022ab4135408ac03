"""Ring buffers and perf event buffers on this kernel: what is sent arrives whole, once and in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import bpfctl
from bpfctl import PerfBuffer, RingBuffer
from tests.kernel import client, ring_stress
from tests.kernel.command import ENVIRONMENT
from tests.kernel.emitter import PATIENCE, Emitter
from tests.kernel.ring_stress import Seen, Stress, forked, is_whole
from tests.kernel.typeblob import Blob

BATCH = 4096  # what a reader takes at once, and so may take with it when it is killed
MILLION = 1_000_000
HANDED = struct.Struct("=QQ")  # a word, and whether its record was whole


def mapped():
    """Return how many pages of maps and perf events this process has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum("anon_inode:bpf-map" in line or "[perf_event]" in line for line in lines)


# Under stress


def test_a_million_records_beside_two_who_look_on(stack):
    """None is torn, out of order, twice, or missing that found room; who looks on sees only whole ones, in order."""
    stress = Stress(stack)
    tells = [os.memfd_create("told") for _ in range(2)]
    for tell in tells:
        stack.callback(os.close, tell)
        stack.enter_context(forked(lambda tell=tell: ring_stress.looking_on(stress, tell)))
    result = ring_stress.consume(stress, MILLION)

    assert result.records >= MILLION
    assert (result.torn, result.disorder, result.lost) == (0, 0, 0)
    for tell in tells:
        seen, torn, disorder, _ = struct.unpack("=4Q", os.pread(tell, 32, 0))
        assert seen > 0
        assert (torn, disorder) == (0, 0)


def test_a_killed_consumer_and_the_next_one(stack):
    """The next one goes on behind what was consumed: nothing twice, and at most the batch in hand is lost."""
    stress = Stress(stack)
    file = os.memfd_create("handed out", 0)
    stack.callback(os.close, file)

    def consume():
        with RingBuffer(stress.ring) as ring:
            for record in ring:
                word = int.from_bytes(record[:8], sys.byteorder)
                os.write(file, HANDED.pack(word, is_whole(record, word)))  # never half of it: it lies within a page

    kills = 6
    chance = random.Random(1)
    with stress.sending():
        for _ in range(kills):
            before = os.fstat(file).st_size
            with forked(consume):
                deadline = time.monotonic() + PATIENCE
                while os.fstat(file).st_size == before and time.monotonic() < deadline:
                    time.sleep(0.01)
                time.sleep(chance.uniform(0, 0.3))
    seen = Seen()
    told = os.pread(file, os.fstat(file).st_size, 0)
    for word, whole in HANDED.iter_unpack(told):
        seen.torn += not whole
        seen.note(word)
    handed_out = seen.total()
    with RingBuffer(stress.ring) as ring:
        while batch := ring.read():
            seen.take(batch)
    sent, without_room = map(sum, zip(*map(stress.sent, range(ring_stress.SENDERS)), strict=True))
    lost = sent - without_room - seen.total()

    assert handed_out > 100
    assert (seen.torn, seen.disorder) == (0, 0)
    assert 0 <= lost <= kills * BATCH


def test_nothing_is_left_behind(ring, perf):
    """Neither by a thousand readers, nor by those that fail half way."""

    def every_way():
        with RingBuffer(ring.id) as reader:
            reader.poll(0)
        with RingBuffer(ring.id, looks_on=True) as reader:
            reader.read()
        for fails in (lambda: RingBuffer(perf.id), lambda: RingBuffer(ring.id, type="no such type")):
            with pytest.raises(bpfctl.BpfctlError):
                fails()

    def perf_ways():
        with PerfBuffer(perf.id, pages=1):
            pass
        for fails in (lambda: PerfBuffer(ring.id), lambda: PerfBuffer(perf.id, cpus=[0, 99999], pages=1)):
            with pytest.raises(bpfctl.BpfctlError):
                fails()

    every_way()
    perf_ways()
    before = os.listdir("/proc/self/fd"), mapped()
    for _ in range(500):
        every_way()
    for _ in range(20):
        perf_ways()

    assert (os.listdir("/proc/self/fd"), mapped()) == before
    assert perf.emit(64) == 0  # the slots are empty again


# The Python interface


def test_what_is_there_is_read_and_no_more(ring):
    with RingBuffer(ring.id) as reader:
        assert (reader.poll(0), reader.read()) == (False, [])
        ring.emit(*range(64, 74))
        assert reader.poll(0)
        assert reader.read(3) == [ring.event(length) for length in (64, 65, 66)]
        assert reader.pending() == 7 * 24
        assert reader.read() == [ring.event(length) for length in range(67, 74)]
        assert reader.pending() == 0


def test_an_iteration_that_is_left_goes_on_where_it_was(ring):
    with RingBuffer(ring.id) as reader:
        ring.emit(*range(64, 74))
        assert next(iter(reader)) == ring.event(64)
        assert next(iter(reader)) == ring.event(65)
        assert reader.read() == [ring.event(length) for length in range(66, 74)]


@pytest.mark.parametrize("looks_on", [False, True], ids=["takes", "looks on"])
def test_another_thread_closes(ring, looks_on):
    with RingBuffer(ring.id, looks_on=looks_on) as reader:
        seen = []

        def feed():
            deadline = time.monotonic() + PATIENCE
            for length in range(64, 84):
                ring.emit(length)
            while len(seen) < 20 and time.monotonic() < deadline:
                time.sleep(0.001)
            reader.close()

        thread = threading.Thread(target=feed)
        thread.start()
        for record in reader:
            seen.append(record)  # noqa: PERF402 - the other thread watches it grow
        thread.join()

    assert seen == [ring.event(length) for length in range(64, 84)]
    assert reader.closed
    with pytest.raises(ValueError, match="closed"):
        reader.read()


def test_who_looks_on_takes_nothing(ring):
    with RingBuffer(ring.id, looks_on=True) as beside:
        ring.emit(*range(64, 70))
        wanted = [ring.event(length) for length in range(64, 70)]
        assert beside.read(2) == wanted[:2]
        assert beside.read() == wanted[2:]
        assert beside.position() == 0
        with RingBuffer(ring.id) as reader:
            assert reader.read() == wanted
            assert not reader.contended
        ring.emit(70)
        assert beside.read() == [ring.event(70)]


def test_pages_of_who_looks_on_are_not_writable(ring):
    with RingBuffer(ring.id, looks_on=True):
        lines = [line for line in Path("/proc/self/maps").read_text().splitlines() if "anon_inode:bpf-map" in line]

    assert len(lines) == 2
    assert {line.split()[1] for line in lines} == {"r--s"}


def test_two_consumers_notice_each_other(ring):
    with RingBuffer(ring.id) as one, RingBuffer(ring.id) as other:
        ring.emit(64)
        assert len(one.read()) == 1
        ring.emit(65)
        assert len(other.read()) == 1
        assert (one.contended, other.contended) == (False, True)


def test_types_of_the_program(stack):
    """Found by name in the BTF of a program that uses the map; what is too short for a value stays bytes."""
    blob = Blob()
    u32 = blob.int_("unsigned int", 4)
    blob.struct_("event", 8, [("pid", u32, 0), ("state", u32, 4)])
    blob.struct_("large", 64, [("first", u32, 0)])
    main = blob.func("main", u32, [])
    btf = client.btf_load(blob.raw())
    stack.callback(os.close, btf)
    function = {"func_info": struct.pack("=II", 0, main), "func_info_rec_size": 8, "func_info_cnt": 1}
    ring = Emitter(stack, perf=False, program={"prog_btf_fd": btf, **function})
    for name, shape in ("event", ("pid", "state")), ("struct event", ("pid", "state")), ("large", None):
        ring.emit(66)
        with RingBuffer(ring.id, type=name) as reader:
            (value,) = reader.read()
        if shape:
            assert value.fields == tuple((member, 66) for member in shape)
        else:
            assert value == ring.event(66)
    with pytest.raises(bpfctl.NotFound, match="no type 'nobody'"):
        RingBuffer(ring.id, type="nobody")


def test_types_of_the_kernel(ring):
    ring.emit(66)
    with RingBuffer(ring.id, type="struct list_head") as reader:
        (value,) = reader.read()

    assert value["next"] == 66 << 32 | 66


def test_asyncio(ring):
    async def main():
        seen = []
        with RingBuffer(ring.id) as reader:

            async def feed():
                for length in range(64, 70):
                    ring.emit(length)
                    await asyncio.sleep(0.005)
                reader.close()

            feeding = asyncio.create_task(feed())
            seen = [record async for record in reader]
            await feeding
        return seen

    assert asyncio.run(main()) == [ring.event(length) for length in range(64, 70)]


def test_asyncio_looks_on_is_cancelled_and_lets_others_run(ring):
    async def main():
        seen = []
        both = asyncio.Event()

        async def read(reader):
            async for record in reader:
                seen.append(record)
                if len(seen) == 2:
                    both.set()

        with RingBuffer(ring.id, looks_on=True) as beside, RingBuffer(ring.id) as reader:
            tasks = [asyncio.create_task(read(each)) for each in (beside, reader)]
            ring.emit(64)
            async with asyncio.timeout(PATIENCE):
                await both.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return seen

    assert asyncio.run(main()) == [ring.event(64)] * 2


def test_perf_samples(perf):
    before = time.monotonic_ns()
    with PerfBuffer(perf.id, pages=2) as reader:
        assert (reader.poll(0), reader.read()) == (False, [])
        perf.emit(*range(64, 70))
        assert reader.poll(1)
        assert reader.poll(0)  # it still is, also when the kernel has said so before
        samples = reader.read(2)
        assert reader.poll(0)
        samples += reader.read()

    assert [sample.data[: perf.size] for sample in samples] == [perf.event(length) for length in range(64, 70)]
    assert {sample.cpu for sample in samples} == os.sched_getaffinity(0)
    times = [before, *(sample.time for sample in samples), time.monotonic_ns()]
    assert times == sorted(times)


def test_perf_losses_are_counted(perf):
    (cpu,) = os.sched_getaffinity(0)
    with PerfBuffer(perf.id, pages=1) as reader:
        placed = perf.emit(*[64] * 500)
        assert len(reader.read()) == placed < 500
        assert reader.lost == 0  # the kernel tells it with the next record
        perf.emit(65)
        assert len(reader.read(1)) == 1
        assert reader.lost == 500 - placed
        assert reader.lost_by_cpu == {cpu: 500 - placed}


def test_perf_for_asyncio(perf):
    async def main():
        with PerfBuffer(perf.id, pages=1, type="unsigned int") as reader:
            perf.emit(64)
            async for sample in reader:
                perf.emit(65)
                if sample.data == 65:
                    return sample
        return None

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)).data == 65


@pytest.mark.parametrize("pages", [0, 3, -1])
def test_pages_that_the_kernel_would_refuse(perf, pages):
    with pytest.raises(bpfctl.UsageError, match="power of two"):
        PerfBuffer(perf.id, pages=pages)


@pytest.mark.parametrize(
    "wrong", [{"pages": 1 << 62}, {"cpus": [-1]}, {"cpus": [1 << 31]}, {"cpus": [1 << 40]}], ids=str
)
def test_numbers_that_fit_into_no_message_to_the_kernel(perf, wrong):
    with pytest.raises(bpfctl.KernelError, match="Invalid argument"):
        PerfBuffer(perf.id, **wrong)


def test_no_cpus_are_none(perf):
    """Whoever reads stays the reader."""
    with PerfBuffer(perf.id) as reader, PerfBuffer(perf.id, cpus=[]) as nobody:
        perf.emit(70)
        assert reader.poll(PATIENCE)
        assert len(reader.read()) == 1
        assert nobody.read() == []


def test_ctrl_c_ends_an_iteration(stack, ring):
    script = f"import bpfctl\nwith bpfctl.RingBuffer({ring.id}) as r:\n    for x in r: print(x, flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-P", "-W", "error", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    stack.callback(child.communicate)
    stack.callback(child.kill)
    ring.emit(64)
    assert child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=PATIENCE)

    assert child.returncode == -signal.SIGINT
    assert err.rstrip().endswith(b"KeyboardInterrupt")
    assert b"Warning" not in err
