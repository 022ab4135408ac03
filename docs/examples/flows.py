"""A map of network flows, typed by BTF and read as dataclasses; makes a map of its own, so run as root.

A program that counts packets would bring these types with it. Here they are made by hand, and so are the flows.
"""

import sys
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

import bpfctl
from btf.write import Builder


@dataclass(frozen=True)
class Flow:
    """The members of ``struct flow`` that this program is about."""

    source: IPv4Address
    packets: int
    device: str


def types() -> tuple[bpfctl.Btf, int, int]:
    """Return BTF with the types of a key and a value."""
    b = Builder(byteorder=sys.byteorder)
    u32, u64, char = b.add_int("u32", 4), b.add_int("u64", 8), b.add_int("char", 1, encoding=1)
    name = b.add_array(char, u32, 16)
    members = [("source", u32), ("port", u32, 32), ("packets", u64, 64), ("device", name, 128)]
    flow = b.add_struct("flow", 32, members)
    return bpfctl.Btf.load(b.build()), u32, flow


btf, key, value = types()
with btf, bpfctl.Map.create(bpfctl.MapType.HASH, 4, 32, 100, btf=btf, key_type=key, value_type=value) as m:
    flows = m.typed(key=int, value=Flow)
    flows.update((n, Flow(IPv4Address("10.0.0.0") + n, 100 * n, "eth0")) for n in range(3))
    flows[1] = replace(flows[1], packets=5)

    for number, flow in sorted(flows.items()):
        print(f"{number}: {flow.source} has sent {flow.packets} packets to {flow.device}")
    print("the same as plain values:", m.typed(value=dict)[2])
    print("the same as types have it:", m[2])
