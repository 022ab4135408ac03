"""The sessions that the documents show: commands behind ``$``, and below each what it has printed.

    <!-- needs pmu:kprobe -->
    ```console
    $ bpfctl map show name flows
    7: hash  name flows  flags 0x0
    ...
    ```

They are run in a `tests.kernel.shown.World`, and what is shown has to look like what comes: numbers may be others, and
``...`` stands for any lines, or for anything within a line. A comment above a session says what more there is to know:

* ``needs WORD...``: what it takes of a kernel, in the words of tests/kernel/facts.py;
* ``exit N``: the exit code, where it is not 0;
* ``goes on``: until Ctrl-C, which comes after the first output;
* ``lines REGEX``: what happens on a machine is never the same: each line that is shown matches this, and so does one
  that comes.

``python -m tests.meta.consoles FILE...`` runs the sessions that show nothing yet, and writes what they print.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "howto").glob("*.md"))]
_SESSION = re.compile(r"^((?:<!-- .* -->\n)*)```console\n((?:.*\n)*?)```$", re.MULTILINE)
_COMMENT = re.compile(r"<!-- (needs|exit|lines|goes on) ?(.*) -->")
_NUMBER = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{16}\b|\d+(?:[.,:T+-]\d+)*")
_LOOSE = r"(?:0x[0-9a-f]+|[0-9a-f]{16}|\d+(?:[.,:T+-]\d+)*)"
_ANY = "..."
_STATISTICS = re.compile(r" run_time_ns \d+ run_cnt \d+")  # which another process may have turned on


def furnish() -> None:
    """Put into this folder what the documents speak of besides: an object that no kernel takes."""
    from tests.build.compiled import everything

    Path("prog.o").write_bytes(everything()["helper_missing"].read_bytes())


class Shown(NamedTuple):
    """A command in a document, and what the document says of it."""

    page: str
    line: str
    output: tuple[str, ...]
    needs: tuple[str, ...] = ()
    status: int = 0
    goes_on: bool = False
    lines: str = ""

    def agrees(self, output: str) -> bool:
        """Return whether this output looks like what is shown."""
        if self.lines:
            match = re.compile(self.lines).fullmatch
            return all(map(match, self.output)) and any(map(match, output.splitlines()))
        pattern = "".join(
            r"(?:.*\n)*?" if line.strip() == _ANY else rf"{_loosely(line.rstrip())}[ \t]*\n" for line in self.output
        )
        text = "".join(f"{line.rstrip()}\n" for line in _STATISTICS.sub("", output).splitlines())
        return re.fullmatch(pattern, text) is not None


def _loosely(line: str) -> str:
    """Return a pattern for a line: numbers may be others, and so may be the room before them."""
    if _ANY in line:
        return ".*".join(_loosely(part) for part in line.split(_ANY))
    parts = re.split(r"(\s+)", _NUMBER.sub("\0", line))
    return "".join(r"\s+" if part.isspace() else re.escape(part).replace("\0", _LOOSE) for part in parts)


def of(page: Path) -> list[Shown]:
    """Return all commands that a page shows, in its order."""
    found = []
    for comments, session in _SESSION.findall(page.read_text()):
        said = dict(_COMMENT.findall(comments))
        for line, output in _commands(session):
            found.append(
                Shown(
                    page.relative_to(ROOT).as_posix(),
                    line,
                    tuple(output),
                    tuple(said.get("needs", "").split()),
                    int(said.get("exit", 0)),
                    "goes on" in said,
                    said.get("lines", ""),
                )
            )
    return found


def _commands(session: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in session.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def fill(page: Path) -> None:
    """Write what commands print into the sessions of a page that show nothing yet."""
    from tests.kernel.shown import World

    with World() as world:
        furnish()

        def filled(found: re.Match[str]) -> str:
            comments, session = found.groups()
            commands = _commands(session)
            if any(output for _, output in commands):
                return found[0]
            lines = []
            for line, _ in commands:
                done = world.run(line, goes_on="<!-- goes on -->" in comments)
                print(f"{done.status} {line}", file=sys.stderr)
                lines += [f"$ {line}", *(done.out + done.err).splitlines()]
            body = "".join(f"{line.rstrip()}\n" for line in lines)
            return f"{comments}```console\n{body}```"

        page.write_text(_SESSION.sub(filled, page.read_text()))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        fill(Path(name).resolve())
