"""Answers to probes: available, not available, or that it cannot be told, and why."""

from __future__ import annotations

import os
from errno import E2BIG, EACCES, EAGAIN, EBUSY, EINTR, EINVAL, EMFILE, ENFILE, ENOMEM, ENOSPC, EPERM
from typing import NamedTuple

YES, NO, UNKNOWN = "yes", "no", "unknown"

ENOTSUPP = 524  # include/linux/errno.h: not in user space's errno.h, and yet an answer of bpf(2)
CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 12, 21, 38, 39
CAP_NAMES = {CAP_SYS_ADMIN: "CAP_SYS_ADMIN", CAP_BPF: "CAP_BPF", CAP_NET_ADMIN: "CAP_NET_ADMIN"}
CAP_NAMES[CAP_PERFMON] = "CAP_PERFMON"
_LIMITS = {
    ENOMEM: "no memory for it",
    ENOSPC: "the kernel has more to say than there was room for",
    EMFILE: "this process has as many descriptors as it may (ulimit -n)",
    ENFILE: "the system has as many open files as it may (fs.file-max)",
}
_MEANWHILE = frozenset({EAGAIN, EBUSY, EINTR})  # a signal has come, or somebody else has what it takes
NEEDS_BTF = "it needs a function in the kernel's BTF to attach to"


class Answer(NamedTuple):
    """What is known of one feature.

    ``bpftool`` is what bpftool makes of the same answer of the kernel: it has two words where there are three.
    """

    can: str
    why: str = ""
    bpftool: bool = False


AVAILABLE = Answer(YES, "", bpftool=True)
MISSING = Answer(NO)


class Rights(NamedTuple):
    """What stands between a probe and its answer: what this thread may do, and what the administrator lets it."""

    capabilities: int
    unprivileged_disabled: int | None  # kernel.unprivileged_bpf_disabled
    lockdown: str  # "integrity", "confidentiality", "none", or empty where the kernel does not tell
    on_purpose: bool = False  # who asks wants to know what can be done with just these
    memory_is_limited: bool = False  # RLIMIT_MEMLOCK could not be raised, to which kernels before 5.11 hold objects

    def lacks(self) -> list[str]:
        """Return the capabilities that BPF needs and this thread has not; CAP_SYS_ADMIN stands for all of them."""
        if self.capabilities >> CAP_SYS_ADMIN & 1:
            return []
        return [name for number, name in CAP_NAMES.items() if number != CAP_SYS_ADMIN and not self.has(number)]

    def has(self, capability: int) -> bool:
        """Return whether this thread has a capability."""
        return bool(self.capabilities >> capability & 1)


def refused(errno: int, rights: Rights) -> Answer:
    """Return the answer behind an errno that says nothing of the feature itself; others mean that it is missing."""
    if errno in (EPERM, EACCES):
        return Answer(UNKNOWN, _forbidden(rights))
    if errno in _LIMITS:
        return Answer(UNKNOWN, f"a limit is reached: {_LIMITS[errno]}")
    if errno in _MEANWHILE:
        return Answer(UNKNOWN, f"{os.strerror(errno)}: it may be told another time")
    if errno in (EINVAL, E2BIG, ENOTSUPP):
        return as_far_as_rights_go(MISSING, rights)
    return Answer(NO, os.strerror(errno))


def as_far_as_rights_go(answer: Answer, rights: Rights) -> Answer:
    """Return an answer, or that it cannot be told: the kernel denies those who lack rights what it has for others."""
    missing = rights.lacks()
    if answer.can != NO or not missing or rights.on_purpose:
        return answer
    return Answer(UNKNOWN, f"a capability is missing: {', '.join(missing)}; the kernel may say no for that")


def _forbidden(rights: Rights) -> str:
    if missing := rights.lacks():
        disabled = rights.unprivileged_disabled
        more = f"; kernel.unprivileged_bpf_disabled is {disabled}" if disabled and not rights.has(CAP_BPF) else ""
        # Before Linux 5.11 the same errno said that RLIMIT_MEMLOCK was used up; who may use BPF meets that first.
        more = "; or a limit is reached: RLIMIT_MEMLOCK" if disabled == 0 else more
        return f"a capability is missing: {', '.join(missing)}{more}"
    if rights.lockdown not in ("", "none"):
        return f"kernel lockdown forbids it ({rights.lockdown})"
    more = ", or RLIMIT_MEMLOCK is used up, before Linux 5.11" if rights.memory_is_limited else ""
    return f"forbidden although no capability is missing: by kernel lockdown or a security policy{more}"


def complaint(log: str) -> str:
    """Return the first thing that the verifier complains of; empty where it only tells how much it has looked at."""
    return next((line for line in log.splitlines() if line and not line.startswith("processed ")), "")


def of_target(errno: int, log: str, rights: Rights) -> Answer:
    """Return the answer of a load with a target: one that does not suit is complained of, and tells nothing."""
    answer, said = refused(errno, rights), complaint(log)
    return Answer(UNKNOWN, f"the target does not suit: {said}") if answer.can == NO and said else answer
