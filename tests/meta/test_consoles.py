"""What the documents show is what comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.shown import World
from tests.meta import consoles

SHOWN = [
    pytest.param(one, id=f"{page.stem}-{at}") for page in consoles.PAGES for at, one in enumerate(consoles.of(page))
]


_PATIENCE = 20


@pytest.fixture(scope="module")
def world():
    name = Path("/proc/self/comm")
    before = name.read_text()
    name.write_text("python")  # as the documents know who holds the objects; it may run as pytest
    with World() as there:
        consoles.furnish()
        yield there
    name.write_text(before.rstrip("\n"))


@pytest.mark.parametrize("shown", SHOWN)
def test_it_prints_what_is_shown(world, shown):
    lacking = [need for need in shown.needs if not world.facts.has(need)]
    if lacking:
        pytest.skip(f"the kernel lacks {', '.join(lacking)}")

    done = world.run(shown.line, goes_on=shown.goes_on)
    for _ in range(_PATIENCE if shown.lines else 0):  # what happens may take longer than this has looked
        if shown.agrees(done.out + done.err):
            break
        done = world.run(shown.line, goes_on=shown.goes_on)

    assert (shown.status, done.err) == (done.status, done.err)
    assert shown.agrees(done.out + done.err), f"{shown.page}: $ {shown.line}\n{done.out}{done.err}"


@pytest.mark.parametrize(
    ("shown", "printed", "agrees"),
    [
        (["7: hash  name flows"], "12: hash  name flows\n", True),
        (["7: hash  name flows"], "12: array  name flows\n", False),
        (["7: hash  name flows"], "12: hash  name flows\nmore\n", False),
        (["first", "..."], "first\nsecond\nthird\n", True),
        (["first", "..."], "second\nthird\n", False),
        (["tag 16bdd3fa85e4f9a9  gpl"], "tag 0000000000000000  gpl\n", True),
        (["   8 bytes"], "1024 bytes\n", False),
    ],
)
def test_numbers_may_be_others_and_words_may_not(shown, printed, agrees):
    assert consoles.Shown("", "", tuple(shown)).agrees(printed) is agrees


def test_lines_are_compared_where_names_are_others():
    shown = consoles.Shown("", "", (" 3  bash", "12  sh"), lines=r" *\d+  \w+")

    assert shown.agrees("100  python\n")
    assert not shown.agrees("100 python\n")
    assert not shown._replace(output=("bash",)).agrees("100  python\n")
