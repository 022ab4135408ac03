"""The annotations behind bpfctl.cli.opt; loads Typer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from bpfctl.cli.session import Session

Context = typer.Context
Words = Annotated[list[str] | None, typer.Argument(metavar="WORD", help="bpftool's words, such as: id 7")]


def call(session: Session, name: str, function: Any, words: list[str]) -> None:
    """Run a command through Typer; a mistake in the words is a UsageError."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(function)
    command = typer.main.get_command(app)
    try:
        command.main(words, prog_name=name, standalone_mode=False, obj=session)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.BadParameter as error:  # pragma: no branch
        raise UsageError(error.format_message()) from None
