"""Types from an enemy: arbitrary ones, and a few that seem harmless."""

from __future__ import annotations

from struct import pack

from hypothesis import strategies as st

from btf.read import BTF
from btf.write import Builder

_STRINGS = b"\0e\0s\0abc\0\xff\0"
_HEADS = st.builds(
    lambda kind, vlen, flag: flag << 31 | kind << 24 | vlen, st.integers(0, 20), st.integers(0, 4), st.booleans()
)


def any_types(largest: int) -> st.SearchStrategy[bytes]:
    """Return blobs with arbitrary words as type section: small ones, up to a largest, are often ids and names."""
    words = st.one_of(st.integers(0, largest), _HEADS, st.integers(0, 0xFFFFFFFF))
    return st.lists(words, max_size=40).map(_with_header)


def _with_header(section: list[int]) -> bytes:
    size = 4 * len(section)
    header = pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, size, size, len(_STRINGS))
    return header + pack(f"<{len(section)}I", *section) + _STRINGS


def bomb() -> BTF:
    """Return a struct without a name in which two are nested, and so on: a billion members by as many ways."""
    b = Builder()
    inner = b.add_struct("", 0, [("x", b.add_int("int", 4))])
    for _ in range(30):
        inner = b.add_struct("", 0, [("", inner), ("", inner)])
    b.add_struct("s", 0, [("", inner)])
    return BTF.from_bytes(b.build())
