"""How long `-j prog list` takes from start to end, beside bare Python and bpftool, with no programs and with 1,000.

Run as root, where the package is installed (not in editable mode, whose import hook alone costs 20 ms):
python benchmarks/startup.py
"""

from __future__ import annotations

import sys

import clock

from bpfctl._sys import calls, programs

PROGRAMS = 1000
SOCKET_FILTER = 1
RETURN_ZERO = bytes.fromhex("b7000000000000009500000000000000")


def commands() -> dict[str, list[str]]:
    found = {
        "bare python": [sys.executable, "-c", "pass"],
        "bpfctl": [clock.BPFCTL, "-j", "prog", "list"],
        "bpfctl --no-owners": [clock.BPFCTL, "-j", "--no-owners", "prog", "list"],
    }
    return found | {name: [file, "-j", "prog", "list"] for name, file in clock.bpftools().items()}


def main() -> None:
    there = sum(1 for _ in _ids())
    print(f"-j prog list with {there} programs")
    print(clock.table(clock.measure(commands()), "bare python"))
    held = [programs.load(SOCKET_FILTER, RETURN_ZERO, name=b"bench").fd for _ in range(PROGRAMS)]
    print(f"\n-j prog list with {there + PROGRAMS} programs")
    print(clock.table(clock.measure(commands()), "bare python"))
    for fd in held:
        fd.close()


def _ids():  # noqa: ANN202
    id_ = 0
    while True:
        try:
            id_ = calls.next_id(calls.PROG_GET_NEXT_ID, id_)
        except FileNotFoundError:
            return
        yield id_


if __name__ == "__main__":
    main()
