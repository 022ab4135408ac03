"""How long a map of 1,000,000 entries takes to be restored, beside a loop of single updates and bpftool's batch file.

python benchmarks/map_restore.py [ENTRIES]

Needs root, and 400 MB of room for temporary files. Each writes entries with keys of 8 bytes and values of 16 into an
empty hash map. The loop has its entries in memory already and makes the same system call as bpfctl does; it and bpftool
write a tenth of the entries, and their time is multiplied.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import clock

from bpfctl import Map, MapType
from bpfctl._sys import maps

# The kernel remembers the peak of a process beyond exec(), so that of the parent would count: VmHWM begins anew.
_PROGRAM = """
import sys
from bpfctl.__main__ import main
code = main()
with open("/proc/self/status") as file:
    sys.stderr.write(file.read())
sys.exit(code)
"""
_PART = 10
_RUNS = 3


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, Map.create(MapType.HASH, 8, 16, count, name="restored") as map_:
        saved, lines = Path(folder, "saved.json"), Path(folder, "batch")
        entries = [(number.to_bytes(8, "little"), rng.randbytes(16)) for number in range(count)]
        with saved.open("w") as file:
            file.write(
                "[" + ",".join(f'{{"key":{_array(key)},"value":{_array(value)}}}' for key, value in entries) + "]\n"
            )
        some = entries[: count // _PART]
        words = ["map", "update", "id", str(map_.info().id)]
        with lines.open("w") as file:
            for key, value in some:
                file.write(f"{' '.join(words)} key hex {key.hex(' ')} value hex {value.hex(' ')}\n")
        print(f"{count} entries, {saved.stat().st_size / 1e6:.0f} MB of JSON")
        command = [sys.executable, "-Pc", _PROGRAM, "map", "restore", *words[2:], str(saved)]
        restored = min(_run(map_, command) for _ in range(_RUNS))
        peak = int(restored[1].partition("VmHWM:")[2].split()[0])
        print(f"bpfctl map restore     {restored[0]:8.2f} s   peak memory {peak / 1024:.1f} MiB")
        singles = min(_singles(map_, some) for _ in range(_RUNS)) * _PART
        print(f"loop of single updates {singles:8.2f} s   {singles / restored[0]:.1f} times as long")
        for name, tool in clock.bpftools().items():
            took = _run(map_, [tool, "batch", "file", str(lines)])[0] * _PART
            print(f"{name + ' batch':22} {took:8.2f} s   {took / restored[0]:.1f} times as long")


def _array(data: bytes) -> str:
    return '["' + '","'.join(f"0x{byte:02x}" for byte in data) + '"]'


def _empty(map_: Map) -> None:
    for key in list(map_.keys()):
        maps.delete(map_.fileno(), key)


def _run(map_: Map, command: list[str]) -> tuple[float, str]:
    """Return how long a command takes that writes into an empty map, and what it says on stderr."""
    _empty(map_)
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    took = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with exit code {done.returncode}: {done.stderr.decode()}")
    return took, done.stderr.decode()


def _singles(map_: Map, entries: list[tuple[bytes, bytes]]) -> float:
    _empty(map_)
    fd, update = map_.fileno(), maps.update
    start = time.perf_counter()
    for key, value in entries:
        update(fd, key, value)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
