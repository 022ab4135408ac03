"""The source distribution and the wheel, which are built once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Copy what git knows, so that nothing else can get into what is built; where there is no git, it is all."""
    folder = tmp_path_factory.mktemp("source")
    command = ["git", "ls-files", "-z"] if (ROOT / ".git").exists() else ["find", "-type", "f", "-printf", "%P\\0"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="session")
def sdist(source, tmp_path_factory):
    """Build the source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, "-c", _SDIST, folder], cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory):
    """Build a wheel as pip does from the source distribution, which so proves to be complete."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, sdist], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built
