"""Maps as Python mappings: ``m[key]``, ``m.items()``, ``m.update(many)``; typed, streamed, by batch.

What keys and values are is told in `bpfctl.kernel.entry_codec`. A map is a mapping in all but its length: the kernel
does not know how many entries there are, so that ``len()`` would have to walk the map, and ``list()`` would ask for it.
`Mapped.count` walks it when that is meant. ``dict(m.items())`` copies a map; ``dict(m)`` would look up key by key.
"""

from __future__ import annotations

from collections.abc import Iterable
from errno import E2BIG, EEXIST, EINVAL, ENOENT, EOPNOTSUPP
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from bpfctl.errors import ENOTSUPP, DoesNotFit, KernelError
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import UpdateFlag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.entry_codec import Codec
    from bpfctl.kernel.map import Map

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_MISSING: Any = object()
_NOT_AT_ALL = frozenset({ENOTSUPP, EOPNOTSUPP})
_NOT_IN_ONE_STEP = _NOT_AT_ALL | {EINVAL}


class Access(NamedTuple, Generic[K, V]):
    """A map, and what its keys and values are."""

    map: Map
    key: Codec[K]
    value: Codec[V]


class Mapped(Generic[K, V]):
    """The entries of a map.

    Reading a key that is not there raises KeyError, as for a dict. What is no key or value of the map raises
    DoesNotFit, which is a ValueError too; what the kernel refuses raises KernelError. To change anything, the map must
    be open for writing.
    """

    __slots__ = ()

    def _access(self) -> Access[K, V]:
        raise NotImplementedError

    def __getitem__(self, key: K) -> V:
        map_, keys, values = self._access()
        data = _find(map_, keys.encode(key))
        if data is None:
            raise KeyError(key)
        return values.decode(data)

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: V | T) -> V | T: ...
    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, or the default when it is not there."""
        map_, keys, values = self._access()
        data = _find(map_, keys.encode(key))
        return default if data is None else values.decode(data)

    def __contains__(self, key: K) -> bool:
        """Whether a key is there; in a bloom filter, whether a value may be."""
        map_, keys, values = self._access()
        if map_.facts.type is MapType.BLOOM_FILTER:
            return map_.may_hold(values.encode(key))
        return _find(map_, keys.encode(key)) is not None

    def __setitem__(self, key: K, value: V) -> None:
        self._set(key, value, 0)

    def _set(self, key: K, value: V, flags: int) -> None:
        map_, keys, values = self._access()
        _put(map_, keys.encode(key), values, value, flags)

    def setdefault(self, key: K, default: V) -> V:
        """Return the value of a key; where it has none, set the default first, unless somebody else is faster."""
        while True:
            found = self.get(key, _MISSING)
            if found is not _MISSING:
                return found
            try:
                self._set(key, default, UpdateFlag.NOEXIST)
            except KernelError as error:
                if error.errno != EEXIST:
                    raise
            else:
                return default

    def __delitem__(self, key: K) -> None:
        map_, keys, _ = self._access()
        try:
            map_.delete(keys.encode(key))
        except KernelError as error:
            if not error.is_missing:
                raise _explained(map_, error) from None
            raise KeyError(key) from None

    @overload
    def pop(self) -> V: ...
    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V | T) -> V | T: ...
    def pop(self, key: Any = _MISSING, default: Any = _MISSING) -> Any:
        """Take the value of a key out of the map, or the next value out of a queue or stack.

        KeyError when the key is not there and no default is given, IndexError when the queue or stack is empty. Only
        hash maps, since Linux 5.14, find and delete a key in one step; with others, somebody may come between.
        """
        map_, keys, values = self._access()
        packed = b"" if key is _MISSING and not keys.size else keys.encode(key)
        data = _take(map_, packed)
        if data is not None:
            return values.decode(data)
        if default is not _MISSING:
            return default
        raise IndexError(f"map {map_.facts.id} is empty") if key is _MISSING else KeyError(key)

    def peek(self) -> V:
        """Return the value that pop() would take out of a queue or stack next; IndexError when it is empty."""
        map_, keys, values = self._access()
        if keys.size:
            raise DoesNotFit(f"map {map_.facts.id} has keys: it is neither a queue nor a stack")
        data = map_.find(b"")
        if data is None:
            raise IndexError(f"map {map_.facts.id} is empty")
        return values.decode(data)

    def push(self, value: V, *, overwrite: bool = False) -> None:
        """Put a value into a queue, a stack or a bloom filter.

        KernelError with E2BIG when it is full, unless the oldest value may be overwritten.
        """
        map_, keys, values = self._access()
        if keys.size:
            raise DoesNotFit(f"map {map_.facts.id} has keys: it is neither a queue nor a stack")
        _put(map_, None, values, value, UpdateFlag.EXIST if overwrite else 0)

    def __iter__(self) -> Iterator[K]:
        return self.keys()

    def keys(self) -> Iterator[K]:
        """Yield the key of each entry; what holds while others write is told in `bpfctl.kernel.elements`."""
        map_, keys, _ = self._access()
        return chain.from_iterable(keys.each(chunk.keys, chunk.entries) for chunk in _present(map_))

    def values(self) -> Iterator[V]:
        """Yield the value of each entry."""
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield key and value of each entry, read by batch, with little in memory at a time.

        NotSupported for maps that the kernel does not list. What holds while others write is told in
        `bpfctl.kernel.elements`.
        """
        from bpfctl.kernel.elements import Walk  # noqa: PLC0415 - listings do not read entries

        map_, keys, values = self._access()
        return Walk(map_, map_.facts).pairs(keys.each, values.each)

    def count(self) -> int:
        """Return how many entries there are, by a walk over all of them."""
        return sum(chunk.entries for chunk in _present(self._access().map))

    def update(self, entries: Mapping[K, V] | Mapped[K, V] | Iterable[tuple[K, V]], flags: int = 0) -> int:
        """Set many entries, by batch where the map has batches, and return how many.

        Flags are the kernel's (uapi.flags.UpdateFlag). Entries are taken and written a chunk at a time. Unfinished when
        the kernel refuses one, DoesNotFit when one is none of the map's; both say in ``done`` how many were written,
        which are the first ones.
        """
        from bpfctl.kernel import bulk  # noqa: PLC0415 - few write many

        map_, keys, values = self._access()
        pairs = entries if isinstance(entries, Iterable) and not hasattr(entries, "items") else entries.items()
        try:
            if values.open is None:
                return bulk.put(map_, ((keys.encode(key), values.encode(value)) for key, value in pairs), flags)
            return bulk.total(_put(map_, keys.encode(key), values, value, flags) for key, value in pairs)
        except KernelError as error:
            raise _explained(map_, error) from None

    def delete_many(self, keys: Iterable[K]) -> int:
        """Delete many keys, by batch where the map has batches, and return how many were there.

        Unfinished when the kernel refuses; its ``done`` says how many were deleted.
        """
        from bpfctl.kernel import bulk  # noqa: PLC0415 - few write many

        map_, codec, _ = self._access()
        try:
            return bulk.delete(map_, map(codec.encode, keys))
        except KernelError as error:
            raise _explained(map_, error) from None


class TypedMap(Mapped[K, V]):
    """A map whose keys and values are what the caller wants them to be; it lasts as long as the map's handle."""

    __slots__ = ("_fixed",)

    def __init__(self, access: Access[K, V]) -> None:
        self._fixed = access

    def _access(self) -> Access[K, V]:
        return self._fixed


def _put(map_: Map, key: bytes | None, values: Codec[Any], value: Any, flags: int) -> int:
    """Set one value, and hold what stands for it until the kernel has taken it."""
    from contextlib import ExitStack  # noqa: PLC0415 - listings set no values

    with ExitStack() as held:
        data = values.encode(values.open(value, held) if values.open else value)
        try:
            map_.put(key, data, flags)
        except KernelError as error:
            raise _explained(map_, error) from None
    return 1


def _find(map_: Map, key: bytes) -> bytes | None:
    """Return the value of a key; None when it has none, NotSupported when the kernel never tells."""
    try:
        return map_.find(key)
    except KernelError as error:
        if error.errno not in _NOT_AT_ALL:
            raise
        from bpfctl.kernel.elements import values_untold  # noqa: PLC0415 - only an error needs it

        raise values_untold(map_.facts) from None


def _explained(map_: Map, error: KernelError) -> KernelError:
    """Add to what the kernel refused why it did so, where its number is a poor word for it."""
    facts = map_.facts
    if error.errno == E2BIG:
        error.hint = f"the map has room for {facts.max_entries} entries"
    return error


def _take(map_: Map, key: bytes) -> bytes | None:
    """Take the value of a key out of a map; None when there is none."""
    try:
        return map_.take(key)
    except KernelError as error:
        if error.is_missing:
            return None
        if not key or error.errno not in _NOT_IN_ONE_STEP:
            raise _explained(map_, error) from None
    found = _find(map_, key)
    if found is not None:
        try:
            map_.delete(key)
        except KernelError as error:
            if not error.is_missing:
                raise _explained(map_, error) from None
            return None  # somebody else has taken it
    return found


def _present(map_: Map) -> Iterator[Chunk]:
    """Yield the chunks of a map, without the slots of arrays that are empty."""
    from bpfctl.kernel.elements import Walk  # noqa: PLC0415 - listings do not read entries

    return (chunk for chunk in Walk(map_, map_.facts) if chunk.errno != ENOENT)
