"""What this thread may do, and a way to do without it for a while."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpfctl._sys import calls, task
from bpfctl.feature.answer import CAP_BPF, CAP_NAMES, CAP_SYS_ADMIN, Rights
from bpfctl.host import sysctl

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAST = "kernel.cap_last_cap"


def present() -> Rights:
    """Return what this thread may do now; how much memory it may lock is raised as far as that goes."""
    calls.raise_memlock()
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return Rights(
        task.effective_capabilities(),
        sysctl.number("kernel.unprivileged_bpf_disabled"),
        _lockdown(),
        memory_is_limited=limit != resource.RLIM_INFINITY,
    )


def missing(rights: Rights) -> list[str]:
    """Return the capabilities without which probing is not complete; kernels before 5.8 know one of them alone."""
    newest = sysctl.number(_LAST)
    wanted = [CAP_SYS_ADMIN] if newest is not None and newest < CAP_BPF else CAP_NAMES
    return [CAP_NAMES[number] for number in wanted if not rights.has(number)]


@contextmanager
def without_capabilities() -> Iterator[None]:
    """Give up the capabilities that BPF looks at, and take them back at the end."""
    calls.raise_memlock()  # as long as we may
    before = task.effective_capabilities()
    task.set_effective_capabilities(before & ~sum(1 << number for number in CAP_NAMES))
    try:
        yield
    finally:
        task.set_effective_capabilities(before)


def _lockdown() -> str:
    try:
        with open("/sys/kernel/security/lockdown", encoding="utf-8") as file:
            return file.read().partition("[")[2].partition("]")[0]
    except OSError:
        return ""
