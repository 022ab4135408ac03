"""Helper functions: whether programs of a type may call them.

A program that does nothing but call a helper is refused for many reasons: mostly since the helper wants arguments.
Only certain words in the verifier's log mean that the helper itself is not there, so the log is what answers.
"""

from __future__ import annotations

import os
from errno import EPERM
from typing import TYPE_CHECKING, Any

from bpfctl._sys import programs
from bpfctl.feature import prog_types
from bpfctl.feature.answer import (
    AVAILABLE,
    MISSING,
    NEEDS_BTF,
    NO,
    UNKNOWN,
    Answer,
    Rights,
    as_far_as_rights_go,
    refused,
)
from bpfctl.feature.survey import Survey
from bpfctl.uapi.enums import ProgType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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
    survey: Survey,
    absent: Collection[Helper] = (),
) -> dict[Helper, Answer]:
    """Load a program for each helper; where the type itself is not there, so is none of its helpers.

    ``absent`` are helpers that this kernel has for no type: another type has been told that there is no such number.
    """
    if not type_answer.bpftool:
        return _none(type_answer, full=full)
    if kind in ATTACHED:
        return dict.fromkeys(wanted(full=full), Answer(UNKNOWN, NEEDS_BTF))
    asked = wanted(full=full)
    there = [helper for helper in asked if helper not in absent]
    found = load_all(kind, there, rights, survey, unprivileged=unprivileged, **_how(kind))
    return {helper: found.get(helper, NO_SUCH_NUMBER) for helper in asked}


def survey_all(types: Mapping[ProgType, Answer], *, full: bool) -> Survey:
    """Survey all types that on_kernel() can ask about."""
    survey = Survey()
    for kind, answer in types.items():
        if answer.bpftool and kind not in ATTACHED:
            survey.look(kind, wanted(full=full), **_how(kind))
    return survey


def _how(kind: ProgType) -> dict[str, int]:
    """Return what programs of a type must say besides their code."""
    probe = prog_types.PROBES[kind]
    return {
        "expected_attach_type": probe.attach_type,
        "prog_flags": probe.flags,
        "kern_version": prog_types.kernel_version(kind),
    }


def on_device(
    kind: ProgType, type_answer: Answer, ifindex: int, rights: Rights, vendor: int, *, full: bool
) -> dict[Helper, Answer]:
    """Load a program for each helper for the hardware of a network device, whose driver has a say too."""
    if not type_answer.bpftool:
        return _none(type_answer, full=full)
    phrases = _PHRASES + (_NETRONOME_PHRASES if vendor == _NETRONOME else ())
    return _load_each(kind, wanted(full=full), rights, phrases=phrases, ifindex=ifindex)


def _none(type_answer: Answer, *, full: bool) -> dict[Helper, Answer]:
    return dict.fromkeys(wanted(full=full), Answer(type_answer.can, type_answer.why or "no programs of this type"))


def load_all(
    kind: ProgType, which: Sequence[Helper], rights: Rights, survey: Survey, *, unprivileged: bool = False, **how: Any
) -> dict[Helper, Answer]:
    """Load a program for each helper that a survey leaves open; ``how`` is what else programs of the type must say."""
    found = survey.of(kind, which, **how)
    examples = survey.examples(found)
    open_ = [helper for helper in which if helper not in found or helper in examples]
    loaded = _load_each(kind, open_, rights, unprivileged=unprivileged, **how)
    if any(loaded[helper] != found[helper] for helper in examples):
        survey.distrust()
        return load_all(kind, which, rights, survey, unprivileged=unprivileged, **how)
    return {helper: loaded.get(helper) or found[helper] for helper in which}


def _load_each(
    kind: ProgType,
    which: Sequence[Helper],
    rights: Rights,
    *,
    phrases: tuple[bytes, ...] = _PHRASES,
    unprivileged: bool = False,
    **how: Any,
) -> dict[Helper, Answer]:
    return {
        helper: _answer(verdict, rights, unprivileged=unprivileged)
        for helper, verdict in zip(which, programs.load_each(kind, CALL, 0, which, phrases, **how), strict=True)
    }


def _answer(verdict: programs.Verdict, rights: Rights, *, unprivileged: bool) -> Answer:
    """Read a verdict; bpftool calls available whatever is not said to be missing."""
    if verdict.said > 0:
        return NO_SUCH_NUMBER if verdict.said == _NONE_WITH_THAT_NUMBER else as_far_as_rights_go(MISSING, rights)
    if verdict.errno == 0 or verdict.said:
        return AVAILABLE
    # The verifier has not come as far as the call.
    answer = refused(verdict.errno, rights)
    if answer.can == NO:
        answer = Answer(UNKNOWN, f"the program was refused for another reason: {os.strerror(verdict.errno)}")
    return answer._replace(bpftool=not (unprivileged and verdict.errno == EPERM))
