"""The examples of help, man pages and the reference do what they say."""

from __future__ import annotations

import signal

import pytest

from bpfctl.cli.examples import EXAMPLES, FIRST
from tests.kernel.shown import World

SHOWN = {f"bpfctl-{at}": one for at, one in enumerate(FIRST)} | {
    f"{command.strip()}-{at}".replace(" ", "-"): one
    for command, all_ in EXAMPLES.items()
    for at, one in enumerate(all_)
}


@pytest.fixture(scope="module")
def world():
    with World() as there:
        yield there


@pytest.mark.parametrize("example", SHOWN.values(), ids=SHOWN)
def test_it_ends_as_it_should(world, example):
    lacking = [need for need in example.needs if not world.facts.has(need)]
    if lacking:
        pytest.skip(f"the kernel lacks {', '.join(lacking)}")

    done = world.run(example.line, goes_on=example.goes_on)

    assert "Error" not in done.err
    if example.goes_on:
        assert done.out
        assert done.status in (0, -signal.SIGINT)
    else:
        assert (done.status, done.err) == (example.status, done.err)
