"""Bringing maps back: from a file, or from another map."""

from __future__ import annotations

from contextlib import nullcontext
from errno import ENOENT
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import BpfctlError, KernelError, Partial, SavedError, UsageError
from bpfctl.kernel.elements import Walk, pieces
from bpfctl.kernel.map import PER_CPU
from bpfctl.kernel.writer import Writer, check_writable
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.map import Map, MapInfo

    Hold = Callable[[], AbstractContextManager[object]]

_KEPT_KEYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})  # the kernel deletes none of them


class Outcome(NamedTuple):
    """What became of the entries: how many were written, and how many others deleted."""

    written: int
    deleted: int


class Restore:
    """Writes entries into a map that is open for writing; ``done`` tells how far it is, whatever happens.

    NotSupported for a map that does not take what was read from one alike. A ``new`` map is nobody's until it is whole.
    """

    def __init__(self, map_: Map, flags: int = 0, hold: Hold = nullcontext, *, new: bool = False) -> None:
        self.info = map_.info()
        check_writable(self.info)
        self._map = map_
        self._new = new
        self._writer = Writer(map_, self.info, flags, hold)

    @property
    def done(self) -> int:
        """How many entries were written."""
        return self._writer.done

    def run(self, chunks: Iterable[Chunk], *, replace: bool = False) -> Outcome:
        """Write all entries; with ``replace``, also delete those of other keys, of which all are kept in memory.

        Partial when that ends half way; the error of the first entries when nothing was changed.
        """
        others = self._keys() if replace else set()
        try:
            for chunk in chunks:
                if others:
                    others.difference_update(pieces(chunk.keys, self.info.key_size))
                self._writer.write(chunk)
            self._writer.flush()
            if others and self.info.type in _KEPT_KEYS:
                raise UsageError(
                    f"{len(others)} keys of the map stayed that the file has not: an array has all its keys always"
                )
            self._writer.delete(b"".join(sorted(others)))
        except BpfctlError as error:
            if not self.done and not self._writer.deleted:
                raise
            raise Partial(f"{_sentence(error)}; {self.partial()}", self.done) from None
        return Outcome(self.done, self._writer.deleted)

    def partial(self) -> str:
        """Return the sentence about a map that was changed half way."""
        deleted = f" and {self._writer.deleted} others deleted" if self._writer.deleted else ""
        what = "so the new map was not pinned and is gone" if self._new else "so the map is partial"
        return f"{entries(self.done)} written before{deleted}, {what}"

    def _keys(self) -> set[bytes]:
        if not self.info.key_size:
            raise UsageError("a map without keys has none to delete: leave --replace out")
        found: set[bytes] = set()
        for chunk in Walk(self._map, self.info):
            if not chunk.errno:
                found.update(pieces(chunk.keys, self.info.key_size))
        return found


def _sentence(error: BpfctlError) -> str:
    return str(error) if isinstance(error, KernelError) else error.sentence


def restore(
    map_: Map, path: str, *, flags: int = 0, replace: bool = False, choose: str | None = None, fit_cpus: bool = False
) -> Outcome:
    """Write the entries of a file that ``map dump`` has written into a map that is open for writing.

    ``replace`` also deletes the keys that the file has not, ``choose`` names one of several maps in it by id or name,
    and ``fit_cpus`` takes per-CPU values of other CPUs than this machine has. SavedError says what is wrong with the
    file, Partial also that something was written before.
    """
    from bpfctl.kernel.map_types import types  # noqa: PLC0415 - copies need none of these
    from bpfctl.kernel.saved import Saved  # noqa: PLC0415
    from bpfctl.kernel.saved_entry import Entries  # noqa: PLC0415

    job = Restore(map_, flags)
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the next line closes it
    except OSError as error:
        raise SavedError(f"can't open file ({path}): {error.strerror}") from None
    with file:
        saved = Saved(file.fileno(), path)
        saved.begin(choose)
        form = Entries(job.info, types(job.info), fit_cpus=fit_cpus)
        saved.fits(form)
        return job.run(saved.chunks(form), replace=replace)


def entries(number: int) -> str:
    """Return a number of entries in words."""
    return f"{number} {'entry was' if number == 1 else 'entries were'}"


def readable(walk: Walk, skipped: list[int]) -> Iterator[Chunk]:
    """Yield the entries of a map that have values, and note how many others there are that are not just empty."""
    for chunk in walk:
        if not chunk.errno:
            yield chunk
        elif chunk.errno != ENOENT:
            skipped[0] += chunk.entries


def check_alike(source: MapInfo, target: MapInfo) -> None:
    """Raise UsageError when the entries of one map do not fit another."""
    for what, here, there in (
        ("keys", source.key_size, target.key_size),
        ("values", source.value_size, target.value_size),
    ):
        if here != there:
            raise UsageError(f"{what} of {here} bytes do not fit a map whose {what} have {there}")
    if (source.type in PER_CPU) != (target.type in PER_CPU):
        raise UsageError("one of the maps has a value for each CPU, the other one has not")
