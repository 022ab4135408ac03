"""The project's kernel tests, run inside guests side by side, and one account of them all."""

from __future__ import annotations

import asyncio
import compileall
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.apart import copy_tests
from tests.build import compiled
from tests.vm import cache, guest, kernels, userland
from tests.vm.guest import Job, Settings
from tests.vm.report import Report, account

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.vm.guest import Result
    from tests.vm.kernels import Kernel

CHECKOUT = Path(__file__).resolve().parents[2]
JUNIT = "junit.xml"
# What differs from kernel to kernel: every object that there is, every call, every form that bpftool prints, what the
# verifier says, and probes of the kernel's functions. The rest of both folders starts a process per check, which takes
# a second in a guest, and is the same on each kernel.
CORE = (
    "tests/kernel/test_zoo.py",
    "tests/kernel/test_calls.py",
    "tests/kernel/test_owner.py",
    "tests/kernel/test_verifier_log.py::test_every_mistake_is_told",
    "tests/kernel/test_verifier_log.py::test_registers",
    "tests/bpftool/test_zoo.py",
    "tests/bpftool/test_map_types.py",
    "tests/bpftool/test_map_values.py",
    "tests/bpftool/test_feature_check.py::test_it_foretells_what_is_loaded",
    "tests/bpftool/test_feature_check.py::test_the_account",
    "tests/bpftool/test_load.py::test_it_loads_what_libbpf_loads",
    "tests/kernel/test_kprobe.py",
    "tests/kernel/test_kprobe_ways.py",
    "tests/kernel/test_examples.py::test_it_ends_as_it_should_where_the_kernel_has_what_it_takes",
)
_TESTING = ("pytest", "hypothesis")
EVERYTHING = ("tests/kernel", "tests/bpftool")
# What guests of another architecture do not run: bpftrace for them is 200 MB with LLVM.
_WITHOUT = ("--deselect", "tests/kernel/test_probe_peers.py")
PACKAGES = ("bpfctl", "btf", "plugins")
SIDE_BY_SIDE = 2
# Under emulation each import counts: what the tests do not need is not loaded. Looking for plugins of other
# distributions takes 3 s, and a cache on the guest's overlay 12 s.
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:doctest", "-p", "no:unittest", "-rfE")


class Prefixed:
    """Prints each line behind the name of its kernel, so that guests side by side can be told apart."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Print the lines that DATA completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            print(f"{self._name:>6} | {line.decode(errors='replace')}", flush=True)

    def end(self) -> None:
        """Print the last line, if nothing ended it."""
        if self._rest:
            self.write(b"\n")


def run(
    chosen: Sequence[Kernel],
    words: Sequence[str],
    settings: Settings,
    *,
    everything: bool = False,
    wheel: Path | None = None,
) -> int:
    """Run pytest with WORDS on each of the CHOSEN kernels, print the account and return the exit code.

    On the kernels of another architecture it can run against a WHEEL for that, instead of the checkout.
    """
    if not any((CHECKOUT / word.partition("::")[0]).exists() for word in words):
        words = [*(EVERYTHING if everything else CORE), *words]
    for kernel in chosen:
        guest.check(kernel)
        kernels.fetch(kernel)
    bpftool = userland.bpftool()
    warm_up()
    pytest = [*PYTEST, f"--junitxml={guest.KEEP}/{JUNIT}", *words]
    with tempfile.TemporaryDirectory(prefix="bpfctl-vm-") as built:
        jobs = [_job(kernel, pytest, settings, bpftool=bpftool, built=Path(built), wheel=wheel) for kernel in chosen]
        lines, ok = account(asyncio.run(_run(chosen, jobs)))
    print("\n".join(lines))
    return 0 if ok else 1


def _job(
    kernel: Kernel, pytest: Sequence[str], settings: Settings, *, bpftool: Path, built: Path, wheel: Path | None
) -> Job:
    if not kernel.foreign:
        return _native(bpftool, pytest, settings)
    pytest = [*pytest, *_WITHOUT]
    if wheel:
        return _installed(kernel, pytest, settings, built, wheel)
    return _foreign(kernel, pytest, settings, built)


def _native(bpftool: Path, pytest: Sequence[str], settings: Settings) -> Job:
    """Return the job for a guest that runs this machine's own programs."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{guest.PATH}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "BPFCTL_BPFTOOL": str(bpftool),
        "BPFCTL_VM_CACHE": str(cache.root()),
    }
    command = shlex.join([sys.executable, *pytest])
    return Job(command=command, cwd=str(CHECKOUT), environment=environment, settings=settings)


def _foreign(kernel: Kernel, pytest: Sequence[str], settings: Settings, built: Path) -> Job:
    """Return the job for a guest of another architecture: its own Python, packages, and our extension for it."""
    extension = userland.extension(kernel.arch, built)
    root, _ = userland.foreign(kernel.arch)
    site = "/run/bpfctl-site"
    install(_needed(), kernel.arch, root, built / "site")
    for told in Path(sysconfig.get_path("purelib")).glob("bpfctl-*.dist-info"):  # which plugins there are
        shutil.copytree(told, built / "site" / told.name)
    environment = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/plugins:{site}",
        "BPFCTL_BPFTOOL": "/usr/sbin/bpftool",
    }
    # The checkout has the extension for this machine in the place where the guest looks for its own.
    place = CHECKOUT / "bpfctl" / "_sys" / extension.name
    swap = shlex.join(["mount", "--bind", f"/run/bpfctl-built/{extension.name}", str(place)])
    return Job(
        command=f"{swap} || exit\n{shlex.join(['python3', *pytest])}",
        cwd=str(CHECKOUT),
        environment=environment,
        folders={
            str(CHECKOUT): CHECKOUT,
            site: built / "site",
            "/run/bpfctl-built": built,
        },
        settings=settings,
    )


def _installed(kernel: Kernel, pytest: Sequence[str], settings: Settings, built: Path, wheel: Path) -> Job:
    """Return the job for a guest of another architecture that has a WHEEL and, of the checkout, the tests alone."""
    root, _ = userland.foreign(kernel.arch)
    place, site = "/run/bpfctl-tests", "/run/bpfctl-site"
    install([f"{wheel}[jited]", *_TESTING], kernel.arch, root, built / "site")
    environment = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": site,
        "PYTHONPYCACHEPREFIX": "/run/bpfctl-compiled",  # both folders are read-only
        "BPFCTL_BPFTOOL": "/usr/sbin/bpftool",
    }
    return Job(
        command=f"python3 -c 'import bpfctl; print(bpfctl.__file__)' || exit\n{shlex.join(['python3', *pytest])}",
        cwd=place,
        environment=environment,
        folders={place: copy_tests(built / "tests"), site: built / "site"},
        settings=settings,
    )


def _needed() -> list[str]:
    """Return what this project and its tests in guests need."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["jited"], *_TESTING]


def install(packages: Sequence[str], arch: str, root: Path, into: Path) -> None:
    """Have pip install packages for the Python of ROOT on machines of ARCH, as Debian calls them."""
    version = next(path.name.removeprefix("python") for path in root.glob("usr/bin/python3.*[0-9]"))
    machine = {"arm64": "aarch64"}[arch]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target", str(into)]
    command += [f"--platform=manylinux2014_{machine}", f"--platform=manylinux_2_17_{machine}"]
    command += ["--implementation=cp", f"--python-version={version}", *packages]
    subprocess.run(command, check=True)


def warm_up() -> None:
    """Compile on the host what guests would otherwise compile, thirty times slower, at each start.

    That is the project, the packages it uses, the tests as pytest rewrites them (hence a run of its own), and the
    BPF objects.
    """
    compiled.everything()
    for folder in (*(CHECKOUT / room for room in PACKAGES), Path(sysconfig.get_path("purelib"))):
        if os.access(folder, os.W_OK):
            compileall.compile_dir(folder, quiet=2)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [sys.executable, *PYTEST, "-q", "--collect-only", *EVERYTHING],
        cwd=CHECKOUT,
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # the guests will say what is wrong
    )


async def _run(chosen: Sequence[Kernel], jobs: Sequence[Job]) -> list[Report]:
    """Run each kernel's job in a guest, SIDE_BY_SIDE at a time, and return the reports in the order of CHOSEN."""
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(kernel: Kernel, job: Job) -> Report:
        async with turn:
            return await _test(kernel, job)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(*pair)) for pair in zip(chosen, jobs, strict=True)]
    return [task.result() for task in tasks]


async def _test(kernel: Kernel, job: Job) -> Report:
    out, release = Prefixed(kernel.name), kernel.fetched or ""
    with tempfile.TemporaryDirectory(prefix="bpfctl-vm-") as kept:
        try:
            result = await guest.boot(kernel, replace(job, keep=Path(kept)), stdout=out.write, stderr=out.write)
        except guest.GuestError as error:
            out.write(error.log.encode())
            return Report(kernel.name, release, error.result.seconds, broken=str(error))
        finally:
            out.end()
        return _report(kernel.name, release, result, Path(kept, JUNIT))


def _report(kernel: str, release: str, result: Result, junit: Path) -> Report:
    if junit.exists():
        return Report.read(junit.read_text(), kernel, release, result.seconds, result.code)
    broken = f"pytest left no report and ended with exit code {result.code}"
    return Report(kernel, release, result.seconds, broken=broken)
