"""What a map's keys and values are in Python: by its type, by its BTF, by what the caller wants them to be.

======================================  ============================================================
bytes                                   keys and values of maps without BTF
int                                     keys of arrays; values of device and CPU maps
what the BTF says (`btf.value`)         all others
`PerCPU` of these                       values of per-CPU maps
the id of a map or program              values of maps of maps and of program arrays
int                                     what else the kernel tells of what a descriptor stood for
======================================  ============================================================

Whatever it is when read, these can always be written: bytes of the right length, what was read, integers where a key or
value without BTF has 1, 2, 4, 8 or 16 bytes, addresses of `ipaddress`; networks such as ``10.0.0.0/8`` as keys of a
trie; objects with a ``fileno()`` where the kernel wants a descriptor.
"""

from __future__ import annotations

import sys
from itertools import repeat
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, TypeVar, get_args, get_origin

from bpfctl.errors import DoesNotFit
from bpfctl.host import cpus
from bpfctl.kernel.elements import FIXED_KEYS, pieces
from bpfctl.kernel.map import OF_MAPS, PER_CPU
from bpfctl.kernel.per_cpu import PerCPU
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack
    from typing import Literal

    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.map_types import Types
    from btf.read import BTF

T = TypeVar("T")

_WIDTHS = (1, 2, 4, 8, 16)  # bytes of integers
_UNSIGNED: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}
_ANYTHING = (None, Any, object)
_BY_DESCRIPTOR = frozenset({MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE})
_OF_DESCRIPTORS = frozenset(
    {
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.REUSEPORT_SOCKARRAY,
    },
)
_OF_NUMBERS = frozenset({MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP})


class Codec(NamedTuple, Generic[T]):
    """How keys or values are read and written."""

    what: str  # "key" or "value"
    size: int  # bytes that the kernel copies
    decode: Callable[[bytes], T]
    encode: Callable[[Any], bytes]
    each: Callable[[bytes, int], Iterable[T]]  # packed bytes and how many -> what they are
    #: Opens what an id names, to be closed when the kernel has taken it.
    open: Callable[[Any, ExitStack], Any] | None = None


class _Part(NamedTuple):
    """A key or a value: its name in messages, its size in bytes, its type if that is known."""

    what: str
    size: int
    types: BTF | None = None
    type_id: int = 0

    def refuse(self, why: object) -> NoReturn:
        raise DoesNotFit(f"{self.what}: {why}") from None


def key(info: MapInfo, types: Types | None, wanted: Any = None) -> Codec[Any]:
    """Return what keys are; DoesNotFit when they cannot be what is wanted."""
    if not info.key_size:
        return _no_key(info)
    part = _Part("key", info.key_size)
    if info.type in _BY_DESCRIPTOR:
        return _codec(part, wanted, int, _descriptor)
    if types and types.key:
        part = part._replace(types=types.btf, type_id=types.key)
    if info.type is not MapType.LPM_TRIE:
        return _codec(part, wanted, int if info.type in FIXED_KEYS and info.key_size == 4 else bytes)
    if wanted is str or getattr(wanted, "__module__", "") == "ipaddress":
        return _networks(part, wanted)
    return _codec(part, wanted, bytes, _network)


def value(info: MapInfo, types: Types | None, wanted: Any = None) -> Codec[Any]:
    """Return what values are; DoesNotFit when they cannot be what is wanted."""
    part = _Part("value", info.value_size)
    if info.type in OF_MAPS or info.type is MapType.PROG_ARRAY:
        opens = _open_map if info.type in OF_MAPS else _open_program
        return _codec(part, wanted, int, _descriptor)._replace(open=opens)
    if info.type in _OF_DESCRIPTORS:
        return _codec(part, wanted, int, _descriptor)
    if types:
        part = part._replace(types=types.btf, type_id=types.value)
    if info.type in PER_CPU:
        return _per_cpu(part, wanted)
    return _codec(part, wanted, int if info.type in _OF_NUMBERS and info.value_size == 4 else bytes)


def _codec(
    part: _Part,
    wanted: Any,
    default: type = bytes,
    special: Callable[[_Part, Any], bytes | None] | None = None,
) -> Codec[Any]:
    """Return what one key or value is; ``special`` writes objects that are none of it, as a descriptor is none."""
    untyped = wanted in _ANYTHING and not part.types
    codec = _plain(part, default if untyped else wanted)
    write = _int(part).encode if untyped and part.size in _WIDTHS else codec.encode

    def encode(value: Any) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview):
            if len(value) != part.size:
                part.refuse(f"{part.size} bytes are needed, not {len(value)}")
            return bytes(value)
        data = special(part, value) if special else None
        if data is None:
            data = getattr(value, "packed", None)  # an address of ipaddress
        return data if isinstance(data, bytes) and len(data) == part.size else write(value)

    return codec._replace(encode=encode)


def _plain(part: _Part, wanted: Any) -> Codec[Any]:
    what, size = part.what, part.size
    if get_origin(wanted) is PerCPU or wanted is PerCPU:
        part.refuse("the map has one for all CPUs")
    if wanted is bytes:
        return Codec(what, size, bytes, lambda value: part.refuse(_no(value, "bytes")), _cut(size))
    if hasattr(wanted, "from_buffer_copy"):
        return _ctypes(part, wanted)
    if part.types:
        return _typed(part, part.types, wanted)
    if wanted is int:
        return _int(part)
    if wanted is str:
        return Codec(what, size, _text, lambda value: _padded(part, value), _each(_text, size))
    if getattr(wanted, "__module__", "") == "ipaddress":

        def decode(data: bytes) -> Any:
            return wanted(data)

        if size != {"IPv4Address": 4, "IPv6Address": 16}.get(wanted.__name__):
            part.refuse(f"{size} bytes cannot be {wanted.__name__}")
        return Codec(what, size, decode, lambda value: _tried(part, wanted, value).packed, _each(decode, size))
    return part.refuse(f"the map has no types that could tell how bytes become {getattr(wanted, '__name__', wanted)}")


def _typed(part: _Part, btf: BTF, wanted: Any) -> Codec[Any]:
    from btf.codec import Codec as Typed  # noqa: PLC0415 - bytes and integers need no types
    from btf.errors import BTFError  # noqa: PLC0415 - likewise

    try:
        typed = Typed(btf, part.type_id, Any if wanted is None else wanted)
    except BTFError as error:
        part.refuse(error)

    def encode(value: Any) -> bytes:
        try:
            return typed.encode(value).ljust(part.size, b"\0")
        except BTFError as error:
            part.refuse(error)

    return Codec(part.what, part.size, typed.decode, encode, lambda packed, _count: typed.each(packed, part.size))


def _int(part: _Part) -> Codec[int]:
    size = part.size
    if size not in _WIDTHS:
        part.refuse(f"{size} bytes are no integer")
    low, high = -(1 << 8 * size - 1), (1 << 8 * size) - 1

    def decode(data: bytes) -> int:
        return int.from_bytes(data, sys.byteorder)

    def encode(value: Any) -> bytes:
        if isinstance(value, bool) or not isinstance(value, int):
            part.refuse(_no(value, "an integer"))
        if not low <= value <= high:
            part.refuse(f"{value} is out of the range of {size} bytes ({low} to {high})")
        return (value & high).to_bytes(size, sys.byteorder)

    code = _UNSIGNED.get(size)
    return Codec(part.what, size, decode, encode, _numbers(code) if code else _each(decode, size))


def _ctypes(part: _Part, wanted: Any) -> Codec[Any]:
    """Return objects of ctypes, such as a Structure."""
    if len(bytes(wanted())) != part.size:
        part.refuse(f"{wanted.__name__} has {len(bytes(wanted()))} bytes, not {part.size}")

    def encode(value: Any) -> bytes:
        if not isinstance(value, wanted):
            part.refuse(_no(value, wanted.__name__))
        return bytes(value)

    return Codec(part.what, part.size, wanted.from_buffer_copy, encode, _each(wanted.from_buffer_copy, part.size))


def _per_cpu(part: _Part, wanted: Any) -> Codec[PerCPU[Any]]:
    """Return the values of all CPUs, each in a slot of a multiple of 8 bytes."""
    if wanted not in (*_ANYTHING, PerCPU, bytes) and get_origin(wanted) is not PerCPU:
        name = getattr(wanted, "__name__", wanted)
        part.refuse(f"the map has one for each CPU, so what is wanted is PerCPU[{name}]")
    arguments = get_args(wanted)
    one = _codec(part, arguments[0] if arguments else None)
    number, slot = cpus.possible(), part.size + 7 & ~7
    room = slot * number
    if wanted is bytes:
        return _codec(part._replace(size=room), bytes)

    def each(packed: bytes, count: int) -> Iterable[PerCPU[Any]]:
        if slot == part.size:
            values = one.each(packed, count * number)
        else:
            values = (one.decode(each[: part.size]) for each in pieces(packed, slot, count * number))
        return map(PerCPU, zip(*[iter(values)] * number, strict=True))

    def decode(data: bytes) -> PerCPU[Any]:
        return PerCPU(one.decode(data[at : at + part.size]) for at in range(0, room, slot))

    def encode(value: Any) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview) and len(value) == room:
            return bytes(value)
        if not isinstance(value, list | tuple) or hasattr(value, "_fields"):
            part.refuse("a list has one for each CPU; PerCPU.all(value) is the same for all")
        if len(value) != number:
            part.refuse(f"a list has one for each of {number} CPUs, not {len(value)}")
        return b"".join([one.encode(each).ljust(slot, b"\0") for each in value])

    return Codec(part.what, room, decode, encode, each)


def _networks(part: _Part, wanted: Any) -> Codec[Any]:
    """Return the prefixes of a trie as networks, or as text such as 10.0.0.0/8."""
    import ipaddress  # noqa: PLC0415 - few maps hold networks

    bits = 8 * (part.size - 4)
    kind = {32: ipaddress.IPv4Network, 128: ipaddress.IPv6Network}.get(bits)
    if kind is None or wanted not in (str, kind, ipaddress.ip_network):
        part.refuse(f"prefixes of up to {bits} bits cannot be {wanted.__name__}")

    def decode(data: bytes) -> Any:
        length = int.from_bytes(data[:4], sys.byteorder)
        network = kind((data[4:], min(length, bits)), strict=False)
        return str(network) if wanted is str else network

    def encode(value: Any) -> bytes:
        return part.refuse(_no(value, "a network"))

    return _codec(part, bytes, special=_network)._replace(decode=decode, each=_each(decode, part.size))


def _network(part: _Part, value: Any) -> bytes | None:
    """Return the key of a network, or of an address, which is a network of its own; None for anything else."""
    if isinstance(value, str):
        import ipaddress  # noqa: PLC0415 - few maps hold networks

        value = _tried(part, ipaddress.ip_interface, value)
    address = getattr(value, "network_address", None) or getattr(value, "ip", value)
    packed = getattr(address, "packed", None)
    if packed is None:
        return None
    if len(packed) != part.size - 4:
        part.refuse(f"prefixes have up to {8 * (part.size - 4)} bits, and {value} is another kind of address")
    length = getattr(value, "prefixlen", None) if address is not value else len(packed) * 8
    if length is None:
        length = value.network.prefixlen
    return int(length).to_bytes(4, sys.byteorder) + bytes(packed)


def _descriptor(part: _Part, value: Any) -> bytes | None:
    fileno = getattr(value, "fileno", None)
    if fileno is None:
        return None
    number = int(fileno())
    if number < 0:
        part.refuse(f"{type(value).__name__} is closed")
    return number.to_bytes(part.size, sys.byteorder)


def _open_map(value: Any, held: ExitStack) -> Any:
    from bpfctl.kernel.map import Map  # noqa: PLC0415 - only an id has to be opened

    return held.enter_context(Map.by_id(value)) if type(value) is int else value


def _open_program(value: Any, held: ExitStack) -> Any:
    from bpfctl.kernel.prog import Program  # noqa: PLC0415 - only an id has to be opened

    return held.enter_context(Program.by_id(value)) if type(value) is int else value


def _no_key(info: MapInfo) -> Codec[Any]:
    def refuse(_: Any) -> NoReturn:
        raise DoesNotFit(f"map {info.id} has no keys: use push(), peek() and pop()")

    return Codec("key", 0, refuse, refuse, lambda _packed, count: repeat(None, count))


def _cut(size: int) -> Callable[[bytes, int], Iterable[bytes]]:
    return lambda packed, count: pieces(packed, size, count)


def _each(decode: Callable[[bytes], T], size: int) -> Callable[[bytes, int], Iterable[T]]:
    return lambda packed, count: map(decode, pieces(packed, size, count))


def _numbers(code: Literal["B", "H", "I", "Q"]) -> Callable[[bytes, int], Iterable[int]]:
    return lambda packed, _count: memoryview(packed).cast(code).tolist()


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="surrogateescape")


def _padded(part: _Part, value: Any) -> bytes:
    if not isinstance(value, str):
        part.refuse(_no(value, "text"))
    try:
        data = value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        part.refuse(f"{value!a} is no text")
    if len(data) > part.size or b"\0" in data:
        part.refuse(f"text of {len(data)} bytes does not fit into {part.size}")
    return data.ljust(part.size, b"\0")


def _tried(part: _Part, make: Callable[[Any], Any], value: Any) -> Any:
    try:
        return make(value)
    except ValueError as wrong:
        part.refuse(wrong)


def _no(value: object, what: str) -> str:
    return f"{type(value).__name__} {value!r:.40} is no {what}".replace("no an ", "no ")
