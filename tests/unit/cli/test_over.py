"""Commands that end with a process: what is said where it cannot be watched."""

from __future__ import annotations

import os
from errno import EINVAL, EMFILE, ENOENT, ENOSYS, ESRCH

import pytest

from bpfctl.cli.over import over_with
from bpfctl.errors import KernelError, NotFound


def _answering(monkeypatch, errno):
    def pidfd_open(_pid):
        raise OSError(errno, os.strerror(errno))

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)


@pytest.mark.parametrize(
    ("errno", "kind", "sentence"),
    [
        (ESRCH, NotFound, "there is no process 7"),
        (EINVAL, NotFound, "7 is a thread, and no process"),
        (ENOENT, NotFound, "7 is a thread, and no process"),
        (EMFILE, KernelError, "can't watch process 7: Too many open files"),
    ],
)
def test_what_the_kernel_answers(monkeypatch, errno, kind, sentence):
    _answering(monkeypatch, errno)

    with pytest.raises(kind) as caught, over_with(7):
        pass

    assert str(caught.value) == sentence


def test_a_kernel_that_cannot_watch(monkeypatch):
    _answering(monkeypatch, ENOSYS)

    with over_with(7) as is_over:
        assert not is_over()
