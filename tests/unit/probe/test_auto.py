"""Where programs of objects are attached, as the names of their sections say."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from bpfctl.attach import kprobe
from bpfctl.errors import UsageError
from bpfctl.probe.auto import KINDS
from bpfctl.spec import Function, ProgramSpec


def attached(monkeypatch, section):
    """Return to which places of the kernel a program of a section is attached."""
    asked = []
    monkeypatch.setattr(kprobe, "attach", lambda _, places, *, returns: asked.append((*places, returns)) or [])
    spec = ProgramSpec("program", section, Function("program", section, 0, 1), target=section.partition("/")[2])
    KINDS[section.partition("/")[0]][0](spec, None, ExitStack())
    return asked


@pytest.mark.parametrize(
    ("section", "place", "returns"),
    [
        ("kprobe/vfs_read", kprobe.Place("vfs_read", 0), False),
        ("kprobe/vfs_read+0x10", kprobe.Place("vfs_read", 16), False),
        ("kprobe/vfs_read+0xffffffffffffffff", kprobe.Place("vfs_read", (1 << 64) - 1), False),
        ("kretprobe/vfs_read", kprobe.Place("vfs_read", 0), True),
    ],
)
def test_functions_of_the_kernel(monkeypatch, section, place, returns):
    assert attached(monkeypatch, section) == [(place, returns)]


@pytest.mark.parametrize(
    "section",
    [
        "kprobe/-",
        "kprobe/vfs_read+0x10000000000000000",
        f"kprobe/vfs_read+{'9' * 5000}",
        "kprobe/vfs_read+010",
        "kretprobe/vfs_read+4",
    ],
)
def test_no_function_of_the_kernel(monkeypatch, section):
    with pytest.raises(UsageError, match="of program program names no function of the kernel"):
        attached(monkeypatch, section)
