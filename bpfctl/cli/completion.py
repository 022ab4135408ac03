"""bpfctl completion: the scripts that have shells complete command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPTS: Mapping[str, str] = {"bash": "bpfctl.bash", "zsh": "_bpfctl", "fish": "bpfctl.fish"}


def show(ctx: opt.Context, words: opt.Words = None) -> None:
    """Write the script that completes command lines in a shell: bash, zsh or fish.

    TAB then completes words, options, ids, names, pins, probes and their fields. The package installs the scripts
    where shells of the same prefix look for them.
    """
    from importlib.resources import files

    left = grammar.Words(words)
    shell = left.next("the shell (bash, zsh or fish)")
    left.end()
    if shell not in SCRIPTS:
        raise UsageError(f"there is a script for bash, zsh and fish, not for '{shell}'")
    text = (files("bpfctl.completions") / SCRIPTS[shell]).read_text(encoding="utf-8")
    ctx.obj.out.lines(text.splitlines(), text)
