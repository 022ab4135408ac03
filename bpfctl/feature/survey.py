"""
Many helpers by one load.

A load is refused at the first helper that is not there, so that each question takes a load of its own. But since Linux
6.15 (commit 14c8552db644, "bpf: simple DFA-based live registers analysis") the verifier works out beforehand which
registers each instruction reads, and writes that down for those who want its log at length:

    5: .123...... (85) call bpf_probe_read_user#112
    6: .12345.... (85) call bpf_skb_load_bytes#26

A call of a helper that programs of this type have reads as many registers as the helper has arguments; a call of any
other is taken to read all five. So a helper that reads fewer is there, and one that reads fewer in programs of another
type alone is not. Those with five arguments, and those of no type, are left open.

These lines are for people, and may change. So a call of what is no helper goes with each survey, which has to read all
five; the conclusions that would be wrong first are to be tried by a load (examples()); and a kernel that does not write
what is expected is asked helper by helper: it takes longer, and that is all.
"""

from __future__ import annotations

import re
from collections import Counter
from struct import pack
from typing import TYPE_CHECKING, Any

from bpfctl._sys import programs
from bpfctl.feature.answer import AVAILABLE, MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.feature.answer import Answer
    from bpfctl.uapi.enums import ProgType
    from bpfctl.uapi.helpers import Helper

_CALL, _EXIT = 0x85, bytes.fromhex("9500000000000000")
_LINE = re.compile(r": ([.\d]+) .*\(85\) call \S+#(\d+)$", re.MULTILINE)
_ALL_FIVE = "12345"
_NO_HELPER = 0x7FFFFFFF
_EXAMPLES = 4  # of each answer, at most
_AT_LENGTH = 2  # BPF_LOG_LEVEL2 in include/linux/bpf_verifier.h


class Survey:
    """Surveys programs shape by shape, and remembers which helpers have fewer than five arguments.

    Its answers are the more, the more shapes it has looked at before.
    """

    def __init__(self) -> None:
        self._read: dict[object, dict[int, bool]] = {}  # by shape: whether a helper reads fewer than five
        self._short: Counter[int] = Counter()  # how many shapes have each
        self._trusted = True

    def look(self, kind: ProgType, helpers: Sequence[Helper], **how: Any) -> None:
        """Load one program that calls all helpers; ``how`` is what else such programs must say."""
        shape = kind, *how.items()
        if shape in self._read or not self._trusted:
            return
        log = _log(kind, [*helpers, _NO_HELPER], how)
        read = {int(helper): _ALL_FIVE not in registers for registers, helper in _LINE.findall(log)}
        if read.keys() >= set(helpers) and read.get(_NO_HELPER) is False:
            self._read[shape] = read
            self._short.update(helper for helper, fewer in read.items() if fewer)
        elif log:  # where there is none, the kernel has not come so far, and may with another shape
            self.distrust()

    def of(self, kind: ProgType, helpers: Sequence[Helper], **how: Any) -> dict[Helper, Answer]:
        """Return the answers that follow from what it has seen; what only a load can tell has none."""
        self.look(kind, helpers, **how)
        read = self._read.get((kind, *how.items()))
        if read is None:
            return {}
        return {helper: AVAILABLE if read[helper] else MISSING for helper in helpers if helper in self._short}

    def examples(self, found: dict[Helper, Answer]) -> set[Helper]:
        """Return some of each answer, and among them those to which most other shapes have the opposite one."""
        order = sorted(found, key=self._short.__getitem__)
        there = [helper for helper in order if found[helper] == AVAILABLE]
        missing = [helper for helper in reversed(order) if found[helper] == MISSING]
        return {helper for each in (there, missing) for helper in each[:: len(each) // _EXAMPLES + 1]}

    def distrust(self) -> None:
        """Forget everything, and look no more."""
        self._trusted = False
        self._read.clear()


def _log(kind: ProgType, helpers: Sequence[int], how: dict[str, Any]) -> str:
    code = b"".join(pack("=BBhi", _CALL, 0, 0, helper) for helper in helpers)
    try:
        loaded = programs.load(kind, code + _EXIT, log_level=_AT_LENGTH, **how)
    except programs.LoadError as error:
        return error.log
    loaded.fd.close()
    return loaded.log
