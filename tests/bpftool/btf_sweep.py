"""Compares all that the BTF library writes with bpftool, over every BTF that is to be found here.

    python -m tests.bpftool.btf_sweep [--kernel K ...] [--forms FORM,...] [--sample N] [FOLDER ...]

That is: the running kernel's files and objects, vmlinux and all modules of the kernels in the guests' cache, and
modules in any FOLDER, which are read over the vmlinux of the one --kernel. Each blob is dumped in all forms by the
newest bpftool of BPFCTL_BPFTOOL, by default the one that guests use, and by us in this process:

    c          the C header, of a module with all types of its kernel
    unsorted   the same with types in order of their ids
    raw        one line for each type and member
    json       -j and -p
    roundtrip  read, and written again by btf.write.Builder: the same bytes with the strings in the blob's order; it is
               counted how often they also come in the builder's own order
    compile    of vmlinux alone: what gcc, clang and clang -target bpf say about our header and about bpftool's

The exit code is 1 if anything differs. A sweep over all modules takes hours, most of them in bpftool, whose header of a
module has 2.7 MB; --sample and --seed choose some of each kernel.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Self

from bpfctl.render.json import dumps
from btf import dump_raw
from btf.dump_c import header
from btf.errors import BTFError
from btf.read import BTF
from btf.write import Builder
from tests.bpftool import blobs, peer
from tests.vm import kernels, userland

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

FORMS = ("c", "unsorted", "raw", "json", "roundtrip", "compile")
COMPILERS = (("gcc",), ("clang",), ("clang", "-target", "bpf"))
_OWN_ORDER, _KEPT = "strings in the builder's order", "strings in the blob's order"
_TWICE = "other bytes, the same types: some strings stand twice"  # which no kernel's do


class Form(NamedTuple):
    """One thing to compare: bpftool's options and last words, and what writes ours."""

    name: str
    options: tuple[str, ...]
    words: tuple[str, ...]
    ours: Callable[[BTF], Iterable[str]]


DUMPS = {
    "c": (Form("format c", (), ("format", "c"), header),),
    "unsorted": (Form("format c unsorted", (), ("format", "c", "unsorted"), lambda btf: header(btf, sort=False)),),
    "raw": (Form("raw", (), (), dump_raw.text),),
    "json": (
        Form("-j", ("-j",), (), lambda btf: (*dump_raw.json(btf, quote=dumps), "\n")),
        Form("-p", ("-p",), (), lambda btf: (*dump_raw.json(btf, quote=dumps, pretty=True), "\n")),
    ),
}


class Verdict(NamedTuple):
    """What came of one blob; ``notes`` are counted and shown."""

    name: str
    compared: int = 0  # 0: there is no BTF
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Sweep:
    """Compares the blobs of one kernel in some forms; a with statement keeps the files that bpftool reads."""

    def __init__(self, kernel: blobs.Kernel, forms: Sequence[str]) -> None:
        self.forms = forms
        self._tool = peer.bpftools()[0]
        self._base = BTF.from_bytes(kernel.vmlinux)
        self._folder = tempfile.TemporaryDirectory(prefix="bpfctl-btf-")
        self._base_file = Path(self._folder.name, "vmlinux")
        self._base_file.write_bytes(kernel.vmlinux)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def compare(self, source: blobs.Source) -> Verdict:
        """Compare one blob in all forms."""
        data = source.read()
        if data is None:
            return Verdict(source.name)
        base = self._base if source.over else None
        file = Path(self._folder.name, str(os.getpid()))
        file.write_bytes(data)
        where = ("id", str(source.place)) if isinstance(source.place, int) else ("file", str(file))
        compared, differences, notes, headers = 0, [], [], None
        for form in (form for name in self.forms for form in DUMPS.get(name, ())):
            options = (*form.options, *(("-B", str(self._base_file)) if source.over else ()))
            theirs = dumped(self._tool, *options, "btf", "dump", *where, *form.words)
            if theirs is None and source.read() is None:
                return Verdict(source.name)  # the object ended meanwhile
            mine = written(form, data, base)
            compared += 1
            if mine != theirs:
                differences.append(f"{form.name}: {first_difference(mine, theirs)}")
            if form.words == ("format", "c"):
                headers = mine, theirs
        if "roundtrip" in self.forms:
            compared += 1
            (notes if (how := round_trip(data, base)) in (_OWN_ORDER, _KEPT, _TWICE) else differences).append(how)
        if "compile" in self.forms and source.name == "vmlinux":
            mine, theirs = headers or (
                written(DUMPS["c"][0], data, base),
                dumped(self._tool, "btf", "dump", *where, "format", "c"),
            )
            for compiler in COMPILERS:
                compared += 1
                said, of_theirs = (diagnostics(compiler, text or b"") for text in (mine, theirs))
                notes.append(f"{' '.join(compiler)}: {summary(said)}")
                if said != of_theirs:
                    differences.append(f"{notes[-1]}; of bpftool's header: {summary(of_theirs)}")
        file.unlink()
        return Verdict(source.name, compared, tuple(differences), tuple(notes))


def dumped(*command: str) -> bytes | None:
    """Return what bpftool writes, None when it fails: into memory, as a pipe takes as long as the dump itself."""
    with os.fdopen(os.memfd_create("dump"), "r+b") as out:
        quiet = subprocess.DEVNULL
        done = subprocess.run(command, stdin=quiet, stdout=out, stderr=quiet, env=peer.ENVIRONMENT, check=False)
        out.seek(0)
        return None if done.returncode else out.read()


def written(form: Form, data: bytes, base: BTF | None) -> bytes | None:
    """Return what we write of a blob; None when we refuse it."""
    try:
        return "".join(form.ours(BTF.from_bytes(data, base))).encode(errors="surrogateescape")
    except BTFError:
        return None


def round_trip(data: bytes, base: BTF | None) -> str:
    """Read a blob, write it again, and say how the bytes come to be the same, or that they are not."""
    btf = BTF.from_bytes(data, base)
    for strings, how in ((b"", _OWN_ORDER), (btf.strings, _KEPT)):
        builder = Builder(byteorder=btf.byteorder, base=base, reuse=base is not None, strings=strings)
        for of in btf:
            builder.add_type(of)
        again = builder.build(layout=int.from_bytes(data[4:8], btf.byteorder) > 24)
        if again == data:
            return how
    same, names = list(BTF.from_bytes(again, base)) == list(btf), btf.strings.split(b"\0")[:-1]
    if same and len(set(names)) < len(names):
        return _TWICE
    return f"round trip: other bytes, {'the same' if same else 'other'} types"


def first_difference(mine: bytes | None, theirs: bytes | None) -> str:
    """Say where two texts part."""
    if mine is None or theirs is None:
        return f"only {'bpftool' if mine is None else 'btf'} takes it"
    for number, lines in enumerate(zip_longest(mine.splitlines(), theirs.splitlines()), 1):
        if lines[0] != lines[1]:
            return f"line {number}: {lines[0]!r}, bpftool {lines[1]!r}"
    return "in the ends of lines"


@cache
def diagnostics(compiler: tuple[str, ...], text: bytes) -> str:
    """Return what a compiler says about a header; the same text is compiled once."""
    words = [*compiler, "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(words, input=text, capture_output=True, check=False).stderr.decode(errors="replace")


def summary(said: str) -> str:
    """Count errors and warnings."""
    return f"{said.count(': error: ')} errors, {said.count(': warning: ')} warnings"


_mine: Sweep  # what a worker was forked with


def _start(shared: Sweep) -> None:
    global _mine  # noqa: PLW0603 - a worker has one sweep
    _mine = shared


def _compare(source: blobs.Source) -> Verdict:
    return _mine.compare(source)


def sweep(kernel: blobs.Kernel, forms: Sequence[str], jobs: int = 1) -> Iterator[Verdict]:
    """Compare all blobs of a kernel, several at a time."""
    fork = multiprocessing.get_context("fork")  # workers share the kernel's own types
    with Sweep(kernel, forms) as shared, fork.Pool(jobs, _start, (shared,)) as pool:
        yield from pool.imap_unordered(_compare, kernel.sources)


def sampled(kernel: blobs.Kernel, number: int | None, seed: int) -> blobs.Kernel:
    """Return a kernel with NUMBER of its split BTFs, chosen by chance, and all that stand alone."""
    whole = [source for source in kernel.sources if not source.over]
    split = [source for source in kernel.sources if source.over]
    if number is not None and number < len(split):
        split = Random(seed).sample(split, number)
    return kernel._replace(sources=(*whole, *split))


def main(words: Sequence[str]) -> int:
    """Do what WORDS say."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bpftool.btf_sweep", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = ["running", *kernels.TABLE]
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--kernel", action="append", choices=names, help="default: all that are here")
    parser.add_argument("--forms", type=lambda text: text.split(","), default=list(FORMS), metavar="FORM,...")
    parser.add_argument("--sample", type=int, metavar="N", help="modules of each kernel; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(words)
    if unknown := set(options.forms) - set(FORMS):
        parser.error(f"no such form: {', '.join(sorted(unknown))}")
    if options.folders and len(options.kernel or ()) != 1:
        parser.error("modules in a folder need the one --kernel that they belong to")
    os.environ.setdefault("BPFCTL_BPFTOOL", str(userland.bpftool()))
    totals: Counter[str] = Counter()
    for name in options.kernel or names:
        kernel = find(name)
        if kernel is None:
            print(f"{name}: not here, or without BTF")
            continue
        if options.folders:
            found = (source for folder in options.folders for source in blobs.modules(folder))
            kernel = kernel._replace(sources=tuple(found))
        totals += report(sampled(kernel, options.sample, options.seed), options.forms, options.jobs)
    print(told(totals))
    return int(totals["differing"] > 0)


def find(name: str) -> blobs.Kernel | None:
    """Return the kernel of a name, if it is here."""
    if name == "running":
        return blobs.running()
    return blobs.cached(name, kernels.TABLE[name].folder) if kernels.TABLE[name].fetched else None


def report(kernel: blobs.Kernel, forms: Sequence[str], jobs: int) -> Counter[str]:
    """Compare all blobs of a kernel; print differences at once, and then how many there were."""
    totals: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    started = time.monotonic()
    for number, verdict in enumerate(sweep(kernel, forms, jobs), 1):
        for difference in verdict.differences:
            print(f"{kernel.name} {verdict.name} differs: {difference}", flush=True)
        totals["blobs"] += verdict.compared > 0
        totals["compared"] += verdict.compared
        totals["differing"] += bool(verdict.differences)
        notes.update(verdict.notes)
        if not number % 100:
            seconds = time.monotonic() - started
            print(f"  {number} of {len(kernel.sources)} in {seconds:.0f} s", file=sys.stderr, flush=True)
    without = f"{len(kernel.sources) - totals['blobs']:,} files without BTF"
    print(f"{kernel.name}: {told(totals)} ({without})")
    for note, count in sorted(notes.items()):
        print(f"  {count:,} x {note}")
    sys.stdout.flush()
    return totals


def told(totals: Counter[str]) -> str:
    """Say how much was compared, and how much of it differs."""
    return f"{totals['blobs']:,} blobs, {totals['compared']:,} comparisons, {totals['differing']:,} blobs differ"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
