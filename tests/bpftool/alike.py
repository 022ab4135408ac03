"""
Many map commands at once, by bpftool and by bpfctl: they must answer in the same bytes.

A start of bpftool takes a tenth of a second in a guest, which thousands of commands cannot have. So the commands that
succeed are given to both programs as batches; one that fails ends a batch, and is asked alone.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tests.bpftool import differences, peer
from tests.kernel import client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

VOICES: tuple[list[str], ...] = (["-j"], ["-p"], [])


class _Side(NamedTuple):
    """One of the two programs, None for ours, and the map that ``{}`` stands for in its commands."""

    tool: str | None
    map_id: int = 0


class Alike:
    """Compares; ``compared`` counts the answers that were, ``documents`` are the JSON of what succeeded."""

    def __init__(self, folder: Path, tool: str) -> None:
        self._file = folder / "batch"
        self._tool = tool
        self._stdin: int | None = None
        self.compared = 0
        self.documents: list[bytes] = []

    def reading(self, good: Sequence[str], bad: Iterable[str] = ()) -> None:
        """Compare commands that change nothing, the GOOD in all voices; of the BAD, which fail, only two of each."""
        mine, theirs = _Side(None), _Side(self._tool)
        for voice in VOICES if good else ():
            try:
                self._compare(voice, good, mine, theirs)
            except AssertionError:
                for line in good:  # which of them it is
                    self._compare_one(voice, line, mine, theirs, fails=False)
                raise
        failures: dict[str, list[str]] = {}
        for line in bad:
            failures.setdefault(line.split()[1], []).append(line)
        for several in failures.values():
            self._compare_one(["-j"], several[0], mine, theirs)
            self._compare_one([], several[-1], mine, theirs)

    def writing(self, make: Callable[[], int], lines: Sequence[str], *, stdin: int | None = None) -> list[str]:
        """Compare commands on maps alike, one for each program; return those that both refuse."""
        self._stdin = stdin
        scout = _Side(None, client.id_of("map", make()))
        answers = [(line, self._ask(scout, [], line).rc) for line in lines]
        for voice in VOICES:
            mine, theirs = (_Side(tool, client.id_of("map", make())) for tool in (None, self._tool))
            for failed, answered in groupby(answers, key=lambda answer: answer[1] != 0):
                several = [line for line, _ in answered]
                if not failed:
                    self._compare(voice, several, mine, theirs)
                for line in several if failed else ():
                    self._compare_one(voice, line, mine, theirs)
        return [line for line, code in answers if code]

    def _compare(self, voice: list[str], lines: Sequence[str], mine: _Side, theirs: _Side) -> None:
        """Compare commands that succeed."""
        answers = []
        for side in (mine, theirs):
            self._file.write_text("".join(f"{line.format(f'id {side.map_id}')}\n" for line in lines))
            answers.append(self._ask(side, voice, f"batch file {self._file}"))
        # JSON tells each command, and with it the map's id.
        told = re.sub(rb'("id",\s*)"%d"' % mine.map_id, rb'\1"%d"' % theirs.map_id, answers[0].stdout)
        answer = differences.without_warning(answers[0]._replace(stdout=told))
        expected = differences.without_stale_errno(answers[1], len(lines))

        assert expected.rc == 0, (voice, lines)
        assert answer == expected, (voice, lines)
        self.compared += len(lines)
        self.documents += [answer.stdout] if voice == ["-j"] else []

    def _compare_one(self, voice: list[str], line: str, mine: _Side, theirs: _Side, *, fails: bool = True) -> None:
        answer, expected = (differences.without_warning(self._ask(side, voice, line)) for side in (mine, theirs))

        assert differences.without_hint(answer) == expected, (voice, line)
        assert fails == (answer.rc != 0), (voice, line, answer)
        self.compared += 1

    def _ask(self, side: _Side, voice: list[str], line: str) -> peer.Answer:
        words = [*voice, *line.format(f"id {side.map_id}").split()]
        if side.tool is None:
            return peer.inside(*words, stdin=self._stdin)
        return peer.run(side.tool, *words, stdin=self._stdin)


def spelled(raw: bytes) -> str:
    """Return bytes as words for key and value."""
    return f"hex {raw.hex(' ')}"
