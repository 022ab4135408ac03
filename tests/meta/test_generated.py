"""What is generated is fresh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("generator", sorted(file.stem for file in (ROOT / "bpfctl" / "_tools").glob("gen_*.py")))
def test_fresh(generator):
    done = subprocess.run(
        [sys.executable, "-m", f"bpfctl._tools.{generator}", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
