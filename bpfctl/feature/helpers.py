"""Helper functions: whether programs of a type may call them.

A program that does nothing but call a helper is refused for many reasons: mostly since the helper wants arguments.
Only certain words in the verifier's log mean that the helper itself is not there, so the log is what answers.
"""

from __future__ import annotations

import os
from errno import EPERM
from itertools import chain
from typing import TYPE_CHECKING, Any

from bpfctl._sys import programs
from bpfctl.feature import prog_types
from bpfctl.feature.answer import AVAILABLE, MISSING, NEEDS_BTF, NO, UNKNOWN, Answer, Rights, refused
from bpfctl.uapi.enums import ProgType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

CALL = bytes.fromhex("8500000000000000 9500000000000000")
#: Their mere check makes a kernel write warnings to its log, so they are probed only when asked for.
NOISY = frozenset({Helper.trace_printk, Helper.trace_vprintk, Helper.probe_write_user})
#: bpftool does not probe these: their programs load with a function to attach to alone.
ATTACHED = frozenset({ProgType.TRACING, ProgType.EXT, ProgType.LSM, ProgType.STRUCT_OPS})

# What the verifier says of a number that is no helper; of a helper that the type lacks; the same since Linux 6.10
# ("bpf: improve error message for unsupported helper").
_PHRASES = (b"invalid func ", b"unknown func ", b"program of this type cannot use helper ")
_NONE_WITH_THAT_NUMBER = 1
#: What the verifier says of a number beyond the kernel's last helper, before it looks at the type of the program.
NO_SUCH_NUMBER = Answer(NO, "no helper has this number")
_NETRONOME = 0x19EE
_NETRONOME_PHRASES = (b"not supported by FW", b"unsupported function id")


def wanted(*, full: bool) -> list[Helper]:
    """Return the helpers to ask for."""
    return [helper for helper in Helper if helper and (full or helper not in NOISY)]


def on_kernel(
    kind: ProgType,
    type_answer: Answer,
    rights: Rights,
    *,
    full: bool,
    unprivileged: bool,
    absent: Collection[Helper] = (),
) -> dict[Helper, Answer]:
    """Load a program for each helper; where the type itself is not there, so is none of its helpers.

    ``absent`` are helpers that this kernel has for no type: another type has been told that there is no such number.
    """
    if not type_answer.bpftool:
        return _none(type_answer, full=full)
    if kind in ATTACHED:
        return dict.fromkeys(wanted(full=full), Answer(UNKNOWN, NEEDS_BTF))
    probe = prog_types.PROBES[kind]
    asked = wanted(full=full)
    found = load_all(
        kind,
        [helper for helper in asked if helper not in absent],
        rights,
        unprivileged=unprivileged,
        expected_attach_type=probe.attach_type,
        prog_flags=probe.flags,
        kern_version=prog_types.kernel_version(kind),
    )
    return {helper: found.get(helper, NO_SUCH_NUMBER) for helper in asked}


def on_device(
    kind: ProgType, type_answer: Answer, ifindex: int, rights: Rights, vendor: int, *, full: bool
) -> dict[Helper, Answer]:
    """Load a program for each helper for the hardware of a network device, whose driver has a say too."""
    if not type_answer.bpftool:
        return _none(type_answer, full=full)
    phrases = _PHRASES + (_NETRONOME_PHRASES if vendor == _NETRONOME else ())
    return load_all(kind, wanted(full=full), rights, phrases=phrases, ifindex=ifindex)


def _none(type_answer: Answer, *, full: bool) -> dict[Helper, Answer]:
    return dict.fromkeys(wanted(full=full), Answer(type_answer.can, type_answer.why or "no programs of this type"))


def load_all(
    kind: ProgType,
    which: Sequence[Helper],
    rights: Rights,
    *,
    phrases: tuple[bytes, ...] = _PHRASES,
    unprivileged: bool = False,
    **how: Any,
) -> dict[Helper, Answer]:
    """Load a program for each helper; ``how`` is what else programs of the type must say."""
    verdicts = chain.from_iterable(programs.load_each(kind, CALL, 0, run, phrases, **how) for run in _runs(which))
    return {
        helper: _answer(verdict, rights, unprivileged=unprivileged)
        for helper, verdict in zip(which, verdicts, strict=True)
    }


def _answer(verdict: programs.Verdict, rights: Rights, *, unprivileged: bool) -> Answer:
    """Read a verdict; bpftool calls available whatever is not said to be missing."""
    if verdict.said > 0:
        return NO_SUCH_NUMBER if verdict.said == _NONE_WITH_THAT_NUMBER else MISSING
    if verdict.errno == 0 or verdict.said:
        return AVAILABLE
    # The verifier has not come as far as the call.
    answer = refused(verdict.errno, rights)
    if answer.can == NO:
        answer = Answer(UNKNOWN, f"the program was refused for another reason: {os.strerror(verdict.errno)}")
    return answer._replace(bpftool=not (unprivileged and verdict.errno == EPERM))


def _runs(which: Sequence[int]) -> Iterator[range]:
    """Yield ranges of consecutive numbers."""
    first = last = which[0]
    for number in which[1:]:
        if number != last + 1:
            yield range(first, last + 1)
            first = number
        last = number
    yield range(first, last + 1)
