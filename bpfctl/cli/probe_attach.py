"""bpfctl probe attach: the user's own program at probes, for as long as this runs or a pin is there."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bpfctl._sys.calls import is_bpffs
from bpfctl.attach.tracefs import Events
from bpfctl.cli import grammar, opt
from bpfctl.cli.stop import held_back, wait
from bpfctl.errors import KernelError, NotSupported, UsageError
from bpfctl.kernel import pin as pins
from bpfctl.kernel.link import Link
from bpfctl.kernel.prog import Program
from bpfctl.probe.own import attach as attach_program
from bpfctl.probe.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.cli.session import Session
    from bpfctl.probe.own import Attached


def attach(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    pin: opt.PinPath = None,
    duration: opt.Duration = None,
    way: opt.Way = "",
    cookie: opt.Cookie = None,
    pid: opt.Pid = None,
) -> None:
    """Attach a loaded program until Ctrl-C, or with --pin until somebody removes that file.

    It is attached until Ctrl-C, or with --pin until somebody removes that file. With several probes the path of
    --pin is a folder, which gets a file for each.
    """
    left = grammar.Words(words)
    specs = []
    while left and ":" in left.peek():
        specs.append(left.next("a probe"))
    if not specs:
        raise UsageError("a probe such as tracepoint:sched:sched_switch is missing", is_short=True)
    which = grammar.prog(left)
    left.end()
    if ctx.obj.depth and pin is None:
        raise UsageError(
            "without --pin a program is attached until somebody stops us, so that is no command for a batch"
        )
    sources = Sources(pid)
    if pid is not None:
        sources.need_process(specs)
    with Program.one(which) as program, ExitStack() as held:
        found = attach_program(sources, sources.resolve(specs), program, held, way=way, cookie=_number(cookie))
        if pin is not None:
            _pin(ctx.obj, found, pin)
            ctx.obj.out.done()
            return
        with held_back():
            for one in found:
                ctx.obj.out.note(f"attached to {one.point} as {one.way}")
            if os.isatty(2):
                ctx.obj.out.note("Ctrl-C detaches")
            wait(duration)


def _number(word: str | None) -> int:
    found = grammar.unsigned(word or "0")
    if found is None or found >= 1 << 64:
        raise UsageError(f"--cookie: '{word}' is no number of 64 bits")
    return found


def _pin(session: Session, found: Sequence[Attached], path: str) -> None:
    """Pin all links, or none."""
    links = []
    for one in found:
        for link in one.links:
            if isinstance(link, Events):  # which stay with their links
                continue
            if not isinstance(link, Link):
                raise NotSupported(f"{one.point} has no link, which alone can be pinned: Linux 5.15 has more of them")
            links.append(link)
    with ExitStack() as undone:
        paths = [path]
        if len(links) > 1:
            _make_folder(path)
            undone.callback(os.rmdir, path)
            paths = [f"{path}/{number}" for number in range(len(links))]
        for link, place in zip(links, paths, strict=True):
            pins.pin(link, place, mount=not session.options.nomount)
            undone.callback(os.unlink, place)
        undone.pop_all()


def _make_folder(path: str) -> None:
    above = os.path.dirname(path) or "."
    if os.path.isdir(above) and not is_bpffs(above):
        raise UsageError(f"can't pin several links in '{path}': '{above}' is not in a BPF file system")
    try:
        os.mkdir(path, 0o700)
    except OSError as error:
        raise KernelError(f"can't make folder '{path}' for the pins", error.errno or 0) from None
