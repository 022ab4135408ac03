"""
What the verifier complains about, in a sentence that says what is wrong with the program.

The kernel's own words are kept beside the sentence, so one that is not here, or that a kernel has changed, is shown as
it is. Patterns are of Linux 5.10 and newer; where kernels word a complaint differently there is a line for each.

Kernel: kernel/bpf/verifier.c, verbose().
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Kinds of values, as in print_verifier_state(); what ends in _or_null may be null.
_KINDS = {
    "scalar": "a number",
    "inv": "a number",
    "ctx": "the context",
    "map_ptr": "a map",
    "map_value": "a pointer to a map's value",
    "map_key": "a pointer to a map's key",
    "fp": "a pointer to the stack",
    "pkt": "a pointer into the packet",
    "pkt_meta": "a pointer to the packet's metadata",
    "pkt_end": "the end of the packet",
    "flow_keys": "flow keys",
    "sock": "a socket",
    "sock_common": "a socket",
    "tcp_sock": "a TCP socket",
    "xdp_sock": "an XDP socket",
    "mem": "a pointer to memory",
    "rdonly_mem": "a pointer to memory that may only be read",
    "ringbuf_mem": "a record of a ring buffer",
    "buf": "a pointer to a buffer",
    "func": "a function",
    "iter": "an iterator",
    "dynptr_ptr": "a dynptr",
    "const_struct_bpf_dynptr": "a dynptr",
}
_MEMORY = "a pointer to memory, such as the stack or a map's value"

_SENTENCES = [
    (r"(?P<reg>R\d+) !read_ok", "{reg} is read before anything is written to it"),
    (r"(?P<reg>R\d+) invalid mem access '\w+_or_null_?'", "{reg} may be null: compare it with 0 before you use it"),
    (r"(?P<reg>R\d+) invalid mem access '(?P<kind>\w+)'", "{reg} is {kind}, and no pointer that can be followed"),
    (r"(?P<reg>R\d+) pointer arithmetic on \w+_or_null_? prohibited", "{reg} may be null: compare it with 0 first"),
    (r"(?P<reg>R\d+) pointer arithmetic on (?P<kind>\w+) prohibited", "nothing can be added to {reg}, which is {kind}"),
    (
        r"(?P<reg>R\d+) (?:bitwise operator|pointer arithmetic with) (?P<op>\S+) (?:operator|on pointer) prohibited",
        "{reg} is a pointer, which cannot be calculated with {op}",
    ),
    (r"(?P<reg>R\d+) 32-bit pointer arithmetic prohibited", "{reg} is a pointer, which has 64 bits and not 32"),
    (r"(?P<reg>R\d+) pointer \+= pointer prohibited", "{reg} is a pointer, and so is what is added to it"),
    (r"(?P<reg>R\d+) pointer comparison prohibited", "{reg} is a pointer: who has no CAP_PERFMON cannot compare those"),
    (r"(?P<reg>R\d+) tried to subtract pointer from scalar", "{reg} is a number, which a pointer cannot be taken from"),
    (
        r"math between (?P<kind>\w+) pointer and register with unbounded (?:min|max) value is not allowed",
        "what is added to {kind} may be any number: compare it with the size of what is pointed to",
    ),
    (
        r"(?:math between|value -?\d+ makes) (?P<kind>\w+) pointer .*(?:not allowed|out of bounds)",
        "what is added to {kind} may be too large: compare it with the size of what is pointed to",
    ),
    (
        r"invalid access to map value, value_size=(?P<room>\d+) off=(?P<off>-?\d+) size=(?P<size>\d+)",
        "an access of {size} at {off} leaves the map's value, which has {room}",
    ),
    (
        r"invalid access to (?:map key|memory), (?:key|mem)_size=(?P<room>\d+) off=(?P<off>-?\d+) size=(?P<size>\d+)",
        "an access of {size} at {off} leaves the memory that is pointed to, which has {room}",
    ),
    (
        r"invalid access to packet, off=(?P<off>-?\d+) size=(?P<size>\d+), (?P<reg>R\d+)",
        "an access of {size} at {off} from {reg} may leave the packet: compare with its end first",
    ),
    (
        r"invalid bpf_context access off=(?P<off>-?\d+) size=(?P<size>\d+)",
        "programs of this type cannot access {size} at {off} of their context so",
    ),
    (
        r"dereference of modified (?P<kind>\w+) ptr (?P<reg>R\d+)",
        "{reg} is {kind} plus a number: keep the number in the offset of the access",
    ),
    (
        r"(?P<reg>R\d+) unbounded memory access",
        "{reg} may point anywhere: compare the number that was added to it with the size of what is pointed to",
    ),
    (
        r"(?P<reg>R\d+) min value is negative",
        "{reg} may be negative: compare it with 0, or use an unsigned number",
    ),
    (
        r"invalid (?:write to|read from) stack (?:R\d+ )?off[= ](?P<off>-?\d+)(?:\+0)? size[= ](?P<size>\d+)",
        "an access of {size} at {off} leaves the stack, which is from -512 to 0",
    ),
    (
        r"invalid stack (?:type )?(?:R\d+ )?off=(?P<off>-?\d+) (?:access_)?size=(?P<size>\d+)",
        "an access of {size} at {off} leaves the stack, which is from -512 to 0",
    ),
    (
        r"invalid indirect (?:read|access) \w+ stack (?:R\d+ )?off (?P<off>-?\d+)\+(?P<more>\d+) size (?P<size>\d+)",
        "{called} reads {size} at {off} of the stack, where nothing has been written at {at}",
    ),
    (
        r"invalid read from stack (?:R\d+ )?off (?P<off>-?\d+)\+(?P<more>\d+) size (?P<size>\d+)",
        "{size} at {off} of the stack are read, where nothing has been written at {at}",
    ),
    (
        r"misaligned \w+ access off .*size (?P<size>\d+)",
        "an access of {size} has an address that is not a multiple of that",
    ),
    (r"frame pointer is read only", "R10 cannot be changed: it points to the stack"),
    (r"write into map forbidden", "programs cannot write to this map"),
    (r"read from map forbidden", "programs cannot read this map"),
    (r"cannot write into (?P<what>\w+)", "programs of this type cannot write to {what}"),
    (
        r"Unreleased reference id=\d+ alloc_insn=(?P<insn>\d+)",
        "what instruction {insn} acquires is not released on a way to the end",
    ),
    (
        r"(?:infinite loop detected|back-edge from insn \d+ to \d+)",
        "a loop that never ends, or has no end that the kernel sees",
    ),
    (
        r"BPF program is too large\. Processed (?P<insn>\d+) insn",
        "there are too many ways through the program, or too many rounds in its loops: {insn} instructions",
    ),
    (
        r"The sequence of (?P<insn>\d+) jumps is too complex",
        "there are too many ways through the program: {insn} jumps in a row",
    ),
    (r"unreachable insn \d+", "no way leads to this instruction"),
    (r"jump out of range from insn \d+ to (?P<insn>-?\d+)", "the jump leads out of the function, to {insn}"),
    (r"jump into the middle of ldimm64 insn", "a jump leads into the middle of this instruction"),
    (r"call to invalid destination|invalid destination", "the call leads out of the program"),
    (
        r"last insn is not an exit or jmp",
        "the program runs on past its end: the last instruction must be an exit or a jump",
    ),
    (r"unknown opcode (?P<op>[0-9a-f]+)", "this kernel has no instruction with opcode {op}"),
    (r"invalid BPF_LD_IMM insn", "a 64-bit constant lacks its other half, or a jump leads into its middle"),
    (r"(?:BPF_\w+|\w+) uses reserved fields", "a field of this instruction must be 0"),
    (r"invalid func (?:unknown#)?(?P<what>\S+)", "this kernel has no helper {what}"),
    (
        r"(?:program of this type cannot use helper|unknown func) (?P<what>\w+)",
        "programs of this type cannot call {what}",
    ),
    (
        r"cannot call GPL-restricted function from non-GPL compatible program",
        "only programs whose licence is compatible with the GPL may call {called}",
    ),
    (
        r"(?:helper call might sleep in a non-sleepable prog|.*sleepable.*non-sleepable.*)",
        "{called} may sleep, and so may only programs that are loaded as sleepable",
    ),
    (r"calling kernel function (?P<what>\w+) is not allowed", "programs of this type cannot call {what}"),
    (r"(?P<reg>R\d+) type=(?P<kind>\w+) expected=(?P<wanted>.*)", "{reg} is {kind}, where {called} wants {wanted}"),
    (
        r"Possibly NULL pointer passed to trusted arg(?P<insn>\d+)",
        "argument {insn} may be null: compare it with 0 before you pass it",
    ),
    (
        r"(?P<reg>R\d+) must be (?:referenced or trusted|a rcu pointer).*",
        "{reg} points to something that may go away meanwhile",
    ),
    (r"(?P<reg>R\d+) leaks addr.*", "{reg} is an address of the kernel, which may not be told to anybody"),
    (
        r"combined stack size of (?P<insn>\d+) calls is (?P<size>\d+)\. Too large",
        "{insn} functions that call each other need {size} of stack together, and 512 are allowed",
    ),
    (r"the call stack of (?P<insn>\d+) frames is too deep", "functions call each other {insn} deep, and 8 are allowed"),
    (r"div(?:ision)? by zero", "a division by zero"),
    (r"invalid atomic operand size", "an atomic operation is on 4 or 8 bytes"),
    (r"invalid shift (?P<insn>-?\d+)", "a shift by {insn} bits is too far"),
    (
        r"(?:At|In) .* the register (?P<reg>R\d+) has .*should have been in .(?P<low>\S+)[;,] (?P<high>\S+).",
        "the result in {reg} must be from {low} to {high}",
    ),
    (r"invalid size of register fill", "a pointer on the stack can only be read whole, as 8 bytes"),
    (r"attempt to corrupt spilled pointer on stack", "a part of a pointer on the stack would be overwritten"),
    (r"same insn cannot be used with different pointers", "one instruction accesses different kinds of memory"),
    (
        r"access beyond struct (?P<what>\w+) at off (?P<off>\d+) size (?P<size>\d+)",
        "an access of {size} at {off} leaves struct {what}",
    ),
]
_HEX = re.compile(r"0x[0-9a-f]+")


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), sentence) for pattern, sentence in _SENTENCES]


def sentence(complaint: Sequence[str], called: str = "") -> str:
    """Return what the lines of a complaint mean, empty where we do not know; ``called`` is the function at fault."""
    for line in complaint:
        for pattern, words in _patterns():
            match = pattern.match(line)
            if match:
                groups = {name: value or "" for name, value in match.groupdict().items()}
                return words.format(**_told(groups), called=called or "the function")
    return ""


def _told(groups: dict[str, str]) -> dict[str, str]:
    """Return the groups of a pattern in words."""
    told = dict(groups)
    for name in ("size", "room"):
        if name in groups:
            told[name] = "1 byte" if groups[name] == "1" else f"{groups[name]} bytes"
    if "more" in groups:
        told["at"] = str(int(groups["off"]) + int(groups["more"]))
    if "kind" in groups:
        told["kind"] = _kind(groups["kind"])
    if "wanted" in groups:
        told["wanted"] = _wanted(groups["wanted"])
    for name in ("low", "high"):
        if _HEX.fullmatch(groups.get(name, "")):
            told[name] = str(int(groups[name], 16))
    return told


def _kind(word: str) -> str:
    null = word.endswith(("_or_null", "_or_null_"))
    bare = word.removesuffix("_").removesuffix("_or_null")
    told = _KINDS.get(bare) or ("a pointer to a structure of the kernel" if "ptr" in word else bare.replace("_", " "))
    return f"{told} or null" if null else told


def _wanted(words: str) -> str:
    kinds = [word.strip() for word in words.split(",")]
    if "fp" in kinds and len(kinds) > 1:
        return _MEMORY
    return " or ".join(dict.fromkeys(map(_kind, kinds)))
