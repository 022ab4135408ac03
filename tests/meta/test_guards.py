"""What is watched beside every test: it is seen to bark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest

ROOT = Path(__file__).parents[2]
GUARDED = """
import os

def test_culprit():
    os.close({fd})
    {then}

def test_that_comes_after():
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    assert fd > 2
"""


def test_a_process_that_outlives_what_has_started_it():
    """It is known for one of the tests', and the machine's first is none."""
    shell = subprocess.run(
        ["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
    )
    orphan = int(shell.stdout)
    try:
        assert conftest._is_ours(orphan)
        assert not conftest._is_ours(1)
    finally:
        os.kill(orphan, signal.SIGKILL)


@pytest.mark.parametrize("then", ["pass", "os.open('/', os.O_RDONLY)"])
@pytest.mark.parametrize("fd", [0, 1, 2])
def test_a_test_that_closes_a_stream(tmp_path, fd, then):
    """It fails, and none after it."""
    (tmp_path / "test_guarded.py").write_text(GUARDED.format(fd=fd, then=then))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-q", "-c", os.devnull, "--rootdir", tmp_path]
    done = subprocess.run([*command, tmp_path], env=environment, capture_output=True, text=True, check=False)

    assert f"closed the streams of all tests: {fd}" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
