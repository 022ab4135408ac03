"""fentry and fexit: functions by programs that are bound to their types when they are loaded."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    CTX,
    Argument,
    AttachType,
    Group,
    KernelError,
    NotFound,
    ProgType,
    attach_tracing,
    module_btf,
    whole,
)
from bpfctl_kprobe import RETURNED, KprobeSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from bpfctl.plugin import Closing, Code, Field, ProbePoint, Program, Reg
    from bpfctl_kprobe.prototype import Prototype


class FentrySource(KprobeSource):
    """Functions as they are entered (Linux 5.5, of modules 5.11; arm64: 6.0)."""

    kind = "fentry"
    kinds = ("fentry", "fexit")
    summary = "functions of the kernel whose types are known, when they are entered, by [MODULE:]SYMBOL"
    attach_type = AttachType.TRACE_FENTRY

    @staticmethod
    def _check() -> None:
        """Trampolines need no kprobes."""

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the functions of a name or pattern that the types of the kernel or of a module describe."""
        points = super().resolve(target)
        if len(points) > 1:
            points = [point for point in points if self._prototype(point) is not None]
            if not points:
                raise NotFound(f"{self.kind}:{target}: no types tell of any of these functions: kprobe may do")
        for point in points:
            self._known(point)
        return points

    def _known(self, point: ProbePoint) -> Prototype:
        found = self._prototype(point)
        if found is None:
            raise NotFound(f"{point}: no types of the kernel or of a module tell of this function: kprobe may do")
        return found

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the arguments by their names, and what is returned where the function has."""
        found = []
        for argument in self._arguments(point):
            with suppress(NotFound):
                found.append(whole(argument))
        return found

    def _plain_fields(self) -> Sequence[Field]:
        return ()

    def _arguments(self, point: ProbePoint) -> list[Argument]:
        _, btf, _, proto = self._known(point)
        arguments, end = [], 0
        for at, param in enumerate(proto.params):
            if param.type_id:
                arguments.append(Argument(param.name or f"arg{at}", btf, param.type_id, partial(_slot, end)))
                end += -(-btf.size_of(param.type_id) // 8) * 8  # structures may have two slots (Linux 6.1)
        if self.returns and proto.ret_type_id:
            arguments.append(Argument(RETURNED, btf, proto.ret_type_id, partial(_slot, end)))
        return arguments

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield a group for each function: a program is bound to one when it is loaded."""
        del names
        for point in points:
            found = self._known(point)
            types = held.enter_context(module_btf(found.module)) if found.module else None
            yield Group(
                "trampoline",
                (point,),
                ProgType.TRACING,
                partial(self._field, (point,)),
                partial(self._attach_to, point),
                attach_cookie=partial(self._attach_to, point),
                attach_type=self.attach_type,
                btf_id=found.id,
                btf_fd=types.fileno() if types is not None else 0,
                frame=_frame,
                unloaded=partial(self._unloaded, point),
            )

    def sessions(self, points: Sequence[ProbePoint], names: frozenset[str]) -> Iterator[Group]:
        """Yield nothing: each end of a call has a program."""
        del points, names
        yield from ()

    def _attach_to(self, point: ProbePoint, program: Program, cookie: int = 0) -> list[Closing]:
        try:
            return [attach_tracing(program, self.attach_type, cookie)]
        except KernelError as error:
            from bpfctl_kprobe import refusal  # noqa: PLC0415 - most are taken

            raise refusal.of_attach(point, error, self._functions.obstacle(self._target(point))) from None

    def _unloaded(self, point: ProbePoint, error: KernelError) -> KernelError:
        from bpfctl_kprobe import refusal  # noqa: PLC0415

        return refusal.of_load(point, error, self._functions.obstacle(self._target(point)))


class FexitSource(FentrySource):
    """Functions as they return, with their arguments too."""

    kind = "fexit"
    summary = "functions of the kernel whose types are known, when they return, by [MODULE:]SYMBOL"
    attach_type = AttachType.TRACE_FEXIT
    returns = True


def _frame(code: Code, register: Reg) -> None:
    """Load half of the address of the context: both programs of a call get the same, in the frame of the trampoline.

    Half of it is a number to the verifier, where all of it is a pointer, which may not be in a key before Linux 5.13.
    """
    code.mov32(register, CTX)


def _slot(at: int, code: Code, register: Reg) -> None:
    code.ldx(8, register, CTX, at)
