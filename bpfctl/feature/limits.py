"""What programs may look like: how long, with loops, with which instructions; each by loading one."""

from __future__ import annotations

from typing import NamedTuple

from bpfctl._sys import programs
from bpfctl.feature.answer import AVAILABLE, Answer, Rights, refused
from bpfctl.uapi.enums import ProgType


class Probe(NamedTuple):
    """A program that only loads where the feature is there."""

    name: str
    title: str
    since: str
    insns: bytes


def _code(*words: str) -> bytes:
    return bytes.fromhex("".join(words))


_EXIT = "9500000000000000"
_MOV_0, _MOV_1, _MOV_10 = "b700000000000000", "b700000001000000", "b70000000a000000"  # r0 = 0, 1, 10
_OLD_LIMIT = 4096  # BPF_MAXINSNS

PROBES = (
    # Linux commit c04c0d2b968a, "bpf: increase complexity limit and maximum program size"
    Probe("large_insn_limit", "Large program size limit", "5.2", _code(_MOV_1 * _OLD_LIMIT, _EXIT)),
    # Commit 2589726d12a1, "bpf: introduce bounded loops": r0 -= 1; if r0 != 0 goto -2
    Probe(
        "bounded_loops", "Bounded loop support", "5.3", _code(_MOV_10, "1700000001000000", "5500feff00000000", _EXIT)
    ),
    # Commit 92b31a9af73b, "bpf: add BPF_J{LT,LE,SLT,SLE} instructions": if r0 < 0 goto +1
    Probe("v2_isa_extension", "ISA extension v2", "4.14", _code(_MOV_0, "a500010000000000", _MOV_1, _EXIT)),
    # Commit 092ed0968bb6, "bpf: verifier support JMP32": if w0 < 0 goto +1
    Probe("v3_isa_extension", "ISA extension v3", "5.1", _code(_MOV_0, "a600010000000000", _MOV_1, _EXIT)),
    # Commit 1f9a1ea821ff, "bpf: Support new sign-extension load insns", and its kin: if w0 == 1 goto +1; gotol +1
    Probe(
        "v4_isa_extension",
        "ISA extension v4",
        "6.6",
        _code(_MOV_0, "1600010001000000", "0600000001000000", _MOV_1, _EXIT),
    ),
)


def probe(wanted: Probe, ifindex: int, rights: Rights) -> Answer:
    """Load the program as a socket filter, for the hardware of a device if one is given."""
    try:
        programs.load(ProgType.SOCKET_FILTER, wanted.insns, ifindex=ifindex).fd.close()
    except programs.LoadError as error:
        return refused(error.errno or 0, rights)
    return AVAILABLE
