"""The zoo's own BTF: one blob that its maps, metadata and function names share."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kernel import client
from tests.kernel.inhabitants import Inhabitant
from tests.kernel.typeblob import GLOBAL, SIGNED, Blob

METADATA = b"zookeeper\0\0\0" + (7).to_bytes(4, "little") + (42).to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Types:
    """Ids in the zoo's BTF."""

    raw: bytes
    u32: int
    u64: int
    key: int
    value: int
    main: int
    sub: int
    replaceable: int
    rodata: int


def build() -> Types:
    """Write the blob; nothing in it is newer than Linux 5.10."""
    blob = Blob()
    s32 = blob.int_("int", 4, SIGNED)
    u32 = blob.int_("unsigned int", 4)
    u64 = blob.int_("unsigned long", 8)
    char = blob.int_("char", 1, SIGNED)
    text = blob.array(char, u32, 12)
    key = blob.struct_("zoo_key", 8, [("cpu", u32, 0), ("kind", s32, 4)])
    value = blob.struct_("zoo_value", 24, [("count", u64, 0), ("name", text, 8), ("last", s32, 20)])
    context = blob.ptr(0)
    author = blob.var("bpf_metadata_author", blob.const(text))
    version = blob.var("bpf_metadata_version", blob.const(s32))
    other = blob.var("not_metadata", blob.const(u64))
    return Types(
        u32=u32,
        u64=u64,
        key=key,
        value=value,
        main=blob.func("count_every_packet_that_arrives", s32, [("ctx", context)]),
        sub=blob.func("a_subprogram_with_a_long_name", u64, []),
        replaceable=blob.func("replaceable", s32, [("x", s32)], GLOBAL),
        rodata=blob.datasec(".rodata", 24, [(author, 0, 12), (version, 12, 4), (other, 16, 8)]),
        raw=blob.raw(),
    )


BTFS = [
    Inhabitant("btf", "zoo", "", lambda zoo: client.btf_load(zoo.types.raw)),
]
