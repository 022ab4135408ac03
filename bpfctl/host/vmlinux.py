"""/sys/kernel/btf/vmlinux: the types of the running kernel (kernel/bpf/sysfs_btf.c)."""

from __future__ import annotations

from mmap import MAP_PRIVATE, PROT_READ, mmap

VMLINUX = "/sys/kernel/btf/vmlinux"


def vmlinux_blob() -> bytes | mmap:
    """Return the raw BTF, mapped where the kernel lets it be (Linux 6.16): that saves a copy of megabytes; OSError."""
    with open(VMLINUX, "rb") as file:
        try:
            return mmap(file.fileno(), 0, flags=MAP_PRIVATE, prot=PROT_READ)
        except (OSError, ValueError):  # ValueError: mmap() takes an empty file for a wrong length
            return file.read()
