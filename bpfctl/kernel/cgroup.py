"""Programs attached to cgroups, as BPF_PROG_QUERY tells them: those of one cgroup, or of all below one."""

from __future__ import annotations

import os
from errno import EBADF, EINVAL, ENOENT
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach
from bpfctl.errors import KernelError, NotFound
from bpfctl.host import cgroup
from bpfctl.kernel import attachment
from bpfctl.kernel.keeper import Keepers
from bpfctl.kernel.prog import Program, ProgramInfo
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.owner import How, Owner

_EFFECTIVE = 1  # BPF_F_QUERY_EFFECTIVE

#: What programs may be attached to cgroups as, in bpftool's order.
ATTACH_TYPES = (
    AttachType.CGROUP_INET_INGRESS,
    AttachType.CGROUP_INET_EGRESS,
    AttachType.CGROUP_INET_SOCK_CREATE,
    AttachType.CGROUP_INET_SOCK_RELEASE,
    AttachType.CGROUP_INET4_BIND,
    AttachType.CGROUP_INET6_BIND,
    AttachType.CGROUP_INET4_POST_BIND,
    AttachType.CGROUP_INET6_POST_BIND,
    AttachType.CGROUP_INET4_CONNECT,
    AttachType.CGROUP_INET6_CONNECT,
    AttachType.CGROUP_UNIX_CONNECT,
    AttachType.CGROUP_INET4_GETPEERNAME,
    AttachType.CGROUP_INET6_GETPEERNAME,
    AttachType.CGROUP_UNIX_GETPEERNAME,
    AttachType.CGROUP_INET4_GETSOCKNAME,
    AttachType.CGROUP_INET6_GETSOCKNAME,
    AttachType.CGROUP_UNIX_GETSOCKNAME,
    AttachType.CGROUP_UDP4_SENDMSG,
    AttachType.CGROUP_UDP6_SENDMSG,
    AttachType.CGROUP_UNIX_SENDMSG,
    AttachType.CGROUP_UDP4_RECVMSG,
    AttachType.CGROUP_UDP6_RECVMSG,
    AttachType.CGROUP_UNIX_RECVMSG,
    AttachType.CGROUP_SOCK_OPS,
    AttachType.CGROUP_DEVICE,
    AttachType.CGROUP_SYSCTL,
    AttachType.CGROUP_GETSOCKOPT,
    AttachType.CGROUP_SETSOCKOPT,
    AttachType.LSM_CGROUP,
)


class Folder(NamedTuple):
    """A cgroup."""

    path: str
    depth: int  # below the cgroup that was asked for
    id: int  # the inode number of the folder


class CgroupRow(NamedTuple):
    """A program at a cgroup, as one attach type."""

    cgroup: Folder
    attach_type: AttachType
    flags: (
        int | None
    )  # BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI; None of effective programs, which may be attached above
    info: ProgramInfo
    name: str  # in full where BTF has it; empty when the program has none
    function: str | None  # of lsm_cgroup: what the program is called at; "" of others; None where nobody knows
    keepers: Keepers

    @property
    def id(self) -> int:
        """The program's id."""
        return self.info.id

    @property
    def link_ids(self) -> tuple[int, ...]:
        """The links that attach this program here; empty when it is attached without one, or above."""
        return tuple(
            row.id
            for row in self.keepers.links()
            if isinstance(at := row.info.attachment, attachment.Cgroup)
            and (at.cgroup_id, at.attach_type, row.info.prog_id) == (self.cgroup.id, self.attach_type, self.info.id)
        )

    @property
    def owners(self) -> tuple[Owner, ...]:
        """The processes that hold the links, or the program where there is none."""
        return self.keepers.owners(self.info.id, self.link_ids)

    @property
    def pinned(self) -> tuple[str, ...]:
        """Where the links are pinned, or the program where there is none."""
        return self.keepers.pinned(self.info.id, self.link_ids)


def rows(path: str, *, effective: bool = False, owners: bool | How = True) -> Iterator[CgroupRow]:
    """Yield the programs that are attached to the cgroup of a folder; with ``effective`` those that run for it.

    Effective programs may be attached above. KernelError when there is no such folder, or it is no cgroup.
    """
    yield from _Asked(effective=effective, owners=owners).at(path, 0)


def tree(top: str | None = None, *, effective: bool = False, owners: bool | How = True) -> Iterator[CgroupRow]:
    """Yield the programs of a cgroup and of all below it; of all cgroups where ``top`` is None.

    NotFound when no file system of cgroups (version 2) is mounted; KernelError as of `rows`.
    """
    if top is None:
        top = cgroup.root()
        if top is None:
            raise NotFound("cgroup v2 isn't mounted")
    try:
        folders = cgroup.tree(top)
    except OSError as error:
        raise KernelError(f"can't iterate over {top}", error.errno or 0) from None
    asked = _Asked(effective=effective, owners=owners)
    for path, depth in folders:
        try:
            yield from asked.at(path, depth)
        except KernelError as error:
            if error.errno != ENOENT or not depth:  # else it was removed meanwhile
                raise


class _Asked:
    """What is asked of each cgroup, and what the answers say of the kernel."""

    __slots__ = ("_effective", "_functions", "_keepers", "_tells_flags")

    def __init__(self, *, effective: bool, owners: bool | How) -> None:
        self._effective = effective
        # Whether this kernel tells the flags of each program; None until the first cgroup has answered.
        self._tells_flags: bool | None = False if effective else None
        self._functions = _Functions()
        self._keepers = Keepers(owners=owners)

    def at(self, path: str, depth: int) -> Iterator[CgroupRow]:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise KernelError(f"can't open cgroup {path}", error.errno or 0) from None
        try:
            here = Folder(path, depth, os.fstat(folder).st_ino)
            for attach_type, attached in self._attached(path, folder):
                each = attached.prog_flags or (0,) * len(attached.prog_ids)
                for id_, flags in zip(attached.prog_ids, each, strict=False):
                    found = None if self._effective else flags or attached.attach_flags
                    if row := self._row(id_, here, AttachType(attach_type), found):
                        yield row
        finally:
            os.close(folder)

    def _attached(self, path: str, folder: int) -> Iterator[tuple[int, attach.Attached]]:
        """Ask for each attach type; nothing is attached as one that this kernel does not know."""
        try:
            if self._tells_flags is None:
                self._tells_flags = _tells_flags(folder)
            query_flags = _EFFECTIVE if self._effective else 0
            yield from attach.query_each(folder, ATTACH_TYPES, query_flags, flags=self._tells_flags)
        except OSError as error:
            from bpfctl.kernel.refusal import hint  # noqa: PLC0415 - only an error needs it

            number = error.errno or 0
            why = "it is no cgroup of version 2" if number == EBADF else hint(number, "CAP_NET_ADMIN")
            raise KernelError(f"can't query bpf programs attached to {path}", number, hint=why) from None

    def _row(self, id_: int, here: Folder, attach_type: AttachType, flags: int | None) -> CgroupRow | None:
        try:
            program = Program.by_id(id_)
        except KernelError as error:
            if error.errno == ENOENT:  # detached meanwhile
                return None
            raise
        with program:
            info = program.info()
            name = program.full_name(info)
        function = self._functions.name(info)
        return CgroupRow(here, attach_type, flags, info, name, function, self._keepers)


def _tells_flags(folder: int) -> bool:
    """Return whether this kernel tells the flags of each program of a cgroup.

    It does since Linux 6.0 (b79c9fc9551b, "bpf: implement BPF_PROG_QUERY for BPF_LSM_CGROUP"); before, a cgroup had the
    same for all of an attach type.
    """
    try:
        attach.query(folder, ATTACH_TYPES[0], flags=True)
    except OSError as error:
        if error.errno != EINVAL:
            raise
        return False
    return True


class _Functions:
    """Names of the functions of the kernel that programs are attached to."""

    __slots__ = ("_vmlinux",)

    def __init__(self) -> None:
        self._vmlinux = 0  # the id of the kernel's BTF, once a program was met that is attached to a function of it

    def name(self, info: ProgramInfo) -> str | None:
        """Return the name of what a program is attached to.

        bpftool looks for the id of the kernel's BTF until a program names it, and takes no id for that as long.
        So the name of none is empty, and None behind the first program that has one.
        """
        from bpfctl.host.vmlinux import VMLINUX  # noqa: PLC0415
        from bpfctl.kernel import btf  # noqa: PLC0415 - where nothing is attached nobody needs it
        from btf.errors import BTFError  # noqa: PLC0415

        object_id = info.attach_btf_obj_id or 0
        if not self._vmlinux and object_id and _is_vmlinux(object_id):
            self._vmlinux = object_id
        if object_id != self._vmlinux or not os.path.exists(VMLINUX):
            return None
        if not info.attach_btf_id:
            return ""
        try:
            return btf.vmlinux().name(info.attach_btf_id)
        except (BTFError, KernelError, IndexError):
            return None


def _is_vmlinux(id_: int) -> bool:
    from bpfctl.kernel import btf  # noqa: PLC0415 - as above

    try:
        with btf.Btf.by_id(id_) as types:
            return types.info().name == "vmlinux"
    except KernelError:
        return False
