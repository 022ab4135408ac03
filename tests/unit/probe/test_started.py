"""Which calls of a thread are over though they have not returned."""

from __future__ import annotations

import pytest

from bpfctl.probe.started import left

KERNEL = 0xFFFFC90000000000


@pytest.mark.parametrize(
    ("calls", "last", "over"),
    [
        ([], None, 0),
        ([(1, 100)], None, 0),
        ([(1, 300), (2, 200), (3, 100)], None, 0),  # each within the one before
        ([(1, 100), (2, 200)], None, 1),  # the second began where the first has its callers
        ([(1, 100), (2, 50), (3, 200)], None, 2),
        ([(1, 100)], (2, 200), 1),  # a call around it has returned since
        ([(1, 100)], (2, 60), 0),  # a call within it has
        ([(3, 100)], (2, 200), 0),  # or one before it
        ([(1, 100), (2, 100 + (1 << 20))], None, 0),  # another stack, such as that of a signal
        ([(1, KERNEL), (2, KERNEL + (20 << 10))], None, 0),  # as of an interrupt
        ([(1, KERNEL), (2, KERNEL + 64)], None, 1),
    ],
)
def test_calls_that_are_over(calls, last, over):
    assert left(calls, last) == over
