"""Variables of objects that are given values before they are loaded: the program sees these."""

from __future__ import annotations

import os

import pytest

from tests.bpftool import peer
from tests.build.compiled import source
from tests.kernel import client
from tests.kernel.place import Place

SOURCE = """#include "bpf.h"
enum mode { SLOW = 1, FAST };
struct pair { u32 a; short b; };
const volatile u32 limit = 5;
const volatile enum mode mode = SLOW;
const volatile char name[8] = "before";
volatile struct pair pair = { 1, 2 };
volatile u64 zero;
volatile u8 bytes[3];
SEC("tc") int sum(void *context)
{
	if (name[0] != 'a')
		return 1;
	return limit + mode * 1000 + pair.a * 10000 + pair.b * 100000 + zero * 1000000 + bytes[2] * 10000000;
}
LICENSE("GPL");"""


@pytest.fixture(scope="module")
def place():
    with Place() as place:
        (place.root / "variables.o").write_bytes(source(SOURCE))
        yield place


def load(place, *values):
    """Load with values, and return the answer, and what the program returns."""
    words = [word for value in values for word in ("--set", value)]
    path = place.bpffs / "here"
    answer = peer.inside("prog", "load", str(place.root / "variables.o"), str(path), *words)
    if answer.rc:
        assert not path.exists()
        return answer, None
    fd = client.obj_get(str(path))
    path.unlink()
    returned = client.run(fd, bytes(64))
    os.close(fd)
    return answer, returned


def test_what_the_program_sees(place):
    assert load(place, "name=a")[1] == 5 + 1000 + 10000 + 200000
    assert load(place)[1] == 1
    values = ["name=after", "limit=7", "mode=FAST", 'pair={"a": 3, "b": -1}', "zero=4", "bytes=[0, 0, 1]"]
    assert load(place, *values)[1] == 7 + 2000 + 30000 - 100000 + 4000000 + 10000000
    values = ["name=a", "limit=0x10", "mode=2", "pair=.b=0", "bytes=hex 0 0 2"]
    assert load(place, *values)[1] == 16 + 2000 + 10000 + 20000000


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("limit", "--set: 'limit' should be NAME=VALUE"),
        ("limits=1", "the object has no variable 'limits', did you mean 'limit'?"),
        ("limit=4294967296", "limit: 4294967296 is out of the range of unsigned int (0 to 4294967295)"),
        ("limit=", "limit expected 4 bytes got 0"),
        ("mode=FASTER", "did you mean 'FAST'?"),
        ("name=much too long", "name: text of 13 bytes and its NUL do not fit into char[8]"),
        ("pair={", "pair: this is no JSON"),
        ("=1", "the object has no variable ''"),
    ],
)
def test_what_is_no_value(place, value, sentence):
    answer, _ = load(place, value)

    assert answer.rc == 255
    assert sentence in answer.stderr.decode()
    assert answer.stderr.count(b"\n") == 1
