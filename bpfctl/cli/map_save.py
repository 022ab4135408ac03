"""bpfctl map restore and copy: maps from files, and from each other."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt, pin
from bpfctl.errors import KernelError, Partial, UsageError
from bpfctl.kernel.definition import Definition
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import NAME_ROOM, OF_MAPS, Map
from bpfctl.kernel.map_types import types
from bpfctl.kernel.restore import Outcome, Restore, check_alike, entries, readable
from bpfctl.kernel.saved import Saved
from bpfctl.kernel.saved_entry import Entries
from bpfctl.render.progress import Progress
from bpfctl.uapi.flags import MapFlag, UpdateFlag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from types import FrameType

    from bpfctl.cli.session import Session
    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.select import Select
    from bpfctl.render.sink import Sink

_FLAGS = {"any": UpdateFlag.ANY, "noexist": UpdateFlag.NOEXIST, "exist": UpdateFlag.EXIST}


def restore(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    replace: opt.Replace = False,
    create: opt.Create = False,
    dry_run: opt.CheckOnly = False,
    cpus: opt.Cpus = None,
    from_: opt.From = None,
) -> None:
    """Bring the entries of a file back that map dump -j has written.

    Entries go into the map beside those that are there already. The file is checked entry by entry; what is wrong
    in it is told with the number of the entry, and what was written until then stays.
    """
    left = grammar.Words(words)
    left.at_least(3, "restore")
    which = grammar.map_(left)
    path = left.next("the file")
    word = left.keyword(*_FLAGS)
    left.end()
    fit = fits_cpus(cpus)
    if create and which.by != "pinned":
        raise UsageError("--create pins a new map, so say where: pinned FILE")
    if create and (replace or word):
        raise UsageError("a new map has no entries, so --replace and flags have no meaning for it")
    with ExitStack() as opened:
        saved = open_saved(path, opened)
        head = saved.begin(from_)
        made = Definition.from_json(head) if create else None
        if made:
            check_new_pin(ctx.obj, str(which.value), made)
        if made and made.type in OF_MAPS:
            raise UsageError("a map of maps cannot be made from a file: make it with map create ... inner_map MAP")
        map_ = opened.enter_context(made.create() if made else _target(which, dry_run=dry_run))
        info = map_.info()
        form = Entries(info, types(info), fit_cpus=fit)
        saved.fits(form)
        chunks = saved.chunks(form)
        if dry_run:
            outcome = Outcome(sum(chunk.entries for chunk in chunks), 0)
        else:
            job = Restore(map_, _FLAGS[word or "any"], _holding(ctx.obj.out.sink), new=bool(made))
            outcome = _run(ctx.obj, job, chunks, replace=replace)
            if made:
                pin.keep(ctx.obj, map_, str(which.value))
    if form.left_out:
        ctx.obj.out.warn(f"{form.left_out} values of CPUs that this machine does not have were left out")
    _tell(ctx.obj, outcome, saved.unreadable, dry_run=dry_run)


def copy(ctx: opt.Context, words: opt.Words = None, *, replace: opt.Replace = False) -> None:
    """Copy all entries of a map into another, or into a new one."""
    left = grammar.Words(words)
    left.at_least(4, "copy")
    which = grammar.map_(left)
    with ExitStack() as opened:
        source = opened.enter_context(Map.one(which))
        info = source.info()
        walk = Walk(source, info)
        skipped = [0]
        chunks = readable(walk, skipped)
        path = ""
        if left.keyword("create"):
            path, made = _new(left, info)
            if replace:
                raise UsageError("a new map has no entries, so --replace has no meaning for it")
            check_new_pin(ctx.obj, path, made)
            inner, chunks = _inner(made, chunks, opened)
            target = opened.enter_context(made.create(inner))
        else:
            target = opened.enter_context(Map.writable(grammar.map_(left)))
            left.end()
            check_alike(info, target.info())
            if target.info().id == info.id:
                raise UsageError("this is one map, not two")
        job = Restore(target, hold=_holding(ctx.obj.out.sink), new=bool(path))
        outcome = _run(ctx.obj, job, chunks, replace=replace)
        if path:
            pin.keep(ctx.obj, target, path)
    if walk.restarts or walk.skipped:
        ctx.obj.out.warn(f"map {info.id} changed while it was copied")
    _tell(ctx.obj, outcome, skipped[0], dry_run=False)


def check_new_pin(session: Session, path: str, made: Definition) -> None:
    """Refuse what could not be pinned at the end, and tell what the new map will not have."""
    if os.path.lexists(path):
        raise UsageError(f"can't pin BPF object: path '{path}' already exists")
    if "." in os.path.basename(path):
        raise UsageError(f"can't pin BPF object: names in a BPF file system have no dots ({path})")
    if len(made.name.encode(errors="surrogateescape")) > NAME_ROOM:
        session.out.warn(f"Warning: map name is longer than {NAME_ROOM} characters, it will be truncated.")
    if made.flags & MapFlag.NUMA_NODE:
        session.out.warn("the kernel does not tell the NUMA node of a map, so the new one has none")


def _new(words: grammar.Words, info: MapInfo) -> tuple[str, Definition]:
    path = words.next("the path")
    made = Definition.of(info)
    while words:
        given = words.peek()
        match words.keyword("name", "entries"):
            case "name":
                made = made._replace(name=words.next("the name"))
            case "entries":
                made = made._replace(max_entries=grammar.number(words.next("the number of entries"), "max entries"))
            case _:
                raise UsageError(f"expected name or entries, got: {given}")
    return path, made


def _inner(made: Definition, chunks: Iterator[Chunk], opened: ExitStack) -> tuple[Map | None, Iterator[Chunk]]:
    """Open a map that those in a new map of maps shall be like: the first one that will be in it."""
    if made.type not in OF_MAPS:
        return None, chunks
    first = next(chunks, None)
    if first is None:
        raise UsageError("a map of maps that is empty does not tell what maps it takes: use map create")
    inner = opened.enter_context(Map.by_id(int.from_bytes(first.values[:4], sys.byteorder)))
    return inner, chain([first], chunks)


def _target(which: Select, *, dry_run: bool) -> Map:
    return Map.one(which) if dry_run else Map.writable(which)


def open_saved(path: str, opened: ExitStack) -> Saved:
    """Open a saved map; a minus is stdin."""
    if path == "-":
        return Saved(0, "stdin")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError(f"can't open file ({path})", error.errno or 0) from None
    except ValueError as error:
        raise UsageError(f"can't open file ({path}): {error}") from None
    opened.callback(os.close, fd)
    return Saved(fd, path)


def fits_cpus(word: str | None) -> bool:
    """Return what --cpus says; UsageError when that is nothing."""
    if word not in (None, "same", "fit"):
        raise UsageError(f"--cpus is same or fit, not '{word}'")
    return word == "fit"


def _run(session: Session, job: Restore, chunks: Iterable[Chunk], *, replace: bool) -> Outcome:
    """Write entries; when a signal ends that, tell how far it was."""
    try:
        with _ended_by_sigterm(session.out.sink), Progress(session.out, hidden=session.options.debug) as progress:
            progress.say(lambda: f"{entries(job.done)} written")
            return job.run(chunks, replace=replace)
    except _Terminated:
        raise Partial(f"terminated: {job.partial()}", job.done, exit_code=128 + signal.SIGTERM) from None
    except KeyboardInterrupt:
        session.out.warn(f"interrupted: {job.partial()}")
        raise


def _holding(sink: Sink) -> Callable[[], AbstractContextManager[None]]:
    """Return what has signals wait while something is done and counted."""

    @contextmanager
    def hold() -> Iterator[None]:
        sink.hold()
        try:
            yield
        finally:
            sink.release()

    return hold


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def _ended_by_sigterm(sink: Sink) -> Iterator[None]:
    came = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        sink.interrupt()

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        if came:
            raise _Terminated from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(session: Session, outcome: Outcome, skipped: int, *, dry_run: bool) -> None:
    told = f"{entries(outcome.written)} {'found to be right, and nothing was written' if dry_run else 'written'}"
    lines = [told]
    if outcome.deleted:
        lines.append(f"{entries(outcome.deleted)} deleted")
    if skipped:
        lines.append(f"{entries(skipped)} left out, since the kernel did not tell their value")
    value = {"dry_run": True} if dry_run else {}
    session.out.lines(lines, {**value, "entries": outcome.written, "deleted": outcome.deleted, "skipped": skipped})
