"""The names of what links are attached to, where the kernel gives a number: looked up only for those who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import KernelError
from bpfctl.host import pmu, tracefs
from bpfctl.kernel.attachment import PerfEvent, PerfTracepoint, RawTracepoint, Tracing, TracingMulti
from bpfctl.uapi.enums import ProgType

if TYPE_CHECKING:
    from bpfctl.kernel.link import LinkRow
    from bpfctl.kernel.prog import ProgramInfo

_FIXED_PERF_TYPES = 6  # PERF_TYPE_MAX; the units above are numbered as they come


class Target(NamedTuple):
    """A function that a tracing link is attached to, and whose it is; None for what could not be found out."""

    function: str | None
    module: str | None  # None: the kernel proper, or a program
    program: ProgramInfo | None  # None: the kernel or a module


class Event(NamedTuple):
    """A perf event by the names of sysfs: the unit, and what the unit calls the configuration."""

    unit: str
    name: str | None


def program(id_: int) -> ProgramInfo | None:
    """Return a program's facts; None when it is gone."""
    from bpfctl.kernel.prog import Program  # noqa: PLC0415 - few links need it

    try:
        with Program.by_id(id_) as found:
            return found.info()
    except KernelError:
        return None


def category(row: LinkRow) -> str | None:
    """Return the category of the tracepoint that a link is attached to; None for others and without a tracefs."""
    at = row.info.attachment
    return tracefs.category(at.tp_name) if isinstance(at, (RawTracepoint, PerfTracepoint)) else None


def event(row: LinkRow) -> Event | None:
    """Return the event of a performance monitoring unit that has no number of its own in the kernel's interface."""
    at = row.info.attachment
    if not isinstance(at, PerfEvent) or at.event_type < _FIXED_PERF_TYPES:
        return None
    unit = pmu.name(at.event_type)
    return Event(unit, pmu.event(unit, at.config)) if unit else None


def function(row: LinkRow) -> Target | None:
    """Return the function that a tracing link is attached to; None for other links."""
    at = row.info.attachment
    if not isinstance(at, Tracing) or not at.target_obj_id or not at.target_btf_id:
        return None
    if _is_program(row.program, at.target_obj_id):
        found = program(at.target_obj_id)
        name = found and found.btf_id and _type_name(found.btf_id, at.target_btf_id)
        return Target(name or None, None, found)
    return Target(_type_name(at.target_obj_id, at.target_btf_id), _module(at.target_obj_id), None)


def functions(row: LinkRow) -> tuple[str | None, ...]:
    """Return the names of the functions that a tracing_multi link is attached to; empty for other links."""
    at = row.info.attachment
    if not isinstance(at, TracingMulti) or not at.ids or not at.btf_obj_id:
        return ()
    return tuple(_type_name(at.btf_obj_id, id_) for id_ in at.ids)


def _is_program(attached: ProgramInfo | None, target_obj_id: int) -> bool:
    """Tell what a target_obj_id counts: programs, or BTF objects.

    Extensions replace a program's function. Tracing programs may go either way, and know the BTF object of a target
    that is no program (attach_btf_obj_id, since Linux 5.18).
    """
    if attached is None:
        return False
    if attached.type is ProgType.EXT:
        return True
    return attached.attach_btf_obj_id not in (None, target_obj_id)


def _type_name(btf_id: int, type_id: int) -> str | None:
    from bpfctl.kernel import btf  # noqa: PLC0415 - types take long to load
    from btf.errors import BTFError  # noqa: PLC0415

    try:
        return btf.load(btf_id).name(type_id) or None
    except (BTFError, KernelError):
        return None


def _module(btf_id: int) -> str | None:
    from bpfctl.kernel.btf import Btf  # noqa: PLC0415 - types take long to load

    try:
        with Btf.by_id(btf_id) as types:
            name = types.info().name
    except KernelError:
        return None
    return None if name == "vmlinux" else name
