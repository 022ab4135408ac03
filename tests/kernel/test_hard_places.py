"""Every command where it is given too little: calls that are forbidden, few files, little memory, nowhere to write."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from tests.kernel import hardship
from tests.kernel.hardship import started as started_there
from tests.kernel.scene import ENDLESS, LINES, Scene

_ENOUGH, _TOO_LONG = 0.5, 120  # seconds that a command is let, which goes on and which ends
#: What stands in stderr of a command that has met something it did not expect.
_FAULTS = ("Traceback", "fault of its own", "not complete", "Exception ignored")


def _limit(what, amount):
    def become():
        resource.setrlimit(what, (amount, amount))

    return become


def closed():
    """Have no stdout."""
    os.close(1)


def full_disk():
    """Have stdout on a device that is full."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def nobody_reads():
    """Have stdout be a pipe that was closed, as by head, and die of it as usual."""
    reads, writes = os.pipe()
    os.close(reads)
    os.dup2(writes, 1)


# In a process that has all modules already, as nothing of these is about reading them.
FORBIDDEN = {
    "bpf ENOSYS": hardship.no_bpf,
    "bpf EPERM": hardship.forbidden_bpf,
    "perf_event_open ENOSYS": hardship.no_perf_events,
    "perf_event_open EPERM": hardship.forbidden_perf_events,
    "no proc": hardship.no_proc,
    "no sys": hardship.no_sys,
}
# In one that is started, and has to find its modules with what it is left.
SHORT = {
    "closed": closed,
    "full": full_disk,
    "nobody reads": nobody_reads,
    "no files written": _limit(resource.RLIMIT_FSIZE, 0),
    "8 files": _limit(resource.RLIMIT_NOFILE, 8),
    "64 MiB": _limit(resource.RLIMIT_AS, 64 << 20),
}


@pytest.fixture(scope="module")
def scene():
    with Scene() as there:
        yield there


def started(*words, hardship):
    """Start a command as its users do; one that goes on is ended by Ctrl-C."""
    goes_on = f"{' '.join(words)} ".startswith(ENDLESS)
    return started_there(*words, hardship=hardship, goes_on=_ENOUGH if goes_on else None)


def patient(become, command):
    """Return what becomes so, and ends a command that goes on after a while."""

    def there():
        os.environ["EDITOR"] = "true"
        signal.setitimer(signal.ITIMER_REAL, _ENOUGH if command in ENDLESS else _TOO_LONG)
        become()

    return there


def check(outcome, command, *more):
    """It ends as it should, with a sentence where it fails; and mounts nothing over what is there."""
    signals = {*more, *([-signal.SIGALRM, -signal.SIGINT] if command in ENDLESS else [])}
    errors = [line for line in outcome.err.splitlines() if line.startswith("Error: ")]

    assert outcome.code >= 0 or outcome.code in signals
    assert not any(fault in outcome.err for fault in _FAULTS)
    assert "mounted a BPF file system" not in outcome.err
    assert len(errors) == (1 if outcome.code > 1 else len(errors[:1]))


def ways(command):
    return range(len(LINES[command]))


@pytest.mark.parametrize("command", LINES)
@pytest.mark.parametrize("place", FORBIDDEN)
def test_what_is_forbidden(scene, command, place):
    for way in ways(command):
        outcome = scene.run(command, way, patient(FORBIDDEN[place], command))

        check(outcome, command)


@pytest.mark.parametrize("command", LINES)
@pytest.mark.parametrize("place", SHORT)
def test_what_is_short(scene, command, place):
    """Who ends well with nowhere to write has nothing to say."""
    for way in ways(command):
        outcome = scene.run(command, way, SHORT[place], started)

        check(outcome, command, *([-signal.SIGPIPE] if place == "nobody reads" else []))
        if place in ("closed", "full") and outcome.code == 0 and command not in ENDLESS:
            assert not scene.run(command, way, lambda: None, started).out
