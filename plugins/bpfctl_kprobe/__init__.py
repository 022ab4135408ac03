"""Functions of the kernel: kprobe and kretprobe at any of them, fentry and fexit by their types."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    API,
    CTX,
    Argument,
    AttachType,
    Code,
    Group,
    NotFound,
    NotSupported,
    ProbePoint,
    ProgType,
    UsageError,
    argument_fields,
    argument_strings,
    attach_kprobe,
    attach_kprobe_multi,
    attach_kprobe_tracefs,
    attach_tracing,
    first,
    has_cookies,
    kernel_types,
    known,
    pmu,
    reach,
    registers,
    returned_fields,
    types_of,
    whole,
    word,
)
from bpfctl_kprobe.names import Functions, Target
from btf.types import Func, FuncProto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import ExitStack

    from bpfctl.plugin import Closing, Field, Program, Reg
    from btf.read import BTF

_RETURNED = "retval"


class _Prototypes:
    """The prototypes of functions, as the kernel's types tell them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[BTF, Func, FuncProto] | None] = {}

    def of(self, name: str) -> tuple[BTF, Func, FuncProto] | None:
        """Return the types, the function and its prototype; None where nothing tells."""
        if name not in self._known:
            self._known[name] = next(self._find(name), None)
        return self._known[name]

    @staticmethod
    def _find(name: str) -> Iterator[tuple[BTF, Func, FuncProto]]:
        with suppress(NotSupported):
            for btf in types_of(name):
                function = btf.find(name, Func)
                proto = btf.type(function.type_id) if function is not None else None
                if function is not None and isinstance(proto, FuncProto):
                    yield btf, function, proto


class KprobeSource:
    """Functions as they are entered."""

    api = API
    kind = "kprobe"
    summary = "functions of the kernel when they are entered, by [MODULE:]SYMBOL[+OFFSET] or ADDRESS"
    returns = False

    def __init__(self) -> None:
        self._functions = Functions()
        self._prototypes = _Prototypes()

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the functions that can be traced and match; NotSupported where the kernel has no kprobes."""
        self._check()
        return (ProbePoint(self.kind, name) for name in self._functions.matching(pattern))

    @staticmethod
    def _check() -> None:
        if pmu.number("kprobe") is None:
            raise NotSupported("functions of the kernel cannot be probed: it has no kprobes (CONFIG_KPROBE_EVENTS)")

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the functions of a name or pattern, or a place."""
        return [ProbePoint(self.kind, name) for name in self._functions.chosen(target)]

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the arguments by their names where the types tell them, and by their numbers."""
        found = []
        for argument in self._arguments(point):
            with suppress(NotFound):
                found.append(whole(argument))
        return found or self._plain_fields()

    def _plain_fields(self) -> Sequence[Field]:
        if self.returns:
            return returned_fields(user=False)
        return (*argument_fields(), *argument_strings(user=False))

    def _arguments(self, point: ProbePoint) -> list[Argument]:
        """Return what the prototype tells of the values in registers: arguments, or what is returned."""
        target = Target.parse(point.target)
        found = self._prototypes.of(target.symbol) if target.symbol and not target.offset else None
        if found is None:
            return []
        btf, _, proto = found
        here = registers()
        if self.returns:
            return (
                [Argument(_RETURNED, btf, proto.ret_type_id, word(here.at[here.returned]))] if proto.ret_type_id else []
            )
        arguments: list[Argument] = []
        for param, register in zip(proto.params, here.arguments, strict=False):
            if not param.type_id or btf.size_of(param.type_id) > 8:
                break
            name = param.name or f"arg{len(arguments)}"
            arguments.append(Argument(name, btf, param.type_id, word(here.at[register])))
        return arguments

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield one group for all functions, unless fields are read, which lie elsewhere in each.

        Kernels before 5.15 do not tell a program where it is, so that each function needs one of its own.
        """
        del held
        plain = {field.name for field in self._plain_fields()}
        if names <= plain and has_cookies():
            together = [point for point in points if Target.parse(point.target).is_entry]
            if together:
                yield self._multi(tuple(together))
            apart = tuple(point for point in points if point not in together)
            if apart:
                yield self._events(apart)
            return
        for point in points:
            multi = has_cookies() and Target.parse(point.target).is_entry
            yield self._multi((point,)) if multi else self._events((point,))

    def _multi(self, points: tuple[ProbePoint, ...]) -> Group:
        attach = partial(self._attach, attach_kprobe_multi, points)
        return Group(
            "multi-kprobe link",
            points,
            ProgType.KPROBE,
            partial(self._field, points),
            attach,
            choose=Code.point_from_cookie if len(points) > 1 else None,
            attach_type=AttachType.TRACE_KPROBE_MULTI,
            otherwise=partial(self._events, points),
            attach_cookie=attach,
        )

    def _events(self, points: tuple[ProbePoint, ...]) -> Group:
        return self._each("perf event", points, attach_kprobe, partial(self._tracefs, points))

    def _tracefs(self, points: tuple[ProbePoint, ...]) -> Group:
        return self._each("tracefs event", points, attach_kprobe_tracefs)

    def _each(
        self,
        way: str,
        points: tuple[ProbePoint, ...],
        how: Callable[..., list[Closing]],
        otherwise: Callable[[], Group] | None = None,
    ) -> Group:
        """Return the way of an event for each point."""
        several, attach = len(points) > 1, partial(self._attach, how, points)
        return Group(
            f"{way}s" if several else way,
            points,
            ProgType.KPROBE,
            partial(self._field, points),
            attach,
            choose=Code.point_from_cookie if several else None,
            otherwise=otherwise,
            attach_cookie=attach,
        )

    def _attach(
        self, how: Callable[..., list[Closing]], points: Sequence[ProbePoint], program: Program, cookie: int = 0
    ) -> list[Closing]:
        """Attach to each point; the cookies of several are their numbers."""
        places = [Target.parse(point.target).place(cookie + number) for number, point in enumerate(points)]
        return how(program, places, returns=self.returns)

    def _field(self, points: Sequence[ProbePoint], name: str) -> Field:
        if len(points) == 1:
            for argument in self._arguments(points[0]):
                if argument.name == first(name):
                    return reach(argument, name)
        there = [*self.fields(points[0]), *self._plain_fields()]
        return known(there, name, str(points[0]))


class KretprobeSource(KprobeSource):
    """Functions as they return."""

    kind = "kretprobe"
    summary = "functions of the kernel when they return, by [MODULE:]SYMBOL"
    returns = True

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the functions of a name or pattern."""
        points = super().resolve(target)
        for point in points:
            if Target.parse(point.target).offset and Target.parse(point.target).symbol:
                raise UsageError(f"{point}: functions return from their beginning, without an offset")
        return points


class FentrySource(KprobeSource):
    """Functions as they are entered, by a program that knows their types (Linux 5.5; arm64: 6.0)."""

    kind = "fentry"
    summary = "functions of the kernel whose types are known, when they are entered, by SYMBOL"
    attach_type = AttachType.TRACE_FENTRY

    @staticmethod
    def _check() -> None:
        """Trampolines need no kprobes."""

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the functions of a name or pattern that the kernel's own types describe."""
        points = super().resolve(target)
        if len(points) > 1:
            points = [point for point in points if self._own(point) is not None]
        for point in points:
            if self._own(point) is None:
                raise NotFound(f"{point}: the kernel's own types do not tell of this function: kprobe may do")
        return points

    def _own(self, point: ProbePoint) -> tuple[BTF, Func, FuncProto] | None:
        found = self._prototypes.of(Target.parse(point.target).symbol)
        return found if found is not None and found[0] is kernel_types() else None

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
        found = self._own(point)
        if found is None:
            return []
        btf, _, proto = found
        arguments = [
            Argument(param.name or f"arg{at}", btf, param.type_id, partial(_slot, 8 * at))
            for at, param in enumerate(proto.params)
            if param.type_id
        ]
        if self.returns and proto.ret_type_id:
            arguments.append(Argument(_RETURNED, btf, proto.ret_type_id, partial(_slot, 8 * len(proto.params))))
        return arguments

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield a group for each function: a program is bound to one when it is loaded."""
        del names, held
        for point in points:
            found = self._own(point)
            if found is None:
                raise NotFound(f"{point}: the kernel's own types do not tell of this function")
            yield Group(
                "trampoline",
                (point,),
                ProgType.TRACING,
                partial(self._field, (point,)),
                lambda program: [attach_tracing(program)],
                attach_cookie=lambda program, cookie: [attach_tracing(program, self.attach_type, cookie)],
                attach_type=self.attach_type,
                btf_id=found[1].id,
            )


class FexitSource(FentrySource):
    """Functions as they return, with their arguments too."""

    kind = "fexit"
    summary = "functions of the kernel whose types are known, when they return, by SYMBOL"
    attach_type = AttachType.TRACE_FEXIT
    returns = True


def _slot(at: int, code: Code, register: Reg) -> None:
    code.ldx(8, register, CTX, at)
