"""Points of a pattern that the kernel refuses are left out; all others are probed, and counted exactly."""

from __future__ import annotations

from errno import EINVAL, EPERM

import pytest
from bpfctl_tracepoint import TracepointSource

from bpfctl.errors import KernelError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from bpfctl.probe.where import parse
from tests.kernel.probing import YIELD

CALLS = "tracepoint:syscalls:sys_enter_*"


class Strict(TracepointSource):
    """Tracepoints of a kernel that refuses some."""

    def __init__(self, refused, number=EINVAL):
        super().__init__()
        self._refused, self._number = refused, number
        self.asked = 0

    def groups(self, points, names, held):
        for group in super().groups(points, names, held):
            yield group._replace(attach=self._unless_refused(group), otherwise=None)

    def _unless_refused(self, group):
        def attach(program):
            self.asked += 1
            if any(point.target in self._refused for point in group.points):
                raise KernelError(f"can't attach to {group.points[0]}", self._number)
            return group.attach(program)

        return attach


@pytest.fixture
def probing(monkeypatch):
    """Return what probes with a source in the place of the usual one."""

    def begin(source, *specs):
        sources = Sources()
        monkeypatch.setattr(sources, "of", lambda _kind: source)
        points = sources.resolve(specs)
        return Wanted(points, any_of=frozenset(sources.several)), sources

    return begin


REFUSED = {"syscalls:sys_enter_read", "syscalls:sys_enter_openat", "syscalls:sys_enter_sync"}


def test_the_others_are_counted(child, probing):
    source = Strict(REFUSED)
    wanted, sources = probing(source, CALLS)
    with Count() as counts, Probing(sources, wanted, counts) as run:
        child.does("yields", 100)
        child.does("opens", 100)
        hits = {row.values[0]: row.hits for row in counts.rows()}

    assert {point.target for point in run.left_out} == REFUSED
    assert len(wanted.points) - len(REFUSED) == sum(len(made.group.points) for made in run.made)
    assert source.asked < 80  # not one by one
    assert hits[YIELD] >= 100
    assert hits["tracepoint:syscalls:sys_enter_openat"] == 0


class Twice(Strict):
    """Each call is at two sites, of which programs of their own read the fields."""

    def groups(self, points, names, held):
        yield from super().groups(points, names, held)
        for point in points:
            yield TracepointSource._by_event(self, point)


def test_points_of_several_groups_are_not_attached_again(child, probing):
    """Nobody says which of them was refused, and to ask for each point anew would count its other sites twice."""
    wanted, sources = probing(Twice(REFUSED), "tracepoint:syscalls:sys_enter_s[cy]*")
    wanted = wanted._replace(where=parse(f"pid == {child.pid}"))
    with Count() as counts, pytest.raises(KernelError, match="can't attach to tracepoint:syscalls:sys_enter_s"):
        Probing(sources, wanted, counts)

    wanted, sources = probing(Twice(()), "tracepoint:syscalls:sys_enter_s[cy]*")
    wanted = wanted._replace(where=parse(f"pid == {child.pid}"))
    with Count() as counts, Probing(sources, wanted, counts):
        child.does("yields", 10)

        assert {row.values[0]: row.hits for row in counts.rows()}[YIELD] == 20


def test_one_that_is_named_is_not_left_out(probing):
    wanted, sources = probing(Strict(REFUSED), "tracepoint:syscalls:sys_enter_read", YIELD)
    with Count() as counts, pytest.raises(KernelError, match="sys_enter_read"):
        Probing(sources, wanted, counts)


def test_not_all_are_left_out(probing):
    wanted, sources = probing(Strict(REFUSED), "tracepoint:syscalls:sys_enter_sync*")
    names = {point.target for point in wanted.points}
    wanted, sources = probing(Strict(names), "tracepoint:syscalls:sys_enter_sync*")

    assert len(names) > 1
    with Count() as counts, pytest.raises(KernelError, match="sys_enter_sync"):
        Probing(sources, wanted, counts)


def test_what_says_nothing_of_a_point_ends_it(probing):
    source = Strict(REFUSED, EPERM)
    wanted, sources = probing(source, CALLS)
    with Count() as counts, pytest.raises(KernelError, match="not permitted"):
        Probing(sources, wanted, counts)

    assert source.asked == 1
