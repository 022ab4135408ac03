"""Ways to attach, from the best down: which are tried, and which refusal is told when there is none."""

from __future__ import annotations

import pytest

from bpfctl.errors import KernelError, NotSupported, UsageError
from bpfctl.probe.source import Group, ProbePoint
from bpfctl.probe.way import only, reason, ways
from bpfctl.uapi.enums import ProgType

POINT = ProbePoint("kprobe", "vfs_read")


def ladder(*names, points=(POINT,)):
    """Return a group whose ways have these names."""
    group = None
    for name in reversed(names):
        after = group
        group = Group(name, points, ProgType.KPROBE, lambda _name: None, lambda _program: [])
        if after is not None:
            group = group._replace(otherwise=lambda after=after: after)
    return group


def test_each_way_leads_to_the_next():
    assert [group.way for group in ways(ladder("link", "perf event", "tracefs event"))] == [
        "link",
        "perf event",
        "tracefs event",
    ]


@pytest.mark.parametrize(
    ("word", "left"),
    [("", ["link", "perf event", "perf"]), ("perf", ["perf event"]), ("perf event", ["perf event"]), ("li", ["link"])],
)
def test_one_way_alone(word, left):
    assert [group.way for group in ways(only(ladder("link", "perf event", "perf"), word))] == left


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ((POINT,), "kprobe:vfs_read cannot be attached as 'tracefs', but as: link, perf event"),
        ((POINT, POINT), "2 points with kprobe:vfs_read cannot be attached as 'tracefs', but as: link, perf event"),
    ],
)
def test_a_way_that_there_is_not(points, told):
    with pytest.raises(UsageError) as caught:
        only(ladder("link", "perf event", points=points), "tracefs")

    assert str(caught.value) == told


def test_the_last_that_a_kernel_has_tells_why():
    lacks, refuses, worse = NotSupported("no links"), KernelError("no such place", 2), KernelError("nor here", 22)

    assert reason([lacks, refuses, lacks]) is refuses
    assert reason([refuses, worse]) is worse
    assert reason([lacks, NotSupported("no kprobes")]).args == ("no kprobes",)
