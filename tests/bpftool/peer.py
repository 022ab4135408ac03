"""bpftool, which bpfctl speaks like: where it is, and how to run the two side by side."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tests.bpftool import listing
from tests.kernel import command as started
from tests.vm import userland

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# The oldest bpftool that bpfctl must not differ from; older ones know less, and must agree in what they know.
CURRENT = (7, 8)
ENVIRONMENT = started.ENVIRONMENT | {"PYTHONSAFEPATH": "1"}


class Answer(NamedTuple):
    """What a command answered."""

    rc: int
    stdout: bytes
    stderr: bytes


@cache
def bpftools() -> list[str]:
    """Return the bpftools to compare with, the newest first.

    Those in BPFCTL_BPFTOOL, joined by colons, the one that was fetched for guests, and PATH's.
    """
    named = [path for path in os.environ.get("BPFCTL_BPFTOOL", "").split(":") if path]
    if fetched := userland.fetched_bpftool():
        named.append(str(fetched))
    installed = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/local/sbin:/usr/sbin:/sbin")
    found = dict.fromkeys([*named, *([installed] if installed else [])])
    if not found:
        raise FileNotFoundError("bpftool is not installed; on Debian: apt-get install bpftool")
    return sorted(found, key=version, reverse=True)


@cache
def version(tool: str) -> tuple[int, int]:
    """Return a bpftool's version."""
    words = re.search(rb"v(\d+)\.(\d+)", run(tool, "version").stdout)
    assert words, f"{tool} does not say its version"
    return int(words[1]), int(words[2])


def run(tool: str, *args: str | bytes, stdin: int | None = None) -> Answer:
    """Run bpftool, whose descriptor 0 is STDIN's file or nothing."""
    return _run([tool, *args], stdin)


def ours(*args: str | bytes) -> Answer:
    """Run bpfctl in bpftool's voice: as text, and without owners, which Debian's bpftool is built without."""
    return _run([sys.executable, "-m", "bpfctl", "--plain", "--no-owners", *args])


def bpfctl(*args: str | bytes) -> Answer:
    """Run bpfctl as it is."""
    return _run([sys.executable, "-m", "bpfctl", *args])


def inside(*args: str, stdin: int | None = None) -> Answer:
    """Run bpfctl as ``ours`` does, but in this process: in a guest, a start takes longer than a hundred answers."""
    return _captured(lambda: _main(["--plain", "--no-owners", *args]), stdin)


def beside(*args: str) -> Answer:
    """Run bpfctl with owners in a fork of this process, which is then one of them: bpfctl leaves itself out."""

    def forked() -> int:
        child = os.fork()
        if not child:
            code = 254
            try:
                code = _main(["--plain", *args])
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return _captured(forked)


def _main(args: list[str]) -> int:
    from bpfctl.__main__ import run as main
    from bpfctl.render.sink import Sink

    return main(args, Sink(1))


def _captured(command: Callable[[], int], stdin: int | None = None) -> Answer:
    """Run a command that writes to descriptors 1 and 2."""
    files = {fd: os.memfd_create(str(fd)) for fd in (1, 2)}
    given = files if stdin is None else {0: stdin, **files}
    kept = {fd: os.dup(fd) for fd in given}
    try:
        for fd, file in given.items():
            os.dup2(file, fd)
        try:
            rc = command()
        finally:
            for fd, file in kept.items():
                os.dup2(file, fd)
        return Answer(rc, *(os.pread(file, os.fstat(file).st_size, 0) for file in files.values()))
    finally:
        for file in (*files.values(), *kept.values()):
            os.close(file)


def _run(command: list[str | bytes], stdin: int | None = None) -> Answer:
    given = subprocess.DEVNULL if stdin is None else stdin
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, stdin=given, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def batch(file: Path, commands: Iterable[list[str]]) -> list[str]:
    """Write commands to a file, and return the words that run them all."""
    file.write_text("".join(shlex.join(command) + "\n" for command in commands))
    return ["batch", "file", str(file)]


@cache
def listed(tool: str | None, *args: str) -> dict[int, str]:
    """Return what a bpftool lists, or bpfctl where that is None, taken apart; once asked it is kept."""
    return listing.objects(ours(*args) if tool is None else run(tool, *args), args)


def agrees(theirs: object, mine: object) -> bool:
    """Return whether an older bpftool's value is ours, or less: an object of fewer members, a number for a name."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        return all(name in mine and agrees(value, mine[name]) for name, value in theirs.items())
    if isinstance(theirs, list) and isinstance(mine, list):
        return len(theirs) == len(mine) and all(map(agrees, theirs, mine))
    if isinstance(theirs, int) and isinstance(mine, str):
        return True
    return theirs == mine
