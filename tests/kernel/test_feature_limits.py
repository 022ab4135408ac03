"""bpfctl feature probe where little memory may be locked, which kernels before 5.11 charge objects to.

The limit is of all that a user has, so nothing lives beside these tests.
"""

from __future__ import annotations

import json
import resource

import pytest

from bpfctl._sys import task
from tests.kernel import hardship
from tests.kernel.asked import answers, report


def tight():
    """Lock 64 KiB at most, as far as root cannot help it."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 16, 1 << 16))


def tighter():
    """Lock 64 KiB at most, without the right to lock more."""
    tight()
    cap_sys_resource = 24
    task.set_effective_capabilities(task.effective_capabilities() & ~(1 << cap_sys_resource))


@pytest.mark.parametrize("limit", [tight, tighter])
def test_under_a_tight_memlock_limit(limit):
    """Kernels before 5.11 charge programs and maps against it; root may raise it."""
    plenty, little = (hardship.bpfctl("-j", "feature", "probe", hardship=place) for place in (None, limit))

    assert (little.code, little.err) == (0, "")
    assert json.loads(little.out) == json.loads(plenty.out)


def test_a_report_under_a_tight_memlock_limit():
    """A program as long as can be takes eight megabytes, and so cannot be asked for."""
    truth, said = answers(report()), answers(report(tighter))
    others = {name: answer for name, answer in said.items() if answer is not truth[name]}

    assert others in ({}, {("limits", "one million instructions"): None})
