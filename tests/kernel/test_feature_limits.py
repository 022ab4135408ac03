"""bpfctl feature probe where little memory may be locked, which kernels before 5.11 charge objects to.

The limit is of all that a user has, so nothing lives beside these tests.
"""

from __future__ import annotations

import json
import resource

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


def test_root_raises_the_limit():
    plenty, little = (hardship.bpfctl("-j", "feature", "probe", hardship=place) for place in (None, tight))

    assert (little.code, little.err) == (0, "")
    assert json.loads(little.out) == json.loads(plenty.out)


def test_who_may_not_raise_it_is_told_nothing_wrong():
    """Old kernels give back late what objects were charged, so that not even small ones can be made one by one."""
    truth, found = answers(report()), report(tighter)
    said = answers(found)
    reasons = {row.get("reason") for row in found["map_types"] if row["available"] is None}

    assert {name: answer for name, answer in said.items() if answer is not None and answer is not truth[name]} == {}
    assert all("RLIMIT_MEMLOCK" in reason for reason in reasons)
