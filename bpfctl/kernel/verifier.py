"""
The verifier's log, and what it says about a program that it refuses.

A log follows the ways through a program: a line for each instruction, with what is known of registers behind it or on
lines of their own, and source where the program has some; its end is the complaint. Kernels differ in all of this, and
a log may be cut at either end, so nothing is expected: whatever the text is, something is made of it.

Kernel: kernel/bpf/verifier.c and kernel/bpf/log.c.
"""

from __future__ import annotations

import re
from errno import ENOSPC
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys.programs import LoadError
from bpfctl.asm.disasm import text as disassembled
from bpfctl.asm.insn import Insn
from bpfctl.errors import VerifierError
from bpfctl.kernel.verifier_words import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl._sys.programs import Loaded

_LAST = 8  # lines of the log that are shown
_WIDE = 160  # characters of such a line
# Levels of the log: the ways through the program; also what is known before each instruction, which kernels before 5.18
# (2e5766483c8c, "bpf: Tweak BPF verifier log") do not tell else; figures and complaints alone.
_TRACE, _STATES, _FIGURES = 1, 2, 4
_SHORT = 2000  # lines of a log that is worth to be written once more, in full
_READ = 1 << 20  # characters at the end of a log that are looked at
_LINE = 4096  # characters of a line that are; a line about all registers has a thousand
_COMPLAINT = 400

_INSN = re.compile(r"(\d{1,9}): (\([0-9a-f]{2}\) .*|BUG_\w+)")
_PLACED = re.compile(r"\S.*:\d+$")
_REGISTER = re.compile(r"(?:^|(?<= ))(R\d{1,2}|fp-\d{1,3})(?:_[a-zA-Z]+)?=")
_STATE = re.compile(r"\s*(?:from \d+ to \d+: ?|\d+: )?(?:frame(\d+): ?)?(?=(?:R\d{1,2}|fp-\d{1,3})(?:_[a-zA-Z]+)?=)")
_NAMED = re.compile(r"\b[Rr](\d{1,2})\b|\bw(\d{1,2})\b")
_SET = re.compile(r"\([0-9a-f]{2}\) [rw]\d+ = ")
_WRITTEN = re.compile(r"\([0-9a-f]{2}\) [rw](\d+) [^=]*= ")
_CLEARED = ("R0", "R1", "R2", "R3", "R4", "R5")  # by a call
_CALL = re.compile(r"\(85\) call ([^#\s]*)#")
# Instructions that a complaint names by itself.
_PLACE = re.compile(
    r"(?:unreachable insn|jump out of range from insn|infinite loop detected at insn|back-edge from insn"
    r"|jump into the middle of ldimm64 insn) (\d+)"
)
_OPCODE = re.compile(r"unknown opcode ([0-9a-f]{2})\b")
# Complaints about all of the program, wherever they are found.
_OF_ALL = re.compile(
    r"BPF program is too large|combined stack size|last insn is not|The sequence of \d+ jumps|the call stack of"
)
# What is no complaint: figures at the end, the search for what was precise, frames, and how far functions are checked.
_REMARK = re.compile(
    r"processed \d+ insns|verification time|stack depth|mark_precise:|regs=|last_idx |parent |propagating "
    r"|from \d+ to \d+|cur state:|old state:|caller:|callee:|returning from callee:|to caller at|func#\d+ @|Validating "
    r"|Func#\d+|Live regs before|\s*\d+: [.0-9]{10}|frame \d+|\s*$"
)


class Refusal(NamedTuple):
    """Why a program was refused; what the log does not tell is empty or None."""

    sentence: str  # in plain words; the kernel's own where we know none
    complaint: tuple[str, ...]  # the kernel's own words
    slot: int | None  # the instruction that is refused
    insn: str  # its text
    source: str  # its line of source
    place: str  # where that is: FILE:LINE
    registers: tuple[tuple[str, str], ...]  # what the kernel knows of those that matter there
    last: tuple[str, ...]  # the last lines of the log, without figures
    lines: int  # of the whole log


def read(log: str, insns: bytes = b"") -> Refusal:
    """Return what a log says; with the program's instructions also those that it only numbers."""
    trace = _Trace(log)
    complaint = tuple(trace.complaint)
    slot, text, source = trace.slot, trace.text, trace.source
    named = next((found for line in complaint if (found := _PLACE.match(line))), None)
    if named and int(named[1]) != slot:
        slot, text, source = int(named[1]), "", ("", "")
    elif any(_OF_ALL.match(line) for line in complaint):
        slot, text, source = None, "", ("", "")
    if slot is None or not text:
        slot, text = _found(slot, complaint, insns)
    call = _CALL.match(text)
    told = sentence(complaint, call[1] if call else "")
    if told and trace.cleared(complaint):
        told += ": a call before has cleared it"
    matter = _matter(text, complaint)
    registers = tuple((name, trace.registers[name]) for name in matter if name in trace.registers) if text else ()
    return Refusal(
        told or (complaint[0] if complaint else ""), complaint, slot, text, *source, registers, trace.last, trace.lines
    )


class Asked:
    """A program that the kernel has refused without words, and is loaded again to be told why."""

    def __init__(self, tried: str, errno: int, insns: bytes) -> None:
        self._tried = tried
        self._errno = errno
        self._insns = insns

    def load(self, attempt: Callable[[int], Loaded]) -> Loaded:
        """Load with a log of some level; VerifierError with what the log says, unless the program is accepted now."""
        try:
            return attempt(_TRACE)
        except LoadError as error:
            log, cut = error.log, error.errno == ENOSPC
        refusal = read(log, self._insns)
        more = 0
        if cut and not refusal.complaint:
            more = _FIGURES
        elif refusal.insn and not refusal.registers and refusal.lines < _SHORT:
            more = _STATES
        if more:
            try:
                return attempt(more)
            except LoadError as error:
                again = error.log
            said = read(again, self._insns)
            if more == _FIGURES:
                log, refusal = f"{log}\n...\n{again}", said
            else:
                refusal = refusal._replace(registers=said.registers)
        raise refused(self._tried, self._errno, log, refusal)


def refused(tried: str, errno: int, log: str, refusal: Refusal) -> VerifierError:
    """Return the error about a program that the verifier refuses: a sentence, and notes that show where and why."""
    if refusal.sentence:
        where = "it" if refusal.slot is None else f"instruction {refusal.slot}"
        tried = f"{tried}: the verifier refuses {where}: {refusal.sentence}"
    error = VerifierError(tried, errno, log, refusal)
    for note in notes(refusal):
        error.add_note(note)
    return error


def notes(refusal: Refusal) -> Iterator[str]:
    """Yield the lines that show where and why."""
    if refusal.insn:
        yield f"{refusal.slot}: {refusal.insn}"
    if refusal.source:
        yield f"source: {refusal.source}" + (f"  ({refusal.place})" if refusal.place else "")
    if refusal.registers:
        yield "known: " + ", ".join(f"{name}={value}" for name, value in refusal.registers)
    if refusal.complaint and refusal.sentence not in refusal.complaint:
        yield f"the kernel's words: {'; '.join(refusal.complaint)}"
    if refusal.last:
        yield f"the last of {refusal.lines} lines of its log:"
        yield from (f"  {line}" for line in refusal.last)


def _found(slot: int | None, complaint: tuple[str, ...], insns: bytes) -> tuple[int | None, str]:
    """Return the instruction that a complaint means without showing it."""
    opcode = next((int(found[1], 16) for line in complaint if (found := _OPCODE.match(line))), None)
    if len(insns) % 8 or (slot is None and opcode is None):
        return slot, ""
    at = 0
    try:
        for insn in Insn.decode_all(insns):
            if at == slot or (slot is None and insn.opcode == opcode):
                return at, disassembled(insn)
            at += insn.slots
    except ValueError:
        return slot, ""
    return slot, ""


def _matter(text: str, complaint: tuple[str, ...]) -> list[str]:
    """Return the registers that an instruction uses, and those that the complaint names."""
    used = _SET.sub("", text)
    numbers = {int(first or second) for line in (used, *complaint) for first, second in _NAMED.findall(line)}
    if text.startswith("(85)") and not numbers:
        numbers |= set(range(1, 6))
    if text.startswith("(95)"):
        numbers.add(0)
    numbers.discard(10)
    return [f"R{number}" for number in sorted(numbers)]


class _Trace:
    """A log that is followed from its first line to its last."""

    def __init__(self, log: str) -> None:
        self.slot: int | None = None
        self.text = ""
        self.source = ("", "")
        self.complaint: list[str] = []
        self._frames: dict[int, dict[str, str]] = {0: {}}
        self._frame = 0
        self._pending: tuple[str, ...] = ()  # registers that the instruction before has changed, nobody says how
        self._written: set[str] = set()
        self._gone: set[str] = set()  # registers that a call has cleared
        shown = [line for line in log[-_READ:].splitlines() if self._follow(line[:_LINE]) and line.strip()]
        self.lines = log.count("\n") + (not log.endswith("\n") and bool(log))
        self.last = tuple(line if len(line) <= _WIDE else f"{line[: _WIDE - 3]}..." for line in shown[-_LAST:])

    @property
    def registers(self) -> dict[str, str]:
        """What is known of registers at the end."""
        return self._frames.get(self._frame, {})

    def cleared(self, complaint: tuple[str, ...]) -> bool:
        """Return whether a register is complained of that had something in it before a call."""
        return any(line.endswith(" !read_ok") and line.partition(" ")[0] in self._gone for line in complaint)

    def _follow(self, line: str) -> bool:
        """Take in a line; return whether it is one to be shown."""
        insn = _INSN.match(line)
        if insn:
            self._instruction(int(insn[1]), insn[2])
            return True
        if line.startswith("; "):
            source, _, place = line[2:].rpartition(" @ ")
            self.source = (source, place) if source and _PLACED.match(place) else (line[2:], "")
            return True
        state = _STATE.match(line)
        if state:
            self._frame = int(state[1] or 0)
            self._frames[self._frame] = dict(_registers(line[state.end() :]))
            self._pending = ()
            return True
        if _REMARK.match(line):
            return not line.startswith(("processed", "verification", "stack depth"))
        self.complaint.append(line.strip()[:_COMPLAINT])
        return True

    def _instruction(self, slot: int, text: str) -> None:
        self.complaint.clear()
        self.slot = slot
        self.text, _, behind = text.partition(" ; ")
        jumped = re.search(r" \d+: (?=(?:frame\d+: )?R\d)", self.text)
        whole = jumped is not None
        if jumped:
            self.text, behind = self.text[: jumped.start()], self.text[jumped.end() :]
        self.text = self.text.rstrip(" ;")
        self._forget(self._pending)
        written = _WRITTEN.match(self.text)
        changed = _CLEARED if self.text.startswith("(85)") else (f"R{written[1]}",) if written else ()
        self._pending = () if behind else changed
        if behind:
            self._forget(changed)
            self._behind(behind, whole=whole)
        if written:
            self._gone.discard(f"R{written[1]}")
            self._written.add(f"R{written[1]}")

    def _forget(self, changed: tuple[str, ...]) -> None:
        """Forget what was known of registers; what a call has cleared cannot be read."""
        for name in changed:
            known = self.registers.pop(name, None)
            if changed is _CLEARED and name != "R0" and (known or name in self._written):
                self._gone.add(name)

    def _behind(self, text: str, *, whole: bool) -> None:
        """Take in what stands behind an instruction: what has changed, or all that is known."""
        state = _STATE.match(text)
        if not state:
            return
        self._frame = int(state[1] or 0)
        known = self._frames.setdefault(self._frame, {})
        if whole:
            known.clear()
        known.update(_registers(text[state.end() :]))


def _registers(text: str) -> Iterator[tuple[str, str]]:
    """Yield registers and places on the stack with what is known of them; values may contain blanks."""
    found = list(_REGISTER.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    for match, end in zip(found, ends, strict=True):
        yield match[1], re.sub(r" (?:refs|cb)=?.*", "", text[match.end() : end].strip())
