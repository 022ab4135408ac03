"""The one file runs in guests that have Python and nothing else: no pip, no cffi, no compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm import guest, kernels, userland
from tests.vm.guest import Job, Settings

pytestmark = pytest.mark.vm

CHECKOUT = Path(__file__).resolve().parents[2]
PLACE = "/run/bpfctl-file"
#: The first start unpacks it, the second finds it there, the third has nowhere to unpack it.
ASKED = f"""\
bpfctl="$PYTHON {PLACE}/bpfctl.pyz"
$PYTHON -c 'import sys; print(*sys.version_info[:2], sep=".")'
$PYTHON -c 'import cffi' 2>/dev/null && exit 1
$PYTHON -c 'import pip' 2>/dev/null && exit 1
for cache in /root/cache /root/cache ''; do
    export BPFCTL_PYZ_CACHE=$cache
    $bpfctl probe count syscalls:sys_enter_newuname --interval 1 >counts &
    while ! grep -q newuname counts; do uname >/dev/null; done
    $bpfctl prog list || exit
    kill $!
    wait $!
    head -n 1 counts
done
ls /root/cache
"""
#: Releases of Debian, and which Python of theirs.
MACHINES = [("bookworm", "python3", "3.11"), ("trixie", "python3", "3.13"), ("sid", "python3.15", "3.15")]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Build it for all Pythons on machines like this one."""
    folder = tmp_path_factory.mktemp("zipapp")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, CHECKOUT]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    write = [sys.executable, "-m", "release.zipapp", "--out", folder / "bpfctl.pyz", wheel]
    subprocess.run(write, cwd=CHECKOUT, check=True)
    return folder / "bpfctl.pyz"


@pytest.mark.parametrize(("suite", "package", "version"), MACHINES)
def test_it_lists_and_counts(file, tmp_path, suite, package, version):
    (tmp_path / "bpfctl.pyz").write_bytes(file.read_bytes())
    job = Job(
        command=ASKED,
        cwd="/tmp",
        environment={"PYTHON": package},
        folders={PLACE: tmp_path},
        root=userland.bare(suite, package),
        settings=Settings(memory=512, timeout=600),
    )

    result = guest.run(kernels.TABLE["newest"], job)

    assert (0, "") == (result.code, result.stderr)
    lines = result.stdout.splitlines()
    assert version == lines[0]
    assert 3 == sum("  tracepoint:syscalls:sys_enter_newuname" in line for line in lines)
    assert 3 == sum(": raw_tracepoint  name bpfctl_probe  " in line for line in lines)
    assert lines[-1].endswith(f"-cpython-{version.replace('.', '')}-x86_64-linux-gnu")
