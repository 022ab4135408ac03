"""Kernel functions that programs may call, by name (Documentation/bpf/kfuncs.rst).

Since Linux 6.9 the kernel's BTF marks them (commit 6f3189f38a3e, "bpf: treewide: Annotate BPF kfuncs in BTF"), if it
was built with a pahole that does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.feature.answer import AVAILABLE, UNKNOWN, Answer
from btf.kind import DECL_TAG
from btf.types import DeclTag

if TYPE_CHECKING:
    from btf.read import BTF

_MARK = "bpf_kfunc"


def all_of(types: BTF | None) -> dict[str, Answer]:
    """Return the kfuncs of the kernel itself, without those of its modules, in the order of the alphabet."""
    if types is None:
        return {"any": Answer(UNKNOWN, "it needs the kernel's BTF")}
    marks = (types.type(found) for found in types.ids_named(_MARK) if types.kind(found) == DECL_TAG)
    names = sorted({types.name(mark.type_id) for mark in marks if isinstance(mark, DeclTag)})
    if not names:
        return {"any": Answer(UNKNOWN, "the kernel's BTF does not mark them")}
    return dict.fromkeys(names, AVAILABLE)
