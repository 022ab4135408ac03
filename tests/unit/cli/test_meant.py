"""What somebody meant who mistyped a word of a command, an option, or the value of one."""

from __future__ import annotations

import pytest

from bpfctl.cli import app, complete, options
from bpfctl.cli.session import Session
from bpfctl.cli.synopsis import DEFINITIONS, SYNOPSES
from bpfctl.cli.table import OBJECTS
from bpfctl.cli.walk import Synopsis, fits
from bpfctl.errors import BpfctlError
from bpfctl.render.plain import PlainOutput
from bpfctl.render.sink import Sink

VALUES = {"MAP_TYPE": "hash"}
COMMANDS = {
    f"{object_} {command.word}": (object_, command)
    for object_, commands in OBJECTS.items()
    for command in commands
    if command.run
}


def said(line):
    """Return what is told about a mistake, and the exit code."""
    chosen, words = options.split(line.split())
    with pytest.raises(BpfctlError) as caught:
        app.run(Session(PlainOutput(Sink(1)), chosen), words)
    return f"{caught.value} {caught.value.hint}", caught.value.exit_code


@pytest.mark.parametrize(
    ("line", "meant", "code"),
    [
        ("mpa", "map", 255),
        ("map lokup", "lookup", 255),
        ("probe cuont", "count", 2),
        ("map show nmae x", "name", 255),
        ("prog show 7", "id 7", 255),
        ("map dump 7", "id 7", 255),
        ("prog dump xlated 7 opcodes", "id 7", 255),
        ("map freeze /sys/fs/bpf/a", "pinned /sys/fs/bpf/a", 255),
        ("prog show --watch 7 --csv", "", 255),
        ("prog show --watch 7 nmae x", "name", 255),
        ("prog dump xalted id 1", "xlated", 255),
        ("feature list_builtins hlpers", "helpers", 255),
        ("feature probe kernl", "kernel", 255),
        ("btf dump id 1 fromat c", "format", 234),
        ("map create /sys/fs/bpf/a type hahs key 4 value 4 entries 1 name a", "hash", 255),
        ("cgroup attach /sys/fs/cgroup cgroup_inet_igress id 1", "cgroup_inet_ingress", 255),
        ("net attach xpdgeneric id 1 dev lo", "xdpgeneric", 234),
        ("prog tracelog stdot id 1", "stdout", 255),
        ("events nme x", "name", 2),
        ("completion bsh", "bash", 2),
        ("map list --type hahs", "hash", 255),
        ("prog list --sotr id", "--sort", 255),
        ("prog list --sort nmae", "name", 255),
        ("map diff id 1 x --cpus fti", "fit", 2),
        ("btf find x --kind stuct", "struct", 2),
        ("--color alwas prog", "always", 255),
        ("--owners prco prog", "proc", 255),
        ("--jsno prog", "", 255),
        ("map show xyzzy plugh", "name xyzzy", 255),
        ("map list --name xyzzy plugh", "name plugh", 255),
        ("prog show -x", "", 255),
        ("link show /sys/fs/bpf/x", "pinned /sys/fs/bpf/x", 255),
        ("btf dump flows", "", 255),
        ("map dump flows", "name flows", 255),
        ("prog show foo 3", "", 255),
        ("map lookup flows key 1", "name flows", 255),
        ("events 7", "id 7", 2),
    ],
)
def test_a_mistake_is_told_with_what_was_meant(line, meant, code):
    """And with bpftool's exit code, or in commands that it has not, with ours."""
    sentence, exit_code = said(line)

    assert f"did you mean '{meant}'" in sentence if meant else "did you mean" not in sentence
    assert exit_code == code


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("map dump", "map dump"),
        ("m d name", "map dump"),
        ("prog show id", "prog show"),
        ("map getnext id", "map getnext"),
        ("link detach", "link detach"),
        ("explain", "explain"),
        ("probe count", "probe count"),
        ("cgroup attach /sys/fs/cgroup", "cgroup attach"),
    ],
)
def test_who_says_too_little_is_told_where_the_words_are_explained(line, command):
    assert f" 'bpfctl {command} --help' tells what it takes" in said(line)[0]


@pytest.mark.parametrize(
    ("line", "whose"), [("foo", "bpfctl"), ("prog sign", "bpfctl prog"), ("probe nothing", "bpfctl probe")]
)
def test_a_word_that_nothing_is_like(line, whose):
    assert f"'{whose} --help' tells which there are" in said(line)[0]


def places(name):
    """Yield where keywords stand: the words before, and what is expected there."""
    synopsis, waiting = Synopsis(SYNOPSES[name], DEFINITIONS), [()]
    seen = set()
    while waiting:
        before = waiting.pop()
        expected = synopsis.after(before)
        if tuple(expected) in seen or len(before) > 6:
            continue
        seen.add(tuple(expected))
        yield before, expected
        waiting += [(*before, one.word if one.is_keyword else VALUES.get(one.word, "7")) for one in expected]


@pytest.mark.parametrize("name", sorted(SYNOPSES))
def test_every_keyword_that_lacks_a_letter_is_known_again(name):
    """Where no value could stand in its place."""
    for before, expected in places(name):
        for keyword in (one.word for one in expected if one.is_keyword and len(one.word) > 3):
            mistyped = keyword[:1] + keyword[2:]
            if not any(fits(one, mistyped) for one in expected):
                assert complete.meant(*COMMANDS[name], [*before, mistyped]) == keyword
