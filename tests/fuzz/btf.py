"""Fuzzes the BTF library, guided by the branches that an input takes.

    python -m tests.fuzz.btf [INPUTS] [--seed S] [--jobs N] [--corpus FOLDER]
    python -m tests.fuzz.btf --again FILE

Inputs are mutations of small BTFs and ELF files; over many of them, the library is used in every way that it has. What
must hold:

* nothing but BTFError is ever raised;
* no input takes a second of CPU time, and none 256 MiB of memory, branches counted along.

It ends with how many there were, the longest time, and the most memory of a process, interpreter and all. The first
failure ends the run, and is kept in a file that --again reads. Needs atheris (pip install bpfctl[fuzz]).
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECONDS = 1.0
BYTES = 256 << 20
LONGEST = 4096  # bytes of an input
_PAGE = resource.getpagesize()


class TooMuchError(Exception):
    """An input takes longer than any may."""


def limited(use: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return what uses an input within the limits; MemoryError or TooMuchError when it does not.

    Each input that takes longer than all before is told of.
    """
    longest = 0.0

    def used(data: bytes) -> None:
        nonlocal longest
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * _PAGE + BYTES, resource.RLIM_INFINITY))
        started = time.process_time()
        use(data)
        took = time.process_time() - started
        if took > SECONDS:
            raise TooMuchError(f"{took:.1f} s for {len(data)} bytes")
        if took > longest:
            longest = took
            print(f"longest: {took:.3f} s, {len(data)} bytes", file=sys.stderr, flush=True)

    return used


def fuzz(words: Sequence[str]) -> None:
    """Fuzz in this process, as libFuzzer's WORDS say; never returns."""
    import atheris
    from atheris.import_hook import HookManager

    # as instrument_imports() does, but without a record of each comparison: our mutations need no hints
    with HookManager({"btf"}, set(), enable_loader_override=True, trace_dataflow=False):
        from tests.fuzz.every_use import exercise
    from tests.fuzz.mutation import mutate

    def changed(data: bytes, longest: int, seed: int) -> bytes:
        return mutate(bytes(data), longest, seed, atheris.Mutate)

    atheris.Setup([sys.argv[0], *words], limited(exercise), custom_mutator=changed)
    atheris.Fuzz()


def main(words: Sequence[str]) -> int:
    """Do what WORDS say: start the fuzzing processes, and tell what they did."""
    parser = argparse.ArgumentParser(description="Fuzz the BTF library.", prog="python -m tests.fuzz.btf")
    parser.add_argument("inputs", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--corpus", type=Path, help="keep inputs there that take other ways; default: forget them")
    parser.add_argument("--again", type=Path, metavar="FILE", help="use one input as it is")
    options = parser.parse_args(words)
    if options.again:
        from tests.fuzz.every_use import exercise

        limited(exercise)(options.again.read_bytes())
        return 0
    with tempfile.TemporaryDirectory(prefix="bpfctl-fuzz-") as folder:
        seeds, corpus = Path(folder, "seeds"), options.corpus or Path(folder, "corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        _write_seeds(seeds, options.seed)
        started = time.monotonic()
        workers = [_start(corpus, seeds, options, job, Path(folder)) for job in range(options.jobs)]
        ends = [os.wait4(worker.pid, 0) for worker in workers]
        seconds = time.monotonic() - started
        logs = [Path(folder, f"{job}.log").read_text(errors="replace") for job in range(options.jobs)]
    codes = [os.waitstatus_to_exitcode(status) for _, status, _ in ends]
    return _tell(logs, codes, seconds, max(usage.ru_maxrss for *_, usage in ends))


def _write_seeds(folder: Path, seed: int) -> None:
    from tests.fuzz.sound import seeds

    folder.mkdir()
    for number, data in enumerate(seeds(seed)):
        (folder / f"{number:03}").write_bytes(data)


def _start(corpus: Path, seeds: Path, options: argparse.Namespace, job: int, folder: Path) -> subprocess.Popen[bytes]:
    words = (
        f"-atheris_runs={options.inputs // options.jobs}",
        f"-seed={options.seed * 1000 + job}",
        f"-max_len={LONGEST}",
        "-len_control=0",
        "-rss_limit_mb=0",  # we have a stricter one
        "-timeout=60",
        "-report_slow_units=60",  # by the clock, which other processes make slow; we count CPU time
        f"-artifact_prefix={Path.cwd()}/fuzz-",
        "-reload=10",
    )
    with Path(folder, f"{job}.log").open("wb") as log:
        code = "import sys; from tests.fuzz.btf import fuzz; fuzz(sys.argv[1:])"
        command = [sys.executable, "-c", code, *words, str(corpus), str(seeds)]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _tell(logs: Sequence[str], codes: Sequence[int], seconds: float, most: int) -> int:
    done, branches, longest = 0, 0, 0.0
    for log, code in zip(logs, codes, strict=True):
        if code:
            print(log[-6000:], file=sys.stderr)
        for number, covered in re.findall(r"^#(\d+)\s.*cov: (\d+)", log, re.MULTILINE)[-1:]:
            done += int(number)
            branches = max(branches, int(covered))
        longest = max(longest, *map(float, re.findall(r"^longest: ([\d.]+)", log, re.MULTILINE)))
    verdict = "one wrong" if any(codes) else "none wrong" if done else "which is none"
    print(f"{done:,} inputs, {verdict}, {done / seconds:.0f} a second, {branches:,} branches covered")
    print(f"longest input {longest:.3f} s of CPU time, most memory of a process {most / 1024:.0f} MiB")
    return int(any(codes) or not done)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
