"""How fast 10,000 stacks of 30 addresses, half of them in the kernel, get their names, and in how much memory.

The process is this one: it has Python, its libraries, and a program mapped whose debug file has 500 MB and half a
million functions of C, C++ and Rust. Once the stacks have as many different addresses as a busy machine has, and once
all addresses are different. addr2line gets the same addresses of the large file. Run as root:
python benchmarks/symbols.py
"""

from __future__ import annotations

import mmap
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[1]
if str(CHECKOUT) not in sys.path:
    sys.path.append(str(CHECKOUT))  # behind what is installed

from bpfctl.symbols import space  # noqa: E402
from bpfctl.symbols.kernel import Kernel  # noqa: E402
from bpfctl.symbols.user import Users  # noqa: E402
from tests.build import large  # noqa: E402

STACKS, DEPTH = 10_000, 15  # calls in the kernel, and as many in the process
FUNCTIONS, BYTES = 500_000, 500 << 20
CALL_SITES = 20_000  # different addresses of a busy machine
FOR_OTHERS = 500  # addresses that addr2line gets: it takes 20 ms for each


def peak() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def stacks(places: list[tuple[int, int]], sites: int) -> list[list[int]]:
    """Return stacks of addresses in these areas; of so many different ones, or of none twice."""
    chosen = random.Random(1)
    sizes = list(accumulate(end - start for start, end in places))

    def address() -> int:
        start, end = chosen.choices(places, cum_weights=sizes)[0]
        return chosen.randrange(start, end)

    known = [address() for _ in range(sites)]
    return [[chosen.choice(known) if sites else address() for _ in range(DEPTH)] for _ in range(STACKS)]


def kernel_text() -> list[tuple[int, int]]:
    """Return where the functions of the kernel lie, their first bytes alone."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        starts = [int(address, 16) for address, kind, *_ in map(str.split, file) if kind in "tT"]
    return [(start + 1, start + 16) for start in starts]


def expected(users: Users, found: list[list[int]]) -> Iterator[list[int]]:
    """Yield stacks that have been looked up some hundred at once, as bpfctl probe stacks does."""
    left = iter(found)
    while some := list(islice(left, 500)):
        users.expect((os.getpid(), stack) for stack in some)
        yield from some


def run(what: str, sites: int) -> None:
    """Time one kind of stacks in a process of its own, and print what it took."""
    if os.fork():
        if os.waitstatus_to_exitcode(os.wait()[1]):
            raise SystemExit(1)
        return
    mapped = Path("/proc/self/maps").read_bytes()
    user = stacks([(one.start, one.end) for one in space.parse(mapped) if one.is_file], sites)
    kernel = stacks(kernel_text(), sites)
    before = peak()
    start, cpu = time.perf_counter(), time.process_time()
    with Users() as users:
        names = Kernel()
        users.follow()
        began = time.perf_counter()
        found = sum(bool(frame.name) for stack in expected(users, user) for frame in users.frames(os.getpid(), stack))
        middle = time.perf_counter()
        found += sum(bool(frame.name) for stack in kernel for frame in names.frames(stack))
        end = time.perf_counter()
        used = time.process_time() - cpu
    share = found / (2 * STACKS * DEPTH)
    print(
        f"{what:28} {end - start:6.2f} s ({used:.2f} of this process's CPU): to follow {began - start:.3f}, "
        f"process {middle - began:.2f}, kernel {end - middle:.2f}; "
        f"{share:.0%} named; peak {peak():.0f} MiB, of which {before:.0f} before",
        flush=True,
    )
    os._exit(0)


def beside(path: Path) -> None:
    """Time addr2line for some addresses of the large file alone."""
    chosen = random.Random(1)
    words = "\n".join(hex(4096 + chosen.randrange(FUNCTIONS) * large.SIZE + 8) for _ in range(FOR_OTHERS))
    start = time.perf_counter()
    subprocess.run(["addr2line", "-Cfe", path], input=words, text=True, stdout=subprocess.DEVNULL, check=True)
    took = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"addr2line, {FOR_OTHERS} addresses     {took:6.2f} s; peak {most:.0f} MiB")


def main() -> None:
    """Print what each takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = large.write(Path(folder), FUNCTIONS, BYTES)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            kept = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
        run(f"{CALL_SITES:,} different addresses", CALL_SITES)
        run("all addresses different", 0)
        kept.close()
        beside(path.with_suffix(".debug"))


if __name__ == "__main__":
    main()
