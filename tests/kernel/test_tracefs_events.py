"""Events of tracefs that are made for a program: what they are, and what stays when somebody is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from errno import EIO
from pathlib import Path

import pytest

from bpfctl._sys import programs
from bpfctl.asm.build import Program as Code
from bpfctl.asm.insn import R0
from bpfctl.attach import tracefs
from bpfctl.attach.cookie import has_cookies
from bpfctl.elf.binary import Binary
from bpfctl.errors import KernelError, NotSupported
from bpfctl.host import lifetime
from bpfctl.kernel import pin
from bpfctl.kernel.link import Link
from bpfctl.kernel.prog import Program
from bpfctl.kernel.tracefs import Tracefs
from bpfctl.probe.actions.count import Count
from bpfctl.uapi.enums import ProgType
from tests.build.called import TALK, built, called
from tests.kernel import client, command
from tests.kernel.probing import probing, until

PATH_MAX = 4096  # with the null byte at its end
CALLS = (
    TALK
    + r"""
__attribute__((noinline, noclone)) void once(void) { __asm__ volatile(""); }
void does(const char *what, long count)
{
    for (long number = 0; number < count; number++)
        if (what[0] == 'o') once();
}
"""
)
# Has an event for a function of a file and waits to be killed.
HOLDER = """
import sys
from tests.kernel.test_tracefs_events import attached, program
with program() as loaded:
    kept = attached(loaded, sys.argv[1], int(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.read()
"""


def program(name=b""):
    code = Code().mov(R0, 0).exit_().assemble()
    return Program(programs.load(ProgType.KPROBE, code, license=b"GPL", name=name).fd)


def refused(where, error):
    return KernelError(f"can't attach to {where}", error.errno)


def attached(loaded, path, offset, **more):
    place = tracefs.Place(tracefs.PROCESSES, f"{offset:#x}", str(path), **more)
    return tracefs.attach(loaded, [place], refused)


def events():
    """Return the events that are ours, and where they are."""
    with Tracefs.open() as files:
        lines = files.read(tracefs.PROCESSES).splitlines()
    return dict(line.split(maxsplit=1) for line in lines if f":bpfctl_{os.getpid()}_" in line)


def left_by(pid):
    return [event for event in tracefs.leftovers() if event.pid == pid]


def hits():
    """Return how often each event was hit, as the kernel counts."""
    with Tracefs.open() as files:
        lines = files.read("uprobe_profile").splitlines()
    return {name: int(number) for _, name, number in (line.rsplit(maxsplit=2) for line in lines)}


@pytest.fixture(scope="module")
def path():
    return built("tracefs-calls", CALLS)


@pytest.fixture(scope="module")
def offset(path):
    file = Binary.find(str(path))
    return file.code_at(next(function.address for function in file.functions if function.name == "once"))


@pytest.fixture
def kept():
    with ExitStack() as kept:
        yield kept


def all_closed(held, made):
    for one in made:
        held.enter_context(one)
    return made


@pytest.mark.parametrize("returns", [False, True])
def test_an_event_is_hit_and_goes_with_its_program(kept, path, offset, returns):
    loaded = kept.enter_context(program())
    with called(path) as process, ExitStack() as now:
        all_closed(now, attached(loaded, path, offset, returns=returns))
        [(name, where)] = events().items()
        assert where.endswith(f"{path}:0x{offset:016x}")
        assert name.startswith("r:" if returns else "p:")
        process.does("once", 100)

        assert hits()[name.partition("/")[2]] == 100
    assert not events()


def test_an_event_that_has_the_name_of_a_tracepoint(path, offset):
    """What passes that tracepoint is none of its hits."""
    group = f"made_{os.getpid()}"
    with Tracefs.open() as files, files.file(tracefs.PROCESSES, os.O_WRONLY | os.O_APPEND) as events_:
        os.write(events_.fileno(), f"p:{group}/sched_switch {path}:{offset:#x}".encode())
        try:
            with (
                pytest.raises(KernelError, match=f"{group}:sched_switch.*somebody has made this event"),
                probing(Count(), f"tracepoint:{group}:sched_switch"),
            ):
                pass
        finally:
            os.write(events_.fileno(), f"-:{group}/sched_switch".encode())


@pytest.mark.parametrize("name", ["a name of four (words):1", "a#comment", "voilà", ("x" * 199 + "/") * 21])
def test_a_path_that_no_line_tells(kept, path, offset, tmp_path, name):
    other = Path(f"{tmp_path}/{name}"[: PATH_MAX - 2] + "x")
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_bytes(path.read_bytes())
    other.chmod(0o755)
    loaded = kept.enter_context(program())
    with called(other) as process, ExitStack() as now:
        all_closed(now, attached(loaded, other, offset))
        [name] = events()
        process.does("once", 10)

        assert hits()[name.partition("/")[2]] == 10
    assert not events()


def test_of_several_places_all_or_none_are_attached(kept, path, offset):
    loaded = kept.enter_context(program())
    places = [tracefs.Place(tracefs.PROCESSES, f"{at:#x}", str(path)) for at in (offset, 1 << 40)]

    with pytest.raises(KernelError, match="can't attach to"):
        tracefs.attach(loaded, places, refused)
    assert not events()


def test_one_that_cannot_be_taken_away_keeps_no_other(path, offset, monkeypatch):
    """Those before it go all the same, and so do the files."""
    removed, open_ = tracefs._removed, len(os.listdir("/proc/self/fd"))

    def complaining(file, name):
        removed(file, name)
        raise KernelError(f"can't remove event '{name}'", EIO)

    monkeypatch.setattr(tracefs, "_removed", complaining)
    made = tracefs.Events(tracefs.PROCESSES)
    for at in (offset, offset + 1):
        made.add(tracefs.Place(tracefs.PROCESSES, f"{at:#x}", str(path)))
    assert len(events()) == 2

    with pytest.raises(KernelError, match="can't remove event"):
        made.close()
    assert not events()
    assert len(os.listdir("/proc/self/fd")) == open_


@pytest.fixture
def killed(path, offset):
    """Have a process make an event and be killed, as it is by the kernel when memory is short."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER, str(path), str(offset)],
        env=command.ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        assert not left_by(process.pid)
        process.kill()
    [event] = left_by(process.pid)
    yield process.pid
    event.remove()


def test_what_a_killed_process_leaves_is_found_and_removed(kept, killed, path, offset):
    all_closed(kept, attached(kept.enter_context(program()), path, offset))
    told = json.loads(command.run("-j", "probe", "clean", "--dry-run").stdout)
    assert [row["state"] for row in told if row["pid"] == killed] == ["left"]

    done = [line for line in command.run("probe", "clean").stdout.splitlines() if line.endswith(f"process {killed}")]

    assert len(done) == 1
    assert done[0].startswith("removed: bpfctl_")
    assert not left_by(killed)
    assert len(events()) == 1  # ours stays


def test_an_event_stays_as_long_as_its_link_is_pinned(kept, path, offset, place):
    made = attached(kept.enter_context(program()), path, offset)
    if not isinstance(made[-1], Link):
        for one in reversed(made):
            one.close()
        pytest.skip("this kernel has no links of perf events (Linux 5.15)")
    pinned = place.bpffs / "stays"
    pin.pin(made[-1], str(pinned))
    try:
        for one in reversed(made):
            one.close()

        [name] = events()
        event = tracefs.Leftover(tracefs.PROCESSES, name.partition(":")[2], "", os.getpid())
        assert not event.remove()
    finally:
        pinned.unlink()
    assert until(event.remove)  # the kernel lets go of a link a moment after its pin is gone
    assert not events()


def test_nothing_is_made_that_nobody_could_clear_away(kept, path, offset, monkeypatch):
    def hidden():
        raise FileNotFoundError

    monkeypatch.setattr(lifetime, "own", hidden)
    with pytest.raises(NotSupported, match="without /proc nobody could tell whose events"):
        attached(kept.enter_context(program()), path, offset)


def test_probe_clean_tells_what_a_pin_uses(kept, path, place):
    """The command that has pinned it is over, as it should be: its event is in use until the pin is gone."""
    own = client.own("tracefs")
    kept.enter_context(program(own.encode()))
    pinned = place.bpffs / "used"
    words = ("probe", "attach", f"uprobe:{path}:once", "name", own, "--way", "tracefs", "--pin", str(pinned))
    done = command.run(*words)
    if not has_cookies():
        assert "has no link, which alone can be pinned" in done.stderr
        return
    assert (done.returncode, done.stderr) == (0, "")
    try:
        with called(path) as process:
            process.does("once", 25)
        [name] = [name for name, number in hits().items() if number == 25]

        assert states(name) == ["in use"]
    finally:
        pinned.unlink()
    assert until(lambda: states(name) == ["removed"])
    assert states(name) == []


def states(name):
    """Clean, and return what became of an event."""
    told = json.loads(command.run("-j", "probe", "clean").stdout)
    return [row["state"] for row in told if row["event"].endswith(f"/{name}")]


def test_processes_are_not_taken_for_those_that_had_their_number():
    own = lifetime.own()

    assert own.pid == os.getpid()
    assert lifetime.is_over(own) is False
    assert lifetime.is_over(own._replace(started=own.started - 1)) is True
    with subprocess.Popen(["/bin/true"]) as process:
        pass
    assert lifetime.is_over(own._replace(pid=process.pid)) is True


def test_processes_of_other_namespaces_live_too():
    """A process in a namespace of its own has another number there; its events are nobody's leftovers."""
    script = "import os, sys; from bpfctl.host import lifetime; print(*lifetime.own(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-P", "-c", script],
        env=command.ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        there = lifetime.Lifetime(*map(int, process.stdout.readline().split()))
        assert there.pid == 1
        alive = lifetime.is_over(there)
        process.stdin.close()
    ours = lifetime.own().namespace

    assert alive is False
    assert there.namespace != ours
    assert lifetime.is_over(there) is (True if ours == 0xEFFFFFFC else None)
