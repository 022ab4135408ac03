"""Stacks: known calls are counted exactly, by name, and what is not counted is told."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import bpfctl
from bpfctl.errors import KernelError, NotSupported, UsageError
from bpfctl.probe.actions.stacks import Stacks
from bpfctl.probe.callchain import deepest
from bpfctl.probe.named_stacks import Names
from tests.build.called import NOTES, TALK, built, called
from tests.kernel.command import run
from tests.kernel.facts import KPROBES, needs
from tests.kernel.probing import probing, until

LIBC = ctypes.CDLL(None, use_errno=True)
GETPPID = "tracepoint:syscalls:sys_enter_getppid"
SWITCH = "tracepoint:sched:sched_switch"
ARM64 = platform.machine() == "aarch64"
NUMBER = 173 if ARM64 else 110  # of getppid(2)

POINTERS = ["-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-DFRAME=__builtin_frame_address(0)"]
"""Have the compiler keep frame pointers; the last also in functions that call nothing else."""

CALL = r"""
#include <time.h>
#include <sys/mman.h>
#ifdef __x86_64__
#define ASK() do { long answer; \
    __asm__ volatile("syscall" : "=a"(answer) : "0"(110L) : "rcx", "r11", "memory"); } while (0)
#else
#define ASK() do { register long number __asm__("x8") = 173; register long answer __asm__("x0"); \
    __asm__ volatile("svc 0" : "=r"(answer) : "r"(number) : "memory"); } while (0)
#endif
#define FUNCTION __attribute__((noinline))
#ifndef FRAME
#define FRAME 0L
#endif
#define DONE __asm__ volatile("" : : "r"(FRAME) : "memory")
"""
CHAIN = (
    TALK
    + NOTES
    + CALL
    + r"""
FUNCTION void c(void) { ASK(); NOTE("0", "chain", "leaf", "", "r"(0L)); DONE; }
FUNCTION void b(void) { c(); DONE; }
FUNCTION void a(void) { b(); DONE; }
FUNCTION void left(int bits, int depth);
FUNCTION void right(int bits, int depth);
FUNCTION void turn(int bits, int depth)
{
    if (!depth)
        ASK();
    else if (bits & 1)
        left(bits >> 1, depth - 1);
    else
        right(bits >> 1, depth - 1);
    DONE;
}
FUNCTION void left(int bits, int depth) { turn(bits, depth); DONE; }
FUNCTION void right(int bits, int depth) { turn(bits, depth); DONE; }
FUNCTION void touch(char *memory, long pages)
{
    for (long page = 0; page < pages; page++)
        ((volatile char *)memory)[page * 4096] = 1;
    DONE;
}
FUNCTION void nap(long count)
{
    struct timespec time = {0, 20 * 1000 * 1000};
    while (count--)
        nanosleep(&time, 0);
    DONE;
}
FUNCTION static void does(const char *what, long count)
{
    char *memory;
    if (!strcmp(what, "naps"))
        nap(count);
    else if (!strcmp(what, "touches")) {
        memory = mmap(0, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(memory, count * 4096, MADV_NOHUGEPAGE);
        touch(memory, count);
        munmap(memory, count * 4096);
    } else
        for (long at = 0; at < count; at++) {
            if (!strcmp(what, "turns"))
                turn(at, 11);
            else
                a();
        }
    DONE;
}
"""
)
DEEP = (
    CALL
    + r"""
namespace deep {
template <class T> struct Box { FUNCTION void ask(T, const char *) { ASK(); DONE; } };
}
FUNCTION int main() { for (int at = 0; at < 7; at++) deep::Box<int>().ask(at, ""); DONE; }
"""
)
JITTED = "fd7bbfa9 fd030091 a81580d2 010000d4 fd7bc1a8 c0035fd6" if ARM64 else "55 4889e5 b86e000000 0f05 5d c3"
"""A frame, getppid(2), and back."""
JIT = """
import ctypes, mmap, os, sys
memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(bytes.fromhex(sys.argv[1]))
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
with open(f"/tmp/perf-{os.getpid()}.map", "w") as file:
    file.write(f"{address:x} 20 jitted::leaf\\n")
function = ctypes.CFUNCTYPE(ctypes.c_long)(address)
for line in sys.stdin:
    for _ in range(int(line.split()[1])):
        function()
    print(1, flush=True)
"""


@pytest.fixture(scope="module")
def path():
    return built("chain", CHAIN, *POINTERS)


@pytest.fixture
def chain(path):
    """Return a process that calls c by b by a."""
    with called(path) as process:
        yield process


def of(pid):
    return f"pid == {pid}"


def calls(row):
    """Return the names of the calls in a process, leaf first."""
    return [str(frame) for frame in row.user]


def one(stacks, names):
    (row,) = names.named(stacks.rows())
    return row


@pytest.mark.parametrize("spec", [GETPPID, "usdt:{}:chain:leaf", "raw_tracepoint:sys_enter", "software:page-faults"])
def test_known_calls(chain, path, spec):
    page_faults = spec.startswith("software")
    with Stacks() as stacks, probing(stacks, spec.format(path), where=of(chain.pid)) as running, Names() as names:
        chain.does("touches" if page_faults else "calls", 300)
        running.stop()
        wanted = ["touch"] if page_faults else ["c", "b", "a"]
        rows = [row for row in names.named(stacks.rows()) if calls(row)[: len(wanted)] == wanted]
        lost = stacks.lost()

    assert lost == 0
    assert sum(row.hits for row in rows) == 300
    assert {(row.values, row.pid) for row in rows} == {(("chain", chain.pid), chain.pid)}
    assert {tuple(calls(row)[: len(wanted) + 2]) for row in rows} == {(*wanted, "does", "main")}
    assert {row.user[0].module for row in rows} == {str(path)}


@pytest.mark.parametrize("kind", ["kprobe", "fentry"])
def test_the_first_call_is_what_was_probed(chain, kind):
    if kind == "kprobe":
        needs(*KPROBES)
    stacks = Stacks()
    try:
        with probing(stacks, f"{kind}:hrtimer_nanosleep", where=of(chain.pid)) as running, Names() as names:
            chain.does("naps", 5)
            running.stop()
            (row,) = names.named(stacks.rows())
    except KernelError as error:
        if kind == "fentry" and "lockdown" in str(error):
            pytest.skip("lockdown forbids tracing programs")
        raise
    except NotSupported:
        if kind == "kprobe" or not ARM64:
            raise
        pytest.skip("this kernel cannot attach tracing programs on this architecture")

    assert row.hits == 5
    assert row.kernel[0].name == "hrtimer_nanosleep"


@pytest.mark.parametrize(
    ("spec", "by"),
    [
        (GETPPID, "comm"),
        ("tracepoint:syscalls:sys_exit_getppid", "ret"),
        ("raw_tracepoint:sys_enter", "comm"),
        ("raw_tracepoint:sched_switch", "comm"),
        (SWITCH, "comm"),
        (SWITCH, "next_pid"),
    ],
)
def test_calls_between_probe_and_program_are_left_out(chain, spec, by):
    """On older kernels, such as 5.10, stacks of perf events at system calls begin with the calls of the process."""
    with Stacks([by]) as stacks, probing(stacks, spec, where=of(chain.pid)) as running, Names() as names:
        chain.does("naps", 2)
        chain.does("calls", 2)
        running.stop()
        rows = names.named(stacks.rows())

    leaves = {row.kernel[0].name for row in rows if row.kernel}
    assert leaves or by == "ret"
    assert not [leaf for leaf in leaves if "bpf" in leaf or "perf" in leaf or "__trace" in leaf]


def test_without_frame_pointers_callers_are_not_seen():
    path = built("chain_without", CHAIN, "-fomit-frame-pointer", "-fno-optimize-sibling-calls")
    with (
        called(path) as chain,
        Stacks() as stacks,
        probing(stacks, GETPPID, where=of(chain.pid)) as running,
        Names() as names,
    ):
        chain.does("calls", 100)
        running.stop()
        rows = names.named(stacks.rows())

    assert sum(row.hits for row in rows) == 100
    assert {calls(row)[0] for row in rows} == {"c"}
    assert not [row for row in rows if calls(row)[:3] == ["c", "b", "a"]]


@pytest.mark.parametrize("pointers", [True, False])
@pytest.mark.parametrize("way", ["", "perf event"])
def test_the_caller_of_a_function_that_is_just_entered(path, pointers, way):
    """It has no frame yet, so that not all kernels tell who called it; without frame pointers nobody else is seen."""
    without = built("chain_without", CHAIN, "-fomit-frame-pointer", "-fno-optimize-sibling-calls")
    program, stacks = path if pointers else without, Stacks()
    with (
        called(program) as chain,
        probing(stacks, f"uprobe:{program}:c", where=of(chain.pid), way=way) as running,
        Names(chain.pid) as names,
    ):
        chain.does("calls", 200)
        running.stop()
        rows = names.named(stacks.rows())

    wanted = ("c", "b", "a", "does", "main") if pointers else ("c", "b")
    assert sum(row.hits for row in rows) == 200
    assert {tuple(calls(row)[: len(wanted)]) for row in rows} == {wanted}


def test_the_caller_counts_as_a_call(chain, path):
    for depth in (1, 2, 3):
        with (
            Stacks(kernel=False, depth=depth) as stacks,
            probing(stacks, f"uprobe:{path}:c", where=of(chain.pid)) as running,
            Names() as names,
        ):
            chain.does("calls", 5)
            running.stop()
            assert calls(one(stacks, names)) == ["c", "b", "a"][:depth]


def test_names_of_cpp_and_of_a_process_that_has_ended():
    path = built(f"deep-{os.getpid()}", DEEP, *POINTERS, compiler="g++", language="c++")
    with Stacks() as stacks, probing(stacks, GETPPID, where=f'comm == "{path.name}"') as running, Names() as names:
        subprocess.run([path], check=True)
        running.stop()
        row = one(stacks, names)

    assert row.hits == 7
    assert [call.partition("(")[0] for call in calls(row)[:2]] == ["deep::Box<int>::ask", "main"]


def test_code_of_a_compiler_that_tells_of_it():
    with (
        called(sys.executable, "-c", JIT, JITTED) as process,
        Stacks(kernel=False) as stacks,
        probing(stacks, GETPPID, where=of(process.pid)) as running,
        Names(process.pid) as names,
    ):
        try:
            process.does("calls", 20)
            running.stop()
            rows = [row for row in names.named(stacks.rows()) if calls(row)[0] == "jitted::leaf"]
        finally:
            Path(f"/tmp/perf-{process.pid}.map").unlink()

    assert sum(row.hits for row in rows) == 20
    assert {row.user[0].module for row in rows} == {"[jit]"}


def test_stacks_that_differ_are_never_one(chain):
    with Stacks(("comm",), kernel=False, max_entries=3000) as stacks, probing(stacks, GETPPID, where=of(chain.pid)):
        chain.does("turns", 2048)
        chain.does("turns", 2048)
        rows, lost = stacks.rows(), stacks.lost()

    assert len({row.user for row in rows}) == len(rows) == 2048
    assert {row.hits for row in rows} == {2}
    assert lost == 0


def test_more_stacks_than_there_is_room_for(chain):
    with Stacks(max_entries=100) as stacks, probing(stacks, GETPPID, where=of(chain.pid)):
        chain.does("turns", 2048)
        rows, lost = stacks.rows(), stacks.lost()

    assert 50 <= len(rows) < 2048
    assert sum(row.hits for row in rows) + lost == 2048


@pytest.mark.parametrize("spec", ["usdt:{}:chain:leaf", GETPPID])
def test_processes_that_are_hit_at_once(path, spec):
    """What one program is kept from by another on its CPU is told, and no stack is a mixture of two."""
    with ExitStack() as held:
        chains = [held.enter_context(called(path)) for _ in range(6)]
        where = " || ".join(of(chain.pid) for chain in chains)
        stacks = Stacks()
        running = held.enter_context(probing(stacks, spec.format(path), where=where))
        names = held.enter_context(Names())
        pool = held.enter_context(ThreadPoolExecutor(len(chains)))
        list(pool.map(lambda chain: chain.does("turns" if spec == GETPPID else "calls", 20_000), chains))
        running.stop()
        rows = names.named(stacks.rows())
        found = sum(row.hits for row in rows) + stacks.lost() + stacks.disturbed()
        missed = running.missed()  # of all system calls, which have one program

    assert found <= 6 * 20_000 <= found + missed
    # The kernel's own memory for stacks may be another's meanwhile, too: up to 7.2 it then tells of no calls at all.
    rows = [row for row in rows if row.user]
    assert {row.pid for row in rows} == {chain.pid for chain in chains}
    if spec != GETPPID:
        assert {tuple(calls(row)[:5]) for row in rows} == {("c", "b", "a", "does", "main")}


@pytest.mark.parametrize("depth", [1, 4])
def test_the_innermost_calls(chain, depth):
    with Stacks(user=False) as stacks, probing(stacks, GETPPID, where=of(chain.pid)) as running, Names() as names:
        chain.does("calls", 10)
        running.stop()
        whole = one(stacks, names).kernel
    with (
        Stacks(depth=depth) as stacks,
        probing(stacks, GETPPID, where=of(chain.pid)) as running,
        Names() as names,
    ):
        chain.does("calls", 10)
        running.stop()
        (row,) = names.named(stacks.rows(), stacks.depth)

    assert calls(row) == ["c", "b", "a", "does"][:depth]
    assert len(row.kernel) == len(row.addresses[0]) == min(depth, len(whole))
    assert row.kernel == whole[:depth]


def test_more_calls_than_the_kernel_follows():
    most = deepest()

    with pytest.raises(UsageError, match=f"follows {most} frames at most"), probing(Stacks(depth=most + 1), GETPPID):
        pass


def test_adding_up_a_number():
    ours = f"tid == {os.getpid()} && addr == 0"
    with (
        Stacks((), of="len") as stacks,
        probing(stacks, "tracepoint:syscalls:sys_enter_munmap", where=ours),
    ):
        for size in (5, 7, 1 << 40):
            LIBC.munmap(None, ctypes.c_size_t(size | 1 << 63))
        rows = stacks.rows()

    assert sum(row.hits for row in rows) == 3
    assert sum(row.total for row in rows) & (1 << 63) - 1 == 12 + (1 << 40)


def of_kernel(stacks):
    return [row for row in stacks.rows() if row.values[0].startswith(("kworker", "ksoftirqd", "rcu"))]


def test_threads_of_the_kernel_have_no_calls_in_a_process():
    with Stacks(("comm",)) as stacks, probing(stacks, "raw_tracepoint:sched_switch", where="pid > 1"):
        assert until(lambda: of_kernel(stacks))
        own = of_kernel(stacks)

    assert {row.user for row in own} == {()}
    assert {row.pid for row in own} == {0}
    assert all(row.kernel for row in own)


def napped(chain, spec):
    """Have a process sleep ten times, and return what was seen of that, and how long it took at most."""
    with Stacks(off_cpu=True) as stacks, probing(stacks, spec, where=of(chain.pid)) as running, Names() as names:
        begin = time.monotonic_ns()
        chain.does("naps", 10)
        chain.does("naps", 0)
        end = time.monotonic_ns()
        running.stop()
        assert stacks.waiting() == 1  # for the next line
        assert stacks.lost() == 0
        rows = [row for row in names.named(stacks.rows()) if any("nanosleep" in str(frame) for frame in row.kernel)]
    return rows, end - begin


@pytest.mark.parametrize("spec", [SWITCH, "raw_tracepoint:sched_switch"])
def test_time_off_cpu(chain, spec):
    """On a machine that stands still for a while a timer may be over before its thread has left the CPU."""
    for _ in range(10):
        rows, most = napped(chain, spec)
        hits, total = sum(row.hits for row in rows), sum(row.total for row in rows)
        assert total <= most
        if hits == 10 and total >= 10 * 20_000_000:
            break

    assert hits == 10
    assert total >= 10 * 20_000_000
    assert any("schedule" in frame.name for frame in rows[0].kernel)


def test_only_long_times_off_cpu(chain):
    with Stacks(off_cpu=True, over=19_000_000) as stacks, probing(stacks, SWITCH, where=of(chain.pid)) as running:
        chain.does("naps", 10)
        running.stop()
        rows = stacks.rows()

    assert sum(row.hits for row in rows) > 5
    assert min(row.total // row.hits for row in rows) >= 19_000_000


def test_threads_that_have_ended_do_not_wait():
    path = built(f"brief-{os.getpid()}", "int main(void) { return 0; }")
    with Stacks(off_cpu=True) as stacks, probing(stacks, SWITCH, where=f'comm == "{path.name}"') as running:
        for _ in range(20):
            subprocess.run([path], check=True)
        running.stop()
        waiting = stacks.waiting()

    assert waiting == 0


@pytest.mark.parametrize(
    ("make", "spec", "why"),
    [
        (lambda: Stacks(off_cpu=True), GETPPID, "has no prev_pid, next_pid, prev_state"),
        (lambda: Stacks(off_cpu=True), "profile:99", "has no prev_pid, next_pid, prev_state"),
        (lambda: Stacks(of="comm"), GETPPID, "comm is no number"),
        (lambda: Stacks(off_cpu=True, of="pid"), SWITCH, "it is time that is added up"),
        (lambda: Stacks(over=1), SWITCH, "with --off-cpu alone"),
    ],
)
def test_mistakes(make, spec, why):
    with pytest.raises(UsageError, match=why), probing(make(), spec):
        pass


def test_from_python(chain):
    with bpfctl.session(pid=chain.pid) as session:
        stacks = session.stacks(GETPPID, by="comm,pid")
        off = session.stacks(SWITCH, off_cpu=True, over=0.001, kernel=False)
        chain.does("calls", 30)
        chain.does("naps", 3)
        stacks.stop()
        off.stop()

        (row,) = stacks.rows()
        (record,) = stacks.records()
        (line,) = stacks.folded()
        assert (row.hits, record["count"]) == (30, 30)
        assert line.startswith(f"chain;{chain.pid};")
        assert line.endswith(" 30")
        assert ";main;does;a;b;c;" in line
        assert "<title>b (" in stacks.svg("a title")
        assert stacks.pprof()[:2] == b"\x1f\x8b"
        assert sum(row.total for row in off.rows()) >= 20_000_000
        assert off.lost() == off.missed() == 0


def test_in_a_session_file(chain, tmp_path):
    path = tmp_path / "session.toml"
    path.write_text(f'duration = 0.5\n[[stacks]]\nprobes = "{SWITCH}"\noff_cpu = true\nkernel = true\nuser = false\n')
    done = run("-j", "probe", "run", str(path), "-p", str(chain.pid))

    (told,) = json.loads(done.stdout)["measurements"]
    assert (told["action"], told["stacks"], told["unit"]) == ("stacks", [], "nanoseconds")
