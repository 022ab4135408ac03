"""Several measurements at once, from Python: ``with bpfctl.session() as s: s.count("kprobe:vfs_*", by="comm")``."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bpfctl._sys.fd import Closing
from bpfctl.gauge.count import Counts
from bpfctl.gauge.hist import Histograms, Latencies
from bpfctl.gauge.trace import Traced
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.hist import Hist, Linear
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.choose import chosen
from bpfctl.probe.session import Probing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from bpfctl.gauge.gauge import Running
    from bpfctl.gauge.stacks import Stacked
    from bpfctl.probe.action import Action
    from bpfctl.probe.session import Wanted
    from bpfctl.probe.sources import Sources

A = TypeVar("A", bound="Action")
G = TypeVar("G", bound="Running[Any]")

_SECOND = 10**9  # nanoseconds


class Session(Closing):
    """What is measured together; all of it ends when the session is closed.

    With ``pid`` or ``cgroup`` only what happens there counts. A measurement is at work when its method returns.
    UsageError, NotFound and KernelError tell what is wrong with one; those that were begun before go on.
    """

    def __init__(self, *, pid: int | None = None, cgroup: str | None = None) -> None:
        self._pid = pid
        self._cgroup = cgroup
        self._held = ExitStack()

    def count(
        self,
        *specs: str,
        by: str | Sequence[str] = (),
        where: str | None = None,
        way: str = "",
        max_entries: int = 10_000,
    ) -> Counts:
        """Count hits by some fields, by default those of each probe, as ``bpfctl probe count`` does."""
        return self._begin(Counts, Count(_names(by), max_entries=max_entries), specs, where, way)

    def hist(
        self,
        *specs: str,
        of: str,
        by: str | Sequence[str] = (),
        linear: tuple[int, int, int] | None = None,
        where: str | None = None,
        way: str = "",
        max_entries: int = 1000,
    ) -> Histograms:
        """Count how often the number ``of`` has which values, as ``bpfctl probe hist`` does.

        ``linear`` is the lowest number, the end and the size of the buckets; without it they are powers of 2.
        """
        scale = Linear(*linear) if linear else None
        return self._begin(Histograms, Hist(of, _names(by), linear=scale, max_entries=max_entries), specs, where, way)

    def stacks(
        self,
        *specs: str,
        by: str | Sequence[str] | None = None,
        kernel: bool = True,
        user: bool = True,
        of: str | None = None,
        depth: int | None = None,
        off_cpu: bool = False,
        over: float = 0,
        where: str | None = None,
        way: str = "",
        max_entries: int = 10_000,
    ) -> Stacked:
        """Count hits by the calls that led to them, by default of each thread's name and process.

        As ``bpfctl probe stacks`` does: ``of`` is added up instead, or with ``off_cpu`` the time that threads are off
        CPU, of at least ``over`` seconds.
        """
        from bpfctl.gauge.stacks import Stacked  # noqa: PLC0415 - few want names of addresses
        from bpfctl.probe.actions.stacks import Stacks  # noqa: PLC0415 - likewise

        action = Stacks(
            None if by is None else _names(by),
            kernel=kernel,
            user=user,
            of=of,
            depth=depth,
            off_cpu=off_cpu,
            over=round(over * _SECOND),
            max_entries=max_entries,
        )
        return self._begin(partial(Stacked, pid=self._pid), action, specs, where, way)

    def latency(
        self,
        *specs: str,
        to: str | Sequence[str] = (),
        key: str | Sequence[str] = (),
        by: str | Sequence[str] = (),
        linear: tuple[int, int, int] | None = None,
        unit: str = "",
        where: str | None = None,
        way: str = "",
        max_entries: int = 1000,
        max_calls: int = 10_240,
    ) -> Latencies:
        """Take the time of calls, or from some probes to others, as ``bpfctl probe latency`` does.

        ``linear`` is the lowest number, the end and the size of the buckets in the ``unit``, nanoseconds without one.
        """
        from bpfctl.probe.actions.latency import Latency  # noqa: PLC0415 - not everybody wants times
        from bpfctl.probe.calls import pair, timing  # noqa: PLC0415 - likewise

        with chosen(specs, where=where, pid=self._pid, cgroup=self._cgroup, way=way) as (sources, points):
            what = timing(sources, points, [to] if isinstance(to, str) else to, _names(by))
            action = Latency(
                what.calls,
                _names(by),
                linear=Linear(*linear) if linear else None,
                unit=unit,
                max_entries=max_entries,
                at_end=what.at_end,
                key=[*map(pair, _names(key))],
                nested=what.nested,
                max_calls=max_calls,
            )
            return self._begun(Latencies, action, sources, what.wanted)

    def trace(
        self,
        *specs: str,
        fields: str | Sequence[str] = (),
        where: str | None = None,
        way: str = "",
        buffer: int = 8 << 20,
    ) -> Traced:
        """Read fields at each hit, by default all of the probe's own and some more, as ``bpfctl probe trace`` does.

        ``buffer`` is the size of the ring buffer in bytes, a power of two; hits that find it full are lost.
        """
        return self._begin(Traced, Trace(_names(fields), size=buffer), specs, where, way)

    def _begin(
        self, kind: Callable[[A, Probing], G], action: A, specs: Sequence[str], where: str | None, way: str
    ) -> G:
        with chosen(specs, where=where, pid=self._pid, cgroup=self._cgroup, way=way) as (sources, wanted):
            return self._begun(kind, action, sources, wanted)

    def _begun(self, kind: Callable[[A, Probing], G], action: A, sources: Sources, wanted: Wanted) -> G:
        with ExitStack() as kept:
            kept.enter_context(action)
            gauge = kind(action, kept.enter_context(Probing(sources, wanted, action)))
            kept.pop_all()
        self._held.enter_context(gauge)
        return gauge

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        time.sleep(seconds)

    def close(self) -> None:
        """End all measurements."""
        self._held.close()


def _names(words: str | Sequence[str]) -> Sequence[str]:
    """Return names that are given as a list, or as one string with commas."""
    return words.split(",") if isinstance(words, str) else words
