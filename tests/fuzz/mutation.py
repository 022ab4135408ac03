"""Changes of BTF that most often leave it readable, so that what comes after reading is fuzzed too."""

from __future__ import annotations

from array import array
from random import Random
from struct import pack, unpack_from
from typing import TYPE_CHECKING

from btf import elf, kind

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADER = 24
_EDGES = (0, 1, 3, 8, 31, 32, 63, 64, 127, 128, 0xFFFF, 1 << 16, 1 << 24, 3 << 24 | 5, 0x7FFFFFFF, 1 << 31, 0xFFFFFFFF)


def mutate(data: bytes, longest: int, seed: int, plainly: Callable[[bytes, int], bytes]) -> bytes:
    """Return another input; ``plainly`` mutates bytes without knowing what they are."""
    rng = Random(seed)
    if rng.random() < 0.2:
        return plainly(data, longest)
    if data.startswith(elf.MAGIC):
        return _in_place(rng, data)
    parts = _parts(data)
    if parts is None:
        return plainly(data, longest)
    sign, records, strings = parts
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        if rng.random() < 0.1 and strings:
            at = rng.randrange(len(strings))
            strings = strings[:at] + rng.choice((b"\0", b"a", b"\xff", b"s", b"___x")) + strings[at + 1 :]
        else:
            _change(rng, records, len(strings))
    if rng.random() < 0.02:
        sign = "<" if sign == ">" else ">"
    made = _joined(sign, records, strings)
    return made if len(made) <= longest else plainly(data, longest)


def _in_place(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(0, len(data) - 4, 4)
        changed[at : at + 4] = _word(rng, 16, 64).to_bytes(4, rng.choice(("little", "big")))
    return bytes(changed)


def _parts(data: bytes) -> tuple[str, list[list[int]], bytes] | None:
    """Take a blob apart into byte order, types and strings; None when it is too damaged for that."""
    sign = {b"\x9f\xeb": "<", b"\xeb\x9f": ">"}.get(data[:2])
    if sign is None or len(data) < _HEADER:
        return None
    _, length, start, strings = unpack_from(f"{sign}IIII", data, 8)
    if length % 4 or _HEADER + max(length, start + strings) > len(data):
        return None
    words = unpack_from(f"{sign}{length // 4}I", data, _HEADER)
    records, at = [], 0
    while at + 2 < len(words):
        fixed, each = kind.WORDS.get(kind.of(words[at + 1]), (3, 0))
        stop = at + fixed + each * kind.vlen(words[at + 1])
        records.append(list(words[at:stop]))
        at = stop
    return sign, records, data[_HEADER + start : _HEADER + start + strings]


def _joined(sign: str, records: list[list[int]], strings: bytes) -> bytes:
    words = array("I", [word for record in records for word in record])
    length = 4 * len(words)
    head = pack(f"{sign}HBBIIIII", 0xEB9F, 1, 0, _HEADER, 0, length, length, len(strings))
    return head + pack(f"{sign}{len(words)}I", *words) + strings


def _change(rng: Random, records: list[list[int]], strings: int) -> None:
    """Change one type, or where it is."""
    what, count = rng.random(), len(records)
    at = rng.randrange(count) if records else 0
    if not records or what < 0.15:
        records.insert(at, _new(rng, count, strings))
    elif what < 0.25:
        del records[at]
    elif what < 0.35:
        records.insert(rng.randrange(count), list(records[at]))
    elif what < 0.4:
        other = rng.randrange(count)
        records[at], records[other] = records[other], records[at]
    elif what < 0.5:
        records[at] = _new(rng, count, strings)
    else:
        record = records[at]
        word = rng.randrange(len(record))
        if word == 1 and rng.random() < 0.8:
            record[1] ^= rng.choice((1 << 31, 1, 2, 1 << 24, 1 << 30))
        else:
            record[word] = _word(rng, count, strings)


def _new(rng: Random, count: int, strings: int) -> list[int]:
    """Return a type of any kind with members of any sort."""
    number = rng.choice(list(kind.WORDS))
    fixed, each = kind.WORDS[number]
    vlen = rng.randrange(4) if each or number == kind.FUNC else 0
    info = rng.choice((0, 0, 1)) << 31 | number << 24 | vlen
    rest = [_word(rng, count, strings) for _ in range(fixed - 2 + each * vlen)]
    return [rng.randrange(max(strings, 1)), info, *rest]


def _word(rng: Random, count: int, strings: int) -> int:
    """Return what may be an id, the offset of a string, a size or a place in a struct."""
    what = rng.random()
    if what < 0.5:
        return rng.randrange(count + 2)
    if what < 0.6:
        return rng.randrange(max(strings, 1))
    if what < 0.75:
        return rng.choice((0, 1, 2, 4, 8, 16, 32, 64, 96))
    if what < 0.95:
        return rng.choice(_EDGES)
    return rng.getrandbits(32)
