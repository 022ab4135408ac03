"""bpfctl prog run: a program on data of one's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import grammar, opt
from bpfctl.errors import BpfctlError, KernelError, UsageError
from bpfctl.kernel.prog import Program
from bpfctl.views import run as run_view

if TYPE_CHECKING:
    from bpfctl.kernel.run import RunResult

_STDIN = _STDOUT = "-"
_FAMILIES = (("data_in", "data_out", "data_size_out"), ("ctx_in", "ctx_out", "ctx_size_out"))
_NUMBERS = {"data_size_out": "output data size", "ctx_size_out": "output context size", "repeat": "repeat number"}
_ROOM = 32 << 10  # bpftool's for what comes out
_MOST = 16 << 20  # several times what the kernel takes of anything
_EXPECTED = (
    "expected no more arguments, 'data_in', 'data_out', 'data_size_out', 'ctx_in', 'ctx_out', 'ctx_size_out' or"
    " 'repeat', got: '{}'?"
)


class _Wanted(NamedTuple):
    """What the words behind the handle say."""

    files: dict[str, str]
    numbers: dict[str, int]


def run(ctx: opt.Context, words: opt.Words = None) -> None:
    """Run a program on data.

    It runs whether it is attached or not. Told are what it returned, how long it took, and what it has made of its
    input.
    """
    left = grammar.Words(words)
    left.at_least(4, "run")
    with Program.one(grammar.prog(left)) as program:
        files, numbers = _wanted(left)
        data, context = _read(files.get("data_in")), _read(files.get("ctx_in"))
        kind = program.info().type
        got = program.test_run(
            data,
            ctx=context,
            repeat=numbers.get("repeat"),
            data_room=numbers.get("data_size_out") or _ROOM,
            ctx_room=numbers.get("ctx_size_out") or (_ROOM if "ctx_out" in files else None),
        )
    failures = _write_all(files, got)
    ctx.obj.out.item(
        run_view.stream(
            run_view.Outcome(
                kind,
                got.retval,
                got.duration,
                numbers.get("repeat", 1),
                _bytes(data, got.data, files.get("data_out")),
                _bytes(context, got.ctx, files.get("ctx_out")),
                "; ".join(failure.sentence for failure in failures),
            )
        )
    )
    _complain(failures)


def _wanted(words: grammar.Words) -> _Wanted:
    """Read what follows the handle, as do_run() in bpftool's src/prog.c does."""
    files: dict[str, str] = {}
    numbers: dict[str, int] = {}
    while words:
        given = words.peek()
        for family in _FAMILIES:
            meant = [word for word in family if word.startswith(given)]
            if len(meant) > 1:
                choices = "' or '".join(meant)
                raise UsageError(f"ambiguous prefix: '{given}' could be '{choices}'")
        word = words.keyword(*_FAMILIES[0], *_FAMILIES[1], "repeat")
        if word is None:
            raise UsageError(_EXPECTED.format(given))
        words.at_least(1, given)
        value = words.next("a value")
        if word in _NUMBERS:
            numbers[word] = grammar.number(value, _NUMBERS[word])
        else:
            files[word] = value
        if files.get("data_in") == files.get("ctx_in") == _STDIN:
            raise UsageError("cannot use standard input for both data_in and ctx_in")
    return _Wanted(files, numbers)


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        file = open(0, "rb", closefd=False) if path == _STDIN else open(path, "rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        raise _failure(f"failed to open {path}", error) from None
    with file:
        try:
            raw = file.read(_MOST + 1)
        except OSError as error:
            raise _failure(f"failed to read data_in/ctx_in from {path}", error) from None
    if len(raw) > _MOST:
        raise UsageError(f"data_in/ctx_in is too long (max: {_MOST})")
    return raw


def _write_all(files: dict[str, str], got: RunResult) -> list[BpfctlError]:
    """Write what came out to files; that one cannot be written keeps nobody from the rest."""
    failures = []
    for path, raw in ((files.get("data_out"), got.data), (files.get("ctx_out"), got.ctx)):
        if path is not None and path != _STDOUT and raw:
            try:
                _write(path, raw)
            except BpfctlError as error:
                failures.append(error)
    return failures


def _write(path: str, raw: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        raise _failure(f"failed to open {path}", error) from None
    try:
        with open(fd, "wb") as file:
            file.write(raw)
    except OSError as error:
        raise _failure("failed to write output data/ctx", error) from None


def _failure(tried: str, error: OSError | ValueError) -> BpfctlError:
    """Return the error to tell; a ValueError is that of a path with a null byte in it."""
    return KernelError(tried, error.errno or 0) if isinstance(error, OSError) else UsageError(f"{tried}: {error}")


def _bytes(before: bytes | None, after: bytes | None, file: str | None) -> run_view.Bytes | None:
    if after is None:
        return None
    return run_view.Bytes(before or b"", after, file == _STDOUT, None if file == _STDOUT else file)


def _complain(failures: list[BpfctlError]) -> None:
    """Raise what went wrong; bpftool's exit code counts how often."""
    if failures:
        raise UsageError("; ".join(failure.sentence for failure in failures), exit_code=-len(failures) & 0xFF)
