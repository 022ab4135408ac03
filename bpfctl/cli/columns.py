"""Which columns of a list are shown, and in which form: ``--fields``, ``--no-header``, ``--csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.cli.session import Session
    from bpfctl.render.output import Output
    from bpfctl.views.view import Column, Stream, View


def output(session: Session, view: View[Any], *, no_header: bool, csv: bool) -> tuple[Output, View[Any]]:
    """Return the voice for a list, and the list's view in the form that is wanted; UsageError for CSV in JSON."""
    from bpfctl.cli import voice

    view = view._replace(titled=not no_header)
    if csv:
        if session.options.json:
            raise UsageError("--csv is a form of its own, so -j and -p make no sense with it")
        from bpfctl.render.cells import CellsOutput

        everything = view if view.chosen else view._replace(columns=view.columns + view.details)
        return CellsOutput(session.out.sink, csv=True), everything
    if view.chosen and not session.options.json and not voice.is_table(session.out.sink, session.options):
        from bpfctl.render.cells import CellsOutput

        return CellsOutput(session.out.sink, csv=False), view
    return session.out, view


def stream(session: Session, stream: Stream, *, fields: Sequence[str] | None, no_header: bool, csv: bool) -> None:
    """Show the entries of one object in the form that is wanted; UsageError as of the others."""
    from bpfctl.cli import voice
    from bpfctl.render.cells import exact
    from bpfctl.views.view import View

    shown = stream.columns()
    view: View[Any] = View(
        "these entries",
        json=lambda row: {column.title: exact(column, row) for column in shown},
        plain=lambda _: iter(()),
        columns=shown,
        extra=lambda _: {},
    )
    if fields is not None:
        view = chosen(view, fields)
    out, view = output(session, view, no_header=no_header, csv=csv)
    if csv or (fields is not None and not voice.is_table(session.out.sink, session.options)):
        out.show(view, stream.rows(), listing=True)
    else:
        out.stream(
            [stream._replace(columns=lambda: view.columns, chosen=view.chosen, titled=view.titled)], listing=False
        )


def chosen(view: View[Any], words: Sequence[str]) -> View[Any]:
    """Return a view that has these columns alone, in their order; some may be in a word with commas between them."""
    from bpfctl.render.cells import exact

    names = [name.strip() for word in words for name in word.split(",")]
    shown = tuple(dict.fromkeys(named(view, name, f"{view.noun} have no column '{name}'") for name in names))
    return view._replace(
        # On a narrow screen those that were named last leave first.
        columns=tuple(column._replace(rank=at) for at, column in enumerate(shown)),
        details=(),
        chosen=True,
        json=lambda row: {column.title: exact(column, row) for column in shown},
        extra=lambda _: {},
        lines=None,
        whole=None,
    )


def named(view: View[Any], word: str, mistake: str) -> Column:
    """Return the column or detail of a title, or the only one that begins so; else a mistake is raised, as UsageError.

    ``_`` stands for a blank, since a shell would have that quoted.
    """
    there = {column.title: column for column in view.columns + view.details}
    asked = word.replace("_", " ")
    found = [asked] if asked in there else [title for title in there if asked and title.startswith(asked)]
    if len(found) == 1:
        return there[found[0]]
    raise UsageError(mistake + (near(asked, list(there)) or f", only one of: {', '.join(there)}"))


def near(word: str, choices: list[str]) -> str:
    """Return the question whether one of a few similar words was meant; empty when there are none."""
    import difflib

    within = [choice for choice in choices if word in choice] if len(word) > 1 else []
    near = [f"'{choice}'" for choice in dict.fromkeys([*difflib.get_close_matches(word, choices, 3), *within])]
    if not near:
        return ""
    last = near.pop()
    return f", did you mean {', '.join(near)} or {last}?" if near else f", did you mean {last}?"
