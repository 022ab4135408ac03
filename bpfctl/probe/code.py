"""A program for a probe in the making.

Registers have a fixed use: r6 holds the context of the program and r7 the number of the point that was hit, from its
start to its end; r8 and r9 are the action's. r0 to r5 are anybody's between two calls.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R6, R7, R8, R9, R10
from bpfctl.errors import UsageError
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Iterator

CTX, POINT, OURS, MORE = R6, R7, R8, R9
#: Where a program ends without another word.
OUT = "out"
_NEVER = "never"

_STACK = 512  # bytes (MAX_BPF_STACK in include/linux/filter.h)
_FARTHEST = 32_000  # instructions that a jump surely goes over


class Code(Program):
    """Instructions, and what they use of the stack."""

    def __init__(self) -> None:
        super().__init__()
        self._used = 0
        self._labels_made = 0

    def room(self, size: int) -> int:
        """Return where on the stack ``size`` bytes are taken, as an offset from r10; UsageError when it is full."""
        self._used += -(-size // 8) * 8
        if self._used > _STACK:
            raise UsageError(f"the fields need more than the {_STACK} bytes of a program's stack")
        return -self._used

    def cleared(self, size: int) -> int:
        """Return room as `room` does, and fill it with zeros."""
        at = self.room(size)
        for offset in range(at, at + -(-size // 8) * 8, 8):
            self.st(8, R10, offset, 0)
        return at

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Give back at the end what of the stack is taken meanwhile."""
        before = self._used
        yield
        self._used = before

    def fresh(self) -> str:
        """Return the name of a label that nobody has."""
        self._labels_made += 1
        return f"_{self._labels_made}"

    def point_from_cookie(self) -> None:
        """Put the cookie of the place that was hit into r7, as the number of its point (Linux 5.15)."""
        self.mov(R1, CTX).call(Helper.get_attach_cookie).mov(POINT, R0)

    def end(self, *, interrupted: bool = False) -> bytes:
        """Finish the program and return it; ``interrupted`` says that it may be put aside while it runs.

        Since Linux 6.13 the stack of a program of kprobes' type is memory of the CPU, since no second one gets in there
        before it ends. But those of uprobes are of that type, too, and the scheduler may put them aside: then the next
        one on that CPU writes over their stack. No program with a tail call has such a stack, even where nothing leads
        to that call and the kernel takes it out: bpf_enable_priv_stack() in kernel/bpf/verifier.c.
        """
        if len(self) > _FARTHEST:
            raise UsageError(f"the fields and the condition make a program of more than {_FARTHEST} instructions")
        self.label(OUT).mov(R0, 0)
        if interrupted:
            self.jump("jne", R0, 0, _NEVER).exit_().label(_NEVER).call(Helper.tail_call)
        return self.exit_().assemble()
