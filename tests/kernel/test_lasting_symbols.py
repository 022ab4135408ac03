"""Symbols that are kept until the next boot: the same names, and none for who may not see addresses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bpfctl._sys import task
from tests.kernel import client, hardship

pytestmark = pytest.mark.usefixtures("remembering")
FILE = Path("/run/bpfctl/symbols.json")
SOCKET_FILTER = 1
# call get_prandom_u32; r0 = 0; exit
CODE = bytes.fromhex("8500000007000000 b700000000000000 9500000000000000")
CAP_SYSLOG = 34


@pytest.fixture
def program():
    fd = client.prog_load(SOCKET_FILTER, CODE)
    yield str(client.id_of("prog", fd))
    os.close(fd)


def dump(program, place=None):
    """Return the text of the first instruction."""
    outcome = hardship.bpfctl("-j", "prog", "dump", "xlated", "id", program, hardship=place)
    assert (outcome.code, outcome.err) == (0, "")
    return json.loads(outcome.out)[0]["disasm"]


def without_syslog():
    """Give up what it takes to see addresses, where kernel.perf_event_paranoid is 2 or more."""
    task.set_effective_capabilities(task.effective_capabilities() & ~(1 << CAP_SYSLOG))


def test_the_same_names(program):
    FILE.unlink(missing_ok=True)
    first = dump(program)
    kept = FILE.read_bytes()

    assert "call bpf_" in first
    assert dump(program) == first
    assert FILE.read_bytes() == kept
    assert FILE.stat().st_mode & 0o7777 == 0o600
    names, _ = json.loads(kept)["content"]
    lines = [line.split() for line in Path("/proc/kallsyms").read_text().splitlines()]
    there = {(int(address, 16), name) for address, _, name, *module in lines if not module}
    assert names
    assert [pair for pair in map(tuple, names) if pair not in there] == []


def test_who_may_not_see_addresses(program):
    """What others have looked up makes no difference."""
    shown = dump(program)
    with_file = dump(program, without_syslog)
    FILE.unlink()

    assert with_file == dump(program, without_syslog)
    assert not FILE.exists() or with_file == shown  # where the kernel shows addresses to all


@pytest.mark.parametrize("harm", [b"", b"\xff", b'{"key":{},"content":[]}'])
def test_a_damaged_file(program, harm):
    shown = dump(program)
    FILE.write_bytes(harm)

    assert dump(program) == shown
