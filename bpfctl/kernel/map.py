"""Maps: what the kernel holds for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import calls, maps
from bpfctl.errors import KernelError, status
from bpfctl.host import cpus, fdinfo
from bpfctl.kernel import handle
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.enums import MapType, ProgType
from bpfctl.uapi.layouts import MAP_INFO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.owner import How, Owner
    from bpfctl.kernel.select import Select

_NAME_ROOM = 15  # BPF_OBJ_NAME_LEN without its null byte
PER_CPU = frozenset(
    {
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.PERCPU_CGROUP_STORAGE,
    },
)
_MAP_TYPES = {int(kind): kind for kind in MapType}
_PROG_TYPES = {int(kind): kind for kind in ProgType}


class MapInfo(NamedTuple):
    """One map as the kernel describes it (struct bpf_map_info).

    A field that this kernel does not know is None. Sizes are in bytes.
    """

    id: int
    type: MapType | int  # a plain int: newer than our table
    key_size: int
    value_size: int
    max_entries: int
    map_flags: int
    name: str | None
    ifindex: int | None
    netns_dev: int | None
    netns_ino: int | None
    btf_id: int | None
    btf_key_type_id: int | None
    btf_value_type_id: int | None
    btf_vmlinux_value_type_id: int | None
    map_extra: int | None

    @classmethod
    def from_raw(cls, raw: bytes) -> MapInfo:
        """Decode struct bpf_map_info as long as the kernel wrote it."""
        f: dict[str, Any] = MAP_INFO.unpack(raw)
        name = f["name"]
        return cls(
            f["id"],
            _MAP_TYPES.get(f["type"], f["type"]),
            f["key_size"],
            f["value_size"],
            f["max_entries"],
            f["map_flags"],
            None if name is None else name.partition(b"\0")[0].decode(errors="surrogateescape"),
            f["ifindex"],
            f["netns_dev"],
            f["netns_ino"],
            f["btf_id"],
            f["btf_key_type_id"],
            f["btf_value_type_id"],
            f["btf_vmlinux_value_type_id"],
            f["map_extra"],
        )

    def value_room(self) -> int:
        """Return how many bytes a lookup copies: the value, or for each possible CPU a slot rounded up to 8 bytes."""
        if self.type not in PER_CPU:
            return self.value_size
        return (self.value_size + 7 & ~7) * cpus.possible()


class MapRow(NamedTuple):
    """A map's facts with what surrounds it."""

    info: MapInfo
    memlock: int | None  # bytes
    frozen: bool  # user space may not write to it any more
    owner_prog_type: ProgType | int | None  # a program array takes only programs like its first
    owner_jited: bool | None
    pinned: tuple[str, ...] | None  # None: nobody asked, or nothing is pinned at all
    owners: tuple[Owner, ...]

    @property
    def id(self) -> int:
        """The map's id."""
        return self.info.id

    @property
    def type(self) -> MapType | int:
        """The map's type; a plain int when it is newer than this release."""
        return self.info.type

    @property
    def name(self) -> str:
        """The map's name; empty when it has none."""
        return self.info.name or ""

    def open(self) -> Map:
        """Open the map for reading; KernelError with ENOENT when it is gone meanwhile."""
        return Map.by_id(self.info.id)


class Map(handle.Handle):
    """An open map."""

    kind = handle.MAP
    __slots__ = ()

    @classmethod
    def by_id(cls, id_: int, *, write: bool = False) -> Map:
        """Open a map by id, for reading unless told otherwise; KernelError with ENOENT when there is none."""
        return cls._by_id(id_, 0 if write else cls.kind.open_flags)

    @classmethod
    def create(
        cls,
        map_type: MapType | int,
        key_size: int,
        value_size: int,
        max_entries: int,
        *,
        name: str = "",
        flags: int = 0,
        inner: Map | None = None,
        ifindex: int = 0,
    ) -> Map:
        """Create a map; sizes in bytes, flags of the kernel (uapi.flags.MapFlag). The name is cut to 15 bytes.

        ``inner`` is a map like those that a map of maps shall hold, ``ifindex`` the device that shall have the map.
        """
        more = {"inner_map_fd": inner.fileno() if inner else 0, "ifindex": ifindex}
        short = name.encode(errors="surrogateescape")[:_NAME_ROOM]
        try:
            return cls(maps.create(map_type, key_size, value_size, max_entries, name=short, flags=flags, **more))
        except OSError as error:
            raise KernelError(f"can't create map '{name}'", error.errno or 0) from None

    def lookup(self, key: bytes) -> bytes:
        """Return the value of a key as the kernel has it; KernelError ENOENT when it has none.

        The value of a per-CPU map has a slot of value_size, rounded up to 8, for each possible CPU. Queues and stacks
        have no keys: an empty one gets the value that would be taken next.
        """
        try:
            return maps.lookup(self.fileno(), key or None, self.info().value_room())
        except OSError as error:
            number = error.errno or 0
            raise KernelError("lookup failed", number, exit_code=status(number)) from None

    def may_hold(self, value: bytes) -> bool:
        """Return whether a value may be in a bloom filter; where not, it surely is not there."""
        try:
            return maps.may_hold(self.fileno(), value)
        except OSError as error:
            raise KernelError("lookup failed", error.errno or 0) from None

    def find(self, key: bytes) -> bytes | None:
        """Return the value of a key as lookup() does; None when it has none."""
        try:
            return self.lookup(key)
        except KernelError as error:
            if not error.is_missing:
                raise
        return None

    @classmethod
    def writable(cls, which: Select) -> Map:
        """Open the one map that is meant for writing too; Ambiguous when a name matches several."""
        if which.by == "pinned":
            return cls._pinned(str(which.value), 0)
        if which.by == "id":
            return cls.by_id(int(which.value), write=True)
        with cls.one(which) as found:  # and keep it, so that its id stays its own
            return cls.by_id(found.info().id, write=True)

    def update(self, key: bytes | None, value: bytes, flags: int = 0) -> None:
        """Set the value of a key; queues and stacks, which have no keys, take another value.

        Flags are the kernel's (uapi.flags.UpdateFlag). The map must be open for writing. The value of a per-CPU map has
        a slot of value_size, rounded up to 8, for each possible CPU.
        """
        try:
            maps.update(self.fileno(), key or None, value, flags)
        except OSError as error:
            raise _refused("update failed", error) from None

    def delete(self, key: bytes) -> None:
        """Delete a key; KernelError ENOENT when it is not there. The map must be open for writing."""
        try:
            maps.delete(self.fileno(), key)
        except OSError as error:
            raise _refused("delete failed", error) from None

    def take(self, key: bytes | None = None) -> bytes:
        """Return the value of a key, or the next of a queue or stack, and delete it; KernelError ENOENT without one."""
        try:
            return maps.lookup_and_delete(self.fileno(), key or None, self.info().value_room())
        except OSError as error:
            raise _refused("pop failed", error) from None

    def freeze(self) -> None:
        """Make the map read-only for user space, for good. The map must be open for writing."""
        try:
            maps.freeze(self.fileno())
        except OSError as error:
            raise _refused("failed to freeze map", error) from None

    def next_key(self, key: bytes | None = None) -> bytes:
        """Return the key after one, or the first; KernelError ENOENT after the last."""
        try:
            return maps.next_key(self.fileno(), key, self.info().key_size)
        except OSError as error:
            number = error.errno or 0
            raise KernelError("can't get next key", number, exit_code=status(number)) from None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of each entry, read in batches; for what holds while others write see elements.py."""
        from bpfctl.kernel.elements import Walk  # noqa: PLC0415 - listings do not read entries

        return Walk(self, self.info()).pairs()

    def keys(self) -> Iterator[bytes]:
        """Yield the key of each entry."""
        return (key for key, _ in self.items())

    def info(self) -> MapInfo:
        """Ask the kernel what it knows of the map."""
        try:
            raw, _ = calls.obj_info(self.fileno(), MAP_INFO.size)
        except OSError as error:
            raise KernelError("can't get map info", error.errno or 0) from None
        return MapInfo.from_raw(raw)

    def row(self, around: Surroundings) -> MapRow:
        """Gather the map's facts and surroundings."""
        info = self.info()
        told = fdinfo.fields(around.fdinfo(info.id, self.fileno()))
        memlock, owner, jited = told.get("memlock"), told.get("owner_prog_type"), told.get("owner_jited")
        return MapRow(
            info,
            None if memlock is None else int(memlock),
            told.get("frozen", "0") != "0",
            None if owner is None else _PROG_TYPES.get(int(owner), int(owner)),
            None if jited is None else jited != "0",
            around.pinned(info.id),
            around.owners(info.id),
        )

    def matches(self, which: Select) -> bool:
        """Return whether a name is this map's."""
        return self.info().name == which.value


def _refused(tried: str, error: OSError) -> KernelError:
    """Return the error of a command on entries, which bpftool answers with the errno."""
    number = error.errno or 0
    return KernelError(tried, number, exit_code=status(number))


def select(which: Select | None = None) -> Iterator[Map]:
    """Open each map that is meant, in the order of ids; the caller closes it. NotFound when none is."""
    return Map.select(which)


def one(which: Select) -> Map:
    """Open the one map that is meant; Ambiguous when a name matches several."""
    return Map.one(which)


def rows(which: Select | None = None, *, pinned: bool = False, owners: bool | How = True) -> Iterator[MapRow]:
    """Yield the facts of each map that is meant; ``pinned`` and ``owners`` say what else to look up."""
    around = Surroundings(handle.MAP, pinned=pinned, owners=owners)
    for map_ in Map.select(which):
        with map_:
            yield map_.row(around)
