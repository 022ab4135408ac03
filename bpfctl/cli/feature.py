"""bpfctl feature: what the running kernel, or a network device, can do."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import grammar, opt
from bpfctl.errors import NotPermitted, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.session import Session
    from bpfctl.feature.kernel import Device, Prober
    from bpfctl.feature.memory import Memory
    from bpfctl.feature.system import System
    from bpfctl.views.view import Section

_GROUPS = ("prog_types", "map_types", "attach_types", "link_types", "helpers")


class _Wanted(NamedTuple):
    """What the words say."""

    device: str | None = None
    full: bool = False
    unprivileged: bool = False
    prefix: str | None = None  # of macros; None for another voice


def probe(
    ctx: opt.Context, words: opt.Words = None, *, full_report: opt.FullReport = False, fresh: opt.Fresh = False
) -> None:
    """Probe the kernel or a device.

    Each answer is available, not available, or that it cannot be told and why. Nothing stays in the kernel.
    """
    from bpfctl.feature import kernel, rights

    run, wanted = ctx.obj, _wanted(grammar.Words(words))
    if full_report and (wanted.device is not None or wanted.prefix is not None):
        raise UsageError("--full-report is of the kernel, and neither of a device nor in C")
    if fresh and not full_report:
        raise UsageError("--fresh is for --full-report: without it, everything is asked each time")
    device = kernel.device(wanted.device) if wanted.device is not None else None
    if not wanted.unprivileged and not full_report:
        _require_rights()
    with rights.without_capabilities() if wanted.unprivileged else nullcontext():
        prober = kernel.Prober(device, full=wanted.full, unprivileged=wanted.unprivileged)
        if full_report:
            run.out.report(_told(run, _report(prober, _memory(fresh=fresh or wanted.unprivileged), full=wanted.full)))
        elif wanted.prefix is not None and not run.options.json:
            from bpfctl.views.view import Document

            prefix = wanted.prefix
            run.out.document(Document(lambda _safe: (f"{line}\n" for line in _macros(run, prober, device, prefix))))
        else:
            run.out.report(_sections(run, prober, device))


def everything(run: Session, *, full_report: bool, fresh: bool = False) -> Iterator[Section]:
    """Ask the running kernel all that it is asked without further words."""
    from bpfctl.feature.kernel import Prober

    if full_report:
        return _told(run, _report(Prober(), _memory(fresh=fresh), full=False))
    _require_rights()
    return _sections(run, Prober(), None)


def list_builtins(ctx: opt.Context, words: opt.Words = None) -> None:
    """List what bpfctl knows by name."""
    from bpfctl.uapi import enums
    from bpfctl.uapi.helpers import Helper
    from bpfctl.views.feature import word

    left = grammar.Words(words)
    if not left:
        raise UsageError("which group is missing: prog_types, map_types, attach_types, link_types or helpers")
    group = left.keyword(*_GROUPS)
    if group is None:
        choices = "'prog_types', 'map_types', 'attach_types', 'link_types' or 'helpers'"
        raise UsageError(f"expected {choices}, got: {left.peek()}")
    if group == "helpers":
        names = [f"bpf_{helper.name}" for helper in Helper]
    else:
        kinds = {
            "prog_types": enums.ProgType,
            "map_types": enums.MapType,
            "attach_types": enums.AttachType,
            "link_types": enums.LinkType,
        }
        names = [word(kind) for kind in kinds[group]]
    ctx.obj.out.lines(names, names)


def _require_rights() -> None:
    """Raise NotPermitted when this thread may not ask all that bpftool does."""
    from bpfctl.feature import rights

    missing = rights.missing(rights.present())
    if missing:
        raise NotPermitted(
            f"missing {', '.join(missing)}, required for full feature probing; run as root or use 'unprivileged'"
        )


def _wanted(words: grammar.Words) -> _Wanted:
    """Read the words as do_probe() in bpftool's src/feature.c does."""
    wanted, target = _Wanted(), ""
    while words:
        again = () if wanted.prefix is not None else ("macros",)
        match words.keyword("kernel", "dev", "full", *again, "prefix", "unprivileged"):
            case "kernel" | "dev" if target:
                raise UsageError("component to probe already specified")
            case "kernel" as target:
                pass
            case "dev" as target:
                words.at_least(1, "dev")
                wanted = wanted._replace(device=words.next("the name"))
            case "full":
                wanted = wanted._replace(full=True)
            case "macros":
                wanted = wanted._replace(prefix="")
            case "prefix":
                wanted = wanted._replace(prefix=_prefix(words, wanted.prefix))
            case "unprivileged":
                wanted = wanted._replace(unprivileged=True)
            case _:
                choices = "'kernel', 'dev', 'macros' or 'prefix'"
                raise UsageError(f"expected no more arguments, {choices}, got: '{words.peek()}'?")
    return wanted


def _prefix(words: grammar.Words, before: str | None) -> str:
    if before is None:
        raise UsageError("'prefix' argument can only be use after 'macros'")
    if before:
        raise UsageError("'prefix' already defined")
    words.at_least(1, "prefix")
    return words.next("the prefix")


def _look(run: Session, *, settings: bool = True) -> System:
    """Read the configuration of the system, and say what of it cannot be read."""
    from bpfctl.feature import system

    found = system.look()
    if found.settings is None and settings:
        run.out.note("/* procfs not mounted, skipping related probes */")
    if found.complaint:
        run.out.note(found.complaint)
    return found


def _sections(run: Session, prober: Prober, device: Device | None) -> Iterator[Section]:
    """Ask, and show each section when it is there."""
    from bpfctl.feature import map_types, prog_types
    from bpfctl.views import feature as view

    if device is None:
        found = _look(run)
        yield view.system(found)
    there = prober.syscall()
    yield view.syscall(there)
    if not there.bpftool:
        return
    types = prober.prog_types()
    yield view.prog_types(types, lambda kind: prog_types.PROBES[kind].since)
    yield view.map_types(prober.map_types(), lambda kind: map_types.PROBES[kind].since)
    yield view.helpers(dict(prober.helpers()), types)
    yield view.misc(prober.limits())


def _macros(run: Session, prober: Prober, device: Device | None, prefix: str) -> Iterator[str]:
    """Ask, and write each section of a header when it is there."""
    from bpfctl.views.feature_macros import Header

    header = Header(prefix)
    if device is None:
        found = _look(run, settings=False)
        yield from header.system(found)
    there = prober.syscall()
    yield from header.syscall(there)
    if not there.bpftool:
        return
    yield from header.prog_types(prober.prog_types())
    yield from header.map_types(prober.map_types())
    yield from header.helpers(dict(prober.helpers()))
    yield from header.misc(prober.limits())


def _memory(*, fresh: bool) -> Memory:
    """Return what has been found out since the machine was booted."""
    from bpfctl.feature.memory import Memory
    from bpfctl.host.boot_cache import BootCache

    return Memory(BootCache("features"), fresh=fresh)


def _told(run: Session, sections: Iterator[Section]) -> Iterator[Section]:
    """Tell while each is asked for that this takes its time."""
    from bpfctl.render.progress import Progress

    with Progress(run.out, hidden=run.options.debug) as progress:
        yield from progress.over(sections, lambda count: f"asking the kernel: {count} of its answers are there")


def _report(prober: Prober, memory: Memory, *, full: bool) -> Iterator[Section]:
    """Ask for all that there is a probe for; who may not ask is told so, question by question."""
    from bpfctl.feature import report, surroundings
    from bpfctl.views import feature_report as view

    yield view.heading()
    facts = surroundings.look()
    yield view.surroundings(facts)
    yield view.reasons(facts)
    if not prober.syscall().bpftool:
        return
    yield from map(view.group, report.groups(prober, memory))
    yield view.kfuncs(report.functions(prober, memory))
    yield view.helpers(list(report.helpers(prober, memory, full=full)))
    memory.save()
