"""A copy of the tests without what they test, so that they meet an installed bpfctl and never the checkout's."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What tests read: themselves, their settings, and documents whose examples they run.
READ = ("tests", "docs", "README.md", "pyproject.toml")


def copy_tests(place: Path) -> Path:
    """Copy the tests into a folder that is made for them, and return it."""
    place.mkdir(parents=True)
    for name in READ:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place)
    return place
