"""
Many map commands at once, by bpftool and by bpfctl: they must answer in the same bytes.

A start of bpftool takes a tenth of a second in a guest, which a thousand commands cannot have. So the commands that
succeed are given to both programs as batches; one that fails ends a batch, and is asked alone.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tests.bpftool import differences, peer
from tests.kernel import client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

VOICES: tuple[list[str], ...] = (["-j"], ["-p"], [])
FAILING: tuple[list[str], ...] = (["-j"], [])  # an error has no more lines in -p


class _Group(NamedTuple):
    """Commands that follow each other, which all succeed, or one that fails; ``{}`` stands for the map."""

    lines: list[str]
    succeed: bool


class Alike:
    """Compares; ``compared`` counts the answers that were."""

    def __init__(self, folder: Path, tool: str) -> None:
        self._file = folder / "batch"
        self._tool = tool
        self.compared = 0

    def reading(self, lines: Iterable[str], *, stdin: int | None = None) -> list[str]:
        """Compare commands that change nothing; return those that both refuse."""
        answers = {line: not peer.inside("-j", *line.split(), stdin=stdin).rc for line in dict.fromkeys(lines)}
        good = [line for line, succeeds in answers.items() if succeeds]
        bad = [line for line, succeeds in answers.items() if not succeeds]
        for voice in VOICES if good else ():
            if not self._same(voice, _Group(good, succeed=True), stdin=stdin):
                for line in good:  # which of them it is
                    assert self._alone(line, voice, stdin) == self._alone(line, voice, stdin, self._tool), (voice, line)
                raise AssertionError(f"only as a batch they differ: {voice} {good}")
        for voice in FAILING:
            for line in bad:
                assert self._alone(line, voice, stdin) == self._alone(line, voice, stdin, self._tool), (voice, line)
        self.compared += len(VOICES) * len(good) + len(FAILING) * len(bad)
        return bad

    def writing(self, make: Callable[[], int], lines: Sequence[str], *, stdin: int | None = None) -> list[str]:
        """Compare commands on maps alike, one for each program; return those that both refuse."""
        scout = client.id_of("map", make())
        answers = [(line, not self._alone(line, ["-j"], stdin, id_=scout).rc) for line in lines]
        bad = [line for line, succeeds in answers if not succeeds]
        groups: list[_Group] = []
        for succeeds, several in groupby(answers, key=lambda answer: answer[1]):
            told = [line for line, _ in several]
            groups += [_Group(told, succeed=True)] if succeeds else [_Group([line], succeed=False) for line in told]
        for voice in VOICES:
            ids = client.id_of("map", make()), client.id_of("map", make())
            for group in groups:
                assert self._same(voice, group, ids, stdin), (voice, group.lines)
        self.compared += len(VOICES) * len(lines)
        return bad

    def _same(self, voice: list[str], group: _Group, ids: tuple[int, int] = (0, 0), stdin: int | None = None) -> bool:
        mine, theirs = ids
        if not group.succeed:
            (line,) = group.lines
            expected = self._alone(line, voice, stdin, self._tool, theirs)
            return self._alone(line, voice, stdin, id_=mine) == expected and bool(expected.rc)
        told = []
        for tool, id_ in ((None, mine), (self._tool, theirs)):
            self._file.write_text("".join(f"{line.format(f'id {id_}')}\n" for line in group.lines))
            told.append(self._alone(f"batch file {self._file}", voice, stdin, tool))
        expected = differences.without_stale_errno(told[1], len(group.lines))
        # JSON tells each command, and with it the map's id.
        answer = told[0]._replace(stdout=told[0].stdout.replace(b'"%d"' % mine, b'"%d"' % theirs))
        return (answer.rc, answer) == (0, expected)

    @staticmethod
    def _alone(line: str, voice: list[str], stdin: int | None, tool: str | None = None, id_: int = 0) -> peer.Answer:
        words = [*voice, *line.format(f"id {id_}").split()]
        return peer.run(tool, *words, stdin=stdin) if tool else peer.inside(*words, stdin=stdin)


def spelled(raw: bytes) -> str:
    """Return bytes as words for key and value."""
    return f"hex {raw.hex(' ')}"
