"""Lists and batches taken apart into pieces, and bpftool's pieces compared with bpfctl's.

A list is compared object by object, because objects of other processes come and go meanwhile. What holds the pieces
together is compared all the same: pieces that do not make up the whole output again, byte by byte, are refused.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from tests.bpftool.peer import Answer

    Pieces = dict[Any, str]

# loaded_at may differ by a second between two runs of the same program, and objects of one name come and go; what is
# really different stays so.
ROUNDS = 6


def objects(answer: Answer, options: Iterable[str] = ()) -> Pieces:
    """Return the objects of a list in JSON, indented JSON or plain text, by their ids."""
    assert answer.rc == 0, answer
    assert answer.stderr == b"", answer
    text = answer.stdout.decode(errors="surrogateescape")
    if "-p" in options:
        found, whole = _items(text), "[{}\n]\n"
    elif "-j" in options:
        found, whole = _items(text), "[{}]\n"
    else:
        found, whole = _blocks(text), "{}"
        assert text == "".join(found)
        return _by_id((int(piece.partition(":")[0]), piece) for piece in found)
    assert text == (whole.format(",".join(found)) if found else "[]\n")
    return _by_id((json.loads(piece, strict=False)["id"], piece) for piece in found)


def _by_id(pairs: Iterable[tuple[int, str]]) -> Pieces:
    listed = list(pairs)
    assert [id_ for id_, _ in listed] == sorted({id_ for id_, _ in listed}), "not in the order of ids"
    return dict(listed)


def _items(text: str) -> list[str]:
    decoder = json.JSONDecoder(strict=False)
    found, at = [], 1
    while text[at] == "{":
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end])
        at = end + 1
    return found


def _blocks(text: str) -> list[str]:
    starts = [match.start() for match in re.finditer(r"^\d+: ", text, re.MULTILINE)]
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def outputs(answer: Answer) -> Pieces:
    """Return the output of each command of a batch in JSON, by the command's words."""
    text = answer.stdout.decode(errors="surrogateescape")
    found = _items(text)
    assert text == f"[{','.join(found)}]\n"
    pieces = {}
    for piece in found:
        command = json.loads(piece, strict=False)["command"]
        start = f'{{"command":{json.dumps(command, separators=(",", ":"))},"output":'
        assert piece.startswith(start)
        pieces[tuple(command)] = piece[len(start) : -1]
    return pieces


def settle(ask: Callable[[], tuple[Pieces, Pieces]], wanted: Iterable[Hashable]) -> None:
    """Ask for bpftool's pieces and ours until each of the wanted ones was the same in both at some time.

    A round that cannot be taken apart, because an object vanished while bpftool looked at it, counts for nothing.
    """
    left = set(wanted)
    assert left
    for round_ in range(ROUNDS):
        try:
            theirs, mine = ask()
        except (AssertionError, KeyError, ValueError, IndexError):
            if round_ == ROUNDS - 1:
                raise
            continue
        assert left <= theirs.keys(), "bpftool does not tell of them"
        left = {key for key in left if theirs[key] != mine.get(key)}
        if not left:
            return
    assert {key: mine.get(key) for key in left} == {key: theirs[key] for key in left}
