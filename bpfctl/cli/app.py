"""Finds the command that the words mean and runs it: directly, or through Typer when it has options of ours."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bpfctl.cli.session import Direct, Session
from bpfctl.cli.table import OBJECTS, Command
from bpfctl.errors import UsageError
from bpfctl.render.plain import complain

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTIONS = (
    "OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} | {-n|--nomount} | {-V|--version} |\n"
    "             --plain | --extra | --no-owners }"
)


def run(session: Session, words: Sequence[str]) -> None:
    """Run one command; raises whatever goes wrong in it."""
    if session.options.version:
        words = ["version"]
    elif not words or session.options.help:
        _usage(session, words)
        return
    object_ = _first(words[0], tuple(OBJECTS))
    if object_ is None:
        _usage(session, ())
        raise UsageError(f"unknown object '{words[0]}'")
    if object_ == "help":
        _usage(session, ())
    elif object_ == "version":
        from bpfctl.cli import version

        version.show(session)
    else:
        command = _command(session, object_, words[1:])
        if command is not None:
            _call(session, object_, command, list(words[2:]))


def _first(word: str, choices: Sequence[str]) -> str | None:
    return next((choice for choice in choices if choice.startswith(word)), None)


def _command(session: Session, object_: str, words: Sequence[str]) -> Command | None:
    """Return the command that the first word means, the first of the table without one; None after showing help."""
    commands = OBJECTS[object_]
    word = words[0] if words and not words[0].startswith("-") else commands[0].word
    command = next((command for command in commands if command.word.startswith(word)), None)
    if command is None:
        _usage(session, (object_,))
        raise UsageError(f"unknown command '{object_} {word}'")
    if command.word == "help":
        _usage(session, (object_,))
        return None
    if not command.run:
        raise UsageError(f"'{object_} {command.word}' is not in this release of bpfctl")
    return command


def _call(session: Session, object_: str, command: Command, words: list[str]) -> None:
    module, _, function = command.run.partition(":")
    run_command = getattr(import_module(f"bpfctl.cli.{module}"), function)
    if any(word.startswith("-") and len(word) > 1 for word in words):
        _call_typer(session, f"bpfctl {object_} {command.word}", run_command, words)
    else:
        run_command(Direct(session), words)


def _call_typer(session: Session, name: str, function: Any, words: list[str]) -> None:
    from bpfctl.cli import typed

    typed.call(session, name, function, words)


def _usage(session: Session, words: Sequence[str]) -> None:
    """Tell the commands, on stderr as bpftool does; null in JSON."""
    if session.options.json:
        session.out.done()
        return
    object_ = _first(words[0], tuple(OBJECTS)) if words else None
    there = {name: commands for name, commands in OBJECTS.items() if any(command.run for command in commands)}
    if object_ in there:
        lines = [f"Usage: bpfctl [OPTIONS] {object_} COMMAND", ""]
        lines += [f"  {command.word:<12} {command.help}" for command in there[object_] if command.run]
    else:
        lines = ["Usage: bpfctl [OPTIONS] OBJECT { COMMAND | help }", "       bpfctl batch file FILE", "       bpfctl version", ""]
        for name, commands in there.items():
            lines.append(f"  {name:<12} " + " | ".join(command.word for command in commands if command.run))
    complain("\n".join([*lines, "", _OPTIONS]))


