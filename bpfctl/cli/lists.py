"""Lists of objects: which of them, in which order, how often. The same for every kind of object and in every voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from bpfctl.errors import UsageError

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bpfctl.cli.options import Options
    from bpfctl.cli.session import Session
    from bpfctl.kernel.owner import How, Owner
    from bpfctl.kernel.select import Select
    from bpfctl.views.view import Column, View

    class Held(Protocol):
        """A row, as far as the filters look at it themselves."""

        @property
        def name(self) -> str | None:
            """What the object is called."""

        @property
        def pinned(self) -> tuple[str, ...] | None:
            """Where the object is pinned."""

        @property
        def owners(self) -> tuple[Owner, ...]:
            """Who holds the object."""

    class Rows(Protocol[Row_co]):
        """How a room of bpfctl.kernel yields rows."""

        def __call__(self, which: Select | None, *, pinned: bool, owners: How) -> Iterator[Row_co]:
            """Yield the rows of the objects that are meant."""


class Wanted(NamedTuple):
    """What the options of a list say; all of them together must hold."""

    type: str | None = None
    name: str | None = None  # a glob
    owner: str | None = None  # a pid, or a glob for the name of a process
    pinned: bool = False
    sort: str | None = None  # a column, after a minus for the reverse order
    watch: float | None = None  # seconds
    fields: Sequence[str] | None = None  # columns; several in a word have commas between them
    no_header: bool = False
    csv: bool = False


EVERYTHING = Wanted()
_PID_ROOM = 10  # digits


def show(run: Session, view: View[Row], rows: Rows[Row], which: Select | None, wanted: Wanted = EVERYTHING) -> None:
    """Show what a handle and the options of a list leave; UsageError for options that make no sense."""
    options, listing = run.options, which is None
    pinned = options.bpffs or wanted.pinned
    owners = _owners(options, wanted)
    if wanted == EVERYTHING:
        run.out.show(view, rows(which, pinned=pinned, owners=owners), listing=listing)
        return
    from bpfctl.cli import columns

    keeps = list(_filters(view, wanted))
    sort = None
    if wanted.sort is not None:
        by = wanted.sort.removeprefix("-")
        sort = columns.named(view, by, f"can't sort {view.noun} by '{by}'")
    if keeps:
        view = view._replace(empty=f"no {view.noun} match")
    if wanted.fields is not None:
        view = columns.chosen(view, wanted.fields)
        used = {column.title for column in (*view.columns, *filter(None, [sort]))}
        pinned = pinned or "pinned" in used
        owners = owners if "owners" in used or wanted.owner is not None else "none"
    out, view = columns.output(run, view, no_header=wanted.no_header, csv=wanted.csv)

    def ask() -> Iterable[Row]:
        found = rows(which, pinned=pinned, owners=owners)
        kept = (row for row in found if all(keep(row) for keep in keeps))
        return _sorted(kept, sort, backwards=(wanted.sort or "").startswith("-")) if sort else kept

    if wanted.watch is None:
        out.show(view, ask(), listing=listing)
        return
    if wanted.csv:
        raise UsageError("--csv is one table, and --watch shows many")
    if run.depth:
        raise UsageError("--watch has no end, so it is no command for a batch")
    if not 0 < wanted.watch < 1 << 31:
        raise UsageError(f"can't wait {wanted.watch:g} seconds between two rounds of --watch")
    out.watch(view, ask, listing=listing, seconds=wanted.watch)


def _owners(options: Options, wanted: Wanted) -> How:
    """Return how to look for owners; a filter by them needs them even so."""
    how = "none" if options.no_owners else options.owners
    return "auto" if how == "none" and wanted.owner is not None else how


def _filters(view: View[Any], wanted: Wanted) -> Iterator[Callable[[Any], bool]]:
    if wanted.type is not None:
        yield _of_type(view, wanted.type)
    if wanted.name is not None:
        yield _named(wanted.name)
    if wanted.owner is not None:
        yield _owned(wanted.owner)
    if wanted.pinned:
        yield _is_pinned


def _is_pinned(row: Held) -> bool:
    return bool(row.pinned)


def _of_type(view: View[Any], word: str) -> Callable[[Any], bool]:
    """Return the filter for a type, by bpftool's word for it or, where it has none, by its number."""
    meant = word.lower().replace("-", "_")
    if not meant.isdecimal() and view.types is not None and meant not in view.types():
        from bpfctl.cli import columns

        raise UsageError(f"unknown type '{word}' of {view.noun}{columns.near(meant, list(view.types()))}")
    get = view.column("type").get
    return lambda row: str(get(row)) == meant


def _named(glob: str) -> Callable[[Held], bool]:
    from fnmatch import fnmatchcase

    return lambda row: fnmatchcase(row.name or "", glob)


def _owned(owner: str) -> Callable[[Held], bool]:
    if owner.isdecimal() and len(owner) <= _PID_ROOM:
        pid = int(owner)
        return lambda row: any(holder.pid == pid for holder in row.owners)
    from fnmatch import fnmatchcase

    return lambda row: any(fnmatchcase(holder.comm, owner) for holder in row.owners)


def _sorted(rows: Iterable[Row], column: Column, *, backwards: bool) -> list[Row]:
    """Sort rows by a column; those with nothing in it come last in both orders."""
    values = [(column.get(row), row) for row in rows]
    empty = [row for value, row in values if value is None or value == ()]
    full = [(value, row) for value, row in values if value is not None and value != ()]
    # A type that has no name is a number among words.
    full.sort(key=lambda pair: (isinstance(pair[0], str), pair[0]), reverse=backwards)
    return [row for _, row in full] + empty
