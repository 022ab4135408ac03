"""What several test modules of this folder start from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.build.called import called
from tests.kernel.asked import answers, report
from tests.kernel.emitter import Emitter, pinned_to_one_cpu
from tests.kernel.facts import KPROBES, needs
from tests.kernel.place import Place, mount
from tests.kernel.zoo import Zoo


@pytest.fixture(scope="module")
def zoo():
    """All that lives."""
    with Zoo() as place:
        yield place


@pytest.fixture(scope="module")
def place():
    """A corner of this machine where others see nothing of what is mounted, pinned or attached."""
    with Place() as there:
        yield there


@pytest.fixture(scope="module")
def remembering():
    """Have bpfctl remember what nobody else's bpfctl has found out, until the end of the module."""
    folder = Path("/run/bpfctl")
    folder.mkdir(mode=0o700, exist_ok=True)  # what is mounted there goes, the folder stays and has to be of use
    with Place():
        mount("tmpfs", folder)
        folder.chmod(0o700)
        yield


@pytest.fixture
def kprobes():
    """Skip a test of kprobes where the kernel has none; bpfctl is not asked."""
    needs(*KPROBES)


@pytest.fixture(scope="module")
def told():
    """What the full report answers, by group and name."""
    return answers(report())


@pytest.fixture
def ring(stack):
    """A ring buffer, and what sends to it."""
    return Emitter(stack, perf=False)


@pytest.fixture
def perf(stack):
    """A perf event buffer, and what sends to it from one CPU."""
    pinned_to_one_cpu(stack)
    return Emitter(stack, perf=True)


@pytest.fixture
def child():
    """Start a process that can do what `tests.kernel.doer` has functions for."""
    with called(sys.executable, "-I", "-S", Path(__file__).with_name("doer.py")) as process:
        process.does("forks", 1)  # all that has to be imported is, then
        yield process
