"""bpfctl batch: commands from a file, in bpftool's language of lines (its src/main.c do_batch and make_args).

A line is a command without the program's name. ``#`` starts a comment anywhere, also within quotes; a backslash at
the end of a line joins the next one to it; single and double quotes hold a word together where they begin one. The
first command that fails ends the series, and its exit code is ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import BpfctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from bpfctl.cli.session import Session

_LINE_ROOM = 65536 - 1  # what bpftool's buffer holds besides the null byte
_WORDS_ROOM = 4096 - 1
_SPACE = b" \t\r\n"
_DEEPEST = 16  # a batch file may run another; one that runs itself must end somewhere


class Line(NamedTuple):
    """A command of a batch file, its lines joined and without their comments, and the number of its first line."""

    text: bytes
    number: int


def run(session: Session, words: Sequence[str], dispatch: Callable[[Session, Sequence[str]], None]) -> None:
    """Run the commands of a file, or of stdin: file FILE|-."""
    if len(words) != 2:
        raise UsageError(f"too {'few' if len(words) < 2 else 'many'} parameters for batch")
    if not "file".startswith(words[0]):
        raise UsageError(f"expected 'file', got: {words[0]}")
    if session.depth == _DEEPEST:
        raise UsageError(f"batch files run each other more than {_DEEPEST} deep")
    path = words[1]
    with _open(path) as file:
        _run_lines(session._replace(depth=session.depth + 1), file, "stdin" if path == "-" else path, dispatch)


def _open(path: str) -> BinaryIO:
    try:
        return open(0, "rb", closefd=False) if path == "-" else open(path, "rb")
    except (OSError, ValueError) as error:
        raise UsageError(f"Can't open file ({path}): {getattr(error, 'strerror', error)}") from None


def _run_lines(session: Session, file: BinaryIO, path: str, dispatch: Callable[[Session, Sequence[str]], None]) -> None:
    out, count, line = session.out, 0, Line(b"", 0)
    out.begin_batch()
    try:
        for line in lines(file):
            words = split(line.text)
            if words:
                out.begin_command(words)
                dispatch(session, words)
                out.end_command()
                out.sink.flush()  # whatever comes next, this much is done
                count += 1
    except BatchError as error:
        raise UsageError(str(error).format(count)) from None
    except BpfctlError as error:
        error.add_note(f"in line {line.number} of {path}")
        raise
    out.end_batch(count)


class BatchError(Exception):
    """The text of a batch file makes no sense; the message has a place for how many commands went before."""


def lines(file: BinaryIO) -> Iterator[Line]:
    """Yield the commands of a batch file; BatchError when a line is too long or lacks its continuation."""
    number = 0
    while text := _line(file):
        number += 1
        first = number
        if len(text) == _LINE_ROOM:
            raise BatchError("reading batch file failed: Argument list too long")
        while text.endswith(b"\\\n"):
            following = _line(file)
            if not following:
                raise BatchError("missing continuation line on command {}")
            if len(text) + len(following) > _LINE_ROOM:
                raise BatchError("command {} is too long")
            text = text[:-2] + following
            number += 1
        yield Line(text, first)


def _line(file: BinaryIO) -> bytes:
    """Return a line, as much of it as has room, without its comment; empty at the end of the file."""
    try:
        line = file.readline(_LINE_ROOM)
        text, comment, _ = line.partition(b"#")
        while comment and line and not line.endswith(b"\n"):
            line = file.readline(_LINE_ROOM)
    except OSError as error:
        raise BatchError(f"reading batch file failed: {error.strerror}") from None
    return text if text or not comment else b"\n"


def split(text: bytes) -> list[str]:
    """Return the words of a command; BatchError when there are too many or a quote is not closed."""
    words: list[str] = []
    at, end = 0, len(text)
    while at < end:
        if text[at] in _SPACE:
            at += 1
            continue
        if len(words) == _WORDS_ROOM:
            raise BatchError("too many arguments to command {}")
        start = at
        if text[at] in b"'\"":
            start += 1
            at = text.find(text[at], start)
            if at < 0:
                raise BatchError("unterminated quoted string in command {}")
        else:
            while at < end and text[at] not in _SPACE:
                at += 1
        word = text[start:at]
        if 0 in word:
            raise BatchError("null byte in command {}")
        words.append(os.fsdecode(word))
        at += 1
    return words
