"""What programs, maps, links and BTF have in common: an id, a descriptor, a place to be pinned."""

from __future__ import annotations

import os
import sys
from errno import EACCES, EINVAL, EPERM
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

from bpfctl._sys import calls
from bpfctl._sys.fd import Closing
from bpfctl.errors import Ambiguous, KernelError, NotFound, UsageError, status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from bpfctl._sys.fd import FD
    from bpfctl.kernel.select import Select

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
    open_flags: int = 0


# Maps are opened for reading, since whoever may look at one need not be allowed to write to it.
_BPF_F_RDONLY = 1 << 3
_MOST_IDS = 8  # of objects that have the same name

PROG = Kind("prog", "program", calls.PROG_GET_NEXT_ID, calls.PROG_GET_FD_BY_ID, "get by id ({})")
MAP = Kind("map", "map", calls.MAP_GET_NEXT_ID, calls.MAP_GET_FD_BY_ID, "get map by id ({})", _BPF_F_RDONLY)
LINK = Kind("link", "link", calls.LINK_GET_NEXT_ID, calls.LINK_GET_FD_BY_ID, "failed to get link with ID {}")
BTF = Kind("btf", "BTF object", calls.BTF_GET_NEXT_ID, calls.BTF_GET_FD_BY_ID, "can't get BTF object by id ({})")


def privilege_hint(errno: int, *needed: str) -> str:
    """Return what to do about a refusal, by the capabilities that it takes; empty for other answers."""
    from bpfctl.kernel import refusal  # noqa: PLC0415 - only an error needs it

    return refusal.hint(errno, *needed)


def ids(kind: Kind) -> Iterator[int]:
    """Yield the ids of all objects of a kind, in order; objects that come and go meanwhile are no error."""
    id_ = 0
    while True:
        try:
            id_ = calls.next_id(kind.next_id, id_)
        except FileNotFoundError:
            return
        except OSError as error:
            number = _number(error)
            raise KernelError(f"can't get next {kind.noun}", number, hint=privilege_hint(number)) from None
        yield id_


def _number(error: OSError) -> int:
    return error.errno or 0


def one(found: Iterator[Opened], several: str) -> Opened:
    """Return the only object of those found; Ambiguous with the sentence ``several`` when there are more."""
    first = next(found)
    try:
        other = next(found, None)
    except BaseException:
        first.close()
        raise
    if other is None:
        return first
    first.close()
    other.close()
    raise Ambiguous(several)


class Handle(Closing):
    """An open object of the kernel; it stays alive at least until the handle is closed."""

    kind: ClassVar[Kind]
    __slots__ = ("_fd",)

    def __init__(self, fd: FD) -> None:
        self._fd = fd

    @classmethod
    def by_id(cls, id_: int) -> Self:
        """Open an object by id; KernelError with ENOENT when there is none."""
        return cls._by_id(id_, cls.kind.open_flags)

    @classmethod
    def _by_id(cls, id_: int, flags: int) -> Self:
        try:
            return cls(calls.fd_by_id(cls.kind.fd_by_id, id_, flags))
        except OSError as error:
            number = _number(error)
            raise KernelError(cls.kind.opened.format(id_), number, hint=privilege_hint(number)) from None

    @classmethod
    def pinned(cls, path: str) -> Self:
        """Open a pinned object; UsageError when another kind of object is pinned there."""
        return cls._pinned(path, cls.kind.open_flags)

    @classmethod
    def _pinned(cls, path: str, flags: int) -> Self:
        fd = open_pin(path, flags)
        try:
            found = kind_of(fd.fileno())
        except BaseException:
            fd.close()
            raise
        if found != cls.kind.word:
            fd.close()
            raise UsageError(f"incorrect object type: {found}")
        return cls(fd)

    @classmethod
    def every(cls) -> Iterator[Self]:
        """Open each object in turn; the caller closes it. One that vanishes before it is open is skipped."""
        # All ids first: whoever creates objects faster than we describe them would keep us here for ever.
        for id_ in list(ids(cls.kind)):
            try:
                fd = calls.fd_by_id(cls.kind.fd_by_id, id_, cls.kind.open_flags)
            except FileNotFoundError:
                continue
            except BlockingIOError:  # EAGAIN: a link that has its id already, but is not attached yet
                continue
            except OSError as error:
                number = _number(error)
                tried = f"can't get {cls.kind.noun} by id ({id_})"
                raise KernelError(tried, number, hint=privilege_hint(number)) from None
            yield cls(fd)

    @classmethod
    def select(cls, which: Select | None = None) -> Iterator[Self]:
        """Open each object that is meant, in the order of ids; the caller closes it. NotFound when none is."""
        if which is None:
            yield from cls.every()
        elif which.by == "id":
            yield cls.by_id(int(which.value))
        elif which.by == "pinned":
            yield cls.pinned(str(which.value))
        else:
            met = False
            for handle in cls.every():
                try:
                    found = handle.matches(which)
                except BaseException:
                    handle.close()
                    raise
                if found:
                    met = True
                    yield handle
                else:
                    handle.close()
            if not met:
                error = NotFound(f"no {cls.kind.noun} with {which}")
                error.hint = cls._near(str(which.value)) if which.by == "name" else ""
                raise error

    @classmethod
    def _near(cls, name: str) -> str:
        """Return which name may have been meant; empty where none is like it."""
        from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes alone

        names = set()
        for handle in cls.every():
            with handle:
                names.add(handle.called())
        near = get_close_matches(name, sorted(names - {name}), 1, 0.7)  # one may have come by now that is called so
        return f"did you mean '{near[0]}'?" if near else ""

    def called(self) -> str:
        """Return the name by which this object is found; objects of some kinds have none."""
        return ""

    @classmethod
    def one(cls, which: Select) -> Self:
        """Open the one object that is meant; Ambiguous when a tag or a name matches several."""
        try:
            return one(cls.select(which), f"several {cls.kind.noun}s match this handle")
        except Ambiguous as error:
            error.hint = cls._ids(which)
            raise

    @classmethod
    def _ids(cls, which: Select) -> str:
        """Return which objects are meant, of whose ids one will do; empty where they are gone meanwhile."""
        found: list[str] = []
        try:
            for handle in cls.select(which):
                with handle:
                    info, _ = calls.obj_info(handle.fileno(), 8)  # which has the id at byte 4, of whatever kind
                    found.append(f"id {int.from_bytes(info[4:8], sys.byteorder)}")
        except (KernelError, NotFound):
            return ""
        more = ", ..." if len(found) > _MOST_IDS else ""
        return f"say which one: {', '.join(found[:_MOST_IDS])}{more}"

    def matches(self, which: Select) -> bool:
        """Return whether a tag or a name is this object's; objects of some kinds have neither."""
        del which
        return False

    def fileno(self) -> int:
        """Return the descriptor's number, which stays ours."""
        return self._fd.fileno()

    def pin(self, path: str) -> None:
        """Pin the object at a path in a BPF file system."""
        try:
            calls.obj_pin(self.fileno(), path)
        except OSError as error:
            number = _number(error)
            # bpf_lookup() in kernel/bpf/inode.c keeps such names for itself.
            is_kept = number == EPERM and "." in os.path.basename(path)
            hint = "names in a BPF file system have no dots" if is_kept else ""
            raise KernelError(f"can't pin the object ({path})", number, hint=hint, exit_code=status(number)) from None

    def close(self) -> None:
        """Close the handle; a second call does nothing."""
        self._fd.close()


def open_pin(path: str, flags: int = 0) -> FD:
    """Open whatever is pinned at a path; ``flags`` count if it is of a kind that has a use for them."""
    try:
        try:
            return calls.obj_get(path, flags)
        except OSError as error:
            if error.errno != EINVAL or not flags:
                raise
        return calls.obj_get(path)
    except ValueError as error:
        raise UsageError(f"bpf obj get ({path}): {error}") from None
    except OSError as error:
        number = _number(error)
        if number == EACCES and not calls.is_bpffs(os.path.dirname(path) or "."):
            raise UsageError(f"bpf obj get ({path}): directory not in bpf file system (bpffs)") from None
        # EACCES is about the file's mode, which people know how to look at.
        hint = privilege_hint(number) if number != EACCES else ""
        raise KernelError(f"bpf obj get ({path})", number, hint=hint) from None


def kind_of(fd: int) -> str:
    """Return bpftool's word for the kind of object behind a descriptor, ``unknown`` for anything else.

    KernelError where there is no /proc to ask.
    """
    try:
        return FILE_KINDS.get(os.readlink(f"/proc/self/fd/{fd}"), "unknown")
    except OSError as error:
        raise KernelError("can't read link type", error.errno or 0, hint="it takes a mounted /proc") from None
