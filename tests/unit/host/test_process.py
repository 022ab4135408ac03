"""What a process has mapped, whatever it calls its files and itself."""

from __future__ import annotations

import mmap
import os
import subprocess

import pytest

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


def test_a_name_that_looks_like_several_lines():
    """The kernel tells names as they are but for newlines."""
    program = "open('/proc/self/comm', 'wb').write(b'x\\rNSpid: yes'); print(flush=True); input()"
    with subprocess.Popen(["python3", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        assert Process(process.pid).threads() == [process.pid]
        assert lifetime._inner(str(process.pid)) == process.pid
        process.kill()
