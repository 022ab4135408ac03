"""Programs on an event of each CPU, when CPUs go away and when the kernel refuses; on a kernel that is played."""

from __future__ import annotations

from errno import EACCES, EBUSY, ENODEV, ENOENT

import pytest

from bpfctl.attach import perf_event
from bpfctl.attach.perf_event import Event
from bpfctl.errors import KernelError


class Thing:
    """Something open."""

    def __init__(self, owner, cpu):
        self._owner, self._cpu = owner, cpu
        owner.open.append(cpu)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._owner.open.remove(self._cpu)


class Kernel:
    """A kernel with four CPUs; ``answers`` are errnos by CPU."""

    def __init__(self):
        self.open = []
        self.answers = {}

    def open_event(self, kind, config, *, cpu, flags, **members):
        del kind, config, flags, members
        if cpu in self.answers:
            raise OSError(self.answers[cpu], "no")
        return Thing(self, cpu)


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr(perf_event.perf, "open_event", kernel.open_event)
    monkeypatch.setattr(perf_event.cpus, "online", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(perf_event, "attach", lambda _program, event, *_: event)
    return kernel


def test_each_cpu(kernel):
    attached = perf_event.everywhere(None, Event(1, 2, 1), "it")

    assert kernel.open == [0, 1, 2, 3]
    for each in attached:
        each.close()
    assert kernel.open == []


def test_the_cpus_of_a_unit(kernel):
    """Those of them that run."""
    perf_event.everywhere(None, Event(1, 2, 1, cpus=[1, 3, 17]), "it")

    assert kernel.open == [1, 3]


def test_a_cpu_that_goes_away(kernel):
    kernel.answers = {0: ENODEV, 2: ENODEV}
    event = Event(1, 2, 1)

    assert event.refusal() == 0
    assert len(perf_event.everywhere(None, event, "it")) == 2
    assert kernel.open == [1, 3]


def test_no_cpu_is_left(kernel):
    kernel.answers = dict.fromkeys(range(4), ENODEV)
    event = Event(1, 2, 1)

    assert event.refusal() == ENODEV
    assert Event(1, 2, 1, cpus=[9]).refusal() == ENODEV
    with pytest.raises(KernelError, match="can't attach to it: No such device"):
        perf_event.everywhere(None, event, "it")


@pytest.mark.parametrize(
    ("errno", "word"),
    [(EBUSY, "all counters that can count it are in use"), (ENOENT, "No such file"), (EACCES, "it needs|policy")],
)
def test_what_one_cpu_refuses_is_undone_on_the_others(kernel, errno, word):
    kernel.answers = {2: errno}

    with pytest.raises(KernelError, match=f"can't attach to it on CPU 2: .*({word})") as caught:
        perf_event.everywhere(None, Event(1, 2, 1), "it")
    assert caught.value.errno == errno
    assert kernel.open == []


def test_asking_leaves_nothing_open(kernel):
    kernel.answers = {0: ENODEV, 1: ENOENT}

    assert Event(1, 2, 1).refusal() == ENOENT
    kernel.answers = {}
    assert Event(1, 2, 1).refusal() == 0
    assert kernel.open == []
