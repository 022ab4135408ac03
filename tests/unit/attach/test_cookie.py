"""Whether a kernel has cookies, by what it answers to a load."""

from __future__ import annotations

import os
from errno import EINVAL, EMFILE, ENOMEM, EPERM

import pytest

from bpfctl._sys import programs
from bpfctl.attach.cookie import has_cookies


@pytest.mark.parametrize(("errno", "there"), [(EINVAL, False), (EPERM, True), (EMFILE, True), (ENOMEM, True)])
def test_only_one_answer_says_that_there_are_none(errno, there, monkeypatch):
    """Where the kernel has not come so far as to look at the helper, the next load says why."""

    def load(*_args):
        raise programs.LoadError(errno, os.strerror(errno))

    monkeypatch.setattr(programs, "load", load)

    assert has_cookies.__wrapped__() is there
