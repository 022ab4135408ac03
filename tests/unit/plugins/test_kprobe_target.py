"""How a place in the kernel is named."""

from __future__ import annotations

import pytest
from bpfctl_kprobe.names import Target

from bpfctl.errors import UsageError


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("vfs_read", Target("", "vfs_read", 0)),
        ("vfs_read+0", Target("", "vfs_read", 0)),
        ("vfs_read+10", Target("", "vfs_read", 10)),
        ("ext4:f.isra.0+0x1F,maxactive=7", Target("ext4", "f.isra.0", 31, 7)),
        ("vmlinux:vfs_read", Target("", "vfs_read", 0)),
        ("0xffffffff81000000", Target("", "", 0xFFFFFFFF81000000)),
    ],
)
def test_places(target, expected):
    assert Target.parse(target) == expected


@pytest.mark.parametrize(
    "offset", ["010", "08", "+1", "-1", "0x", "9" * 5000], ids=["octal", "zero", "sign", "minus", "hex", "digits"]
)
def test_what_is_no_offset(offset):
    with pytest.raises(UsageError, match=r"should be \[MODULE:\]SYMBOL\[\+OFFSET\]"):
        Target.parse(f"vfs_read+{offset}")
