"""The differences to bpftool that docs/differences.md lists, and what they do to bytes that are compared.

Whoever excuses a difference names its row there: ``excuse`` refuses what the document does not tell.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kernel import client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bpftool.listing import Pieces
    from tests.bpftool.peer import Answer
    from tests.kernel.zoo import Zoo

DOCUMENT = Path(__file__).parents[2] / "docs" / "differences.md"

NO_MATCH = "`show name X`, nothing matches"
LINK_STATUS = "`link show id N`"
STALE_BTF_ID = "`btf_id` of maps without BTF, on newer kernels"
NOT_ESCAPED = "quotes and control characters in strings and error messages, bytes that are not UTF-8"
RAW_TEXT = "control characters in plain text"
NEW_TYPES = "types newer than the tool"
OWNERS = "`pids`"
BATCH_ERRNO = "`batch` that succeeds"
BATCH_LINE = "`batch` that fails"
PINNED_LINK = "`map show pinned FILE`, a link is pinned there"
RIGHTS = "missing rights, also to what is frozen"
MEANT = "a word that cannot stand where it does, but is like one that can"
SHORT = "too few words"
MOUNT = "mounting a BPF file system to pin into a folder"
FULL_DISK = "a full disk"
CLOSED = "a closed stdout"
PROG_ARRAY = "a warning when a program is put into a program array"
VERSION = "`version`"

_MAP_BTF_ID = 64  # where struct bpf_map_info has it


@cache
def rows() -> dict[str, tuple[str, str]]:
    """Return the document's table: what differs, how bpftool does it, how bpfctl does it."""
    table = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert cells[0] == ["what", "bpftool 7.8", "bpfctl"]
    return {what: (theirs, ours) for what, theirs, ours in cells[2:]}


def without_stale_btf_id(maps: Pieces, zoo: Zoo) -> Pieces:
    """STALE_BTF_ID: leave out of bpftool's lists what it says of the BTF of maps that have none."""
    bare = {made.id for made in zoo.created.values() if made.kind == "map" and not btf_id(made.fd)}
    return {id_: _NO_BTF_ID.sub("", piece) if id_ in bare else piece for id_, piece in maps.items()}


_NO_BTF_ID = re.compile(r',\s*"btf_id": ?\d+|\n\tbtf_id \d+(?=\n)|(?<=\n\t)btf_id \d+  (?=frozen)')


def with_link_status(answer: Answer) -> Answer:
    """LINK_STATUS: an exit code of 255 after a link was shown means success."""
    return answer._replace(rc=0) if answer.rc == 255 and answer.stdout and not answer.stderr else answer


def without_stale_errno(batch: Answer, count: int) -> Answer:
    """BATCH_ERRNO: leave out the error that bpftool may append after the last of COUNT commands that all succeeded."""
    if batch.rc != 255:
        return batch
    told, found = _STALE_ERRNO.subn(rb"\1]\n", batch.stdout)
    if found:
        return batch._replace(rc=0, stdout=told)
    if _STALE_ERRNO_PLAIN.fullmatch(batch.stderr):
        return batch._replace(rc=0, stdout=batch.stdout + f"processed {count} commands\n".encode(), stderr=b"")
    return batch


_STALE_ERRNO = re.compile(rb',\{\s*"error": ?"reading batch file failed: [^"]*"\s*\}(\n?)\]\n\Z')
_STALE_ERRNO_PLAIN = re.compile(rb"Error: reading batch file failed: .*\n")


def with_line(batch: Answer, where: str) -> Answer:
    """BATCH_LINE: add the line of the file to the error of a batch in plain text."""
    return batch._replace(stderr=batch.stderr + f"  in {where}\n".encode()) if batch.stderr else batch


def with_no_match(answer: Answer, sentence: str, options: Iterable[str]) -> Answer:
    """NO_MATCH: put the sentence where bpftool says nothing, in JSON not even a document."""
    if answer == (255, b"\n", b"") and "-p" in options:
        return answer._replace(stdout=f'{{\n    "error": "{sentence}"\n}}\n'.encode())
    if answer == (255, b"\n", b"") and "-j" in options:
        return answer._replace(stdout=f'{{"error":"{sentence}"}}\n'.encode())
    if answer == (255, b"", b"") and not options:
        return answer._replace(stderr=f"Error: {sentence}\n".encode())
    return answer


def without_hint(answer: Answer) -> Answer:
    """RIGHTS, MEANT, SHORT: leave out what to do: behind the message in plain text, else on stderr."""
    return answer._replace(stderr=_HINT.sub(b"", answer.stderr))


_SAID = (
    rb"(?:the map is frozen, which is for good|did you mean '[^']+'\?|'bpfctl [\w ]+ --help' tells what it takes"
    rb"|say which one: [^)\n]+|names in a BPF file system have no dots)"
)
_HINT = re.compile(rb" \(%b\)(?=\n)|\AHint: %b\n" % (_SAID, _SAID))


def without_warning(answer: Answer) -> Answer:
    """PROG_ARRAY: leave out the warning that the array is emptied when nobody holds it, which both have."""
    return answer._replace(stderr=_EMPTIED.sub(b"", answer.stderr))


_EMPTIED = re.compile(
    rb"^Warning: the kernel empties a program array when nobody holds it, so pin it\n"
    rb"|^Warning: updating program array via MAP_ID.*\n +by some process.*\n",
    re.MULTILINE,
)


def with_kind_of_pin(answer: Answer) -> Answer:
    """PINNED_LINK: put the kind that the object has where bpftool passes on what the kernel says of its flags."""
    stdout, stderr = (
        re.sub(rb'bpf obj get \([^)"]*\): Invalid argument', b"incorrect object type: link", text)
        for text in answer[1:]
    )
    return answer._replace(stdout=stdout, stderr=stderr)


_OWNERS = re.compile(r',\s*"pids": ?\[[^\[]*?\]|,\s*"bpf_cookie": ?\d+|\n\tpids .*(?=\n)|\n\tbpf_cookie \d+(?=\n)')


def without_owners(piece: str) -> str:
    """OWNERS: leave out what a bpftool without skeletons does not tell."""
    return _OWNERS.sub("", piece)


def btf_id(fd: int) -> int:
    """Return what the kernel says of a map's BTF."""
    return int(struct.unpack_from("=I", client.info(fd), _MAP_BTF_ID)[0])
