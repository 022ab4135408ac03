"""What programs, maps, links and BTF have in common: an id, a descriptor, a place to be pinned."""

from __future__ import annotations

import os
from errno import EACCES, EPERM
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

from bpfctl._sys import calls
from bpfctl.errors import Ambiguous, KernelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from bpfctl._sys.fd import FD

Opened = TypeVar("Opened", bound="Handle")

# What the kernel names the anonymous file behind a descriptor (kernel/bpf/syscall.c, kernel/bpf/btf.c).
FILE_KINDS = {
    "anon_inode:bpf-prog": "prog",
    "anon_inode:bpf-map": "map",
    "anon_inode:bpf_link": "link",  # from BPF_LINK_CREATE
    "anon_inode:bpf-link": "link",  # from BPF_OBJ_GET and BPF_LINK_GET_FD_BY_ID
    "anon_inode:btf": "btf",
}


class Kind(NamedTuple):
    """A kind of object: bpftool's word, the word in sentences, the commands that walk and open its ids."""

    word: str
    noun: str
    next_id: int
    fd_by_id: int
    opened: str  # bpftool's words for "could not open it by its id", with the id to fill in


PROG = Kind("prog", "program", calls.PROG_GET_NEXT_ID, calls.PROG_GET_FD_BY_ID, "get by id ({})")
MAP = Kind("map", "map", calls.MAP_GET_NEXT_ID, calls.MAP_GET_FD_BY_ID, "get map by id ({})")
LINK = Kind("link", "link", calls.LINK_GET_NEXT_ID, calls.LINK_GET_FD_BY_ID, "failed to get link with ID {}")
BTF = Kind("btf", "BTF object", calls.BTF_GET_NEXT_ID, calls.BTF_GET_FD_BY_ID, "can't get BTF object by id ({})")


def privilege_hint(errno: int) -> str:
    """Return what to do about a refusal, empty for other answers."""
    if errno not in (EPERM, EACCES):
        return ""
    if os.geteuid() == 0:
        return "root here lacks CAP_SYS_ADMIN in the initial user namespace, or a security policy forbids it"
    return "run as root or with CAP_SYS_ADMIN"


def ids(kind: Kind) -> Iterator[int]:
    """Yield the ids of all objects of a kind, in order; objects that come and go meanwhile are no error."""
    id_ = 0
    while True:
        try:
            id_ = calls.next_id(kind.next_id, id_)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelError(f"can't get next {kind.noun}", _number(error), hint=privilege_hint(_number(error))) from None
        yield id_


def _number(error: OSError) -> int:
    return error.errno or 0


def one(found: Iterator[Opened], several: str) -> Opened:
    """Return the only object of those found; Ambiguous with the sentence ``several`` when there are more."""
    first = next(found)
    for other in found:
        other.close()
        first.close()
        raise Ambiguous(several)
    return first


class Handle:
    """An open object of the kernel; it stays alive at least until the handle is closed."""

    kind: ClassVar[Kind]
    __slots__ = ("_fd",)

    def __init__(self, fd: FD) -> None:
        self._fd = fd

    @classmethod
    def by_id(cls, id_: int) -> Self:
        """Open an object by id; KernelError with ENOENT when there is none."""
        try:
            return cls(calls.fd_by_id(cls.kind.fd_by_id, id_))
        except OSError as error:
            number = _number(error)
            raise KernelError(cls.kind.opened.format(id_), number, hint=privilege_hint(number)) from None

    @classmethod
    def pinned(cls, path: str) -> Self:
        """Open a pinned object; UsageError when another kind of object is pinned there."""
        fd = open_pin(path)
        try:
            found = kind_of(fd.fileno())
            if found != cls.kind.word:
                raise UsageError(f"incorrect object type: {found}")
        except BaseException:
            fd.close()
            raise
        return cls(fd)

    @classmethod
    def every(cls) -> Iterator[Self]:
        """Open each object in turn; the caller closes it. One that vanishes between its id and its opening is skipped."""
        for id_ in ids(cls.kind):
            try:
                fd = calls.fd_by_id(cls.kind.fd_by_id, id_)
            except FileNotFoundError:
                continue
            except OSError as error:
                number = _number(error)
                tried = f"can't get {cls.kind.noun} by id ({id_})"
                raise KernelError(tried, number, hint=privilege_hint(number)) from None
            yield cls(fd)

    def fileno(self) -> int:
        """Return the descriptor's number, which stays ours."""
        return self._fd.fileno()

    def pin(self, path: str) -> None:
        """Pin the object at a path in a BPF file system."""
        try:
            calls.obj_pin(self.fileno(), path)
        except OSError as error:
            raise KernelError(f"can't pin the object ({path})", _number(error)) from None

    def close(self) -> None:
        """Close the handle; a second call does nothing."""
        self._fd.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_pin(path: str) -> FD:
    """Open whatever is pinned at a path."""
    try:
        return calls.obj_get(path)
    except ValueError as error:
        raise UsageError(f"bpf obj get ({path}): {error}") from None
    except OSError as error:
        from bpfctl.host import bpffs  # noqa: PLC0415 - only an error needs it

        number = _number(error)
        if number == EACCES and not bpffs.is_bpffs(os.path.dirname(path) or "."):  # noqa: PTH120
            raise UsageError(f"bpf obj get ({path}): directory not in bpf file system (bpffs)") from None
        raise KernelError(f"bpf obj get ({path})", number) from None


def kind_of(fd: int) -> str:
    """Return bpftool's word for the kind of object behind a descriptor, ``unknown`` for anything else."""
    return FILE_KINDS.get(os.readlink(f"/proc/self/fd/{fd}"), "unknown")
