"""The types of the running kernel, for sources that read arguments by their names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bpfctl.errors import KernelError, NotSupported
from bpfctl.kernel.btf import module_blobs, vmlinux
from btf.errors import BTFError
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Iterator


def kernel_types() -> BTF:
    """Return the kernel's own types; NotSupported where it has none."""
    try:
        return vmlinux()
    except (KernelError, BTFError) as error:
        raise NotSupported(f"this kernel tells no types (CONFIG_DEBUG_INFO_BTF): {error}") from None


def types_of(needle: str) -> Iterator[BTF]:
    """Yield the kernel's types, and those of each module in which a name may be; damaged ones are left out."""
    kernel = kernel_types()
    yield kernel
    for _, data in module_blobs(needle):
        with suppress(BTFError):
            yield BTF.from_bytes(data, kernel)
