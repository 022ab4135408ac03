"""A new user's first quarter of an hour, typed into a terminal, and kept screen by screen.

From the installation of a wheel into a fresh environment to TAB in three shells, at 80 and at 200 columns. Run as root
in a checkout: python -m docs.quarter_hour WHEEL
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from docs.screens import FOLDER, Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
_A_LOOK = 3.0  # seconds in which a shell surely has read its settings
_PRESSES = 3  # of TAB: bash completes, rings the bell, and only then lists


class Step(NamedTuple):
    """What is typed, and why; what goes on is looked at after so many seconds, and ended."""

    about: str
    line: str
    seconds: float = 0


INSTALL = Step("install", "python3 -m venv try && try/bin/pip install -qq ./*.whl && try/bin/bpfctl version")
STEPS = (
    Step("what is there", "bpfctl --help | head -22"),
    Step("what runs", "bpfctl prog list --owner python"),
    Step("one of them", "bpfctl prog show pinned /sys/fs/bpf/count_packets"),
    Step("what is in a map", "bpfctl map dump name flows"),
    Step("look up one entry", "bpfctl map lookup name flows key 10.0.0.1"),
    Step("find a tracepoint", "bpfctl probe list process_exec"),
    Step("what can be read there", "bpfctl probe show sched:sched_process_exec"),
    Step("count it", "bpfctl probe count sched:sched_process_exec --by comm", 5),
    Step("look at a structure", "bpfctl btf show sockaddr_in"),
    Step("check an object", "bpfctl feature check program.o --unmet"),
    Step("and on another kernel", "bpfctl feature check program.o --report before.json --unmet"),
    Step("a word that is new", "bpfctl explain ringbuf"),
    Step("a slip", "bpfctl map dumb name flows"),
    Step("another", "bpfctl map dump name flow"),
    Step("help", "bpfctl map dump --help | head -22"),
)
#: Each shell, and how its user has it complete.
SHELLS = {
    "bash --norc --noprofile": "source <(bpfctl completion bash)",
    "zsh -f": "autoload -U compinit && compinit -D && source <(bpfctl completion zsh)",
    "fish --no-config": "bpfctl completion fish | source; function fish_prompt; echo '$ '; end",
}
#: Where TAB is pressed.
TABS = (
    "bpfctl pr",
    "bpfctl map dump name ",
    "bpfctl probe count sched:sched_process_e",
    "bpfctl probe count sched:sched_process_exec --by ",
    "bpfctl btf show sockaddr_",
    "bpfctl map create /sys/fs/bpf/m type ",
)


def hour(columns: int, lines: int, wheel: Path) -> str:
    """Return all screens at this width."""
    from tests.kernel.shown import World

    with TemporaryDirectory() as home, chdir(home):
        Path(wheel.name).write_bytes(wheel.read_bytes())
        with Screen(columns, lines) as screen:
            screen.run(INSTALL.line)
            shown = [(INSTALL.about, screen.text())]
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{home}/try/bin:{before}"
        try:
            with World():  # which has a network of its own, and none of the package index
                shown += [*_steps(columns, lines), *_tabs(columns, lines)]
        finally:
            os.environ["PATH"] = before
    rule = "=" * 80
    return "\n".join(f"{rule}\n{about}\n{rule}\n{_clean(text)}\n" for about, text in shown)


def _steps(columns: int, lines: int) -> Iterator[tuple[str, str]]:
    with Screen(columns, lines) as screen:
        for step in STEPS:
            screen.clear()
            screen.run(step.line, step.seconds)
            yield step.about, screen.text()
            if step.seconds:
                screen.keys("C-c")
                screen.settle(ends=True)


def _tabs(columns: int, lines: int) -> Iterator[tuple[str, str]]:
    for shell, setup in SHELLS.items():
        with Screen(columns, lines, shell) as screen:
            screen.type(setup)
            screen.keys("Enter")
            time.sleep(_A_LOOK)
            for typed in TABS:
                screen.clear()
                screen.type(typed)
                screen.complete(_PRESSES)
                yield f"TAB in {shell.split()[0]}: {typed}", screen.text()
                screen.keys("C-c")
                screen.settle(ends=True)


def _clean(text: str) -> str:
    """Return a screen without what is empty, and without names of this checkout."""
    lines = (line.rstrip().replace(f"{ROOT}/", "") for line in text.rstrip().splitlines())
    return "\n".join(lines)


def main(wheel: str) -> None:
    """Write the screens of both widths."""
    path = Path(wheel).resolve()
    for columns, lines in ((80, 24), (200, 50)):
        (FOLDER / f"quarter-hour-{columns}.txt").write_text(hour(columns, lines, path))


if __name__ == "__main__":
    main(sys.argv[1])
