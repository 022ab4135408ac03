"""
Hard places to run in, and a way to run a command there.

A hardship is a function that a child process calls on itself before the command starts: it gives up rights, hides
file systems, or forbids a system call. Nothing of it reaches the parent.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import pkgutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bpftool import peer
from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.place import _CLONE_NEWNS, _LIBC, _MS_PRIVATE, _MS_REC, _checked, mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Hardship = Callable[[], None]

PATIENCE = float(os.environ.get("BPFCTL_TEST_PATIENCE", "1"))  # how much longer than usual a test may repeat itself

_CLONE_NEWUSER = 0x10000000
_NOBODY = 65534
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER, _SECCOMP_RET_ERRNO, _SECCOMP_RET_ALLOW = 2, 0x00050000, 0x7FFF0000
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # classic BPF, include/uapi/linux/bpf_common.h


def ordinary_user() -> None:
    """Become nobody, who has no capabilities."""
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)
    # As after an execve: otherwise files in /proc/self would belong to root.
    _checked(_LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE")


def user_namespace() -> None:
    """Become root of a new user namespace, with all capabilities there and none in the initial one."""
    _checked(_LIBC.unshare(_CLONE_NEWUSER), "unshare user")
    for file, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
        Path("/proc/self", file).write_text(text)


def _forbid(call: int, answer: int) -> None:
    """Let a seccomp filter answer a system call from now on (Documentation/userspace-api/seccomp_filter.rst)."""
    steps = [
        (_LOAD_WORD, 0, 0, 0),  # the call's number, first in struct seccomp_data
        (_JUMP_EQUAL, 0, 1, call),
        (_RETURN, 0, 0, _SECCOMP_RET_ERRNO | answer),
        (_RETURN, 0, 0, _SECCOMP_RET_ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    _checked(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    _checked(_LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program), "PR_SET_SECCOMP")


def no_bpf() -> None:
    """Have bpf(2) answer ENOSYS."""
    _forbid(client._NR_BPF, errno.ENOSYS)


def forbidden_bpf() -> None:
    """Have bpf(2) answer EPERM, as the filters of containers do."""
    _forbid(client._NR_BPF, errno.EPERM)


def no_perf_events() -> None:
    """Have perf_event_open(2) answer ENOSYS."""
    _forbid(client._NR_PERF_EVENT_OPEN, errno.ENOSYS)


def forbidden_perf_events() -> None:
    """Have perf_event_open(2) answer EPERM, as the filters of containers do."""
    _forbid(client._NR_PERF_EVENT_OPEN, errno.EPERM)


def _hide(folder: str) -> None:
    _checked(_LIBC.unshare(_CLONE_NEWNS), "unshare mounts")
    _checked(_LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private")
    mount("tmpfs", Path(folder))


def no_proc() -> None:
    """Hide /proc under an empty file system."""
    _hide("/proc")


def no_sys() -> None:
    """Hide /sys, and with it bpffs, tracefs, the kernel's BTF and its PMUs."""
    _hide("/sys")


class Outcome(NamedTuple):
    """How a command ended; a negative code is the signal that it died of."""

    code: int
    out: bytes
    err: str


def bpfctl(*arguments: str | bytes, hardship: Hardship | None = None) -> Outcome:
    """Run our command line in a forked child, where everything it may import is there already."""
    _import_all()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull, "rb") as null:
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                for source, target in ((null, 0), (out, 1), (err, 2)):
                    os.dup2(source.fileno(), target)
                if hardship is not None:
                    hardship()
                code = _main([os.fsdecode(argument) for argument in arguments])
            except BaseException:  # noqa: BLE001 - the child must not go on as a second test run
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return Outcome(code, _all(out.fileno()), _all(err.fileno()).decode())


def _all(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(fd, 1 << 20), b""))


def _main(arguments: list[str]) -> int:
    from bpfctl.__main__ import main

    sys.argv = ["bpfctl", *arguments]
    return main()


@cache
def _import_all() -> None:
    """Import what a command may import later: an ordinary user may be unable to read this Python's files."""
    import bpfctl

    for module in pkgutil.walk_packages(bpfctl.__path__, "bpfctl."):
        if not module.name.startswith("bpfctl._tools"):
            importlib.import_module(module.name)
    for name in (
        "difflib",
        "email.parser",
        "encodings.ascii",
        "fractions",
        "gzip",
        "importlib.metadata",
        "importlib.readers",
        "resource",
        "select",
        "socket",
        "traceback",
    ):
        importlib.import_module(name)


def started(*arguments: str, hardship: Hardship, goes_on: float | None = None) -> Outcome:
    """Start our command as its users do, in a process that has nothing yet; after so many seconds comes Ctrl-C."""
    words = [*BPFCTL, *arguments]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**ENVIRONMENT, "EDITOR": "true"}
    process = subprocess.Popen(words, env=environment, **streams, preexec_fn=hardship)  # noqa: PLW1509 - no threads
    try:
        out, err = process.communicate(timeout=goes_on)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    return Outcome(process.returncode, out, err.decode(errors="replace"))


def bpftool(*arguments: str | bytes, hardship: Hardship | None = None) -> Outcome | None:
    """Run bpftool in the same place; None where none is installed that may be run there."""
    try:
        command = [peer.bpftools()[0], *arguments]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, preexec_fn=hardship, check=False)
    except (FileNotFoundError, PermissionError):
        return None
    return Outcome(done.returncode, done.stdout, done.stderr.decode(errors="backslashreplace"))


def rounds(wanted: int, seconds: float, least: int = 5) -> Iterator[int]:
    """Count to ``wanted``; on a slow machine only as far as so many seconds reach, times BPFCTL_TEST_PATIENCE."""
    end = time.monotonic() + seconds * PATIENCE
    for number in range(wanted):
        if number >= least and time.monotonic() > end:
            return
        yield number
