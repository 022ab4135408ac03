"""Finds the command that the words mean and runs it: directly, or through Typer when it has options of ours."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bpfctl.cli.parse import is_option, parse
from bpfctl.cli.session import Direct, Session
from bpfctl.cli.table import OBJECTS, OURS, Command, object_of
from bpfctl.errors import BpfctlError, UsageError, own_status
from bpfctl.render.plain import complain
from bpfctl.render.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Those that run another command, whose words are its own.
_RUNS_ANOTHER = frozenset({("probe", "stat")})
_SUGGESTION = "did you mean"
_TAKES_DATA = frozenset({"update", "lookup", "getnext", "delete", "push", "enqueue", "edit"})


def run(session: Session, words: Sequence[str]) -> None:
    """Run what the command line says; raises whatever goes wrong in it."""
    options = session.options
    if options.mistake:
        raise UsageError(options.mistake, exit_code=options.mistake_code)
    words, literal = _without_dashes(words)
    if options.help:
        _tell(session, *_asked(words))
    elif options.version:
        dispatch(session, ["version"])
    else:
        dispatch(session, words or ["help"], literal)


def dispatch(session: Session, words: Sequence[str], literal: int = 0) -> None:
    """Run one command, of the command line or of a batch file; the last ``literal`` words cannot be options."""
    word, rest = words[0], list(words[1:])
    _no_option(word)
    object_ = object_of(word)
    if object_ is None:
        raise _unknown(session, f"unknown object '{word}'", word, OBJECTS, "bpfctl")
    if object_ == "help":
        _usage(session, *_asked(rest))
    elif object_ == "version":
        from bpfctl.cli import version

        version.show(session)
    elif object_ == "batch":
        from bpfctl.cli import batch

        batch.run(session, rest, dispatch)
    elif not OBJECTS[object_][0].word:
        if rest == ["help"]:
            _usage(session, object_)
        else:
            _run(session, object_, OBJECTS[object_][0], rest, literal)
    else:
        if not rest or (is_option(rest[0]) and len(rest) > literal):
            rest.insert(0, OBJECTS[object_][0].word)  # the first of its commands is meant when none is named
        command = _command(session, object_, rest)
        if command is not None:
            _run(session, object_, command, rest[1:], literal)


def _without_dashes(words: Sequence[str]) -> tuple[list[str], int]:
    """Take the first ``--`` out; also return how many words stood after it."""
    if "--" not in words:
        return list(words), 0
    at = words.index("--")
    return [*words[:at], *words[at + 1 :]], len(words) - at - 1


def _no_option(word: str) -> None:
    if is_option(word):
        raise UsageError(f"unrecognized option '{word}'")


def _command(session: Session, object_: str, words: Sequence[str]) -> Command | None:
    """Return the command that the first word means; None after showing help."""
    commands, word = OBJECTS[object_], words[0]
    _no_option(word)
    command = next((command for command in commands if command.word.startswith(word)), None)
    if command is None:
        there = [command.word for command in commands if command.run or command.word == "help"]
        unknown = _unknown(session, f"unknown command '{object_} {word}'", word, there, f"bpfctl {object_}")
        if OURS.get(object_, frozenset()).issuperset(command.word for command in commands if command.run):
            unknown.exit_code = own_status(unknown)
        raise unknown
    if command.word == "help":
        _usage(session, object_)
        return None
    if not command.run:
        missing = UsageError(f"'{object_} {command.word}' is not in this release of bpfctl")
        missing.hint = f"'bpfctl {object_} --help' tells what is"
        raise missing
    return command


def _unknown(session: Session, message: str, word: str, choices: Iterable[str], whose: str) -> UsageError:
    """Return the error about a word that begins nothing; bpftool's JSON is null for it, so ours is on stderr there."""
    import difflib

    close = difflib.get_close_matches(word, [*choices], 1)
    message += f", {_SUGGESTION} '{close[0]}'?" if close else ""
    error = UsageError(message)
    if session.options.json:
        session.out.done()
        complain("Error: " + safe(message))
    elif not close:
        error.hint = f"'{whose} --help' tells which there are"
    return error


def function(command: Command) -> Any:
    """Return the function of a command."""
    module, _, name = command.run.partition(":")
    return getattr(import_module(f"bpfctl.cli.{module}"), name)


def _run(session: Session, object_: str, command: Command, words: list[str], literal: int) -> None:
    try:
        _call(session, object_, command, words, literal)
    except BpfctlError as error:
        if command.word in OURS.get(object_, ()):
            error.exit_code = own_status(error)
        if isinstance(error, UsageError) and not error.hint and _SUGGESTION not in str(error):
            from bpfctl.cli import complete

            meant = complete.meant(object_, command, words)
            if meant:
                error.hint = f"{_SUGGESTION} '{meant}'?"
            elif error.is_short:
                error.hint = f"'{_name(object_, command)} --help' tells what it takes"
        raise


def _name(object_: str, command: Command) -> str:
    return f"bpfctl {object_} {command.word}".rstrip()


def _call(session: Session, object_: str, command: Command, words: list[str], literal: int) -> None:
    name, run = _name(object_, command), function(command)
    literal = min(literal, len(words))  # those that name the command may be among them
    if (object_, command.word) in _RUNS_ANOTHER and literal:
        words, behind = words[:-literal], words[-literal:]
        session, literal = session._replace(command=tuple(behind)), 0
    options = words[: len(words) - literal] if literal else words
    if command.word in _TAKES_DATA:
        # Numbers may be negative: behind the first of them stand words alone.
        first = next((at for at, word in enumerate(options) if word[:1] == "-" and word[1:2].isdecimal()), len(options))
        ours = [word for word in options[first:] if word.startswith("--")]
        words = [*options[:first], *ours, *(word for word in words[first:] if word not in ours)]
        options = words[: first + len(ours)]
        literal = len(words) - len(options)
    arguments = {"words": words} if not any(map(is_option, options)) else parse(name, run, words, literal)
    if arguments is None:
        _tell(session, object_, command)
    else:
        run(Direct(session), **arguments)


def _asked(words: Sequence[str]) -> tuple[str | None, Command | None]:
    """Return the object and the command that words name, as far as they do."""
    object_ = object_of(words[0]) if words else None
    there = [command for command in OBJECTS[object_] if command.run] if object_ else []
    word = words[1] if len(words) > 1 else None
    return object_, next((one for one in there if not one.word or (word and one.word.startswith(word))), None)


def _tell(session: Session, object_: str | None, command: Command | None) -> None:
    """Write help that was asked for with -h on stdout, so that a pager gets it; null in JSON."""
    if session.options.json:
        session.out.done()
        return
    from bpfctl.cli import help as help_

    lines = help_.lines(object_, command)
    session.out.lines(lines, lines)


def _usage(session: Session, object_: str | None = None, command: Command | None = None) -> None:
    """Tell the commands, or all about one, on stderr as bpftool does; null in JSON."""
    if session.options.json:
        session.out.done()
        return
    from bpfctl.cli import help as help_

    complain("\n".join(help_.lines(object_, command)))
