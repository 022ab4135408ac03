"""/proc/sys: what the administrator has told the kernel to do."""

from __future__ import annotations


def number(name: str, root: str = "/proc/sys") -> int | None:
    """Return a setting that is a number, by its name with dots; None where this kernel or namespace has none."""
    try:
        with open(f"{root}/{name.replace('.', '/')}", encoding="utf-8") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
