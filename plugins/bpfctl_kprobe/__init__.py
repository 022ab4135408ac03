"""Functions of the kernel: kprobe and kretprobe."""

from __future__ import annotations

from contextlib import suppress
from errno import EADDRNOTAVAIL, EINVAL, ENOENT, ESRCH
from functools import cached_property, partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    API,
    AttachType,
    Code,
    Group,
    KernelError,
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
    call_frame,
    has_cookies,
    known,
    registers,
    returned_fields,
)
from bpfctl_kprobe.names import Functions, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from bpfctl.plugin import Argument, Closing, Field, Program
    from bpfctl_kprobe.prototype import Prototype, Prototypes

RETURNED = "retval"
#: What the kernel answers to a place where no probe can be.
_NO_PLACE = frozenset({EINVAL, ENOENT, ESRCH, EADDRNOTAVAIL})


class KprobeSource:
    """Functions as they are entered."""

    api = API
    kind = "kprobe"
    kinds = ("kprobe", "kretprobe")  # where functions are entered, and where they return
    summary = "functions of the kernel when they are entered, by [MODULE:]SYMBOL[+OFFSET] or ADDRESS"
    returns = False
    takes_maxactive = False

    def __init__(self) -> None:
        self._functions = Functions(lambda name: self._prototypes.of("", name) is not None)

    @cached_property
    def _prototypes(self) -> Prototypes:
        from bpfctl_kprobe.prototype import Prototypes  # noqa: PLC0415 - who reads no arguments needs no types

        return Prototypes()

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the functions that can be traced and match; NotSupported where the kernel has no kprobes."""
        self._check()
        return (ProbePoint(self.kind, name) for name in self._functions.matching(pattern))

    @staticmethod
    def _check() -> None:
        from bpfctl.plugin import pmu  # noqa: PLC0415 - as few names as possible before the first hit

        if pmu.number("kprobe") is None:
            raise NotSupported("functions of the kernel cannot be probed: it has no kprobes (CONFIG_KPROBE_EVENTS)")

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the functions of a name or pattern, or a place."""
        points = [ProbePoint(self.kind, name) for name in self._functions.chosen(target)]
        if not self.takes_maxactive and any(Target.parse(point.target).maxactive for point in points):
            raise UsageError(f"{self.kind}:{target}: only kretprobe has calls to follow, and maxactive of them")
        return points

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the arguments by their names where the types tell them, and by their numbers."""
        from bpfctl.plugin import whole  # noqa: PLC0415 - as for types

        found = []
        for argument in self._arguments(point):
            with suppress(NotFound):
                found.append(whole(argument))
        return found or self._plain_fields()

    def _plain_fields(self) -> Sequence[Field]:
        if self.returns:
            return returned_fields(user=False)
        return (*argument_fields(), *argument_strings(user=False))

    def locations(self, point: ProbePoint) -> Sequence[Mapping[str, int | str]]:
        """Return the function, its module, and the address."""
        return [self._functions.location(self._target(point))]

    def _target(self, point: ProbePoint) -> Target:
        return Target.parse(point.target)

    def _prototype(self, point: ProbePoint) -> Prototype | None:
        target = self._target(point)
        return self._prototypes.of(self._functions.module(target), target.symbol) if target.is_entry else None

    def _arguments(self, point: ProbePoint) -> list[Argument]:
        """Return what the prototype tells of the values in registers: arguments, or what is returned."""
        found = self._prototype(point)
        if found is None:
            return []
        from bpfctl.plugin import Argument, word  # noqa: PLC0415 - as for types

        _, btf, _, proto = found
        here = registers()
        if self.returns:
            return (
                [Argument(RETURNED, btf, proto.ret_type_id, word(here.at[here.returned]))] if proto.ret_type_id else []
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
        together = names <= {field.name for field in self._plain_fields()} and has_cookies()
        of_ways: dict[Callable[[tuple[ProbePoint, ...]], Group], list[ProbePoint]] = {}
        for point in points:
            of_ways.setdefault(self._first_way(point), []).append(point)
        for way, served in of_ways.items():
            for part in [tuple(served)] if together else [(point,) for point in served]:
                yield way(part)

    def sessions(self, points: Sequence[ProbePoint], names: frozenset[str]) -> Iterator[Group]:
        """Yield the same for programs that are at both ends of calls (Linux 6.10), but for a given maxactive."""
        together = names <= {field.name for field in self._plain_fields()}
        served = [point for point in points if self._first_way(point) == self._multi]
        for part in [tuple(served)] if together and served else [(point,) for point in served]:
            attach = partial(self._attach, partial(attach_kprobe_multi, session=True), part)
            yield self._multi(part)._replace(
                way="kprobe session",
                attach=attach,
                attach_cookie=attach,
                attach_type=AttachType.TRACE_KPROBE_SESSION,
                otherwise=None,
            )

    def call(self, point: ProbePoint) -> tuple[ProbePoint, ProbePoint]:
        """Return where a function is entered, and where it returns; UsageError for a place within one."""
        target = self._target(point)
        if target.offset and target.symbol:
            raise UsageError(f"{point} is a place within a function: calls are from where one is entered")
        entry = point.target.partition(",")[0]
        return ProbePoint(self.kinds[0], entry), ProbePoint(self.kinds[1], point.target)

    def _first_way(self, point: ProbePoint) -> Callable[[tuple[ProbePoint, ...]], Group]:
        target = self._target(point)
        if target.maxactive:
            return self._tracefs
        return self._multi if target.is_entry and has_cookies() else self._events

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
            frame=call_frame(returns=self.returns),
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
            frame=call_frame(returns=self.returns),
        )

    def _attach(
        self, how: Callable[..., list[Closing]], points: Sequence[ProbePoint], program: Program, cookie: int = 0
    ) -> list[Closing]:
        """Attach to each point; the cookies of several are their numbers. What is refused is told with its reason."""
        places = [self._target(point).place(cookie + number) for number, point in enumerate(points)]
        try:
            return how(program, places, returns=self.returns)
        except KernelError as error:
            names = {str(place): point for place, point in zip(places, points, strict=True)}
            self._explain(error, names.get(error.tried.rpartition(" ")[2]))
            raise

    def _explain(self, error: KernelError, point: ProbePoint | None) -> None:
        """Say why a point was refused where the kernel does not."""
        target = self._target(point) if point is not None else None
        if target is not None and target.symbol and error.errno in _NO_PLACE:
            error.hint = self._functions.obstacle(target) or error.hint

    def _field(self, points: Sequence[ProbePoint], name: str) -> Field:
        from bpfctl.plugin import first, reach  # noqa: PLC0415 - as for types

        if len(points) == 1:
            for argument in self._arguments(points[0]):
                if argument.name == first(name):
                    return reach(argument, name)
        there = [*self.fields(points[0]), *self._plain_fields()]
        return known(there, name, str(points[0]))


class KretprobeSource(KprobeSource):
    """Functions as they return."""

    kind = "kretprobe"
    summary = "functions of the kernel when they return, by [MODULE:]SYMBOL[,maxactive=N]"
    returns = True
    takes_maxactive = True

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the functions of a name or pattern."""
        points = super().resolve(target)
        for point in points:
            if Target.parse(point.target).offset and Target.parse(point.target).symbol:
                raise UsageError(f"{point}: functions return from their beginning, without an offset")
        return points
