"""bpfctl iter beside bpftool's: the same pins, and reading them runs the same."""

from __future__ import annotations

import os

import pytest

from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST, VOICES
from tests.build.compiled import source
from tests.kernel import client
from tests.kernel.facts import Facts
from tests.kernel.place import Place

pytestmark = CURRENT
WRITES = """#include "bpf.h"
static long (*seq_write)(void *seq, const void *data, u32 size) = (void *)127;
struct meta { void *seq; u64 session, number; };
struct context { struct meta *meta; void *%s; };
SEC("iter/%s") int each(struct context *context)
{
	char text[] = "%s\\n";
	if (!context->meta->number)
		seq_write(context->meta->seq, text, sizeof(text) - 1);
	return 0;
}
LICENSE("GPL");"""


@pytest.fixture(scope="module")
def place():
    with Place() as place:
        for name in ("task", "bpf_map_elem"):
            member = "map" if name != "task" else "task"
            (place.root / f"{name}.o").write_bytes(source(WRITES % (member, name, name)))
        yield place


def both(place, *words):
    """Run the same command by both tools, each with a path of its own; return the answers, and what reading tells."""
    found = []
    for tool in (lambda *told: peer.run(NEWEST, *told), peer.inside):
        path = place.bpffs / "here"
        answer = tool(*(str(word).replace("HERE", str(path)).replace("AT", str(place.root)) for word in words))
        found.append((answer, path.read_text() if path.exists() else None))
        path.unlink(missing_ok=True)
    return found


@pytest.mark.parametrize("voice", VOICES)
def test_pin(place, voice):
    if not Facts(place.lockdown).has("lockdown:none"):
        pytest.skip(f"lockdown ({place.lockdown}) forbids iterators")
    fd = client.map_create(1, 4, 4, 4, name="through")
    try:
        client.map_update(fd, bytes(4), bytes(4))
        handle = ["map", "id", client.id_of("map", fd)]
        for name, more in (("task", []), ("bpf_map_elem", handle)):
            theirs, mine = both(place, *voice, "iter", "pin", f"AT/{name}.o", "HERE", *more)

            assert theirs[1] == mine[1]  # what reading the pins tells
            assert name in mine[1].splitlines()
            assert theirs[0] == (0, b"\n" if voice else b"", b"")
            assert mine[0] == (0, b"null\n" if voice else b"", b"")
        theirs, mine = both(place, *voice, "iter", "pin", "AT/bpf_map_elem.o", "HERE")
        assert theirs[0].rc == mine[0].rc != 0
        assert theirs[1] is mine[1] is None
    finally:
        os.close(fd)


WRONG = [
    "AT/task.o",
    "/no/such/file HERE",
    "AT/task.o HERE map",
    "AT/task.o HERE map id",
    "AT/task.o HERE map id 4294967295",
    "AT/task.o AT/no/folder",
]


def test_wrong_words(place):
    for wrong in WRONG:
        theirs, mine = both(place, "iter", "pin", *wrong.split())

        assert theirs[0].rc == mine[0].rc != 0, wrong
        assert mine[0].stderr.startswith(b"Error: ")
        assert mine[1] is None


def test_what_is_no_iterator(place, compiled):
    for name in ("helper_missing", "map_sizes"):
        theirs, mine = both(place, "iter", "pin", compiled[name], "HERE")
        assert theirs[0].rc == mine[0].rc == 234
    theirs, mine = both(place, "iter", "pin", compiled["socket"], "HERE")

    assert theirs[0].rc == mine[0].rc == 234
    assert b"attach_iter failed for program filter: Invalid argument" in mine[0].stderr
