"""``python -m release.test_wheel [WHEEL] [PYTEST WORDS]``: the tests against what users install.

The wheel, which is built if none is named, goes with the extra ``test`` into a fresh environment of the Python that
runs this. A copy of the tests runs in it, so that nothing of this checkout can be imported by chance.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from tests.apart import copy_tests

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
_PROVED = "import bpfctl, btf, sys; exit(not all(each.__file__.startswith(sys.prefix) for each in (bpfctl, btf)))"


def main(words: Sequence[str]) -> int:
    """Run the tests and return pytest's exit code; CalledProcessError if they cannot be run."""
    named = [Path(word).resolve() for word in words if word.endswith(".whl")]
    words = [word for word in words if not word.endswith(".whl")] or ["tests/kernel", "tests/bpftool"]
    with tempfile.TemporaryDirectory(prefix="bpfctl-test-") as work:
        Path(work).chmod(0o755)  # some tests run bpfctl as an ordinary user
        wheel = named[0] if named else built(Path(work, "wheel"))
        python = environment(wheel, Path(work, "venv"))
        place = copy_tests(Path(work, "tests"))
        subprocess.run([python, "-c", _PROVED], cwd=place, check=True)
        path = f"{python.parent}:{os.environ['PATH']}"
        peer = os.environ.get("BPFCTL_BPFTOOL") or _output(sys.executable, "-m", "tests.vm", "bpftool", cwd=ROOT)
        variables = {**os.environ, "PATH": path, "BPFCTL_BPFTOOL": peer}
        command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *words]
        return subprocess.run(command, cwd=place, env=variables, check=False).returncode


def environment(wheel: Path, folder: Path) -> Path:
    """Make an environment with a wheel and what its tests need; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[test]"], check=True)
    return python


def built(folder: Path) -> Path:
    """Build a wheel for this machine in a folder and return it."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _output(*command: str | Path, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
