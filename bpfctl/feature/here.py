"""What the running kernel tells of itself in files: each thing read once, and when it is needed."""

from __future__ import annotations

from functools import cached_property

from bpfctl.errors import KernelError
from bpfctl.feature.setting import Settings
from bpfctl.feature.types import Types, of_modules
from bpfctl.host import kallsyms, kernel_config, version
from bpfctl.kernel import btf
from btf.errors import BTFError


class Here:
    """The running kernel; one may serve any number of objects."""

    def __init__(self) -> None:
        self.symbols = kallsyms.Symbols()
        self.settings = Settings(lambda: kernel_config.running().options, version.running())

    @cached_property
    def types(self) -> Types | None:
        """The types of the kernel and its modules; None where it does not tell them."""
        try:
            vmlinux = btf.vmlinux()
        except (KernelError, BTFError):
            return None
        return Types(vmlinux, of_modules(vmlinux))
