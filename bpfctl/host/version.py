"""Which release of Linux runs, as programs and the kernel count it (LINUX_VERSION_CODE).

What uname(2) calls the release is not enough: Ubuntu and Debian leave the last number of it at 0, and tell it elsewhere
(get_kernel_version() in libbpf's src/libbpf_probes.c).
"""

from __future__ import annotations

import os
import re

_SIGNATURE = "/proc/version_signature"  # of Ubuntu alone, as "Ubuntu 5.4.0-12.15-generic 5.4.8"
_DEBIAN = re.compile(r"Debian (\d+\.\d+\.\d+)")  # in "#1 SMP Debian 4.19.260-1 (2022-09-29)"
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def running() -> str:
    """Return the release that runs; what begins with three numbers, wherever they are told."""
    try:
        with open(_SIGNATURE, encoding="utf-8", errors="replace") as file:
            words = file.read().split()
    except OSError:
        words = []
    if len(words) > 2 and _NUMBERS.match(words[2]):
        return words[2]
    names = os.uname()
    debian = _DEBIAN.search(names.version)
    return debian[1] if debian is not None else names.release


def code(release: str) -> int:
    """Return LINUX_VERSION_CODE of a release; 0 for one that does not begin with three numbers."""
    words = _NUMBERS.match(release)
    major, minor, patch = map(int, words.groups()) if words else (0, 0, 0)
    return (major << 16) + (minor << 8) + min(patch, 255)
