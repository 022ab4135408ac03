"""Several BTFs in one, with each type once.

::

    whole = merge([BTF.from_bytes(blob) for blob in blobs])
    whole.data          # BTF
    whole.ids[2][7]     # what type 7 of the third blob has become

What the parts have in common is found by `btf.dedup`. Variables and sections of all parts are kept
side by side: putting the contents of sections together is a linker's work, and their sizes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf._record import copy
from btf._table import Table
from btf.dedup import dedup
from btf.read import BTF
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Iterable


class Merged(NamedTuple):
    """A BTF made out of several: its bytes, and for each of them by old id the new one."""

    data: bytes
    ids: list[list[int]]


def merge(parts: Iterable[BTF], base: BTF | None = None) -> Merged:
    """Return one BTF of all the types of ``parts``.

    With ``base`` it is a split BTF over that, and parts split over the same one stay so. Any other
    base of a part is taken in like a part, once. The byte order is that of the base or the first part.

    Raises BTFError when a type is damaged or of a kind newer than this library.
    """
    parts = list(parts)
    first = base if base is not None or not parts else parts[0]
    builder = Builder(byteorder=first.byteorder if first is not None else "little", base=base, reuse=True)
    known = {below: list(range(below.ids.stop)) for below in (base.parts if base is not None else ())}
    sums = [_append(builder, part, known) for part in parts]
    data, ids = dedup(BTF.from_bytes(builder.build(), base))
    return Merged(data, [[ids[type_id] for type_id in numbers] for numbers in sums])


def _append(builder: Builder, part: BTF, known: dict[BTF, list[int]]) -> list[int]:
    """Add a BTF after its bases unless it is known; return its new ids."""
    if part in known:
        return known[part]
    ids = _append(builder, part.base, known) if part.base is not None else [0]
    ids = ids + list(range(builder.next_id, builder.next_id + len(part)))
    copy(Table(part), part.ids, builder, ids)
    known[part] = ids
    return ids
