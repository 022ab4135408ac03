"""
Damaged object files: each is loaded and let go, or refused with a sentence, and no descriptor stays.

``python -m tests.fuzz.objects 100000 --seed 7`` needs the rights to load programs, and clang for the sound objects.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.elf.read import read
from bpfctl.errors import BpfctlError
from bpfctl.feature.check import check
from bpfctl.feature.here import Here
from bpfctl.feature.running import Running
from bpfctl.load.object import Loaded
from tests.build.compiled import everything

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = 64  # bytes of an ELF file that are left as they are, as hardly any change of them is read any further
_EDGES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 1 << 31, 0xFFFFFFFF)


class Outcome(NamedTuple):
    """What came of the inputs: how many the kernel took, and the sentences that the others were refused with."""

    loaded: int
    sentences: frozenset[str]


def run(count: int, seed: int) -> Outcome:
    """Load COUNT damaged objects; an error that is not bpfctl's own has a note that tells how to have it again."""
    sound = {name: path.read_bytes() for name, path in sorted(everything().items()) if name != "large"}
    here, running = Here(), Running()
    loaded, told = 0, set()
    for number in range(count):
        rng = Random(f"{seed} {number}")
        name = rng.choice(list(sound))
        files = len(os.listdir("/proc/self/fd"))
        try:
            data = damaged(rng, sound[name])
            check(data, running)
            Loaded(read(data), here).close()
            loaded += 1
        except BpfctlError as error:
            told.add(error.sentence)
        except BaseException as error:
            error.add_note(f"input {number} of seed {seed}, made from {name}")
            raise
        assert "" not in told, f"nothing is said of input {number} of seed {seed}"
        assert len(os.listdir("/proc/self/fd")) == files, f"input {number} of seed {seed} leaves files open"
    return Outcome(loaded, frozenset(told))


def damaged(rng: Random, data: bytes) -> bytes:
    """Return an object with some bytes or words that are others, and now and then without its end."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(_HEADER, len(changed) - 4)
        if rng.random() < 0.6:
            changed[at] = rng.choice((0, 1, 255, changed[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
        else:
            word = rng.choice((*_EDGES, rng.randrange(64), rng.randrange(len(data))))
            changed[at & ~3 : (at & ~3) + 4] = word.to_bytes(4, "little")
    return bytes(changed[: rng.randrange(_HEADER, len(changed))] if rng.random() < 0.02 else changed)


def main(words: Sequence[str]) -> int:
    """Do what WORDS say, and tell what came of it."""
    parser = argparse.ArgumentParser(description="Fuzz the loader of objects.", prog="python -m tests.fuzz.objects")
    parser.add_argument("inputs", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    started = time.monotonic()
    outcome = run(options.inputs, options.seed)
    rate = options.inputs / (time.monotonic() - started)
    print(f"{options.inputs:,} inputs of seed {options.seed}, none wrong, {rate:.0f} a second")
    print(f"{outcome.loaded:,} loaded, the others refused with {len(outcome.sentences):,} sentences")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
