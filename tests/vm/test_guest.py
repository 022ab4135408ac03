"""What a guest promises: the command's exit code and output, an end in any case, and nothing left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.vm import guest, kernels, userland
from tests.vm.guest import GuestError, Job, Settings

pytestmark = pytest.mark.vm

CHECKOUT = Path(__file__).resolve().parents[2]
NEWEST = kernels.TABLE["newest"]


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path, monkeypatch):
    """Work in a folder of our own for temporary files, and find it empty afterwards."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "work").mkdir()
    yield
    assert list((tmp_path / "work").iterdir()) == []


def _qemus():
    """Return the QEMUs that work for a folder below this test's temporary one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"qemu-system" in words and tempfile.gettempdir().encode() in words:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.parametrize("kernel", kernels.NATIVE, ids=lambda kernel: kernel.name)
def test_the_kernel_is_the_one_asked_for(kernel):
    """Exit code, stdout and stderr apart; the file systems and limits that the kernel tests need."""
    command = """
        uname -r; echo complaint >&2; ulimit -l
        for kind in cgroup2 bpf tracefs debugfs securityfs devpts; do
            awk -v kind=$kind '$3 == kind { found = 1 } END { if (!found) print "no", kind }' /proc/mounts
        done
        test -w /dev/shm && test -e /boot/config-$(uname -r) && modprobe veth || echo incomplete
        exit 3"""

    result = guest.run(kernel, Job(command=command))

    assert (3, f"{kernel.fetched}\nunlimited\n", "complaint\n") == (result.code, result.stdout, result.stderr)


def test_settings_and_environment_reach_the_guest(tmp_path):
    """CPUs, memory, kernel arguments, working directory, variables, and files on the way back."""
    command = f"nproc; grep -o word=x /proc/cmdline; pwd; echo $HUE; touch x; echo kept >{guest.KEEP}/file"
    settings = Settings(cpus=2, memory=512, arguments="word=x")
    job = Job(
        command=command,
        cwd=str(tmp_path),
        environment={"HUE": "a 'b'"},
        keep=tmp_path / "keep",
        settings=settings,
    )

    result = guest.run(NEWEST, job)

    assert f"2\nword=x\n{tmp_path}\na 'b'\n" == result.stdout
    assert (tmp_path / "keep/file").read_text() == "kept\n"
    assert not (tmp_path / "x").exists()


def test_output_streams_while_the_command_runs():
    """A long run shows its progress."""
    seen = []
    guest.run(
        NEWEST,
        Job(command="echo one; sleep 3; echo two"),
        stdout=lambda data: seen.append((time.monotonic(), data)),
    )

    assert [data for _, data in seen] == [b"one\n", b"two\n"]
    assert seen[1][0] - seen[0][0] > 1


def test_a_hanging_command_is_killed():
    """What it printed until then is not lost."""
    with pytest.raises(GuestError, match="no exit code in 60 s") as caught:
        guest.run(NEWEST, Job(command="echo begun; sleep 1000", settings=Settings(timeout=60)))

    assert (caught.value.result.code, caught.value.result.stdout) == (255, "begun\n")
    assert _qemus() == []


def test_a_panic_is_reported():
    """At once, not at the timeout, and with the kernel's last words."""
    with pytest.raises(GuestError, match="panicked") as caught:
        guest.run(NEWEST, Job(command="echo c >/proc/sysrq-trigger"))

    assert "Kernel panic" in caught.value.log


def test_a_qemu_that_cannot_start_is_quoted():
    """The reason is QEMU's own."""
    with pytest.raises(GuestError, match=r"QEMU gave up: .*\bCPU"):
        guest.run(NEWEST, Job(command="true", settings=Settings(cpus=100_000)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_guest_outlives_the_harness(number, tmp_path):
    """Interrupted it cleans up; killed it cannot, yet the guest ends with it."""
    command = [sys.executable, "-m", "tests.vm", "run", "--kernel", "newest", "--", "echo begun; sleep 1000"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as harness:
        assert harness.stdout.readline() == b"begun\n"
        assert len(_qemus()) == 1
        os.kill(harness.pid, number)
    for _ in range(50):
        if not _qemus():
            break
        time.sleep(0.1)

    assert _qemus() == []
    if number == signal.SIGKILL:
        for folder in (tmp_path / "work").glob("bpfctl-vm-*"):
            subprocess.run(["rm", "-r", str(folder)], check=True)
    else:
        assert harness.returncode == 130


def test_the_newest_bpftool_runs_here_and_there():
    """The same script, so that its path can be handed on."""
    bpftool = str(userland.bpftool())

    here = subprocess.run([bpftool, "version"], capture_output=True, text=True, check=True)
    there = guest.run(kernels.TABLE["5.10"], Job(command=f"{bpftool} version"))

    assert here.stdout.startswith("bpftool v")
    assert (0, here.stdout) == (there.code, there.stdout)
