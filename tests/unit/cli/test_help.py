"""What help, man pages and the reference are made of is there for every command."""

from __future__ import annotations

import pytest

from bpfctl.cli.examples import EXAMPLES
from bpfctl.cli.table import OBJECTS

#: Commands, but those that are another one under a second name.
COMMANDS = {
    f"{object_} {next(one.word for one in there if (one.run, one.help) == (command.run, command.help))}"
    for object_, there in OBJECTS.items()
    for command in there
    if command.run
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_examples(name):
    """Which are run by tests/kernel/test_examples.py."""
    assert EXAMPLES[name]
    assert all(f" {word}" in one.line for one in EXAMPLES[name] for word in name.split()[:1])


def test_every_example_is_of_a_command():
    assert set(EXAMPLES) == COMMANDS
