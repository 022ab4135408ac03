"""The shape of a view: one row, three voices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Row = TypeVar("Row")


class Column(NamedTuple):
    """A column of a table: its title, what it shows of a row, and how it is set.

    ``hint`` is one of ``text``, ``number``, ``bytes``, ``flags``. ``get`` returns None for nothing to show.
    """

    title: str
    get: Callable[[Any], Any]
    hint: str = "text"


class View(NamedTuple, Generic[Row]):
    """The two forms that bpftool prints, byte for byte, and the columns of a table for people.

    bpftool's two forms are written out separately because they really differ: other fields, another order.
    """

    noun: str  # in the plural, for people
    json: Callable[[Row], dict[str, Any]]
    plain: Callable[[Row], Iterator[str]]  # lines without their newline
    columns: tuple[Column, ...]
    extra: Callable[[Row], dict[str, Any]]  # what bpftool does not tell, for -j --extra
