"""Takes the pictures in docs/screens: runs real commands in a terminal (tmux) and keeps what stands on it, as SVG.

Run as root in a checkout: python -m docs.screens [NAME...]
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack
from io import StringIO
from itertools import count
from pathlib import Path
from typing import NamedTuple, Self

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI, TerminalTheme
from rich.text import Text

FOLDER = Path(__file__).resolve().parent / "screens"
_PATIENCE = 300.0  # seconds; an installation fetches what it needs
_A_LOOK = 5.0  # seconds in which completion surely answers
_STILL = 2  # looks at the same screen
_PROMPT = "$"
_SERVERS = count()  # of tmux, each of which takes a moment to end
#: rich's frame of a window, without fonts from another host.
_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px }}
.{unique_id}-title {{ font-size: 16px; font-family: sans-serif }}
{styles}
</style>
<defs>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
_COLORS = DIMMED_MONOKAI.ansi_colors
#: A terminal that is readable on light pages and on dark ones.
_THEME = TerminalTheme(
    (24, 27, 33),
    (222, 225, 230),
    [tuple(_COLORS[number]) for number in range(8)],  # type: ignore[misc]  # they are triples
    [tuple(_COLORS[number]) for number in range(8, 16)],  # type: ignore[misc]
)


class Screen:
    """A shell in a terminal of so many columns and lines; what is typed is run there, and the screen can be read."""

    def __init__(self, columns: int, lines: int, shell: str = "bash --norc --noprofile") -> None:
        self._tmux = ["tmux", "-L", f"bpfctl-{os.getpid()}-{next(_SERVERS)}", "-f", "/dev/null"]
        self._size = ["-x", str(columns), "-y", str(lines)]
        self._shell = shell

    def __enter__(self) -> Self:
        environment = {**os.environ, "PS1": "$ ", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        environment |= {"HISTFILE": "", "PROMPT": "$ ", "PAGER": "cat"}
        self._call("new-session", "-d", *self._size, f"env 'PS1=$ ' {self._shell}", environment=environment)
        self._call("set", "-g", "status", "off")
        self.settle()
        return self

    def __exit__(self, *_: object) -> None:
        self._call("kill-server")

    def _call(self, *words: str, environment: dict[str, str] | None = None) -> str:
        done = subprocess.run([*self._tmux, *words], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def keys(self, *names: str) -> None:
        """Press keys, by tmux's names for them."""
        self._call("send-keys", *names)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._call("send-keys", "-l", text)

    def clear(self) -> None:
        """Have an empty screen."""
        self.keys("C-l")
        self.settle()

    def run(self, line: str, seconds: float = 0) -> None:
        """Type a command, and wait until it has ended; one that goes on gets Ctrl-C after so many seconds."""
        self.type(line)
        self.keys("Enter")
        if seconds:
            time.sleep(seconds)
        else:
            self.settle(ends=True)

    def complete(self, presses: int) -> None:
        """Press TAB until there is a list, at most so often."""
        for _ in range(presses):
            before, end = self.text(), time.monotonic() + _A_LOOK
            self.keys("Tab")
            while self.text() == before and time.monotonic() < end:
                time.sleep(0.2)
            self.settle()
            if len(self.text().strip().splitlines()) > 1:
                return

    def settle(self, *, ends: bool = False) -> None:
        """Wait until nothing changes any more; with ``ends`` until the shell asks for the next command."""
        end, before, same = time.monotonic() + _PATIENCE, "", 0
        while time.monotonic() < end:
            time.sleep(0.3)
            now = self.text()
            lines = now.rstrip().splitlines()
            same = same + 1 if now == before else 0
            if same > _STILL and (not ends or (lines and lines[-1].strip() == _PROMPT)):
                return
            before = now
        raise TimeoutError(f"the screen does not come to rest:\n{before}")

    def text(self, *, colors: bool = False) -> str:
        """Return what stands on the screen."""
        return self._call("capture-pane", "-p", *(["-e"] if colors else []))


def svg(text: str, columns: int, title: str) -> str:
    """Draw what a terminal shows."""
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text.rstrip("\n")), crop=False)
    name = "t" + "".join(filter(str.isalnum, title))[:16]
    drawn = console.export_svg(title=title, theme=_THEME, code_format=_SVG, font_aspect_ratio=0.602, unique_id=name)
    return "".join(f"{line.rstrip()}\n" for line in drawn.splitlines() if line.strip())


class Shot(NamedTuple):
    """A picture: the command, how wide and high the terminal is, and after how many seconds it is taken."""

    line: str
    columns: int = 100
    lines: int = 40
    seconds: float = 0
    tab: bool = False  # press TAB instead of Enter


SHOTS = {
    "prog-list": Shot("bpfctl prog list --owner python", columns=120),
    "map-dump": Shot("bpfctl map dump name flows"),
    "probe-count": Shot("bpfctl probe count 'syscalls:sys_enter_*' --top 8", seconds=5),
    "probe-latency": Shot("bpfctl probe latency syscalls:sys_enter_openat --duration 3"),
    "probe-show": Shot("bpfctl probe show sched:sched_process_exec"),
    "btf-show": Shot("bpfctl btf show sockaddr_in"),
    "feature-check": Shot("bpfctl feature check program.o --report before.json --unmet"),
    "explain": Shot("bpfctl explain ringbuf"),
    "tab": Shot("bpfctl map dump name ", lines=14, tab=True),
}


def take(shot: Shot) -> str:
    """Return what stands on the screen, with its colours."""
    with Screen(shot.columns, shot.lines) as screen:
        if shot.tab:
            screen.run("source <(bpfctl completion bash)")
        screen.clear()
        if shot.tab:
            screen.type(shot.line)
            screen.complete(3)
        else:
            screen.run(shot.line, shot.seconds)
        text = screen.text(colors=True).rstrip()
        if shot.seconds:
            screen.keys("C-c")
            screen.settle(ends=True)
    lines = text.splitlines()
    return "\n".join(lines[:-1] if not (shot.seconds or shot.tab) else lines)  # without the next prompt


def main(names: list[str]) -> None:
    """Take the pictures of these names, or all."""
    from tests.kernel.shown import World

    FOLDER.mkdir(exist_ok=True)
    with World(), ExitStack() as stack:
        commands = stack.enter_context(_as_a_command())
        os.environ["PATH"] = f"{commands}:{os.environ['PATH']}"
        for name in names or SHOTS:
            shot = SHOTS[name]
            (FOLDER / f"{name}.svg").write_text(svg(take(shot), shot.columns, shot.line))
            print(name)


class _as_a_command:  # noqa: N801 - it is used as a function
    """Have this checkout be the command bpfctl."""

    def __enter__(self) -> Path:
        self._folder = Path.cwd() / "bin"
        self._folder.mkdir()
        script = self._folder / "bpfctl"
        root = shlex.quote(str(Path(__file__).resolve().parents[1]))
        script.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {shlex.quote(sys.executable)} -P -m bpfctl "$@"\n')
        script.chmod(0o755)
        return self._folder

    def __exit__(self, *_: object) -> None:
        (self._folder / "bpfctl").unlink()
        self._folder.rmdir()


if __name__ == "__main__":
    main(sys.argv[1:])
