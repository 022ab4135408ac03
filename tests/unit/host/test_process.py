"""What a process has mapped, whatever it calls its files and itself."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess

import pytest

from bpfctl.errors import NotFound
from bpfctl.host import lifetime
from bpfctl.host.process import Process
from bpfctl.kernel import consumer

NAMES = pytest.mark.parametrize("name", ["a\r/c", "a\r/b c", "a\x0b/b", "a\x85/b", "a\nb"])


@pytest.fixture
def mapped(tmp_path, name):
    """Return the path of a file of such a name that this process has mapped, to be executed and shared."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(mmap.PAGESIZE))
    with path.open("r+b") as file:
        made = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_EXEC)
    with made:
        yield str(path)


@NAMES
def test_mapped_files_whose_paths_look_like_several_lines(mapped):
    assert mapped in Process(os.getpid()).files("*")


@NAMES
def test_shared_mappings_whose_paths_look_like_several_lines(mapped):
    shown = mapped.replace("\n", r"\012")
    (found,) = [one for one in consumer.mappings(os.getpid()) if one.name == shown]

    assert (found.size, found.writable) == (mmap.PAGESIZE, False)


@pytest.fixture
def sleeper(tmp_path):
    """Return a process, and the path of what it runs."""
    path = tmp_path / "program"
    shutil.copy("/bin/sleep", path)
    with subprocess.Popen([path, "60"]) as process:
        while str(path) not in Process(process.pid).files("*"):  # until then it is what we are
            os.sched_yield()
        yield process, path
        process.kill()


def test_a_path_that_leads_nowhere_any_more(sleeper):
    """The process still runs what was there."""
    process, path = sleeper
    path.unlink()
    path.symlink_to(path)

    found = Process(process.pid).find(str(path))
    assert found.name == str(path)
    assert found.path.startswith(f"/proc/{process.pid}/map_files/")


def test_a_process_that_ends_while_we_look(sleeper):
    process, path = sleeper
    there = Process(process.pid)
    assert there.files("*")
    assert there.root == ""
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert there.find(str(path)).path == str(path)
    with pytest.raises(NotFound, match=f"process {process.pid} has ended"):
        Process(process.pid)


@pytest.mark.parametrize(("parent", "sentence"), [("1", "process 7 has ended"), ("2", "7 is a thread of the kernel")])
def test_a_process_without_memory(monkeypatch, parent, sentence):
    """One that ends has none before it says so."""
    status = {"Tgid": "7", "State": "R (running)", "PPid": parent}
    monkeypatch.setattr(Process, "_status", lambda _: status)

    with pytest.raises(NotFound, match=sentence):
        Process(7).find("c")


def test_a_name_that_looks_like_several_lines():
    """The kernel tells names as they are but for newlines."""
    program = "open('/proc/self/comm', 'wb').write(b'x\\rNSpid: yes'); print(flush=True); input()"
    with subprocess.Popen(["python3", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        assert Process(process.pid).threads() == [process.pid]
        assert lifetime._inner(str(process.pid)) == process.pid
        process.kill()
