"""What a command gets: the output and the global options."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bpfctl.cli.options import Options
    from bpfctl.render.output import Output


class Session(NamedTuple):
    """One run of the program."""

    out: Output
    options: Options
    depth: int = 0  # how many batch files are running each other
    command: tuple[str, ...] = ()  # what stands behind --, for commands that run another


class Direct(NamedTuple):
    """Stands for Typer's context where a command is called without Typer."""

    obj: Session
