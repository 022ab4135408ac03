"""The cpio writer and the order of modules."""

from __future__ import annotations

import lzma
import stat

import pytest

from tests.vm import initrd
from tests.vm.cache import VMError
from tests.vm.initrd import Entry

DEPENDENCIES = """\
kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/drivers/virtio/virtio-ring.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/fs/netfs/netfs.ko.xz:
kernel/drivers/virtio/virtio-ring.ko.xz:
"""


def test_one_file_byte_by_byte():
    """A header of 110 bytes, and name and data each padded to four."""
    archive = initrd.cpio([Entry("ab", stat.S_IFREG | 0o644, b"12345")])

    fields = ["00000001", "000081a4", *["00000000"] * 2, "00000001", "00000000", "00000005"]
    header = "070701" + "".join([*fields, *["00000000"] * 4, "00000003", "00000000"])
    assert archive.startswith(header.encode() + b"ab\0" + b"\0" * 3 + b"12345" + b"\0" * 3 + b"070701")
    assert archive.endswith(b"TRAILER!!!\0" + b"\0" * 3)
    assert len(archive) % 4 == 0


def test_modules_load_behind_what_they_need():
    """Each once; a module that is built in is not in modules.dep; - and _ are the same."""
    order = initrd.load_order(DEPENDENCIES, ["virtio_ring", "virtio_pci", "9pnet_virtio", "9p"])

    names = ["virtio-ring", "9pnet", "9pnet_virtio", "netfs", "9p"]
    assert names == [path.rpartition("/")[2].removesuffix(".ko.xz") for path in order]


def test_packed_modules_are_unpacked(tmp_path):
    """Debian packs them since 6.12."""
    (tmp_path / "a.ko").write_bytes(b"plain")
    (tmp_path / "b.ko.xz").write_bytes(lzma.compress(b"packed"))

    assert initrd._module(tmp_path / "a.ko") == b"plain"
    assert initrd._module(tmp_path / "b.ko.xz") == b"packed"


def test_a_dynamic_busybox_is_refused(tmp_path):
    """The guest has no C library when it starts."""
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"\x7fELF /lib64/ld-linux-x86-64.so.2")

    with pytest.raises(VMError, match="busybox-static"):
        initrd._static(busybox)
