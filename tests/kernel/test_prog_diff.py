"""bpfctl prog diff on the real kernel."""

from __future__ import annotations

import json
import os
from contextlib import closing

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R6, R10
from tests.bpftool import peer
from tests.bpftool.coded import GET_PRANDOM, MAP_LOOKUP, SOCKET_FILTER, Coded, calls
from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.terminal import Terminal

HASH, ARRAY, PROG_ARRAY = 1, 2, 3


def maps(stack):
    """Make three maps, with the same names as any others."""
    made = {
        "hash": client.map_create(HASH, 8, 8, 4, name="hash"),
        "array": client.map_create(ARRAY, 4, 16, 1, name="array"),
        "progs": client.map_create(PROG_ARRAY, 4, 4, 2, name="progs"),
    }
    for fd in made.values():
        stack.callback(os.close, fd)
    return made


def load(stack, insns, name):
    fd = client.prog_load(SOCKET_FILTER, insns, name=name)
    stack.callback(os.close, fd)
    return str(client.id_of("prog", fd))


def counting(stack, *, more, name="counting"):
    """Load a program that looks something up; ``more``: and counts there."""
    found = maps(stack)
    prog = Program().mov(R6, R1).call_sub("sub").st(8, R10, -8, 0).mov(R2, R10).add(R2, -8)
    prog.ld_map_fd(R1, found["hash"]).call(MAP_LOOKUP).jump("jeq", R0, 0, "out")
    if more:
        prog.ldx(8, R1, R0, 0).add(R1, 1).stx(8, R0, 0, R1)
    prog.call(GET_PRANDOM).label("out").mov(R0, 0).exit_().label("sub").mov(R0, 3 if more else 2).exit_()
    return load(stack, prog.assemble(), name)


def diff(first, second, *voice):
    return peer.inside(*(voice or ("--plain",)), "prog", "diff", "id", first, "id", second)


def test_the_same_program_loaded_twice(stack):
    """Its maps have other ids, its subprograms other addresses; that is no difference."""
    first, second = (load(stack, calls(maps(stack), callback=False).assemble(), name) for name in ("one", "two"))

    assert diff(first, second) == (0, b"", b"")
    assert diff(first, second, "-j") == (0, b"[]\n", b"")


def test_all_kinds_of_instructions_loaded_twice():
    """Kernel functions, callbacks, types and source make no noise either."""
    with closing(Coded()) as one, closing(Coded()) as two:
        first, second = one.ids(), two.ids()
        answers = {name: diff(str(first[name]), str(second[name])) for name in first}

    assert len(answers) >= 3
    assert {name: answer for name, answer in answers.items() if answer != (0, b"", b"")} == {}


def test_what_differs(stack):
    """What is added is marked, jumps over it are not."""
    first, second = counting(stack, more=False), counting(stack, more=True)
    answer = diff(first, second)
    lines = answer.stdout.decode().splitlines()
    changed = [line[0] + line[7:] for line in lines[2:] if line[0] in "+-"]

    assert answer.rc == 1
    assert lines[0].startswith(f"--- {first}: socket_filter  name counting  tag ")
    assert lines[1].startswith(f"+++ {second}: socket_filter  name counting  tag ")
    assert changed == [
        "+(79) r1 = *(u64 *)(r0 +0)",
        "+(07) r1 += 1",
        "+(7b) *(u64 *)(r0 +0) = r1",
        "-(b7) r0 = 2",
        "+(b7) r0 = 3",
    ]


def test_json(stack):
    """A list of hunks; exit code 1 there, too."""
    answer = diff(counting(stack, more=True), counting(stack, more=False), "-j")
    lines = [line for hunk in json.loads(answer.stdout) for line in hunk["lines"]]

    assert answer.rc == 1
    assert [line["disasm"] for line in lines if line["change"] == "added"] == ["(b7) r0 = 2"]
    assert [line["disasm"] for line in lines if line["change"] == "removed"][-1] == "(b7) r0 = 3"


def test_maps_by_name(stack):
    """Two maps of the same name are the same to a reader; one of another name is not."""

    def with_map(name):
        fd = client.map_create(HASH, 8, 8, 4, name=name)
        stack.callback(os.close, fd)
        prog = Program().st(8, R10, -8, 0).mov(R2, R10).add(R2, -8).ld_map_fd(R1, fd).call(MAP_LOOKUP)
        return load(stack, prog.mov(R0, 0).exit_().assemble(), "maps")

    answer = diff(with_map("ours"), with_map("theirs"))
    assert "-   3: (18) r1 = map[ours]" in answer.stdout.decode()
    assert "+   3: (18) r1 = map[theirs]" in answer.stdout.decode()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["id", "1"], "'diff' needs at least 4 arguments, 2 found ('bpfctl prog diff --help' tells what it takes)"),
        (["id", "{0}", "tag", "zz"], "can't parse tag"),
        (["id", "{0}", "id", "{0}", "x"], "what is 'x'?"),
    ],
)
def test_mistakes(stack, words, said):
    """They are said in a sentence."""
    id_ = counting(stack, more=False)
    answer = peer.inside("prog", "diff", *(word.format(id_) for word in words))

    assert (answer.rc, answer.stderr.decode()) == (2, f"Error: {said}\n")


def test_on_a_terminal(stack):
    """Both places of an instruction, and colours."""
    first, second = counting(stack, more=False), counting(stack, more=True)
    environment = {**ENVIRONMENT, "TERM": "xterm-256color"}
    words = [*BPFCTL, "prog", "diff", "id", first, "id", second]
    with Terminal(words, env=environment) as terminal:
        code = terminal.finish()
        shown = terminal.seen.decode()

    assert code == 1
    assert "\x1b[32m(79) r1 = *(u64 *)(r0 +0)" in shown
    assert "\x1b[1;31m(b7) r0 = 2" in shown
