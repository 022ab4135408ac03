"""Maps: what the kernel holds for programs."""

from __future__ import annotations

import os
from errno import ENOENT, EPERM
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from bpfctl._sys import calls, maps
from bpfctl.errors import DoesNotFit, KernelError, status
from bpfctl.host import cpus, fdinfo
from bpfctl.kernel import handle
from bpfctl.kernel.mapping import Access, Mapped, TypedMap
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.enums import MapType, ProgType
from bpfctl.uapi.layouts import MAP_INFO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl._sys.fd import FD
    from bpfctl.kernel.btf import Btf
    from bpfctl.kernel.map_types import Types
    from bpfctl.kernel.owner import How, Owner
    from bpfctl.kernel.select import Select

K = TypeVar("K")
V = TypeVar("V")

NAME_ROOM = 15  # BPF_OBJ_NAME_LEN without its null byte
PER_CPU = frozenset(
    {
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.PERCPU_CGROUP_STORAGE,
    },
)
OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})
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

    def open(self, *, write: bool = False) -> Map:
        """Open the map, for reading unless told otherwise; KernelError with ENOENT when it is gone meanwhile."""
        return Map.by_id(self.info.id, write=write)


class Map(handle.Handle, Mapped[Any, Any]):
    """An open map, and a mapping of its entries.

    Keys and values are what the map's BTF says, and bytes where it has none (`bpfctl.kernel.entry_codec` tells all of
    it). ``typed()`` makes them something else. Methods with bytes in their signature are one command of bpf(2) each.
    """

    kind = handle.MAP
    __slots__ = ("_facts", "_found")

    def __init__(self, fd: FD) -> None:
        super().__init__(fd)
        self._facts: MapInfo | None = None
        self._found: Access[Any, Any] | None = None

    @classmethod
    def by_id(cls, id_: int, *, write: bool = False) -> Map:
        """Open a map by id, for reading unless told otherwise; KernelError with ENOENT when there is none."""
        return cls._by_id(id_, 0 if write else cls.kind.open_flags)

    @classmethod
    def by_name(cls, name: str, *, write: bool = False) -> Map:
        """Open the one map of a name; NotFound when there is none, Ambiguous when there are several."""
        from bpfctl.kernel.select import Select  # noqa: PLC0415 - the command line brings its own

        which = Select("name", name)
        return cls.writable(which) if write else cls.one(which)

    @classmethod
    def pinned(cls, path: str, *, write: bool = False) -> Map:
        """Open a pinned map; UsageError when another kind of object is pinned there."""
        return cls._pinned(path, 0 if write else cls.kind.open_flags)

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
        btf: Btf | None = None,
        key_type: int = 0,
        value_type: int = 0,
    ) -> Map:
        """Create a map; sizes in bytes, flags of the kernel (uapi.flags.MapFlag). The name is cut to 15 bytes.

        ``inner`` is a map like those that a map of maps shall hold, ``ifindex`` the device that shall have the map.
        ``key_type`` and ``value_type`` are the ids of types in ``btf``, which have just the sizes of key and value.
        """
        more = {"inner_map_fd": inner.fileno() if inner else 0, "ifindex": ifindex}
        if btf:
            more |= {"btf_fd": btf.fileno(), "btf_key_type_id": key_type, "btf_value_type_id": value_type}
        short = name.encode(errors="surrogateescape")[:NAME_ROOM]
        try:
            return cls(maps.create(map_type, key_size, value_size, max_entries, name=short, flags=flags, **more))
        except OSError as error:
            raise KernelError(f"can't create map '{name}'", error.errno or 0) from None

    @property
    def facts(self) -> MapInfo:
        """What the kernel knows of the map, asked once: none of it changes as long as the map is there."""
        if self._facts is None:
            self._facts = self.info()
        return self._facts

    @property
    def raw(self) -> TypedMap[bytes, bytes]:
        """The same entries with keys and values as bytes, as the kernel has them."""
        return self.typed(key=bytes, value=bytes)

    @overload
    def typed(self, *, key: type[K], value: type[V]) -> TypedMap[K, V]: ...
    @overload
    def typed(self, *, key: type[K], value: None = None) -> TypedMap[K, Any]: ...
    @overload
    def typed(self, *, key: None = None, value: type[V]) -> TypedMap[Any, V]: ...
    def typed(self, *, key: Any = None, value: Any = None) -> TypedMap[Any, Any]:
        """Return the same entries with keys or values of another class.

        ``bytes``, ``int``, ``str``, ``dict``, an address of ipaddress, a Structure of ctypes; where the map has BTF,
        also a dataclass, a NamedTuple, a TypedDict or a class of attrs with fields named like the members
        (`btf.codec` tells what fields may be); ``PerCPU[...]`` of these for per-CPU maps. DoesNotFit tells why keys or
        values cannot be that.
        """
        from bpfctl.kernel import entry_codec  # noqa: PLC0415 - listings do not read entries
        from bpfctl.kernel.mapping import Access, TypedMap  # noqa: PLC0415 - likewise

        types = None if key is bytes and value is bytes else self._types()
        return TypedMap(
            Access(self, entry_codec.key(self.facts, types, key), entry_codec.value(self.facts, types, value))
        )

    def value_class(self) -> type[Any]:
        """Return a new frozen dataclass like the values, for ``typed(value=...)``; DoesNotFit if they are no struct."""
        return self._class("value")

    def key_class(self) -> type[Any]:
        """Return a new frozen dataclass like the keys, for ``typed(key=...)``; DoesNotFit if they are no struct."""
        return self._class("key")

    def _class(self, what: str) -> type[Any]:
        from btf import classes  # noqa: PLC0415 - few want classes
        from btf.errors import BTFError  # noqa: PLC0415 - likewise

        types = self._types()
        if types is None:
            raise DoesNotFit(f"map {self.facts.id} has no types")
        try:
            return classes.make(types.btf, types.key if what == "key" else types.value)
        except BTFError as error:
            raise DoesNotFit(f"{what}: {error}") from None

    def _types(self) -> Types | None:
        from bpfctl.kernel.map_types import types  # noqa: PLC0415 - listings do not read entries

        return types(self.facts)

    def _access(self) -> Access[Any, Any]:
        if self._found is None:
            from bpfctl.kernel import entry_codec  # noqa: PLC0415 - listings do not read entries

            types = self._types()
            self._found = Access(self, entry_codec.key(self.facts, types), entry_codec.value(self.facts, types))
        return self._found

    def lookup(self, key: bytes) -> bytes:
        """Return the value of a key as the kernel has it; KernelError ENOENT when it has none.

        The value of a per-CPU map has a slot of value_size, rounded up to 8, for each possible CPU. Queues and stacks
        have no keys: an empty one gets the value that would be taken next.
        """
        found = self.find(key)
        if found is None:
            raise KernelError("lookup failed", ENOENT, exit_code=status(ENOENT))
        return found

    def find(self, key: bytes) -> bytes | None:
        """Return the value of a key as lookup() does; None when it has none."""
        try:
            return maps.lookup(self.fileno(), key or None, self.facts.value_room())
        except OSError as error:
            number = error.errno or 0
            if number == ENOENT:
                return None
            raise KernelError("lookup failed", number, exit_code=status(number)) from None

    def may_hold(self, value: bytes) -> bool:
        """Return whether a value may be in a bloom filter; where not, it surely is not there."""
        try:
            return maps.may_hold(self.fileno(), value)
        except OSError as error:
            raise KernelError("lookup failed", error.errno or 0) from None

    @classmethod
    def writable(cls, which: Select) -> Map:
        """Open the one map that is meant for writing too; Ambiguous when a name matches several."""
        if which.by == "pinned":
            return cls._pinned(str(which.value), 0)
        if which.by == "id":
            return cls.by_id(int(which.value), write=True)
        with cls.one(which) as found:  # and keep it, so that its id stays its own
            return cls.by_id(found.info().id, write=True)

    def put(self, key: bytes | None, value: bytes, flags: int = 0) -> None:
        """Set the value of a key; queues and stacks, which have no keys, take another value.

        Flags are the kernel's (uapi.flags.UpdateFlag). The map must be open for writing. The value of a per-CPU map has
        a slot of value_size, rounded up to 8, for each possible CPU.
        """
        try:
            maps.update(self.fileno(), key or None, value, flags)
        except OSError as error:
            raise self.refused("update failed", error) from None

    def delete(self, key: bytes) -> None:
        """Delete a key; KernelError ENOENT when it is not there. The map must be open for writing."""
        try:
            maps.delete(self.fileno(), key)
        except OSError as error:
            raise self.refused("delete failed", error) from None

    def take(self, key: bytes | None = None) -> bytes:
        """Return the value of a key, or the next of a queue or stack, and delete it; KernelError ENOENT without one."""
        try:
            return maps.lookup_and_delete(self.fileno(), key or None, self.facts.value_room())
        except OSError as error:
            raise self.refused("pop failed", error) from None

    def freeze(self) -> None:
        """Make the map read-only for user space, for good. The map must be open for writing."""
        try:
            maps.freeze(self.fileno())
        except OSError as error:
            refused = self.refused("failed to freeze map", error)
            if refused.errno == EPERM and not refused.hint:
                from bpfctl.kernel.refusal import lacking  # noqa: PLC0415 - only an error needs it

                refused.hint = lacking("CAP_BPF")  # which it takes before Linux 6.5
            raise refused from None

    def next_key(self, key: bytes | None = None) -> bytes:
        """Return the key after one, or the first; KernelError ENOENT after the last."""
        try:
            return maps.next_key(self.fileno(), key, self.facts.key_size)
        except OSError as error:
            number = error.errno or 0
            raise KernelError("can't get next key", number, exit_code=status(number)) from None

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
        return self.called() == which.value

    def called(self) -> str:
        """Return its name."""
        return self.info().name or ""

    def refused(self, tried: str, error: OSError) -> KernelError:
        """Return the error of a command on entries, which bpftool answers with the errno."""
        number = error.errno or 0
        return KernelError(tried, number, hint=self._hint(number), exit_code=status(number))

    def _hint(self, errno: int) -> str:
        """Return what to do about a refusal, as far as this handle is to blame."""
        if errno != EPERM:
            return ""
        if not self.is_writable():
            return "the map is open for reading only: open it with write=True"
        return "the map is frozen, which is for good" if self.is_frozen() else ""

    def is_writable(self) -> bool:
        """Return whether this handle may change entries."""
        flags = fdinfo.fields(fdinfo.own(self.fileno())).get("flags", "2")
        return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY

    def is_frozen(self) -> bool:
        """Return whether the map is read-only for user space."""
        return fdinfo.number(fdinfo.own(self.fileno()), b"frozen") == 1


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
