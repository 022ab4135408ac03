"""Options as Typer reads them; loads Typer."""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bpfctl.cli.parse import default, options_of
from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.cli import opt

#: What Typer says of a word that is no number, in the words of Python.
_NO_NUMBER = re.compile(r"is not a valid (int|float)\w*( range)?")
_WORDS = Annotated[list[str] | None, typer.Argument()]

# The base of Typer's complaints about a command line; Typer 0.28 has them in a package of its own instead of click's.
_Complaint: type[Exception] = typer.BadParameter.__mro__[2]


def parse(name: str, function: Callable[..., None], words: Sequence[str]) -> dict[str, Any] | None:
    """Return the arguments of a command, None when help was asked for; a mistake in the words is a UsageError."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(_twin(function))
    command = typer.main.get_command(app)
    its_help = io.StringIO()  # which is not ours
    try:
        with contextlib.redirect_stdout(its_help):
            found: dict[str, Any] = command.main([*words], prog_name=name, standalone_mode=False)
    except _Complaint as error:
        raise UsageError(_sentence(error)) from None
    if its_help.getvalue():
        return None
    for parameter, (type_, option) in options_of(function).items():
        # Typer takes what is no number to be within all bounds.
        if type_ == float | None and option.low is not None and math.isnan(found[parameter] or 0):
            raise UsageError(f"invalid value for '{option.names[0]}': 'nan' is no number")
    return found


def _twin(function: Callable[..., None]) -> Callable[..., dict[str, Any]]:
    """Return what has the options of a command, and returns its arguments."""

    def twin(**arguments: Any) -> dict[str, Any]:
        return arguments

    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default(function, name, type_),
            annotation=Annotated[type_, _option(option)],
        )
        for name, (type_, option) in options_of(function).items()
    ]
    words = inspect.Parameter("words", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_WORDS)
    twin.__signature__ = inspect.Signature([*parameters, words])  # type: ignore[attr-defined]
    return twin


def _option(option: opt.Option) -> Any:
    return typer.Option(*option.names, metavar=option.metavar, min=option.low, max=option.high, help=option.text)


def _sentence(error: Any) -> str:
    if not hasattr(error, "possibilities"):
        sentence: str = error.format_message().rstrip(".")
        sentence = _NO_NUMBER.sub(lambda of: "is no whole number" if of[1] == "int" else "is no number", sentence)
        return sentence[:1].lower() + sentence[1:]
    close = f", did you mean '{error.possibilities[0]}'?" if error.possibilities else ""
    return f"unrecognized option '{error.option_name}'{close}"
