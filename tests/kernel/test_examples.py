"""The examples of help, man pages and the reference do what they say."""

from __future__ import annotations

import signal

import pytest

from bpfctl.cli.examples import EXAMPLES, FIRST
from tests.kernel.shown import World

_PATIENCE = 50
SHOWN = {f"bpfctl-{at}": one for at, one in enumerate(FIRST)} | {
    f"{command.strip()}-{at}".replace(" ", "-"): one
    for command, all_ in EXAMPLES.items()
    for at, one in enumerate(all_)
}


@pytest.fixture(scope="module")
def world():
    with World() as there:
        yield there


def those(*, special):
    """Return the examples that only some kernels can run, or those that all can."""
    return [pytest.param(example, id=name) for name, example in SHOWN.items() if bool(example.needs) is special]


@pytest.mark.parametrize("example", those(special=False))
def test_it_ends_as_it_should(world, example):
    check(world, example)


@pytest.mark.parametrize("example", those(special=True))
def test_it_ends_as_it_should_where_the_kernel_has_what_it_takes(world, example):
    """Guests run these."""
    lacking = [need for need in example.needs if not world.facts.has(need)]
    if lacking:
        pytest.skip(f"the kernel lacks {', '.join(lacking)}")
    check(world, example)


def check(world, example):
    done = world.run(example.line, goes_on=example.goes_on)
    for _ in range(_PATIENCE):
        if example.status != 1 or done.status:
            break
        done = world.run(example.line)  # what changes all the time has not changed yet

    assert "Error" not in done.err
    if example.goes_on:
        assert done.out
        assert done.status in (0, -signal.SIGINT)
    else:
        assert (done.status, done.err) == (example.status, done.err)
