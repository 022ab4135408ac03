"""What a person sees: bpfctl on a terminal of its own, with real objects, and names as hostile as can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.kernel import client
from tests.kernel.command import BPFCTL, ON_TERMINAL
from tests.kernel.place import Place
from tests.terminal import Terminal

SOCKET_FILTER, RAW_TRACEPOINT = 1, 17
RETURN_0 = bytes.fromhex("b7000000000000009500000000000000")
FIRST, SECOND, BOTH = (client.own(f"term{which}") for which in "12?")
COMM = b"\x1b[31m[b]\x9b\xff"  # 8 of the 15 bytes that a comm may have
FILE = b"pin\x1b]0;x\x07\n[bold]"


@pytest.fixture(scope="module")
def program():
    """Return the id of a program that a process with a hostile name holds, and that is pinned at a hostile path."""
    with Place() as place, ExitStack() as stack:
        held = client.prog_load(SOCKET_FILTER, RETURN_0, name=FIRST)
        stack.callback(os.close, held)
        other = client.prog_load(RAW_TRACEPOINT, RETURN_0, name=SECOND)
        stack.callback(os.close, other)
        path = os.fsencode(place.bpffs) + b"/" + FILE
        client.obj_pin(held, path)
        stack.callback(os.unlink, path)
        rename = f"open('/proc/self/comm', 'wb').write({COMM!r}); print(flush=True); input()"
        holder = subprocess.Popen(
            [sys.executable, "-c", rename], pass_fds=[held], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.callback(holder.wait)
        stack.callback(holder.stdout.close)
        stack.callback(holder.stdin.close)
        assert holder.stdout.readline()
        yield client.id_of("prog", held)


def on_terminal(*words, size=(200, 50), **environment):
    with Terminal([*BPFCTL, *words], size=size, env={**ON_TERMINAL, **environment}) as terminal:
        assert terminal.finish() == 0, terminal.seen
        return terminal


def piped(*words):
    return subprocess.run([*BPFCTL, *words], env=ON_TERMINAL, capture_output=True, check=True).stdout


@pytest.mark.parametrize("words", [f"-f prog list --name {BOTH}", f"-f prog show name {FIRST}"], ids=["list", "show"])
def test_names_do_nothing_to_the_terminal(program, words):
    """What is left besides styles is printable, and the names are spelled."""
    terminal = on_terminal(*words.split())

    text = "".join(terminal.lines())
    assert text.isprintable()
    assert str(program) in text
    assert r"\x1b[31m[b]\xc2\x9b\xff(" in text or r"\x1b[31m[b]\x9b\xff(" in text
    assert r"pin\x1b]0;x\x07\x0a[bold]" in text


def test_in_a_pipe_there_is_no_table(program):
    """Plain text, one line each, and not a single sequence."""
    text = piped("-f", "prog", "show", "id", str(program))

    assert text.startswith(f"{program}: socket_filter  name {FIRST}  tag ".encode())
    assert text.decode().replace("\n", "").replace("\t", "").isprintable()
    assert text == piped("-f", "--plain", "prog", "show", "id", str(program))


def test_json_is_one_document_anywhere(program):
    """Also on a terminal, and whatever the names."""
    words = "-j", "-f", "prog", "show", "id", str(program)
    terminal = on_terminal(*words)

    document = json.loads(terminal.seen)
    assert document == json.loads(piped(*words))
    assert document["pinned"][0].endswith("pin\x1b]0;x\x07\n[bold]")
    assert any(owner["comm"].startswith("\x1b[31m[b]") for owner in document["pids"])


def test_a_narrow_terminal_shows_whole_names(program):
    lines = on_terminal("prog", "list", "--name", BOTH, "--sort", "-id", size=(40, 20)).lines()

    assert max(map(len, lines)) <= 40
    found = [line.split()[:3] for line in lines[2:] if line.split()[0].isdecimal()]
    assert [words[1:] for words in found] == [["raw_tracepoint", SECOND], ["socket_filter", FIRST]]
    assert found[1][0] == str(program)


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("kind", ["prog", "map", "link", "btf"])
def test_nothing_that_matches_is_a_sentence(kind):
    noun = {"prog": "programs", "map": "maps", "link": "links", "btf": "BTF objects"}[kind]
    option = ["--owner", "4294967295"]

    assert on_terminal(kind, "list", *option).lines() == [f"no {noun} match"]
    assert piped(kind, "list", *option) == b""
    assert piped("-j", kind, "list", *option) == b"[]\n"


def test_filters_are_the_same_in_all_voices(program):
    """By type, name, owner and pin, each leaves the same program."""
    for option in (["--owner", "*[[]b]*"], ["--pinned"]):
        words = ["prog", "list", "--name", BOTH, "--type", "socket_filter", *option]

        assert [row["id"] for row in json.loads(piped("-j", *words))] == [program]
        assert piped(*words).startswith(f"{program}: ".encode())
        assert on_terminal(*words).lines()[2].split()[0] == str(program)


def test_watching_ends_well(program):
    """Ctrl-C is how one leaves: exit code 0, and the screen as it was."""
    words = ["prog", "list", "--name", FIRST, "--watch", "0.2"]
    with Terminal([*BPFCTL, *words], env=ON_TERMINAL) as terminal:
        terminal.wait_for(b"programs: 1", 2)
        terminal.press_ctrl_c()

        assert terminal.finish() == 0
        assert str(program).encode() in terminal.seen
        assert terminal.seen.endswith(b"\x1b[?1049l\x1b[?25h")


def test_watching_an_object_ends_with_it():
    """The screen is given back before the error is told."""
    fd = client.prog_load(SOCKET_FILTER, RETURN_0, name="mortal")
    id_ = client.id_of("prog", fd)
    try:
        words = ["prog", "show", "id", str(id_), "--no-owners", "--watch", "0.1"]
        with Terminal([*BPFCTL, *words], env=ON_TERMINAL) as terminal:
            terminal.wait_for(b"mortal")
            os.close(fd)
            fd = -1

            assert terminal.finish() == 255
            _, _, after = terminal.seen.rpartition(b"\x1b[?1049l\x1b[?25h")
    finally:
        if fd >= 0:
            os.close(fd)
    assert after == f"Error: get by id ({id_}): No such file or directory\r\n".encode()
