"""Places in functions of the kernel, as users write them."""

from __future__ import annotations

import pytest
from bpfctl_kprobe.names import Target

from bpfctl.errors import UsageError


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("vfs_read", Target("", "vfs_read", 0)),
        ("vfs_read+0", Target("", "vfs_read", 0)),
        ("vfs_read+12", Target("", "vfs_read", 12)),
        ("xfs:a.isra.0+0x1f", Target("xfs", "a.isra.0", 31)),
        ("vmlinux:vfs_read", Target("", "vfs_read", 0)),
        ("vfs_read,maxactive=4096", Target("", "vfs_read", 0, 4096)),
        ("0xffffffff81000000", Target("", "", 0xFFFFFFFF81000000)),
    ],
)
def test_what_is_meant(text, target):
    assert Target.parse(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "vfs_read+",
        "vfs_read+010",
        "vfs_read+0x10000000000000000",
        f"vfs_read+{'9' * 5000}",
        f"vfs_read,maxactive={'9' * 5000}",
        "a b",
    ],
)
def test_what_means_nothing(text):
    with pytest.raises(UsageError, match=r"should be \[MODULE:\]SYMBOL\[\+OFFSET\] or 0xADDRESS"):
        Target.parse(text)
