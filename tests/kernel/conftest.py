"""What several test modules of this folder start from."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from tests.kernel.asked import answers, report
from tests.kernel.zoo import Zoo


@pytest.fixture(scope="module")
def zoo():
    """All that lives."""
    with Zoo() as place:
        yield place


@pytest.fixture(scope="module")
def told():
    """What the full report answers, by group and name."""
    return answers(report())


@pytest.fixture
def held():
    """Keep descriptors, which are closed at the end."""
    with ExitStack() as stack:

        def keep(fd):
            stack.callback(os.close, fd)
            return fd

        yield keep
