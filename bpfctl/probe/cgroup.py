"""Tasks in a cgroup, or in one below it, as a condition: the kernel asks its own tree (cgroups of version 2 alone).

Kernel: bpf_current_task_under_cgroup() in kernel/trace/bpf_trace.c (Linux 4.9), which all programs of probes may call.
The id that bpf_get_current_cgroup_id() tells has nothing of the cgroups above; what tells those came later than 5.10.
"""

from __future__ import annotations

import os
import sys
from errno import EBADF, EINVAL, ENOENT, ENOTDIR
from typing import TYPE_CHECKING

from bpfctl._sys.fd import FD, Closing
from bpfctl.asm.insn import R0, R1, R2
from bpfctl.errors import KernelError, NotFound, NotSupported, UsageError
from bpfctl.host import bpffs
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.map import Map
from bpfctl.probe.field import Integer, number
from bpfctl.probe.where import Given
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from bpfctl.asm.insn import Reg
    from bpfctl.probe.code import Code
    from bpfctl.probe.where import Tree

_PREFIX = "cgroup:"


class Within(Closing):
    """A cgroup by its folder, or by its path below the mount of cgroups, with ``cgroup:`` before it or not.

    It must be open until the programs that ask for it are loaded. NotFound, UsageError for what is no cgroup of version
    2, KernelError.
    """

    def __init__(self, name: str) -> None:
        with open_folder(name) as folder:
            try:
                self._map = Map.create(MapType.CGROUP_ARRAY, 4, 4, 1, name="cgroup")
            except KernelError as error:
                if error.errno == EINVAL:
                    raise NotSupported("this kernel has no cgroups (CONFIG_CGROUPS)") from None
                error.hint = error.hint or privilege_hint(error.errno or 0, "CAP_BPF")
                raise
            try:
                self._map.put(bytes(4), folder.fileno().to_bytes(4, sys.byteorder))
            except KernelError as error:
                self.close()
                raise _refused(name, folder, error) from None

    @property
    def holds(self) -> Tree:
        """The condition that the task which runs is in it."""
        return Given(number("cgroup", self._load, Integer(8)))

    def _load(self, code: Code, register: Reg) -> None:
        inside = code.fresh()
        code.ld_map_fd(R1, self._map.fileno()).mov(R2, 0).call(Helper.current_task_under_cgroup)
        code.jump("jsgt", R0, 0, inside).mov(R0, 0).label(inside).mov(register, R0)  # below 0 are errors

    def close(self) -> None:
        """Let it go; programs that are loaded keep what they need."""
        self._map.close()


def open_folder(name: str) -> FD:
    """Open the folder of a cgroup."""
    if not name:
        raise UsageError("a cgroup without a name is none: cgroup:/ is that of all tasks")
    path = name.removeprefix(_PREFIX)
    mounts = [mount.path for mount in bpffs.mounts() if mount.type == "cgroup2"]
    places = [os.path.join(mount, path.lstrip("/")) for mount in mounts]
    if path == name:
        places.insert(0, path)
    for place in places:
        try:
            return FD(os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno not in (ENOENT, ENOTDIR):
                raise KernelError(f"can't open cgroup '{name}'", error.errno or 0) from None
    where = f"below {' or '.join(mounts)}" if mounts else "here: no cgroups of version 2 are mounted"
    raise NotFound(f"there is no cgroup '{name}' {where}")


def _refused(name: str, folder: FD, error: KernelError) -> Exception:
    if error.errno != EBADF:
        return KernelError(f"can't use cgroup '{name}'", error.errno or 0, hint=error.hint)
    if "cgroup.procs" in os.listdir(folder.fileno()):
        return UsageError(f"'{name}' is a cgroup of version 1, and programs can be asked only about those of version 2")
    return UsageError(f"'{name}' is no cgroup, but another folder")
