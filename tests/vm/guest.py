"""Run one command on another kernel: QEMU without KVM, over this machine's own root, copied on write."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm import cache, kernels, userland
from tests.vm.cache import VMError
from tests.vm.initrd import FOLDER, SECOND_INIT, initrd
from tests.vm.tools import need, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.vm.kernels import Kernel

    Sink = Callable[[bytes], object]

KEEP = f"{FOLDER}/keep"  # in the guest: what a command leaves here lands in the folder Job.keep of the host
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOG_TAIL = 60  # lines: a panic with its call trace


class GuestError(VMError):
    """The guest ended without an exit code; RESULT is what the command printed, LOG how the kernel ended."""

    def __init__(self, message: str, result: Result, log: str) -> None:
        super().__init__(message)
        self.result = result
        self.log = log


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended in a guest; 255 is also the code of a command that never ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much of a machine a guest gets."""

    cpus: int = 1
    memory: int = 1024  # MiB
    timeout: float = 300  # seconds
    arguments: str = ""  # more words for the kernel's command line


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to run in a guest."""

    command: str  # for the guest's /bin/sh
    cwd: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    keep: Path | None = None  # where to put what the command left in KEEP
    folders: Mapping[str, Path] = field(default_factory=dict)  # of the host, by where the guest finds them
    root: Path | None = None  # instead of this machine's, or of the one that foreign guests have
    settings: Settings = field(default_factory=Settings)

    def script(self) -> str:
        """Return the shell script that the guest runs."""
        environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **self.environment}
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        mounts = "".join(mount(f"more{at}", place) for at, place in enumerate(self.folders))
        return f"{exports}{mounts}cd {shlex.quote(self.cwd)} || exit\n{self.command}\n"


@dataclass(frozen=True, slots=True)
class Machine:
    """How QEMU imitates one architecture."""

    qemu: str
    type: str
    # amd64: page-table isolation, which named models get, costs up to 40%. arm64: "max" takes 3 times longer.
    cpu: str
    console: str


MACHINES = {
    "amd64": Machine("qemu-system-x86_64", "q35", "max", "ttyS0"),
    "arm64": Machine("qemu-system-aarch64", "virt", "cortex-a57", "ttyAMA0"),
}


def check(kernel: Kernel) -> None:
    """Raise VMError, with the packages to install, unless this machine can boot a guest of KERNEL."""
    need(MACHINES[kernel.arch].qemu, "setpriv", *([] if kernel.foreign else ["busybox"]))


def run(kernel: Kernel, job: Job, *, stdout: Sink | None = None, stderr: Sink | None = None) -> Result:
    """Boot KERNEL, run JOB in it and return how that ended; GuestError if it did not end.

    STDOUT and STDERR are called with what the command prints while it runs. Nothing of the guest stays.
    """
    return asyncio.run(boot(kernel, job, stdout=stdout, stderr=stderr))


async def boot(kernel: Kernel, job: Job, *, stdout: Sink | None = None, stderr: Sink | None = None) -> Result:
    """Do what run() does, so that several guests can run side by side; cancelling it kills the guest."""
    check(kernel)
    folder = kernels.fetch(kernel).resolve()
    root, busybox = userland.foreign(kernel.arch) if kernel.foreign else (Path("/"), Path(tool("busybox")))
    work = Path(tempfile.mkdtemp(prefix="bpfctl-vm-"))
    with cache.lock(folder, shared=True):
        try:
            release = (folder / "release").read_text().strip()
            (work / "initrd").write_bytes(initrd(release, folder / "modules", busybox))
            guest = Guest(work, job, {"stdout": stdout, "stderr": stderr})
            machine = MACHINES[kernel.arch]
            words = f"rdinit=/init console={machine.console} quiet loglevel=4 panic=-1 {kernel.arguments}"
            command = qemu(machine, work, job.settings)
            command += ["-kernel", str(folder / "image"), "-append", f"{words} {job.settings.arguments}"]
            command += [*share("root", job.root or root), *share("modules", folder / "modules")]
            command += share("folder", guest.folder, writable=True)
            for at, path in enumerate(job.folders.values()):
                command += share(f"more{at}", path)
            return await guest.run(command)
        finally:
            shutil.rmtree(work)


def qemu(machine: Machine, work: Path, settings: Settings) -> list[str]:
    """Return the command that starts a guest, without a kernel and its root; its console is WORK/log."""
    return [
        *(tool("setpriv"), "--pdeathsig", "KILL"),  # even if we are killed, the guest does not outlive us
        *(tool(machine.qemu), "-machine", machine.type, "-cpu", machine.cpu, "-accel", "tcg"),
        *("-smp", str(settings.cpus), "-m", str(settings.memory)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-initrd", f"{work}/initrd", "-serial", f"file:{work}/log"),
    ]


def share(tag: str, path: Path, *, writable: bool = False) -> list[str]:
    """Return QEMU's options that give the guest PATH by the name of TAG."""
    escaped = str(path).replace(",", ",,")
    device = f"local,id={tag},path={escaped},security_model=none,multidevs=remap"
    device += "" if writable else ",readonly=on"
    return ["-fsdev", device, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def mount(tag: str, place: str) -> str:
    """Return the command by which a guest mounts what is shared by the name of TAG."""
    options = "ro,cache=loose,version=9p2000.L,trans=virtio,msize=262144"
    return f"mkdir -p {shlex.quote(place)} && mount -t 9p -o {options} {tag} {shlex.quote(place)} || exit\n"


class Guest:
    """One guest while it runs JOB, and the folder in WORK that it shares with us."""

    def __init__(self, work: Path, job: Job, sinks: Mapping[str, Sink | None]) -> None:
        self._log = work / "log"
        self._job = job
        self._sinks = sinks
        self._printed = dict.fromkeys(sinks, b"")
        self.folder = work / "folder"
        (self.folder / "keep").mkdir(parents=True)
        (self.folder / "init").write_text(SECOND_INIT)
        (self.folder / "command").write_text(job.script())

    async def run(self, command: Sequence[str]) -> Result:
        """Start QEMU by COMMAND and see the job through."""
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
        timed_out = False
        try:
            async with asyncio.timeout(self._job.settings.timeout):
                await self._follow(process)
        except TimeoutError:
            timed_out = True
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            _, complaint = await process.communicate()
        self._pump()
        if self._job.keep:
            shutil.copytree(self.folder / "keep", self._job.keep, dirs_exist_ok=True)
        code = self._code()
        stdout, stderr = (text.decode(errors="replace") for text in self._printed.values())
        result = Result(255 if code is None else code, stdout, stderr, time.monotonic() - started)
        if code is None:
            log = self._log.read_text(errors="replace") if self._log.exists() else ""
            message = f"The guest was killed: no exit code in {self._job.settings.timeout:g} s."
            raise GuestError(
                message if timed_out else _verdict(log, complaint.decode()),
                result,
                "".join(log.splitlines(keepends=True)[-LOG_TAIL:]),
            )
        return result

    async def _follow(self, process: Process) -> None:
        """Pass on what the command prints until QEMU ends."""
        ended = asyncio.ensure_future(process.wait())
        while not ended.done():
            await asyncio.wait([ended], timeout=0.1)
            self._pump()

    def _pump(self) -> None:
        for name, sink in self._sinks.items():
            path = self.folder / name
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(len(self._printed[name]))
                fresh = file.read()
            self._printed[name] += fresh
            if sink and fresh:
                sink(fresh)

    def _code(self) -> int | None:
        code = self.folder / "code"
        return int(code.read_text()) if code.exists() else None


def _verdict(log: str, complaint: str) -> str:
    if "Kernel panic" in log:
        return "The guest's kernel panicked."
    if complaint.strip():
        return f"QEMU gave up: {complaint.strip().splitlines()[-1]}"
    return "The guest switched itself off without an exit code."
