"""The kernel door: what each call does, seen through an independent client."""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
from contextlib import ExitStack, closing
from mmap import mmap
from pathlib import Path

import pytest

from bpfctl._sys import attach, calls, maps, perf, programs
from bpfctl._sys.ring import PerfRing, Ring
from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R4, R5, R6, R10
from bpfctl.host.vmlinux import VMLINUX, vmlinux_blob
from bpfctl.uapi.layouts import MAP_INFO, PROG_INFO
from tests.kernel import client
from tests.kernel.command import ENVIRONMENT
from tests.kernel.emitter import ETHERNET, pinned_to_one_cpu
from tests.kernel.inhabitants.programs import returning

HASH, ARRAY, PERF_EVENT_ARRAY, QUEUE, RINGBUF = 1, 2, 4, 22, 27
SOCKET_FILTER, TRACEPOINT, PERF_EVENT, CGROUP_SKB, RAW_TRACEPOINT = 1, 5, 7, 8, 17
RINGBUF_OUTPUT, PERF_EVENT_OUTPUT, MAP_LOOKUP = 130, 25, 1
SOFTWARE, BPF_OUTPUT, CPU_CLOCK = 1, 10, 0
NOEXIST, EXIST = 1, 2


def key(number: int) -> bytes:
    return struct.pack("=I", number)


def value(number: int) -> bytes:
    return struct.pack("=Q", number)


def hash_map(stack: ExitStack, entries: int = 100, **extra):
    return stack.enter_context(maps.create(HASH, 4, 8, entries, name=b"calls", **extra)).fileno()


def load(stack: ExitStack, kind: int, insns: bytes, **extra) -> int:
    return stack.enter_context(programs.load(kind, insns, **extra).fd).fileno()


def test_elements(stack):
    fd = hash_map(stack)
    maps.update(fd, key(1), value(7), NOEXIST)

    assert client.map_lookup(fd, key(1), 8) == value(7)
    with pytest.raises(FileExistsError):
        maps.update(fd, key(1), value(8), NOEXIST)
    with pytest.raises(FileNotFoundError):
        maps.update(fd, key(2), value(8), EXIST)
    client.map_update(fd, key(2), value(9))
    assert maps.lookup(fd, key(2), 8) == value(9)
    first = maps.next_key(fd, None, 4)
    assert {first, maps.next_key(fd, first, 4)} == {key(1), key(2)}
    maps.delete(fd, key(1))
    with pytest.raises(FileNotFoundError):
        client.map_lookup(fd, key(1), 8)
    with pytest.raises(FileNotFoundError):
        maps.next_key(fd, key(2), 4)


def test_queue(stack):
    fd = stack.enter_context(maps.create(QUEUE, 0, 8, 2)).fileno()
    for number in (1, 2):
        maps.update(fd, None, value(number))

    assert maps.lookup(fd, None, 8) == value(1)
    assert maps.lookup_and_delete(fd, None, 8) == value(1)
    assert maps.lookup_and_delete(fd, None, 8) == value(2)
    with pytest.raises(FileNotFoundError):
        maps.lookup_and_delete(fd, None, 8)


def test_batches(stack):
    fd = hash_map(stack, 5000)
    numbers = range(3000)
    keys, values = b"".join(map(key, numbers)), b"".join(value(n * 3) for n in numbers)

    assert maps.update_batch(fd, keys, values, 3000) == 3000
    assert client.map_lookup(fd, key(2999), 8) == value(2999 * 3)
    read, cursor, rounds = {}, None, 0
    while True:
        batch = maps.lookup_batch(fd, cursor, 512, 4, 8)
        rounds += 1
        for at in range(batch.entries):
            entry = batch.keys[at * 4 : at * 4 + 4]
            assert entry not in read
            read[entry] = batch.values[at * 8 : at * 8 + 8]
        cursor = batch.cursor
        if cursor is None:
            break
    assert rounds > 3
    assert read == {key(n): value(n * 3) for n in numbers}
    assert maps.delete_batch(fd, keys[:400], 100) == 100
    assert maps.lookup_batch(fd, None, 5000, 4, 8).entries == 2900
    assert maps.delete_batch(fd, keys[400:], 2900) == 2900
    with pytest.raises(FileNotFoundError):
        maps.next_key(fd, None, 4)


def test_a_batch_that_stops_half_way_says_how_far_it_came(stack):
    fd = hash_map(stack, 40)

    with pytest.raises(maps.BatchError) as caught:
        maps.update_batch(fd, b"".join(map(key, range(60))), bytes(60 * 8), 60)

    assert (caught.value.errno, caught.value.done) == (errno.E2BIG, 40)
    with pytest.raises(maps.BatchError) as caught:
        maps.update_batch(fd, b"".join(map(key, range(60))), bytes(60 * 8), 60, 1 << 40)
    assert (caught.value.errno, caught.value.done) == (errno.EINVAL, 0)


def test_freeze(stack):
    fd = hash_map(stack)
    maps.freeze(fd)

    with pytest.raises(PermissionError):
        client.map_update(fd, key(1), value(1))


def test_pins(stack, place):
    fd, path = hash_map(stack), str(place.bpffs / "a b")
    calls.obj_pin(fd, path)

    with calls.obj_get(path) as other:
        assert client.id_of("map", other.fileno()) == client.id_of("map", fd)
    with pytest.raises(FileExistsError):
        calls.obj_pin(fd, path)
    with pytest.raises(ValueError, match="null byte"):
        calls.obj_get("a\0b")


def test_a_bpffs_is_mounted_over_a_folder(place):
    folder = place.root / "over"
    folder.mkdir()
    calls.mount_bpffs(folder)

    assert f" {folder} bpf " in Path("/proc/mounts").read_text()
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        calls.mount_bpffs(folder / "absent")


def test_info_grows_its_arrays(stack):
    held = [hash_map(stack, 1) for _ in range(20)]
    program = load(stack, SOCKET_FILTER, returning(0))
    for fd in held:
        programs.bind_map(program, fd)
    offsets = PROG_INFO.offsets
    array = calls.Array(offsets["map_ids"], offsets["nr_map_ids"], 3, 4)

    raw, (ids,) = calls.obj_info(program, PROG_INFO.size, (array,))

    assert {client.id_of("map", fd) for fd in held} == set(struct.unpack("=20I", ids))
    assert PROG_INFO.unpack(raw)["id"] == client.id_of("prog", program)


def test_info_is_as_long_as_the_kernel_wrote_it(stack):
    fd = hash_map(stack)
    raw, _ = calls.obj_info(fd, MAP_INFO.size)

    assert raw == client.info(fd, MAP_INFO.size)
    short, _ = calls.obj_info(fd, 8)
    assert len(short) == 8


def test_ids(stack):
    fds = [hash_map(stack) for _ in range(3)]
    ours = [client.id_of("map", fd) for fd in fds]
    walked, id_ = [], 0
    while True:
        try:
            id_ = calls.next_id(calls.MAP_GET_NEXT_ID, id_)
        except FileNotFoundError:
            break
        walked.append(id_)

    assert [id_ for id_ in walked if id_ in ours] == ours
    with calls.fd_by_id(calls.MAP_GET_FD_BY_ID, ours[1]) as other:
        assert client.id_of("map", other.fileno()) == ours[1]
    with pytest.raises(FileNotFoundError):
        calls.fd_by_id(calls.MAP_GET_FD_BY_ID, 0x7FFFFFFF)


def test_the_verifier_explains_itself():
    with pytest.raises(programs.LoadError) as caught:
        programs.load(SOCKET_FILTER, Program().mov(R0, R6).exit_().assemble(), log_level=1)

    assert caught.value.errno == errno.EACCES
    assert "R6 !read_ok" in caught.value.log


def test_the_log_grows(stack):
    code = Program().mov(R0, 0)
    for _ in range(500):
        code.add(R0, 1)
    loaded = programs.load(SOCKET_FILTER, code.exit_().assemble(), log_level=2, log_size=256)
    stack.enter_context(loaded.fd)

    assert loaded.log.count("(07) r0 += 1") >= 500
    assert "processed 502 insns" in loaded.log


def test_btf(stack):
    # An integer named int: header, one type of 16 bytes, two strings.
    types = struct.pack("=IIII", 1, 1 << 24, 4, 32)
    blob = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, 16, 16, 5) + types + b"\0int\0"
    fd = stack.enter_context(programs.btf_load(blob).fd).fileno()

    assert client.id_of("btf", fd) in client.ids("btf")
    with pytest.raises(programs.LoadError) as caught:
        programs.btf_load(blob[:-1] + b"x", log_level=1)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.log


def test_the_kernels_types_are_mapped_where_they_let_themselves_be():
    blob, release = vmlinux_blob(), tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))

    assert isinstance(blob, mmap) == (release >= (6, 16))
    assert blob[:] == Path(VMLINUX).read_bytes()


def test_memlock_is_raised_where_it_counts():
    """Kernels before 5.11 answer EPERM when RLIMIT_MEMLOCK is used up; none may fail here."""
    code = (
        "import resource; from bpfctl._sys import maps\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]))\n"
        "fds = [maps.create(1, 4, 8, 4096) for _ in range(4)]\n"
        "print(len([fd.close() for fd in fds]))\n"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("4\n", "")


def test_run(stack):
    program = load(stack, SOCKET_FILTER, returning(42))
    result = programs.run(program, data_in=bytes(range(64)), data_size_out=128, repeat=3)

    assert (result.retval, result.data_out) == (42, bytes(ETHERNET) + bytes(range(ETHERNET, 64)))
    assert client.run(program, bytes(64)) == 42


def test_raw_tracepoint_and_stats(stack):
    program = load(stack, RAW_TRACEPOINT, returning(0))
    link = stack.enter_context(attach.raw_tracepoint_open("sys_enter", program)).fileno()

    with programs.enable_stats():
        for _ in range(100):
            os.getppid()
        run_cnt = PROG_INFO.unpack(calls.obj_info(program, PROG_INFO.size)[0])["run_cnt"]
    assert run_cnt >= 100
    assert client.id_of("link", link) in client.ids("link")
    told = attach.task_fd_query(os.getpid(), link)
    assert (told.prog_id, told.name) == (client.id_of("prog", program), b"sys_enter")
    with pytest.raises(FileNotFoundError):
        attach.raw_tracepoint_open("no_such_tracepoint", program)


def test_attach_query_detach(stack, place):
    target, program = place.cgroup_fd, load(stack, CGROUP_SKB, returning(1))
    ingress, multi = 0, 2
    attach.attach(target, program, ingress, multi)

    found = attach.query(target, ingress)
    assert (found.prog_ids, found.attach_flags) == ((client.id_of("prog", program),), multi)
    attach.detach(target, program, ingress)
    assert attach.query(target, ingress).prog_ids == ()


def test_link_detach(stack, place):
    target, program = place.cgroup_fd, load(stack, CGROUP_SKB, returning(1))
    link = stack.enter_context(attach.link_create(program, target, 0)).fileno()

    assert attach.query(target, 0).prog_ids == (client.id_of("prog", program),)
    attach.link_detach(link)
    assert attach.query(target, 0).prog_ids == ()


def submitting(ring_fd: int, size: int) -> bytes:
    """Return a program that writes the length of a packet into a ring buffer, until it fills ``size`` bytes."""
    code = Program()
    code.mov(R6, R1)
    for at in range(0, size, 4):
        code.mov(R1, R6).ldx(4, R2, R1, 0)
        code.stx(4, R10, -size + at, R2)
    code.ld_map_fd(R1, ring_fd).mov(R2, R10).add(R2, -size).mov(R3, size).mov(R4, 0)
    return code.call(RINGBUF_OUTPUT).mov(R0, 0).exit_().assemble()


def test_ring_buffer(stack):
    size = 4096
    fd = stack.enter_context(maps.create(RINGBUF, 0, 0, size)).fileno()
    program = load(stack, SOCKET_FILTER, submitting(fd, 20))
    ring = stack.enter_context(closing(Ring(fd, size)))

    assert ring.take() == []
    taken = 0
    for round_ in range(50):  # the buffer wraps several times
        for length in range(64, 64 + 10):
            client.run(program, bytes(length + ETHERNET))
        records = ring.take()
        assert records == [struct.pack("=5I", *[length] * 5) for length in range(64, 64 + 10)], round_
        taken += len(records)
    assert taken == 500


def test_a_full_ring_buffer_loses_what_comes_last(stack):
    size = 4096
    fd = stack.enter_context(maps.create(RINGBUF, 0, 0, size)).fileno()
    program = load(stack, SOCKET_FILTER, submitting(fd, 20))
    for length in range(64, 64 + 300):
        client.run(program, bytes(length + ETHERNET))
    with closing(Ring(fd, size)) as ring:
        lengths = [struct.unpack("=5I", record)[0] for record in ring.take()]

    assert lengths == list(range(64, 64 + len(lengths)))
    assert len(lengths) == (size - 1) // 32


def test_perf_buffer(stack):
    pages = 1
    size = pages * os.sysconf("SC_PAGESIZE")
    cpu = pinned_to_one_cpu(stack)
    array = stack.enter_context(maps.create(PERF_EVENT_ARRAY, 4, 4, client.CPUS)).fileno()
    raw_sample = 1 << 10
    event = stack.enter_context(
        perf.open_event(SOFTWARE, BPF_OUTPUT, cpu=cpu, sample_type=raw_sample, sample_period=1, wakeup_events=1)
    ).fileno()
    maps.update(array, key(cpu), struct.pack("=I", event))
    buffer = stack.enter_context(closing(PerfRing(event, size)))
    perf.ioctl(event, perf.IOC_ENABLE)
    code = Program().mov(R6, R1).ldx(4, R2, R1, 0).stx(8, R10, -8, R2).mov(R1, R6).ld_map_fd(R2, array)
    code.ld_imm64(R3, 0xFFFFFFFF).mov(R4, R10).add(R4, -8).mov(R5, 8)
    program = load(stack, SOCKET_FILTER, code.call(PERF_EVENT_OUTPUT).mov(R0, 0).exit_().assemble())
    records = []
    for length in range(64, 64 + 400):
        client.run(program, bytes(length + ETHERNET))
        if length % 100 == 0:
            records += buffer.take()
    records += buffer.take()
    lengths, lost = [], 0
    for record in records:
        kind, _, taken = struct.unpack_from("=IHH", record)
        assert (kind in (2, 9), taken) == (True, len(record))
        if kind == 9:
            lengths.append(struct.unpack_from("=IQ", record, 8)[1])
        else:
            lost += struct.unpack_from("=QQ", record, 8)[1]

    assert lengths == sorted(set(lengths))
    assert len(lengths) + lost == 400
    assert len(lengths) > 100


def test_software_event_samples(stack):
    program = load(stack, PERF_EVENT, returning(0))
    event = stack.enter_context(perf.open_event(SOFTWARE, CPU_CLOCK, pid=0, sample_period=1_000_000)).fileno()
    perf.ioctl(event, perf.IOC_SET_BPF, program)
    perf.ioctl(event, perf.IOC_ENABLE)
    with programs.enable_stats():
        total = sum(range(3_000_000))
        run_cnt = PROG_INFO.unpack(calls.obj_info(program, PROG_INFO.size)[0])["run_cnt"]

    assert total
    assert run_cnt > 0


def test_the_trace_shows_calls_and_answers(stack):
    seen = []
    calls.set_trace(lambda *call: seen.append(call))
    stack.callback(calls.set_trace, None)
    hash_map(stack)
    with pytest.raises(FileNotFoundError):
        calls.fd_by_id(calls.PROG_GET_FD_BY_ID, 0x7FFFFFFF)

    (create, attributes, fd), (get, _, failed) = seen[0][:3], seen[1][:3]
    assert (create, attributes["map_name"], attributes["key_size"]) == ("BPF_MAP_CREATE", "calls", 4)
    assert fd > 0
    assert (get, failed) == ("BPF_PROG_GET_FD_BY_ID", -errno.ENOENT)


def test_an_open_descriptor_that_is_forgotten_warns():
    forgotten = [maps.create(ARRAY, 4, 4, 1)]
    with pytest.warns(ResourceWarning, match="unclosed file descriptor"):
        forgotten.clear()


def test_a_descriptor_that_is_held_to_the_end_is_silent():
    """What a module holds is collected when nothing can be imported any more."""
    script = (
        "import sys\n"
        "from bpfctl._sys import maps\n"
        "class Holder: fd = None\n"
        "sys.modules['holder'] = holder = Holder()\n"
        "holder.fd = maps.create(2, 4, 4, 1)\n"
    )
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
