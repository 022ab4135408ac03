"""TAB in the three shells, on a terminal, with what is on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bpfctl.cli import candidates
from bpfctl.cli.candidates import Asked, Candidate
from tests.kernel import client
from tests.kernel.command import ON_TERMINAL
from tests.kernel.holder import RETURN_0, SOCKET_FILTER
from tests.terminal import Terminal

#: What each reads when it begins.
SHELLS = {
    "bash": (".bashrc", "PS1='ready> '\nsource <(bpfctl completion bash)\n"),
    "zsh": (
        ".zshrc",
        "PS1='ready> '\nautoload -Uz compinit\ncompinit -u -D\nsource <(bpfctl completion zsh)\n",
    ),
    "fish": (
        ".config/fish/config.fish",
        "function fish_prompt; echo 'ready> '; end\nset -g fish_greeting\nbpfctl completion fish | source\n",
    ),
}


@pytest.fixture(params=sorted(SHELLS))
def shell(request, tmp_path):
    """Return a shell on a terminal in which somebody has asked for completion."""
    name, text = SHELLS[request.param]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = ON_TERMINAL | {"PATH": path, "HOME": str(tmp_path), "TERM": "xterm"}
    with Terminal([request.param, "-i"], size=(120, 40), env=env) as terminal:
        terminal.wait_for(b"ready> ")
        yield terminal


@pytest.fixture
def name():
    """Return the name of a program that is loaded."""
    name = client.own("tab")
    fd = client.prog_load(SOCKET_FILTER, RETURN_0, name=name)
    yield name
    os.close(fd)


def typed(shell, text, *seen):
    """Type something and wait until it has made the shell show this."""
    before = len(shell.seen)
    shell.type(text.encode())
    for what in seen:
        shell.wait_for(what.encode(), shell.seen[:before].count(what.encode()) + 1)


def test_words(shell):
    """Objects, commands, keywords and options."""
    typed(shell, "bpfctl feat\t", "feature")
    typed(shell, "pro\t", "probe")
    typed(shell, "unpr\t", "unprivileged")


def test_what_stands_beside_an_id(name):
    """The type in bpftool's word, as beside the ids of maps and links."""
    [(id_, about)] = [each for each in candidates.KINDS["PROG_ID"](Asked("")) if each.about.endswith(f" {name}")]

    assert f"socket_filter {name}" == about
    assert Candidate(name, f"socket_filter {id_}") in candidates.KINDS["PROG_NAME"](Asked(""))


def test_live_names(shell, name):
    """Names of what is loaded."""
    typed(shell, f"bpfctl prog show name {name[:-1]}\t", name)


def test_a_list_tells_what_things_are(shell):
    """Where several are possible they are listed with what they are."""
    typed(shell, "bpfctl probe \t\t", "count hits in the kernel")


def test_colons(shell):
    """Probes have colons, which are no ends of words."""
    typed(shell, "bpfctl probe count tracepoint:sched:sched_process_exe\t", "sched_process_exec")
    typed(shell, " uprobe:c:malloc_usab\t", "malloc_usable_size")


def test_fields(shell):
    """The fields of the probe on the line."""
    typed(shell, "bpfctl probe count sched:sched_switch --by comm,prev_st\t", "prev_state")


def test_files(shell, tmp_path):
    """Files are the shell's."""
    (tmp_path / "session_4711.toml").write_text("")
    typed(shell, f"bpfctl probe run {tmp_path}/session_\t", "session_4711.toml")


def test_nothing_is_no_error(shell):
    """Where nothing is to be offered the line stays as it is."""
    typed(shell, "bpfctl nonsense \t\x15echo 'after'wards\r", "afterwards")

    assert b"rror" not in shell.seen
    assert b"Traceback" not in shell.seen
