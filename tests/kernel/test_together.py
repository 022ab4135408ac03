"""Pins that are made all, or not at all; and maps that objects want pinned by their names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bpfctl.errors import KernelError, UsageError
from bpfctl.kernel.map import Map
from bpfctl.kernel.prog import Program
from bpfctl.kernel.together import together
from bpfctl.uapi.enums import MapType
from tests.build.compiled import source
from tests.kernel.command import ENVIRONMENT, run
from tests.kernel.place import Place, mount

BY_NAME = """#include "bpf.h"
struct { __uint(type, %d); __type(key, u32); __type(value, u64); __uint(max_entries, 3); __uint(pinning, 1); }
counts SEC(".maps");
SEC("tc") int one(void *context)
{ u32 key = 0; u64 *found = map_lookup_elem(&counts, &key); return found ? %s : 0; }
LICENSE("GPL");"""

#: bpfctl, which sends itself a signal after so many system calls.
STOPPED = """
import os, sys
from bpfctl._sys import calls
from bpfctl.__main__ import main
left, number = (int(sys.argv.pop(1)) for _ in range(2))
def trace(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), number)
calls.set_trace(trace)
sys.exit(main())
"""


@pytest.fixture(scope="module")
def place():
    with Place() as place:
        mount("bpf", Path("/sys/fs/bpf"))
        yield place


@pytest.fixture
def map_():
    with Map.create(MapType.ARRAY, 4, 4, 1, name="one") as one:
        yield one


def mounts():
    return Path("/proc/self/mountinfo").read_text()


def everything(pins, map_, place):
    """Make pins of all kinds."""
    plain, over = place.root / "plain", place.root / "over"
    for folder in (plain, over):
        folder.mkdir(exist_ok=True)
    pins.file(map_, str(place.bpffs / "file"))
    pins.inside(map_, str(place.bpffs / "folder"), "a.dot")
    pins.inside(map_, str(plain / "new"), "inside")
    pins.file(map_, str(over / "file"))
    assert (place.bpffs / "folder" / "a_dot").exists()
    assert (plain / "new" / "inside").exists()
    assert (over / "file").exists()


def test_an_error_takes_all_away(place, map_):
    before = mounts(), sorted(place.bpffs.iterdir())

    def pin():
        with together() as pins:
            everything(pins, map_, place)
            pins.inside(map_, str(place.bpffs / "folder"), "a.dot")

    with pytest.raises(KernelError, match="File exists"):
        pin()

    assert (mounts(), sorted(place.bpffs.iterdir())) == before
    assert list((place.root / "plain").iterdir()) == []


def test_a_signal_takes_all_away(place, map_):
    before = mounts(), sorted(place.bpffs.iterdir())

    def pin():
        with together() as pins:
            everything(pins, map_, place)
            os.kill(os.getpid(), signal.SIGINT)  # held back until it is known whether it comes too late

    with pytest.raises(KeyboardInterrupt):
        pin()

    assert (mounts(), sorted(place.bpffs.iterdir())) == before


def test_a_signal_that_is_ignored_takes_nothing_away(place, map_):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup(1) does
    try:
        with together() as pins:
            pins.inside(map_, str(place.bpffs / "ignored"), "one")
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert (place.bpffs / "ignored" / "one").exists()


def test_nothing_else_is_taken_away(place, map_):
    """What was there before stays, and what somebody else has put into a folder of ours."""
    (place.bpffs / "theirs").mkdir()
    map_.pin(str(place.bpffs / "theirs" / "pin"))

    def pin():
        with together() as pins:
            pins.inside(map_, str(place.bpffs / "theirs"), "mine")
            pins.inside(map_, str(place.bpffs / "ours"), "mine")
            map_.pin(str(place.bpffs / "ours" / "other"))
            pins.file(map_, str(place.bpffs / "theirs" / "pin"))

    with pytest.raises(UsageError, match="already exists"):
        pin()

    assert [one.name for one in (place.bpffs / "theirs").iterdir()] == ["pin"]
    assert [one.name for one in (place.bpffs / "ours").iterdir()] == ["other"]


def test_what_goes_well_stays(place, map_):
    with together(mount=False) as pins:
        pins.inside(map_, str(place.bpffs / "kept"), "one")
        with pytest.raises(UsageError, match="nomount"):
            pins.file(map_, str(place.root / "one"))

    assert pins.mounted == []
    assert (place.bpffs / "kept" / "one").exists()


def load(path, pin):
    return run("prog", "load", str(path), str(pin))


def test_maps_pinned_by_name(place):
    """The first load pins the map, the second uses it; one of another kind is refused, and nothing pinned."""
    first, other, bad = (place.root / name for name in ("first.o", "other.o", "bad.o"))
    first.write_bytes(source(BY_NAME % (2, "1")))
    other.write_bytes(source(BY_NAME % (1, "1")))
    bad.write_bytes(source((BY_NAME % (2, "(long)no_such_helper()")).replace("counts", "never")))
    for name in ("one", "two"):
        answer = load(first, place.bpffs / name)
        assert (answer.returncode, answer.stderr) == (0, "")
    ids = set()
    for name in ("one", "two"):
        with Program.pinned(str(place.bpffs / name)) as program:
            ids |= {*program.info().map_ids}
    refused = load(other, place.bpffs / "three")
    broken = load(bad, place.bpffs / "four")

    beside = run("prog", "load", str(first), str(place.bpffs / "five"), "pinmaps", str(place.bpffs / "maps"))

    assert (beside.returncode, (place.bpffs / "maps" / "counts").exists()) == (0, True)
    assert len(ids) == 1
    assert refused.returncode == broken.returncode == 255
    assert "map counts cannot be the one that is pinned at /sys/fs/bpf/counts, whose type is 2, not 1" in refused.stderr
    assert sorted(one.name for one in Path("/sys/fs/bpf").glob("[!mp]*")) == ["counts"]
    assert not (place.bpffs / "three").exists()
    assert not (place.bpffs / "four").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_somebody_stops_it(place, number):
    """From the first system call to the last: what stays is all or nothing."""
    path = place.root / "stopped.o"
    path.write_bytes(source(BY_NAME % (2, "1")))
    by_name = Path("/sys/fs/bpf/counts")
    by_name.unlink(missing_ok=True)
    folder = place.bpffs / number.name
    folder.mkdir()
    words = ["prog", "loadall", str(path), str(folder / "s"), "pinmaps", str(folder / "m")]
    ends = []
    for at in range(2, 60, 3):
        command = [sys.executable, "-c", STOPPED, str(at), str(int(number)), *words]
        code = subprocess.run(command, env=ENVIRONMENT, check=False).returncode
        ends.append((code, sorted(one.name for one in folder.iterdir()), by_name.exists()))
        if code == 0:
            break

    assert len(ends) > 3
    assert ends == [*[(-number, [], False)] * (len(ends) - 1), (0, ["m", "s"], True)]
