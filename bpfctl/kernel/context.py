"""The structures that programs see in test runs, by the running kernel's own types."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bpfctl.errors import DoesNotFit, KernelError, NotSupported
from bpfctl.kernel import btf as objects
from bpfctl.uapi.enums import ProgType
from btf import types
from btf.encode import Encoder
from btf.errors import BTFError
from btf.value import Decoder, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

FLOW_KEYS = "bpf_flow_keys"  # what comes out of a flow dissector
_SK_BUFF = "__sk_buff"
_CONTEXTS: dict[ProgType | int, str] = {
    ProgType.XDP: "xdp_md",
    ProgType.SCHED_CLS: _SK_BUFF,
    ProgType.SCHED_ACT: _SK_BUFF,
    ProgType.SOCKET_FILTER: _SK_BUFF,
    ProgType.CGROUP_SKB: _SK_BUFF,
    ProgType.LWT_IN: _SK_BUFF,
    ProgType.LWT_OUT: _SK_BUFF,
    ProgType.LWT_XMIT: _SK_BUFF,
    ProgType.LWT_SEG6LOCAL: _SK_BUFF,
    ProgType.SK_LOOKUP: "bpf_sk_lookup",
}


def decode(kind: ProgType | int, raw: bytes) -> Record | None:
    """Return the members of a context; None where its type has no structure of its own, or nobody knows it."""
    name = _CONTEXTS.get(kind)
    return structure(name, raw) if name else None


def structure(name: str, raw: bytes) -> Record | None:
    """Return the members of a structure, of which those behind the end of ``raw`` are 0; None if nobody knows it."""
    try:
        decoder = Decoder(objects.vmlinux(), _id(name))
    except (BTFError, KernelError, NotSupported):
        return None
    value = decoder(raw.ljust(decoder.size, b"\0"))
    return value if isinstance(value, Record) else None


def encode(kind: ProgType | int, members: Mapping[str, Any]) -> bytes:
    """Lay a context out, of which members that are not given are 0.

    DoesNotFit says which member is not there or has no room for its value, NotSupported that nobody knows them.
    """
    name = _CONTEXTS.get(kind)
    if name is None:
        raise DoesNotFit("the context of this type of programs has no members: give its bytes")
    encoder = Encoder(objects.vmlinux(), _id(name))
    try:
        return encoder(dict(members))
    except BTFError as error:
        raise DoesNotFit(f"context: {error}") from None


@lru_cache
def _id(name: str) -> int:
    found = objects.vmlinux().find(name, types.Struct)
    if found is None:
        raise NotSupported(f"this kernel's types have no struct {name}: give the context's bytes")
    return found.id
