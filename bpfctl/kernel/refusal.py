"""Why the kernel refuses, and what a person can do about it: asked of the kernel, not guessed from a user id."""

from __future__ import annotations

import os
from errno import EACCES, ENOSYS, EPERM

# include/uapi/linux/capability.h
_NUMBERS = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
_CAP_SYS_ADMIN, _CAP_PERFMON = _NUMBERS["CAP_SYS_ADMIN"], _NUMBERS["CAP_PERFMON"]
_SECCOMP_FILTER = "2"  # SECCOMP_MODE_FILTER in include/uapi/linux/seccomp.h
_EVERYBODY = ["0", "0", "4294967295"]  # the one line of uid_map in the initial user namespace


def hint(errno: int, *needed: str) -> str:
    """Return what to do about a refused command that needs these capabilities; empty for answers that are no refusal.

    Without any it is CAP_SYS_ADMIN, which stands for all others.
    """
    needed = needed or ("CAP_SYS_ADMIN",)
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
        return f"it needs {_joined(needed)}, which root has"
    if missing := _missing(capabilities, needed):
        return _lacking(capabilities, needed, missing)
    if _read("/proc/self/uid_map").split() != _EVERYBODY:
        return f"root of a user namespace is not enough: it needs {_joined(needed)} in the initial one"
    if status.get("Seccomp") == _SECCOMP_FILTER:
        return "a seccomp filter, such as a container's, may forbid bpf(2): run it outside, or with another profile"
    if errno == EPERM and (limit := memory_limit()):
        return limit
    verb = "are" if needed[1:] else "is"
    return f"{_joined(needed)} {verb} there, so a security policy forbids it{_lockdown()}"


def lacking(*needed: str) -> str:
    """Return which of these capabilities are missing, and what to do about it; empty where none is."""
    capabilities = int(_status().get("CapEff", "0"), 16)
    missing = _missing(capabilities, needed)
    return _lacking(capabilities, needed, missing) if missing else ""


def tracefs_hint(errno: int) -> str:
    """Return what to do where tracefs is not for us to read, which takes root or a mount for a group."""
    if errno not in (EPERM, EACCES):
        return hint(errno)
    status = _status()
    if not _missing(int(status.get("CapEff", "0"), 16), ("CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"), stands_for_all=False):
        return hint(errno)
    return (
        "tracefs is root's: run it as root, or have it mounted for a group of yours"
        " with mount -t tracefs -o gid=GROUP,mode=750 none /sys/kernel/tracing"
    )


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
    # Only a patch of Debian's and Ubuntu's knows more than 2.
    if not capabilities >> _CAP_SYS_ADMIN & 1 and paranoid.isdecimal() and int(paranoid) > 2:
        return f"with kernel.perf_event_paranoid at {paranoid} it needs CAP_SYS_ADMIN: run it as root, or make that 2"
    return f"CAP_PERFMON is there, so a security policy forbids it{_lockdown()}"


def memory_limit() -> str:
    """Return what to do where a limit for memory may be used up to which the kernel charges objects; or nothing.

    Linux did so before 5.11, with EPERM as the answer (bpf_map_charge_init() in kernel/bpf/syscall.c).
    """
    if not os.uname().release.startswith("5.10."):
        return ""
    import resource  # noqa: PLC0415 - few kernels have come here

    _, limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit == resource.RLIM_INFINITY:
        return ""
    return (
        f"RLIMIT_MEMLOCK is {limit} bytes, to which Linux before 5.11 charges objects of BPF:"
        " raise it with 'ulimit -H -l unlimited', which takes CAP_SYS_RESOURCE"
    )


def _missing(capabilities: int, needed: tuple[str, ...], *, stands_for_all: bool = True) -> tuple[str, ...]:
    """Return which of them are not there; CAP_SYS_ADMIN stands for those of BPF, but does not for netlink."""
    if stands_for_all and capabilities >> _CAP_SYS_ADMIN & 1:
        needed = tuple(name for name in needed if name == "CAP_NET_ADMIN")
    return tuple(name for name in needed if not capabilities >> _NUMBERS[name] & 1)


def _lacking(capabilities: int, needed: tuple[str, ...], missing: tuple[str, ...]) -> str:
    """Return what a thread lacks that has not all that it takes."""
    held = tuple(name for name in ("CAP_BPF", "CAP_PERFMON") if capabilities >> _NUMBERS[name] & 1)
    if held and (held[0] == "CAP_BPF" or held[0] in needed):
        also = " too" if {*held} & {*needed} else ""
        return f"{_joined(held)} {'are' if held[1:] else 'is'} not enough, it needs {_joined(missing)}{also}"
    told = f"it needs {_joined(needed)}: run it as root"
    if not {"CAP_BPF", "CAP_SYS_ADMIN"} & {*needed}:
        return told
    # With 1 or 2 the kernel refuses even what it would otherwise allow an ordinary user.
    disabled = _read("/proc/sys/kernel/unprivileged_bpf_disabled").strip()
    return f"{told}; kernel.unprivileged_bpf_disabled is {disabled}" if disabled not in ("", "0") else told


def _joined(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


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
