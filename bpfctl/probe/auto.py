"""Programs of an object attached to what the names of their sections say, as libbpf does it.

It attaches those whose sections are in `KINDS`. Where a function of a file is, or which a pattern means, the sources of
probes tell; how a program is attached there is in `bpfctl.attach`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol, cast

from bpfctl.elf import section
from bpfctl.errors import NotSupported, UsageError
from bpfctl.kernel.link import Link
from bpfctl.probe.sources import Sources
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from bpfctl._sys.fd import Closing
    from bpfctl.attach import uprobe
    from bpfctl.kernel.prog import Program
    from bpfctl.load.object import Loaded
    from bpfctl.probe.source import Located, ProbePoint
    from bpfctl.spec import ProgramSpec

_STATIC = ("usdt", "usdt.s")
_SPECS = "__bpf_usdt_specs"  # of libbpf's usdt.bpf.h
_FUNCTION = re.compile(r"([a-zA-Z0-9_.]+)(?:\+(\w+))?")
_PATTERN = re.compile(r"[a-zA-Z0-9_.*?]+")


def takes(spec: ProgramSpec) -> bool:
    """Return whether the name of a program's section says what it is attached to."""
    said, kind = section.find(spec.section), _kind(spec)
    of_that = said is not None and said[0].type == spec.type  # somebody may want it to be something else
    if kind in _STATIC:
        return of_that and bool(spec.target)
    return of_that and kind in KINDS and (bool(spec.target) or not KINDS[kind][1])


def loads_as(spec: ProgramSpec) -> ProgramSpec:
    """Return how a program that `takes` part has to be loaded: at static probes it needs a link for many places."""
    return spec._replace(attach_type=AttachType.TRACE_UPROBE_MULTI) if _kind(spec) in _STATIC else spec


def attach(spec: ProgramSpec, loaded: Loaded, held: ExitStack) -> Link:
    """Attach a program that `takes` part, for as long as it is ``held``; UsageError, NotFound, KernelError.

    NotSupported where that makes no link, which alone can be pinned.
    """
    kind, program = _kind(spec), loaded.programs[spec.name]
    links = _static(spec, loaded) if kind in _STATIC else KINDS[kind][0](spec, program, held)
    found = [held.enter_context(one) for one in links]
    if len(found) != 1 or not isinstance(found[0], Link):
        raise NotSupported(f"program {spec.name} is attached by other means than one link, which alone can be pinned")
    return found[0]


def _kind(spec: ProgramSpec) -> str:
    return spec.section.partition("/")[0]


def _function(spec: ProgramSpec, program: Program, held: ExitStack) -> list[Closing]:
    """Attach to a function of the kernel, or a place in it."""
    del held
    from bpfctl.attach import kprobe  # noqa: PLC0415 - an object has few kinds of programs

    returns = _kind(spec).startswith("kret")
    read = _FUNCTION.match(spec.target)
    try:
        offset = int(read[2] or "0", 0) if read else -1
    except ValueError:
        offset = -1
    if read is None or not 0 <= offset < 1 << 64 or (returns and offset):
        raise UsageError(f"section {spec.section} of program {spec.name} names no function of the kernel")
    return kprobe.attach(program, [kprobe.Place(read[1], offset)], returns=returns)


def _functions(spec: ProgramSpec, program: Program, held: ExitStack) -> list[Closing]:
    """Attach to all functions of the kernel that a pattern matches."""
    del held
    from bpfctl.attach import kprobe  # noqa: PLC0415 - as above

    if not _PATTERN.fullmatch(spec.target):
        raise UsageError(f"section {spec.section} of program {spec.name} has no pattern for functions of the kernel")
    points = Sources().of("kprobe").resolve(spec.target)
    places = [kprobe.Place(point.target.rpartition(":")[2]) for point in points]  # without its module
    kind = _kind(spec)
    return kprobe.attach_multi(program, places, returns=kind.startswith("kret"), session="session" in kind)


def _source(kind: str) -> Callable[[ProgramSpec, Program, ExitStack], list[Closing]]:
    """Return what attaches to a point of a source of probes."""

    def attach_to(spec: ProgramSpec, program: Program, held: ExitStack) -> list[Closing]:
        from bpfctl.probe import own  # noqa: PLC0415 - as above

        target = spec.target.replace("/", ":", 1) if kind == "tracepoint" else spec.target
        sources = Sources()
        points = sources.resolve([f"{kind}:{target}"])
        return [link for one in own.attach(sources, points, program, held) for link in one.links]

    return attach_to


def _session(spec: ProgramSpec, program: Program, held: ExitStack) -> list[Closing]:
    """Attach to functions of a file where they are entered, and where these calls return."""
    del held
    from bpfctl.attach import uprobe  # noqa: PLC0415 - as above

    source = cast("Located", Sources().of("uprobe"))
    told = [where for point in Sources().resolve([f"uprobe:{spec.target}"]) for where in source.locations(point)]
    places = [uprobe.Place(str(where["file"]), int(where["offset"])) for where in told]
    return uprobe.attach_multi(program, places, session=True)


class _Described(Protocol):
    """A source that tells what libbpf's programs are to know of its probes."""

    def resolve(self, target: str) -> Sequence[ProbePoint]: ...

    def described(self, point: ProbePoint) -> list[tuple[uprobe.Place, dict[str, Any]]]: ...


def _static(spec: ProgramSpec, loaded: Loaded) -> list[Closing]:
    """Attach to a static probe, whose arguments are described in a map by a number that the program is told."""
    from bpfctl.attach import uprobe  # noqa: PLC0415 - as above

    source = cast("_Described", Sources().of("usdt"))
    rows = [row for point in source.resolve(spec.target) for row in source.described(point)]
    specs, places = loaded.maps.get(_SPECS), []
    if specs is not None:
        taken = sum(bool(any(value)) for value in specs.raw.values())
        for number, (place, described) in enumerate(rows, taken):
            if number >= specs.facts.max_entries:
                raise NotSupported(f"map {_SPECS} has no room for more probes (BPF_USDT_MAX_SPEC_CNT)")
            specs[number] = {**described, "usdt_cookie": 0}
            places.append(place._replace(cookie=number))
    else:
        places = [place for place, _ in rows]
    return uprobe.attach_multi(loaded.programs[spec.name], places)


def _raw_tracepoint(spec: ProgramSpec, program: Program, held: ExitStack) -> list[Closing]:
    del held
    from bpfctl.attach import raw_tracepoint  # noqa: PLC0415 - as above

    return [raw_tracepoint.attach(program, spec.target)]


def _tracing(spec: ProgramSpec, program: Program, held: ExitStack) -> list[Closing]:
    """Attach to what the program was loaded for."""
    del held
    from bpfctl.attach import tracing  # noqa: PLC0415 - as above

    return [tracing.attach(program, spec.attach_type or 0)]


def _iterator(spec: ProgramSpec, program: Program, held: ExitStack) -> list[Closing]:
    del spec, held
    from bpfctl.attach import iterator  # noqa: PLC0415 - as above

    return [iterator.attach(program)]


#: How programs are attached, by the first word of their section, and whether that has to have a target behind it.
KINDS: dict[str, tuple[Callable[[ProgramSpec, Program, ExitStack], list[Closing]], bool]] = {
    **dict.fromkeys(("kprobe", "kretprobe"), (_function, True)),
    **dict.fromkeys(("kprobe.multi", "kretprobe.multi", "kprobe.session"), (_functions, True)),
    **dict.fromkeys(("uprobe", "uprobe.s", "uprobe.multi", "uprobe.multi.s"), (_source("uprobe"), True)),
    **dict.fromkeys(("uretprobe", "uretprobe.s", "uretprobe.multi", "uretprobe.multi.s"), (_source("uretprobe"), True)),
    **dict.fromkeys(("tp", "tracepoint", "tp.s", "tracepoint.s"), (_source("tracepoint"), True)),
    **dict.fromkeys(("uprobe.session", "uprobe.session.s"), (_session, True)),
    **{name: (_source(name), True) for name in ("ksyscall", "kretsyscall")},
    **dict.fromkeys(("raw_tp", "raw_tracepoint", "raw_tp.w", "raw_tracepoint.w"), (_raw_tracepoint, True)),
    **dict.fromkeys(("raw_tp.s", "raw_tracepoint.s"), (_raw_tracepoint, True)),
    **dict.fromkeys(("tp_btf", "fentry", "fexit", "fmod_ret", "fsession", "lsm"), (_tracing, False)),
    **dict.fromkeys(("tp_btf.s", "fentry.s", "fexit.s", "fmod_ret.s", "fsession.s", "lsm.s"), (_tracing, False)),
    **dict.fromkeys(("iter", "iter.s"), (_iterator, False)),
}
