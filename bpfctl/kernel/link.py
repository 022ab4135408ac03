"""Links: what holds a program at the place that it is attached to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach, calls
from bpfctl.errors import KernelError, status
from bpfctl.host import kallsyms, netns
from bpfctl.kernel import handle
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.enums import LinkType
from bpfctl.uapi.layouts import LINK_INFO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from bpfctl.kernel.attachment import Attachment, KprobeMulti
    from bpfctl.kernel.owner import How, Owner
    from bpfctl.kernel.prog import ProgramInfo
    from bpfctl.kernel.select import Select

_LINK_TYPES = {int(kind): kind for kind in LinkType}


class LinkInfo(NamedTuple):
    """One link as the kernel describes it (struct bpf_link_info)."""

    id: int
    type: LinkType | int  # a plain int: newer than our table
    prog_id: int  # 0: struct_ops links hold a map instead
    attachment: Attachment | None  # None: a new type, or a kernel that tells nothing of this one

    @classmethod
    def from_raw(cls, raw: bytes, buffers: Sequence[bytes] = ()) -> LinkInfo:
        """Decode struct bpf_link_info as long as the kernel wrote it, and the buffers that it points to."""
        from bpfctl.kernel import attachment  # noqa: PLC0415 - who attaches a probe asks for nothing of this

        fields = LINK_INFO.unpack(raw)
        shape = attachment.shape(raw)
        return cls(
            fields["id"],
            _LINK_TYPES.get(fields["type"], fields["type"]),
            fields["prog_id"],
            None if shape is None else shape.decode(raw, buffers),
        )


class Function(NamedTuple):
    """One of the kernel's functions that a kprobe_multi link is attached to."""

    addr: int
    symbol: kallsyms.Symbol | None  # None: nothing in /proc/kallsyms is at this address
    cookie: int


class LinkRow(NamedTuple):
    """A link's facts with what surrounds it."""

    info: LinkInfo
    program: ProgramInfo | None  # of tracing links; None when it is gone meanwhile
    ifname: str | None  # of the network device, if this network namespace has one with its index
    functions: tuple[Function, ...] | None  # of kprobe_multi links; None when the kernel does not tell their addresses
    pinned: tuple[str, ...] | None  # None: nobody asked, or nothing is pinned at all
    owners: tuple[Owner, ...]
    bpf_cookie: int | None = None  # of perf events: what bpftool tells beside the owners

    @property
    def id(self) -> int:
        """The link's id."""
        return self.info.id

    @property
    def type(self) -> LinkType | int:
        """The link's type; a plain int when it is newer than this release."""
        return self.info.type

    @property
    def cookie(self) -> int | None:
        """The number that the program is given here; None for types without, or with one for each function."""
        return getattr(self.info.attachment, "cookie", None)

    def open(self) -> Link:
        """Open the link; KernelError with ENOENT when it is gone meanwhile."""
        return Link.by_id(self.info.id)


class Link(handle.Handle):
    """An open link."""

    kind = handle.LINK
    __slots__ = ()

    @classmethod
    def by_id(cls, id_: int) -> Self:
        """Open a link by id; KernelError with ENOENT when there is none."""
        try:
            return super().by_id(id_)
        except KernelError as error:
            error.exit_code = status(error.errno or 0)  # as bpftool does for links
            raise

    def info(self) -> LinkInfo:
        """Ask the kernel what it knows of the link."""
        try:
            return LinkInfo.from_raw(*self._raw())
        except OSError as error:
            raise KernelError("can't get link info", error.errno or 0) from None

    def _raw(self) -> tuple[bytes, list[bytes]]:
        """Ask twice: only the first answer says which buffers the second has to offer, and how large.

        A buffer with room zero must have no address and the other way round, or the answer is EINVAL.
        """
        from bpfctl.kernel import attachment  # noqa: PLC0415 - as above

        raw, _ = calls.obj_info(self.fileno(), LINK_INFO.size)
        shape = attachment.shape(raw)
        if shape is None or not shape.indirect:
            return raw, []
        counted = shape.layout.unpack(raw)
        rooms = [field.room or counted[field.counter] or 0 for field in shape.indirect]
        if not all(rooms):  # this kernel does not tell
            return raw, []
        offsets = shape.layout.offsets
        arrays = [
            calls.Array(offsets[field.pointer], offsets[field.counter], room, field.width)
            for field, room in zip(shape.indirect, rooms, strict=True)
        ]
        return calls.obj_info(self.fileno(), LINK_INFO.size, arrays)

    def detach(self) -> None:
        """Detach the program while the link stays open; KernelError with EOPNOTSUPP for types that cannot."""
        try:
            attach.link_detach(self.fileno())
        except OSError as error:
            raise KernelError("failed link detach", error.errno or 0) from None

    def row(self, around: Surroundings, symbols: kallsyms.Symbols) -> LinkRow:
        """Gather the link's facts and surroundings."""
        from bpfctl.kernel import attachment, target  # noqa: PLC0415 - as above

        info = self.info()
        at = info.attachment
        ifindex = at.ifindex if isinstance(at, (attachment.Xdp, attachment.Device)) else 0
        owners = around.owners(info.id)
        return LinkRow(
            info,
            target.program(info.prog_id) if isinstance(at, attachment.Tracing) else None,
            netns.interface_name(ifindex) if ifindex else None,
            _functions(at, symbols) if isinstance(at, attachment.KprobeMulti) else None,
            around.pinned(info.id),
            owners,
            _bpf_cookie(info, around) if owners and info.type is LinkType.PERF_EVENT else None,
        )


def _bpf_cookie(info: LinkInfo, around: Surroundings) -> int | None:
    """Return the cookie of a perf event; None where neither the kernel tells it nor a BPF iterator may look.

    Since Linux 6.9 it is told with the link (d5c16492c66f, "bpf: Add cookie to perf_event bpf_link_info records").
    """
    told: int | None = getattr(info.attachment, "cookie", None)
    return around.cookie(info.id) if told is None else told


def _functions(at: KprobeMulti, symbols: kallsyms.Symbols) -> tuple[Function, ...] | None:
    if not at.addrs or not symbols.readable:
        return None
    pairs = sorted(zip(at.addrs, at.cookies or (0,) * len(at.addrs), strict=True))
    return tuple(Function(addr, symbols.find(addr), cookie) for addr, cookie in pairs)


def rows(which: Select | None = None, *, pinned: bool = False, owners: bool | How = True) -> Iterator[LinkRow]:
    """Yield the facts of each link that is meant; ``pinned`` and ``owners`` say what of its surroundings to look up."""
    around = Surroundings(handle.LINK, pinned=pinned, owners=owners)
    symbols = kallsyms.Symbols()
    for link in Link.select(which):
        with link:
            yield link.row(around, symbols)
