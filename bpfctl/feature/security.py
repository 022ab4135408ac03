"""Security modules, and which of them have a say in bpf(2): a load may be refused by what is no capability."""

from __future__ import annotations

import os
from typing import NamedTuple

from bpfctl._sys import task
from bpfctl.errors import BpfctlError

_FOLDER = "/sys/kernel/security"
#: include/uapi/linux/lsm.h; the capabilities are a module of their own.
_NAMES = {
    100: "capability",
    101: "selinux",
    102: "smack",
    103: "tomoyo",
    104: "apparmor",
    105: "yama",
    106: "loadpin",
    107: "safesetid",
    108: "lockdown",
    109: "bpf",
    110: "landlock",
    111: "ima",
    112: "evm",
    113: "ipe",
}
#: Those with hooks that bpf(2) asks: security_bpf() and its kin, and security_locked_down().
_JUDGES = ("lockdown", "selinux", "bpf")
_HOOK = "bpf_lsm_bpf"  # where programs of LSM judge bpf(2): bpf_lsm_bpf, bpf_lsm_bpf_map, bpf_lsm_bpf_prog, ...
_NOT_MOUNTED = "securityfs is not mounted"


class Told(NamedTuple):
    """What is known of something; None where it cannot be told, and why."""

    value: str | None
    why: str = ""


def modules() -> Told:
    """Return the active modules in their order, as /sys/kernel/security/lsm has them."""
    try:
        with open(f"{_FOLDER}/lsm", encoding="utf-8") as file:
            return Told(file.read().strip())
    except OSError as error:
        why = _NOT_MOUNTED if isinstance(error, FileNotFoundError) else (error.strerror or "")
    try:
        return Told(",".join(_NAMES.get(number, str(number)) for number in task.security_modules()))
    except OSError:  # before Linux 6.8
        return Told(None, why)


def lockdown() -> Told:
    """Return the mode of kernel lockdown: none, integrity or confidentiality."""
    try:
        with open(f"{_FOLDER}/lockdown", encoding="utf-8") as file:
            return Told(file.read().partition("[")[2].partition("]")[0])
    except OSError as error:
        why = error.strerror or ""
    there = modules()
    if there.value is None:
        return Told(None, there.why)
    if "lockdown" not in there.value.split(","):
        return Told("none")
    return Told(None, why if os.path.exists(f"{_FOLDER}/lsm") else _NOT_MOUNTED)


def judges() -> Told:
    """Return which active modules may refuse what bpf(2) asks for, and how SELinux and programs of LSM do."""
    there = modules()
    if there.value is None:
        return there
    found = [name for name in there.value.split(",") if name in _JUDGES]
    return Told(" ".join(f"{name}{_how(name)}" for name in found) or "none")


def _how(name: str) -> str:
    if name == "selinux":
        try:
            with open("/sys/fs/selinux/enforce", encoding="utf-8") as file:
                return " (enforcing)" if file.read().strip() == "1" else " (permissive)"
        except OSError:
            return ""
    if name != "bpf":
        return ""
    programs = _programs()
    return " (programs cannot be listed)" if programs is None else f" ({programs} programs at its hooks)"


def _programs() -> int | None:
    """Count the loaded programs of LSM that judge bpf(2); None where they may not be listed."""
    from bpfctl.kernel import btf  # noqa: PLC0415 - where there are such programs
    from bpfctl.kernel.prog import Program  # noqa: PLC0415
    from bpfctl.uapi.enums import ProgType  # noqa: PLC0415

    try:
        targets = []
        for program in Program.every():
            with program:
                info = program.info()
            if info.type == ProgType.LSM and info.attach_btf_id:
                targets.append(info.attach_btf_id)
        names = [btf.vmlinux().name(target) for target in targets]
    except BpfctlError:
        return None
    return sum(name.startswith(_HOOK) for name in names)
