"""Probes whose end comes early: signals before anybody waits for them, between two rounds, and while we attach."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.probing import PATIENCE, YIELD, is_attached, until

#: The command, which has 7 hits and a signal in one of its own functions.
AT = """
import os, signal, sys
from bpfctl.cli import probe_run
from bpfctl.probe.session import Probing
there = getattr({place}, {name!r})
def then(*arguments):
    for _ in range(7):
        os.sched_yield()
    os.kill(os.getpid(), signal.{number})
    return there(*arguments)
setattr({place}, {name!r}, then)
sys.argv = ["bpfctl", *{words!r}, "--where", f"pid == {{os.getpid()}}"]
from bpfctl.__main__ import main
sys.exit(main())
"""
COMMANDS = [
    ["-j", "probe", "count", YIELD],
    ["-j", "probe", "count", YIELD, "--interval", "100"],
    ["-j", "probe", "hist", YIELD, "--of", "pid"],
    ["-j", "probe", "trace", YIELD, "--fields", "pid"],
]


def signalled(words, number, place, name):
    code = AT.format(words=words, number=number.name, place=place, name=name)
    return subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[2:]))
def test_a_signal_before_anybody_waits_for_it_is_an_end_like_any_other(words, number):
    done = signalled(words, number, "probe_run", "tell")
    documents = [json.loads(line) for line in done.stdout.splitlines()]

    assert (done.stderr, done.returncode) == ("", 0)
    if "trace" in words:
        assert len(documents) == 7
    elif "hist" in words:
        assert documents[-1]["histograms"][0]["count"] == 7
    else:
        assert documents[-1]["hits"] == 7


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[2:]))
def test_ctrl_c_does_not_wait_until_all_are_attached(words):
    done = signalled(words, signal.SIGINT, "Probing", "_attach")

    assert (done.stdout, done.stderr) in (("", ""), ('{"error":"interrupted"}\n', ""))
    assert done.returncode == -signal.SIGINT


@pytest.mark.parametrize("words", [COMMANDS[0], COMMANDS[2]], ids=lambda words: words[2])
def test_ctrl_c_does_not_wait_until_all_are_detached(words):
    """Whoever presses it while that is under way."""
    done = signalled([*words, "--duration", "0.1"], signal.SIGINT, "Probing", "stop")

    assert (done.stdout, done.stderr) in (("", ""), ('{"error":"interrupted"}\n', ""))
    assert done.returncode == -signal.SIGINT


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[2:]))
def test_in_the_background_of_a_script(words):
    """A shell has Ctrl-C ignored by what it starts with &; kill -INT ends it all the same."""
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *BPFCTL]
    with subprocess.Popen([*shell, *words], env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        assert until(lambda: is_attached(process.pid))
        process.send_signal(signal.SIGINT)

        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("more", [[], ["--interval", "100"]])
def test_nohup(child, more):
    """The end of the terminal is none for what was told to outlive it; Ctrl-C is."""
    shell = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *BPFCTL]
    words = ["-j", "probe", "count", YIELD, "-p", str(child.pid), *more]
    with subprocess.Popen([*shell, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert until(lambda: is_attached(process.pid))
        process.send_signal(signal.SIGHUP)
        child.does("yields", 100)
        process.send_signal(signal.SIGINT)
        (told,) = process.communicate(timeout=PATIENCE)[0].splitlines()

    assert (json.loads(told)["hits"], process.returncode) == (100, 0)
