"""Why the kernel refuses, and what a person can do about it: asked of the kernel, not guessed from a user id."""

from __future__ import annotations

import os
from errno import EACCES, ENOSYS, EPERM

# include/uapi/linux/capability.h
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39
_SECCOMP_FILTER = "2"  # SECCOMP_MODE_FILTER in include/uapi/linux/seccomp.h
_EVERYBODY = ["0", "0", "4294967295"]  # the one line of uid_map in the initial user namespace


def hint(errno: int) -> str:
    """Return what to do about a refused command that needs CAP_SYS_ADMIN; empty for answers that are no refusal."""
    if errno == ENOSYS:
        if _status().get("Seccomp") == _SECCOMP_FILTER:
            return "a seccomp filter, such as a container's, hides bpf(2): run it outside, or with another profile"
        return "this kernel was built without CONFIG_BPF_SYSCALL"
    if errno not in (EPERM, EACCES):
        return ""
    status = _status()
    try:
        capabilities = int(status["CapEff"], 16)
    except (KeyError, ValueError):  # no /proc
        return "it needs CAP_SYS_ADMIN, which root has"
    if not capabilities >> _CAP_SYS_ADMIN & 1:
        return "CAP_BPF is not enough, it needs CAP_SYS_ADMIN" if capabilities >> _CAP_BPF & 1 else _ordinary()
    if _read("/proc/self/uid_map").split() != _EVERYBODY:
        return "root of a user namespace is not enough: it needs CAP_SYS_ADMIN in the initial one"
    if status.get("Seccomp") == _SECCOMP_FILTER:
        return "a seccomp filter, such as a container's, may forbid bpf(2): run it outside, or with another profile"
    return f"CAP_SYS_ADMIN is there, so a security policy forbids it{_lockdown()}"


def perf_hint() -> str:
    """Return what to do about a perf event that is refused with EPERM or EACCES."""
    status = _status()
    capabilities = int(status.get("CapEff", "0"), 16)
    paranoid = _read("/proc/sys/kernel/perf_event_paranoid").strip()
    if not capabilities & (1 << _CAP_SYS_ADMIN | 1 << _CAP_PERFMON):
        told = "it needs CAP_PERFMON: run it as root"
        return f"{told}; kernel.perf_event_paranoid is {paranoid}" if paranoid else told
    if _read("/proc/self/uid_map").split() != _EVERYBODY:
        return "root of a user namespace is not enough: it needs CAP_PERFMON in the initial one"
    if status.get("Seccomp") == _SECCOMP_FILTER:
        return "a seccomp filter, such as a container's, may forbid perf_event_open(2): run it outside"
    return f"CAP_PERFMON is there, so a security policy forbids it{_lockdown()}"


def _ordinary() -> str:
    """Return what an ordinary user lacks."""
    told = "it needs CAP_SYS_ADMIN: run it as root"
    # With 1 or 2 the kernel refuses even what it would otherwise allow an ordinary user.
    disabled = _read("/proc/sys/kernel/unprivileged_bpf_disabled").strip()
    return f"{told}; kernel.unprivileged_bpf_disabled is {disabled}" if disabled not in ("", "0") else told


def _lockdown() -> str:
    _, bracket, mode = (_read("/sys/kernel/security/lockdown") or _unmounted("securityfs", "lockdown")).partition("[")
    mode = mode.partition("]")[0]
    return f" (kernel lockdown: {mode})" if bracket and mode != "none" else ""


def _unmounted(kind: str, name: str) -> str:
    """Return a file of a file system that may be mounted nowhere here; empty where it cannot be read."""
    from bpfctl._sys import calls  # noqa: PLC0415 - few machines have it not mounted

    try:
        with calls.detached_mount(kind) as root, open(os.open(name, os.O_RDONLY, dir_fd=root.fileno())) as file:
            return file.read()
    except OSError:
        return ""


def _status() -> dict[str, str]:
    pairs = (line.partition(":") for line in _read("/proc/self/status").splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
