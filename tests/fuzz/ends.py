"""
Signals at random moments: every command, ended while it starts, works or tidies up, and what is left of it counted.

``python -m tests.fuzz.ends 1000 --seed 7`` needs root, and a machine where nobody else makes BPF objects meanwhile.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.probing import until
from tests.kernel.scene import LINES, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = ("prog", "map", "link")  # a BTF lives only as long as one of these or a descriptor does
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
_LONGEST = 0.6  # seconds until the signal comes; most commands have ended by then
_PYTHON = 0.1  # seconds in which Python may start, which now and then loses a Ctrl-C; people press it again
_PATIENCE = 60  # seconds that what has had its signal may take
#: What stands in stderr of a command that has met something it did not expect.
_FAULTS = ("Traceback", "fault of its own", "not complete", "Exception ignored")


def run(count: int, seed: int) -> Counter[int]:
    """End COUNT commands by a signal, and return how often each exit code came; what is wrong is an AssertionError."""
    before = _objects()
    codes: Counter[int] = Counter()
    with Scene() as scene:
        for number in range(count):
            rng = Random(f"{seed} {number}")
            command = rng.choice(list(LINES))
            way = rng.randrange(len(LINES[command]))
            try:
                codes[_round(scene, command, way, rng)] += 1
            except BaseException as error:
                error.add_note(f"round {number} of seed {seed}: {command} {LINES[command][way]}")
                raise
    assert until(lambda: not _new(before)), f"left in the kernel: {sorted(_new(before))}"
    return codes


def _round(scene: Scene, command: str, way: int, rng: Random) -> int:
    number, after = rng.choice(_SIGNALS), rng.random() * _LONGEST
    files = _files(scene)
    with scene.prepared(command, way) as words:
        pipe, environment = subprocess.PIPE, ENVIRONMENT | {"EDITOR": "true"}
        with subprocess.Popen(
            [*BPFCTL, *words], env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        ) as process:
            time.sleep(after)
            process.send_signal(number)
            errors = _end(process, number if after < _PYTHON else None)
        code = process.returncode
        told = errors.decode(errors="replace")
        assert code >= 0 or -code in _SIGNALS, f"{code} after {number.name}: {told}"
        if number != signal.SIGKILL:
            is_of_python = "KeyboardInterrupt" in told and "/bpfctl/" not in told  # which has not come to ours yet
            assert is_of_python or not any(fault in told for fault in _FAULTS), (
                f"{number.name} after {after:.3f} s: {told}"
            )
        left = _files(scene) - files if number != signal.SIGKILL else set()
    if code and left:  # the signal may have come when all was done
        assert left == _whole(scene, command, way), f"{number.name} after {after:.3f} s leaves half: {sorted(left)}"
    return code


def _whole(scene: Scene, command: str, way: int) -> set[tuple[str, int]]:
    """Return what a command leaves when it is let."""
    files = _files(scene)
    with scene.prepared(command, way) as words:
        environment = ENVIRONMENT | {"EDITOR": "true"}
        subprocess.run([*BPFCTL, *words], env=environment, stdin=subprocess.DEVNULL, check=True, timeout=_PATIENCE)
        return _files(scene) - files


def _end(process: subprocess.Popen[bytes], again: signal.Signals | None) -> bytes:
    """Return what a command has written to stderr until its end."""
    try:
        if again is not None:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=_LONGEST * 10)[1]
            process.send_signal(again)
        return process.communicate(timeout=_PATIENCE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _files(scene: Scene) -> set[tuple[str, int]]:
    """Return the pins and files that there are, with their sizes; what is new may be a folder of them."""
    folders = scene.place.bpffs, scene.place.root, scene.place.bpffs / "new"
    return {(str(entry), entry.stat().st_size) for folder in folders if folder.is_dir() for entry in folder.iterdir()}


def _objects() -> dict[str, set[int]]:
    return {kind: set(client.ids(kind)) for kind in _KINDS}


def _new(before: dict[str, set[int]]) -> set[tuple[str, int]]:
    return {(kind, id_) for kind, ids in _objects().items() for id_ in ids - before[kind]}


def main(words: Sequence[str]) -> int:
    """Do what WORDS say, and tell what came of it."""
    parser = argparse.ArgumentParser(description="End commands by signals.", prog="python -m tests.fuzz.ends")
    parser.add_argument("rounds", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    if os.geteuid():
        parser.error("this takes root")
    codes = run(options.rounds, options.seed)
    ends = ", ".join(f"{code} {count} times" for code, count in codes.most_common())
    print(f"{options.rounds} commands of seed {options.seed}: nothing is left of them; exit codes {ends}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
