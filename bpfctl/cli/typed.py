"""The annotations behind bpfctl.cli.opt; loads Typer."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from bpfctl.cli.session import Session

Context = typer.Context
Words = Annotated[list[str] | None, typer.Argument(metavar="WORD", help="bpftool's words, such as: id 7")]


# The base of Typer's complaints about a command line; Typer 0.28 has them in a package of its own instead of click's.
_Complaint: type[Exception] = typer.BadParameter.__mro__[2]


def call(session: Session, name: str, function: Any, words: list[str]) -> None:
    """Run a command through Typer; a mistake in the words is a UsageError."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(function)
    command = typer.main.get_command(app)
    help_ = io.StringIO()
    try:
        with contextlib.redirect_stdout(help_):
            command.main(words, prog_name=name, standalone_mode=False, obj=session)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _Complaint as error:
        raise UsageError(_sentence(error)) from None
    session.out.sink.write(help_.getvalue())


def _sentence(error: Any) -> str:
    if not hasattr(error, "possibilities"):
        sentence: str = error.format_message().rstrip(".")
        return sentence[:1].lower() + sentence[1:]
    close = f", did you mean '{error.possibilities[0]}'?" if error.possibilities else ""
    return f"unrecognized option '{error.option_name}'{close}"
