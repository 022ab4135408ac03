"""The shape of a view: one row, three voices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Row = TypeVar("Row")


class Column(NamedTuple):
    """A column of a table: its title, what it shows of a row, and how it is set.

    ``get`` returns None for nothing to show; a tuple of strings with the hints ``list``, ``long`` and ``flags``.
    ``hint`` is one of ``text``, ``number``, ``bytes`` (a size), ``list`` (may be wrapped between its items), ``long``
    (a list that takes what room there is), ``flags`` (words).
    """

    title: str
    get: Callable[[Any], Any]
    hint: str = "text"
    tone: str = ""  # what it means to a reader: "handle", "name", "quiet", "alarm"; empty for nothing special
    rank: int = 0  # on a narrow screen the columns of the highest rank leave first; those of rank 0 stay


class Stream(NamedTuple):
    """The entries of one object, which may be too many to hold at once: text in large pieces, ready to be written.

    ``json`` and ``document`` yield items of an array, with commas between those of a piece. They are told how deep
    the array's items stand if they are to be indented, None if not, and how a string is spelled in JSON. All of them
    read the same source, so one may be called, once.
    """

    head: dict[str, Any]  # in JSON, what stands before the entries where several objects are shown
    title: str  # the same as a line of text
    items: str  # what the array is called then
    json: Callable[[int | None, Callable[[Any], str]], Iterator[bytes]]
    plain: Callable[[], Iterator[bytes]]
    #: Where this is not None it replaces ``plain``.
    document: Callable[[int | None, Callable[[Any], str]], Iterator[bytes]] | None
    columns: Callable[[], tuple[Column, ...]]
    rows: Callable[[], Iterator[Any]]
    empty: str  # the sentence for a table without rows
    extra: Callable[[], dict[str, Any]] | None = None  # what stands behind ``head`` with --extra, which always shows it
    chosen: bool = False  # as in a `View`
    titled: bool = True  # as in a `View`


class Listing(NamedTuple):
    """The code of one program, in large pieces; ``json`` is that of a `Stream`.

    ``text`` is told what makes names harmless. ``toned`` is told whether there is more than ASCII, and yields lines,
    each of which is pieces of text with what they mean, as in a `Column`; code also has the tones ``symbol``,
    ``register``, ``word``, ``number`` and ``source``.
    """

    head: dict[str, Any]  # in JSON, what stands before the code where several programs are shown
    title: str  # the same as a line of text
    items: str  # what the array is called then
    json: Callable[[int | None, Callable[[Any], str]], Iterator[bytes]]
    text: Callable[[Callable[[str], str]], Iterator[str]]
    toned: Callable[[bool], Iterator[list[tuple[str, str]]]]
    extra: Callable[[], dict[str, Any]] | None = None  # as in a `Stream`


class Section(NamedTuple):
    """A part of a report: a member of its JSON, lines of plain text, and a table."""

    name: str  # what it is called in JSON
    json: Callable[[], Any]
    plain: Callable[[], Iterator[str]]  # lines without their newline
    title: str  # what stands over the table
    columns: tuple[Column, ...]
    rows: Sequence[Any]


class Document(NamedTuple):
    """A text too long to hold at once, in large pieces; in JSON an object of one array.

    ``text`` is told what makes names harmless. ``json`` yields items of the array as in a `Stream`; where it is None
    there is no JSON.
    """

    text: Callable[[Callable[[str], str]], Iterator[str]]
    items: str = ""  # what the array is called
    json: Callable[[int | None, Callable[[Any], str]], Iterator[bytes]] | None = None


class Growth(NamedTuple):
    """What grows from round to round, and so has a rate: a total, and the amount of each row by what it is known by."""

    total: Callable[[Any], float]
    key: Callable[[Any], Any] | None = None
    amount: Callable[[Any], float] = float


class Board(NamedTuple, Generic[Row]):
    """What is looked at again and again: to programs and logs an object each round, to people a table of what is in it.

    What is in a round decides its columns.
    """

    json: Callable[[Row], dict[str, Any]]
    plain: Callable[[Row], Iterator[str]]  # lines without their newline
    head: Callable[[Row], str]  # the line over the table
    columns: Callable[[Row], tuple[Column, ...]]
    rows: Callable[[Row], Sequence[Any]]
    empty: str  # the sentence for a table without rows
    measures: bool = False  # a round tells what happened in its time, so that the first one comes at the end of that
    growth: Growth | None = None
    #: What its rows may be sorted by, the order that they have first: name, key, whether the largest stand first.
    orders: Callable[[Row], Sequence[tuple[str, Callable[[Any], Any], bool]]] | None = None
    #: Where a round is of several things: each with its board. A table of each is drawn then, and none of its own.
    parts: Callable[[Row], Sequence[tuple[Board[Any], Any]]] | None = None


class Lines(Protocol):
    """Makes the lines of many rows at once, in large pieces; they are told how a value is spelled."""

    def json(self, rows: Any, dumps: Callable[[Any], str]) -> Iterator[str]:
        """Yield JSON, a line each."""

    def plain(self, rows: Any, safe: Callable[[str], str]) -> Iterator[str]:
        """Yield plain text."""


class Whole(NamedTuple, Generic[Row]):
    """The two forms that bpftool prints of a list, where that is not one row after the other."""

    json: Callable[[Iterable[Row], bool], Iterator[dict[str, Any]]]  # the array's items; told whether with --extra
    plain: Callable[[Iterable[Row]], Iterator[str]]  # lines without their newline


class View(NamedTuple, Generic[Row]):
    """The two forms that bpftool prints, byte for byte, and the columns of a table for people.

    bpftool's two forms are written out separately because they really differ: other fields, another order.
    """

    noun: str  # in the plural, for people
    json: Callable[[Row], dict[str, Any]]
    plain: Callable[[Row], Iterator[str]]  # lines without their newline
    columns: tuple[Column, ...]
    extra: Callable[[Row], dict[str, Any]]  # what bpftool does not tell, for -j --extra
    details: tuple[Column, ...] = ()  # more of an object that is shown alone
    types: Callable[[], Iterable[str]] | None = None  # every word that the column "type" may have
    empty: str = ""  # the sentence for an empty table; without it, that none are loaded
    lines: Lines | None = None  # the same text of many rows that are followed, made faster
    apart: bool = False  # whether each of several is shown as one alone, since a table would be too wide
    chosen: bool = False  # whether somebody named the columns, which are there then even if there is nothing in them
    titled: bool = True  # whether a table has the titles of its columns
    whole: Whole[Row] | None = None  # where this is not None it replaces ``json`` and ``plain``

    def column(self, title: str) -> Column:
        """Return a column or detail by its title; KeyError when there is none."""
        for column in self.columns + self.details:
            if column.title == title:
                return column
        raise KeyError(title)
