"""What the runs of a program cost in events of perf: two programs of ours read the counters before and after each run.

They are attached to the program itself (fentry and fexit), so the kernel runs them around it wherever it runs. What
they have read lies in a per-CPU array of one value, whose words are::

    runs, whether one is under way, then for each metric
        the reading before the run (counter, enabled, running), and the sum of all differences

Kernel: struct bpf_perf_event_value in include/uapi/linux/bpf.h; bpf_perf_event_read_value() needs Linux 4.15, and
fentry of BPF programs Linux 5.5.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from errno import EACCES, EINVAL, ENODEV, ENOENT, EOPNOTSUPP, EPERM
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import maps, perf, programs
from bpfctl._sys.fd import Closing
from bpfctl.asm.build import Program as Assembler
from bpfctl.asm.insn import R0, R1, R2, R3, R4, R6, R10
from bpfctl.attach import tracing
from bpfctl.errors import BpfctlError, KernelError, NotSupported, UsageError
from bpfctl.host import cpus
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.prog import Program
from bpfctl.kernel.refusal import lacking
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from bpfctl.uapi.helpers import Helper
from bpfctl.uapi.perf import Cache, CacheOp, CacheResult, Hardware, PerfType, Software

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.kernel.link import Link

#: As many as the stack of our program has room for, and as bpftool takes.
MOST = 4

_READING = 24  # struct bpf_perf_event_value: counter, enabled, running
_RUNS, _OPEN, _FIRST = 0, 8, 16  # where what lies in the value of the state
_CURRENT_CPU = -1  # BPF_F_CURRENT_CPU, as the 32 bits that are moved
_LICENSE = b"Dual BSD/GPL"


class Metric(NamedTuple):
    """An event that can be counted, and what its number is told in relation to."""

    name: str
    type: PerfType
    config: int
    per: str = ""  # the metric that it is divided by
    times: float = 1.0
    comment: str = ""
    exclude_user: bool = True


def _read(cache: Cache, result: CacheResult) -> int:
    return cache | CacheOp.READ << 8 | result << 16


_MILLION = 1e6
#: In bpftool's order; those that it lacks come last, so that no abbreviation changes its meaning.
METRICS = (
    Metric("cycles", PerfType.HARDWARE, Hardware.CPU_CYCLES),
    Metric("instructions", PerfType.HARDWARE, Hardware.INSTRUCTIONS, "cycles", 1.0, "insns per cycle"),
    Metric("l1d_loads", PerfType.HW_CACHE, _read(Cache.L1D, CacheResult.ACCESS)),
    Metric("llc_misses", PerfType.HW_CACHE, _read(Cache.LL, CacheResult.MISS), "instructions", _MILLION,
           "LLC misses per million insns"),
    Metric("itlb_misses", PerfType.HW_CACHE, _read(Cache.ITLB, CacheResult.MISS), "instructions", _MILLION,
           "itlb misses per million insns"),
    Metric("dtlb_misses", PerfType.HW_CACHE, _read(Cache.DTLB, CacheResult.MISS), "instructions", _MILLION,
           "dtlb misses per million insns"),
    Metric("cpu_clock", PerfType.SOFTWARE, Software.CPU_CLOCK, "run_cnt", 1.0, "ns per run", exclude_user=False),
)  # fmt: skip


class Value(NamedTuple):
    """What a metric came to; the times are nanoseconds, and differ where counters had to be shared."""

    metric: Metric
    counter: int
    enabled: int
    running: int


class Reading(NamedTuple):
    """What all runs together came to."""

    run_cnt: int
    values: tuple[Value, ...]


class Profile(Closing):
    """Counts events of each run of a program, until it is closed.

    UsageError for a program without types; NotSupported where this machine lacks a metric, or this kernel the means;
    KernelError where that is not allowed.
    """

    def __init__(self, program: Program, metrics: Sequence[Metric]) -> None:
        if not 0 < len(metrics) <= MOST:
            raise UsageError(f"too many ({len(metrics)}) metrics, please specify no more than {MOST} metrics at a time")
        self._metrics = tuple(metrics)
        target = _main_function(program)
        with ExitStack() as held:
            size = _FIRST + 2 * _READING * len(metrics)
            state = held.enter_context(maps.create(MapType.PERCPU_ARRAY, 4, size, 1, name=b"profile"))
            events = [held.enter_context(_Events(metric)) for metric in metrics]
            arrays = [event.array.fileno() for event in events]
            codes = (
                (AttachType.TRACE_FENTRY, _before(state.fileno(), arrays)),
                (AttachType.TRACE_FEXIT, _after(state.fileno(), arrays)),
            )
            # The second is attached first: a run that only the first has seen is left out, and not one too many.
            ours = [held.enter_context(_load(program, target, kind, code)) for kind, code in codes]
            self._links = held.enter_context(ExitStack())
            for each in reversed(ours):
                self._links.enter_context(_attached(each))
            self._state, self._size = state, size
            self._held = held.pop_all()

    def stop(self) -> None:
        """Count no more; what was counted can still be read."""
        self._links.close()

    def read(self) -> Reading:
        """Return what was counted until now."""
        try:
            raw = maps.lookup(self._state.fileno(), bytes(4), self._size * cpus.possible())
        except OSError as error:
            raise KernelError("failed to read the counters", error.errno or 0) from None
        rows = list(struct.iter_unpack(f"={self._size // 8}Q", raw))
        words = [sum(column) for column in zip(*rows, strict=True)]
        first = _FIRST // 8
        sums = [words[at + 3 : at + 6] for at in range(first, len(words), 6)]
        return Reading(words[0], tuple(Value(metric, *each) for metric, each in zip(self._metrics, sums, strict=True)))

    def close(self) -> None:
        """Take our programs away; a second call does nothing."""
        self._held.close()


class _Events(Closing):
    """The event of a metric on each CPU, and the array in which our programs find that of theirs."""

    def __init__(self, metric: Metric) -> None:
        with ExitStack() as held:
            online = cpus.online()
            room = max(cpus.possible(), online[-1] + 1)
            self.array = held.enter_context(maps.create(MapType.PERF_EVENT_ARRAY, 4, 4, room, name=b"events"))
            flags = perf.EXCLUDE_USER if metric.exclude_user else 0
            for cpu in online:
                tried = f"failed to create event {metric.name} on cpu {cpu}"
                try:
                    event = held.enter_context(perf.open_event(metric.type, metric.config, cpu=cpu, flags=flags))
                    maps.update(self.array.fileno(), struct.pack("=I", cpu), struct.pack("=I", event.fileno()))
                except OSError as error:
                    raise _no_event(tried, error.errno or 0) from None
            self._held = held.pop_all()

    def close(self) -> None:
        """Count no more."""
        self._held.close()


def _no_event(tried: str, errno: int) -> BpfctlError:
    if errno in (ENOENT, ENODEV, EOPNOTSUPP, EINVAL):
        missing = NotSupported(tried)
        missing.hint = "this machine has no counter for it, as most virtual machines have none at all; try cpu_clock"
        return missing
    return KernelError(
        tried, errno, hint=privilege_hint(errno, "CAP_BPF", "CAP_PERFMON") if errno in (EPERM, EACCES) else ""
    )


def _main_function(program: Program) -> int:
    """Return the id of the program's main function in its types."""
    info = program.info()
    if not info.btf_id:
        raise UsageError(f"program {info.id} has no types (BTF), by which others attach to it")
    records = program.func_info(info)
    if not records:
        untold = UsageError(f"program {info.id} does not tell of what type its function is (func_info in its BTF)")
        untold.hint = lacking("CAP_BPF")  # without which the kernel tells nothing of a program's code
        raise untold
    if not info.jited_prog_len:
        raise NotSupported(f"program {info.id} has no machine code, which is what others attach to")
    _, type_id = struct.unpack_from("=II", records)
    return int(type_id)


def _load(target: Program, function: int, kind: AttachType, code: bytes) -> Program:
    """Load one of our programs for a function of the target."""
    tried = "can't load the programs that profile"

    def attempt(log_level: int) -> Program:
        loaded = programs.load(
            ProgType.TRACING,
            code,
            license=_LICENSE,
            name=b"profile",
            expected_attach_type=kind,
            attach_btf_id=function,
            attach_fd=target.fileno(),
            log_level=log_level,
        )
        return Program(loaded.fd)

    try:
        return attempt(0)
    except OSError as first:
        number = first.errno or 0
        if number == EPERM:
            raise KernelError(tried, number, hint=privilege_hint(number, "CAP_BPF", "CAP_PERFMON")) from None
    try:
        return attempt(1)
    except programs.LoadError as error:
        said = [line for line in error.log.splitlines() if line and not line.startswith("processed ")]
        raise KernelError(tried, error.errno or 0, hint=said[-1] if said else "") from None


def _attached(program: Program) -> Link:
    try:
        return tracing.attach(program)
    except NotSupported:
        raise NotSupported("this kernel cannot attach to programs on this architecture") from None


def _before(state: int, events: Sequence[int]) -> bytes:
    """Assemble what runs before a run: note the readings, and that a run is under way."""
    code = Assembler()
    _look_up(code, state, -4)
    code.st(8, R6, _OPEN, 0)
    for at, event in enumerate(events):
        code.mov(R3, R6).add(R3, _FIRST + 2 * _READING * at)
        _take(code, event)
    code.st(8, R6, _OPEN, 1)
    return code.label("out").mov(R0, 0).exit_().assemble()


def _after(state: int, events: Sequence[int]) -> bytes:
    """Assemble what runs after a run: take the readings first, and then add the differences up."""
    code = Assembler()
    for at, event in enumerate(events):
        code.mov(R3, R10).add(R3, -_READING * (at + 1))
        _take(code, event)
    _look_up(code, state, -_READING * len(events) - 8)
    code.ldx(8, R1, R6, _OPEN).jump("jeq", R1, 0, "out").st(8, R6, _OPEN, 0)
    code.ldx(8, R1, R6, _RUNS).add(R1, 1).stx(8, R6, _RUNS, R1)
    for at in range(len(events)):
        now, then = -_READING * (at + 1), _FIRST + 2 * _READING * at
        for word in range(0, _READING, 8):
            code.ldx(8, R1, R10, now + word).ldx(8, R2, R6, then + word).sub(R1, R2)
            code.ldx(8, R2, R6, then + _READING + word).add(R2, R1).stx(8, R6, then + _READING + word, R2)
    return code.label("out").mov(R0, 0).exit_().assemble()


def _look_up(code: Assembler, state: int, at: int) -> None:
    """Put the address of this CPU's state into r6; ``at`` is a place on the stack for the key."""
    code.st(4, R10, at, 0).mov(R2, R10).add(R2, at).ld_map_fd(R1, state).call(Helper.map_lookup_elem)
    code.jump("jeq", R0, 0, "out").mov(R6, R0)


def _take(code: Assembler, event: int) -> None:
    """Read this CPU's event to where r3 points."""
    code.ld_map_fd(R1, event).mov32(R2, _CURRENT_CPU).mov(R4, _READING).call(Helper.perf_event_read_value)
    code.jump("jne", R0, 0, "out")
