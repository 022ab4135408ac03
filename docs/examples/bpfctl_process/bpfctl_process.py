"""process:exec, process:fork and process:exit: what becomes of processes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    API,
    CTX,
    Argument,
    Group,
    NotSupported,
    ProbePoint,
    ProgType,
    attach_raw_tracepoint,
    chosen,
    kernel_types,
    known,
    reach,
)
from btf.types import Pointer, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from bpfctl.plugin import Closing, Code, Field, Program, Reg

# The tracepoint of each, and which of its arguments is the task that it is about.
EVENTS = {"exec": ("sched_process_exec", 0), "exit": ("sched_process_exit", 0), "fork": ("sched_process_fork", 1)}
# What is told of the task, and where that stands in struct task_struct.
MEMBERS = {"pid": "tgid", "parent": "real_parent->tgid", "name": "comm", "code": "exit_code"}


class ProcessSource:
    """A plugin's class: the entry point names it, and it has these members."""

    api = API
    kind = "process"
    summary = "processes that begin and end, by exec, fork or exit"

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield what there is and matches a pattern, for `bpfctl probe list`."""
        return (ProbePoint(self.kind, name) for name in chosen(EVENTS, pattern, "event of processes"))

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return what `process:TARGET` means; chosen() complains about what is not there."""
        return list(self.discover(target))

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return what can be read: each field knows the instructions that read it."""
        types = kernel_types()
        task = types.find("task_struct", Struct)
        if task is None:
            raise NotSupported("this kernel does not tell what a task is")
        pointer = next(type_.id for type_ in types if isinstance(type_, Pointer) and type_.type_id == task.id)
        _, number = EVENTS[point.target]
        argument = Argument("task", types, pointer, partial(self._task, number))
        return [reach(argument, f"task->{path}")._replace(name=name) for name, path in MEMBERS.items()]

    @staticmethod
    def _task(number: int, code: Code, register: Reg) -> None:
        """Load the task: the context of a raw tracepoint is an array of its arguments."""
        code.ldx(8, register, CTX, 8 * number)

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield how programs are attached: here one for each point, whatever is read."""
        del names, held
        for point in points:
            yield Group(
                way="raw tracepoint",
                points=(point,),
                type=ProgType.RAW_TRACEPOINT,
                field=partial(self._field, point),
                attach=partial(self._attach, point),
            )

    def _field(self, point: ProbePoint, name: str) -> Field:
        return known(self.fields(point), name, str(point))

    @staticmethod
    def _attach(point: ProbePoint, program: Program) -> list[Closing]:
        tracepoint, _ = EVENTS[point.target]
        return [attach_raw_tracepoint(program, tracepoint)]
