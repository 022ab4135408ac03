"""The command as its users start it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]
BPFCTL = [sys.executable, "-P", "-m", "bpfctl"]
#: The checkout comes first, before what the guests of another machine have packages in.
_PATH = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
ENVIRONMENT = {**os.environ, "LANG": "C.UTF-8", "PYTHONPATH": _PATH}
ON_TERMINAL = {**ENVIRONMENT, "TERM": "xterm", "NO_COLOR": "1"}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, whatever becomes of it."""
    return subprocess.run([*BPFCTL, *words], env=ENVIRONMENT, capture_output=True, text=True, check=False)


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command that goes on; it is killed if it still runs when the block ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*BPFCTL, *words], env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
