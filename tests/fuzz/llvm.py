"""What LLVM makes of instructions, and its words and ours on common ground."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.asm.insn import ByteOrder

_TRIPLES = {"little": "bpfel", "big": "bpfeb"}
_SAID = re.compile(r"\t(.+?)\s*# encoding: \[([0-9a-fx,]+)\]")


class Said(NamedTuple):
    """What LLVM says that some bytes are: the text, and the bytes that it would write for it."""

    text: str
    raw: bytes


def found() -> str | None:
    """Return the newest llvm-mc that is installed; None when there is none."""
    numbered = sorted(Path("/usr/lib").glob("llvm-*/bin/llvm-mc"), key=_version)
    return str(numbered[-1]) if numbered else shutil.which("llvm-mc")


def _version(path: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", path.parts[3])))


def version(program: str) -> int:
    """Return the major version of an llvm-mc."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"LLVM version (\d+)", told)
    assert number, told
    return int(number[1])


def disassemble(program: str, words: Sequence[bytes], order: ByteOrder) -> list[Said | None]:
    """Return what an llvm-mc says of each of some instructions; None where it refuses.

    A marker follows each of them, so that nothing has to be known about where it goes on after what it refuses.
    """
    markers = [_marker(number, order) for number in range(len(words))]
    text = "\n".join(
        " ".join([f"0x{byte:02x}" for byte in word + marker]) for word, marker in zip(words, markers, strict=True)
    )
    command = [program, "-disassemble", f"-triple={_TRIPLES[order]}", "-mcpu=v4", "-show-encoding"]
    told = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    answers: list[Said | None] = []
    since: list[Said] = []
    for line in told.stdout.splitlines():
        match = _SAID.match(line)
        if match is None:
            continue
        said = Said(match[1], bytes(int(byte, 16) for byte in match[2].split(",")))
        if len(answers) < len(markers) and said.raw == markers[len(answers)]:
            word = words[len(answers)]
            fits = len(since) == 1 and len(since[0].raw) == len(word) and since[0].raw[0] == word[0]
            answers.append(since[0] if fits else None)
            since = []
        else:
            since.append(said)
    assert len(answers) == len(words), f"{program} has answered {len(answers)} of {len(words)}: {told.stderr[-300:]}"
    return answers


def _marker(number: int, order: ByteOrder) -> bytes:
    """Return r0 = NUMBER, with a number that no other instruction is likely to have."""
    return b"\xb7\0\0\0" + (0x40000000 + number).to_bytes(4, order)


_OURS = (
    (re.compile(r"^\([0-9a-f]{2}\) "), ""),
    (re.compile(r"\((r\d+) ([+-])(\d+)\)"), r"(\1 \2 \3)"),
    (re.compile(r"goto(l?) pc"), r"goto\1 "),
    (re.compile(r"^call (?:pc|.*#)\+?"), "call "),
    (re.compile(r"\batomic(?:64)?_"), "atomic_"),
)
_IMMEDIATE = re.compile(r"^(if [rw]\d+ \S+ )0x([0-9a-f]+)( goto)")
_THEIRS = (
    (re.compile(r"\b(cmp)?xchg(?:32)?_(32|64)\((r\d+ [+-] \d+)"), r"atomic_\1xchg((u\2 *)(\3)"),
    (re.compile(r"skb\[(r\d+)\]"), r"skb[\1 + 0]"),
)
_WIDE = re.compile(r"^(r\d+) = (-?\d+) ll$")


def ours(text: str) -> str:
    """Return our text of an instruction on common ground: spelled as LLVM does, numbers signed."""
    for pattern, words in _OURS:
        text = pattern.sub(words, text)
    match = _IMMEDIATE.match(text)
    return f"{match[1]}{_signed(int(match[2], 16))}{text[match.start(3) :]}" if match else text


def theirs(text: str) -> str:
    """Return LLVM's text of an instruction on common ground: registers of loads and stores named by 64 bits."""
    for pattern, words in _THEIRS:
        text = pattern.sub(words, text)
    match = _WIDE.match(text)
    if match:
        return f"{match[1]} = {int(match[2]) & 0xFFFF_FFFF_FFFF_FFFF:#x}"
    return re.sub(r"\bw(\d+)", r"r\1", text) if " *)" in text else text


def _signed(word: int) -> int:
    return (word ^ 0x8000_0000) - 0x8000_0000
