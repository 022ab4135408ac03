"""raw_tracepoint:NAME and tp_btf:NAME fire at a tracepoint and give its arguments as they are, typed by BTF."""

from __future__ import annotations

import re
from contextlib import suppress
from fnmatch import translate
from functools import partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    API,
    CTX,
    Argument,
    AttachType,
    Group,
    NotFound,
    ProbePoint,
    ProgType,
    attach_raw_tracepoint,
    attach_tracing,
    chosen,
    first,
    kernel_types,
    known,
    reach,
    types_of,
    whole,
)
from btf.types import Func, FuncProto, Pointer, Typedef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import ExitStack

    from bpfctl.plugin import Code, Field, Reg
    from btf.read import BTF

# Each tracepoint has a typedef of the function that its programs look like (include/trace/bpf_probe.h).
_PREFIX = "btf_trace_"
_NAMES = re.compile(rb"(?<=\0)btf_trace_(\w+)(?=\0)")


class RawTracepointSource:
    """Tracepoints by the types of the kernel and of its modules."""

    api = API
    kind = "raw_tracepoint"
    summary = "tracepoints with their arguments as they are, by NAME"

    def __init__(self) -> None:
        self._arguments: dict[str, tuple[Argument, ...]] = {}
        self._typedefs: dict[str, tuple[BTF, int]] = {}

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the tracepoints whose name matches."""
        match = re.compile(translate(pattern)).match
        return (ProbePoint(self.kind, name) for name in self._names() if match(name))

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the tracepoints of a name or pattern."""
        return [ProbePoint(self.kind, name) for name in chosen(self._names(), target, "raw tracepoint")]

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the arguments; members of what they point to are reached by their path."""
        found = []
        for argument in self._prototype(point):
            with suppress(NotFound):  # what no register holds, such as a structure
                found.append(whole(argument))
        return found

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield a group for each point."""
        del names, held
        for point in points:
            yield self._group(point)

    def _group(self, point: ProbePoint) -> Group:
        return Group(
            "raw tracepoint",
            (point,),
            ProgType.RAW_TRACEPOINT,
            partial(self._field, point),
            lambda program: [attach_raw_tracepoint(program, point.target)],
            attach_cookie=lambda program, cookie: [attach_raw_tracepoint(program, point.target, cookie)],
        )

    def _field(self, point: ProbePoint, name: str) -> Field:
        arguments = {argument.name: argument for argument in self._prototype(point)}
        argument = arguments.get(first(name))
        return reach(argument, name) if argument else known(self.fields(point), name, str(point))

    def _prototype(self, point: ProbePoint) -> tuple[Argument, ...]:
        """Return the arguments behind the first, which is the program's own."""
        if point.target not in self._arguments:
            btf, type_id = self._typedef(point.target)
            of = btf.type(btf.resolve(type_id))
            proto = btf.type(of.type_id) if isinstance(of, Pointer) else None
            if not isinstance(proto, FuncProto):
                raise NotFound(f"the types of this kernel do not tell the arguments of {point}")
            names = _parameters(btf, point.target)
            self._arguments[point.target] = tuple(
                Argument(names.get(at) or f"arg{at}", btf, param.type_id, partial(_load, 8 * at))
                for at, param in enumerate(proto.params[1:])
            )
        return self._arguments[point.target]

    def _types(self, needle: str) -> Iterable[BTF]:
        """Return the types in which a tracepoint may be."""
        return types_of(needle)

    def _names(self) -> list[str]:
        found = {name for btf in self._types(_PREFIX) for name in _NAMES.findall(btf.strings)}
        return sorted(name.decode() for name in found)

    def _typedef(self, name: str) -> tuple[BTF, int]:
        """Return where the typedef of a tracepoint is."""
        if name not in self._typedefs:
            for btf in self._types(_PREFIX + name):
                found = btf.find(_PREFIX + name, Typedef)
                if found is not None:
                    self._typedefs[name] = btf, found.id
                    break
            else:
                raise NotFound(f"{self.kind}:{name} is gone: its module was unloaded")
        return self._typedefs[name]


class TpBtfSource(RawTracepointSource):
    """The same, by a program that is bound to the types of the tracepoint (Linux 5.5)."""

    kind = "tp_btf"
    summary = "tracepoints of the kernel itself, for programs that know its types, by NAME"

    def _types(self, needle: str) -> Iterable[BTF]:
        """Return those to which programs are bound where nothing else is said: none of a module."""
        del needle
        return (kernel_types(),)

    def _group(self, point: ProbePoint) -> Group:
        _, type_id = self._typedef(point.target)
        return Group(
            "BTF tracepoint",
            (point,),
            ProgType.TRACING,
            partial(self._field, point),
            lambda program: [attach_tracing(program)],
            attach_cookie=lambda program, cookie: [attach_tracing(program, AttachType.TRACE_RAW_TP, cookie)],
            attach_type=AttachType.TRACE_RAW_TP,
            btf_id=type_id,
        )


def _parameters(btf: BTF, name: str) -> dict[int, str]:
    """Return the names of a tracepoint's arguments, by their number.

    The typedef has none, but the function that calls everybody who listens (DEFINE_TRACE_FN() in
    include/linux/tracepoint.h) has.
    """
    function = btf.find(f"__traceiter_{name}", Func)
    proto = btf.type(function.type_id) if function is not None else None
    return dict(enumerate(param.name for param in proto.params[1:])) if isinstance(proto, FuncProto) else {}


def _load(at: int, code: Code, register: Reg) -> None:
    code.ldx(8, register, CTX, at)
