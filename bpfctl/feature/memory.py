"""
Answers that need no second load.

An answer that is conclusive stays what it is while the kernel runs, for who has the same rights: the key has all that
decides what the kernel answers. What cannot be told is asked again each time, and so is what hangs on mounts, devices
or limits. A seccomp filter may answer in the kernel's place: who has one remembers nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.feature import rights
from bpfctl.feature.answer import NO, YES, Answer
from bpfctl.host import sysctl
from bpfctl.host.boot_cache import boot_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from bpfctl.host.boot_cache import BootCache

_SETTINGS = (
    "kernel.unprivileged_bpf_disabled",
    "kernel.perf_event_paranoid",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.core.bpf_jit_limit",
)
_NAMESPACES = ("user", "net", "cgroup", "pid")


class Memory:
    """The conclusive answers of this boot, read from a cache and written back with what is new.

    Without a cache it remembers what it is told itself.
    """

    def __init__(self, cache: BootCache | None = None, *, fresh: bool = False) -> None:
        """Read what the cache has, unless everything is to be asked anew."""
        self._cache = cache
        self._key = _key() if cache is not None else None
        self._new = False
        self._known: dict[str, dict[str, Answer]] = {}
        if cache is not None and self._key is not None and not fresh:
            self._known = _decoded(cache.read(self._key))

    def answer(self, group: str, name: str, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to one question, and ask it unless it is known."""
        return self.answers(group, [name], lambda: [ask()])[0]

    def answers(self, group: str, names: Sequence[str], ask: Callable[[], Sequence[Answer]]) -> list[Answer]:
        """Return the answers to questions that are asked together, and ask them unless all are known."""
        known = self._known.setdefault(group, {})
        if not all(name in known for name in names):
            found = ask()
            conclusive = {name: one for name, one in zip(names, found, strict=True) if one.can in {YES, NO}}
            self._new = self._new or not conclusive.items() <= known.items()
            known.update(conclusive)
            return list(found)
        return [known[name] for name in names]

    def save(self) -> None:
        """Write back what is known, if anything is new, and nothing has changed meanwhile."""
        if self._cache is not None and self._key is not None and self._new and self._key == _key():
            self._cache.write(self._key, _encoded(self._known))


def _key() -> dict[str, object] | None:
    """Return all that answers hang on; None for who had better ask each time."""
    boot = boot_id()
    if not boot or "\nSeccomp:\t0\n" not in _read("/proc/thread-self/status"):
        return None
    names, able = os.uname(), rights.present()
    return {
        "bpfctl": _stamp(),
        "boot": boot,
        "kernel": [names.release, names.version, names.machine],
        "capabilities": able.capabilities,
        "profile": _read("/proc/thread-self/attr/current"),
        "namespaces": [_namespace(name) for name in _NAMESPACES],
        "lockdown": able.lockdown,
        "security modules": _read("/sys/kernel/security/lsm"),
        "settings": [sysctl.number(name) for name in _SETTINGS],
        # All but who uses them: names, sizes, addresses.
        "modules": [[*words[:2], *words[5:]] for words in map(str.split, _read("/proc/modules").splitlines())],
    }


def _stamp() -> list[object]:
    """Return what changes whenever another version of the probes is installed."""
    folder = os.path.dirname(__file__)
    if not os.path.isdir(folder):  # in an archive
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        facts = os.stat(folder)
        return [folder, [facts.st_mtime_ns, facts.st_size]]
    with os.scandir(folder) as files:
        found = sorted((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file())
    return [folder, *map(list, found)]


def _namespace(name: str) -> int:
    try:
        return os.stat(f"/proc/thread-self/ns/{name}").st_ino
    except OSError:  # a kernel without them
        return 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _encoded(known: dict[str, dict[str, Answer]]) -> dict[str, list[object]]:
    """Return groups as lists of an answer and all that have it: there are few different ones."""
    groups: dict[str, list[object]] = {}
    for group, answers in known.items():
        by_answer: dict[Answer, list[str]] = {}
        for name, answer in answers.items():
            by_answer.setdefault(answer, []).append(name)
        groups[group] = [[*answer, names] for answer, names in by_answer.items()]
    return groups


def _decoded(content: Any) -> dict[str, dict[str, Answer]]:
    """Return what was encoded; nothing if it is anything else."""
    known: dict[str, dict[str, Answer]] = {}
    try:
        for group, rows in (content or {}).items():
            known[group] = {}
            for can, why, bpftool, names in rows:
                if can not in {YES, NO} or not isinstance(why, str) or not isinstance(bpftool, bool):
                    return {}
                known[group] |= dict.fromkeys(names, Answer(can, why, bpftool=bpftool))
    except (AttributeError, TypeError, ValueError):
        return {}
    return known
