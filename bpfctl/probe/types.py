"""The types of the running kernel, for sources that read arguments by their names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bpfctl.errors import KernelError, NotFound, NotSupported
from bpfctl.kernel.btf import Btf, module_blobs, vmlinux
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
    yield kernel_types()
    for _, btf in module_types(needle):
        yield btf


def module_types(needle: str) -> Iterator[tuple[str, BTF]]:
    """Yield the name and the types of each module in which a name may be; damaged ones are left out."""
    kernel = kernel_types()
    for name, data in module_blobs(needle):
        with suppress(BTFError):
            yield name, BTF.from_bytes(data, kernel)


def module_btf(name: str) -> Btf:
    """Open the types of a module, which programs are bound to (Linux 5.11); NotFound where it has none."""
    for object_ in Btf.select(None):
        info = object_.info()
        if info.kernel_btf and info.name == name:
            return object_
        object_.close()
    raise NotFound(f"module {name} is gone")
