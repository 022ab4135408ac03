"""Each type once: what several compilers' outputs have in common, kept in one copy.

::

    whole = dedup(BTF.from_bytes(blob))
    whole.data          # BTF again
    whole.ids[old]      # the new id of each type that was there

Two types are the same when nothing tells them apart, however far their references are followed
(`btf._partition`). Kept is the one with the lowest id, a base's before any other; the order of the
others does not change. These are the exceptions:

- A forward declaration is replaced by the struct or union that it announces, and an enum without
  values by the enum, when there is one of this name and not two different ones. When there are
  several, it is replaced by the one that stands in its place in a type of the same name and shape.
- Variables and sections stay as they are: two static variables may agree in name and type.
- A base is not changed, nor are its forward declarations replaced.

The results are those of libbpf's btf__dedup (src/btf.c), which compares pairs of graphs, where that
finds all that is equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf._equal import Graph
from btf._record import copy
from btf.write import Builder

if TYPE_CHECKING:
    from btf.read import BTF


class Rewritten(NamedTuple):
    """A BTF made out of another one: its bytes, and by old id the new one, those of a base included."""

    data: bytes
    ids: list[int]


def dedup(btf: BTF) -> Rewritten:
    """Return the BTF with each type once; a split BTF stays split over the same base.

    Raises BTFError when a type is damaged or of a kind newer than this library.
    """
    graph = Graph(btf)
    classes, leaders = graph.classes()
    kept: dict[int, int] = {}
    for type_id, number in enumerate(classes):
        if type_id not in leaders:
            kept.setdefault(number, type_id)
    ids = list(range(btf.ids.start)) + [0] * len(btf)
    builder = Builder(byteorder=btf.byteorder, base=btf.base, reuse=True)
    staying = [type_id for type_id in btf.ids if kept[classes[type_id]] == type_id]
    for new, type_id in enumerate(staying, btf.ids.start):
        ids[type_id] = new
    for type_id in btf.ids:
        ids[type_id] = ids[kept[classes[type_id]]]
    # what the types that stay refer to may be one of two equal types of a base
    references = [ids[kept[number]] for number in classes]
    copy(graph.table, staying, builder, references)
    return Rewritten(builder.build(), ids)
