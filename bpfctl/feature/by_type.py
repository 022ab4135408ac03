"""What the types of a kernel alone tell of what an object needs, be it of this kernel or of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer
from bpfctl.uapi.flags import MapFlag
from btf import types
from btf.check import misfit
from btf.errors import BTFError

if TYPE_CHECKING:
    from bpfctl.feature.need import Need
    from bpfctl.feature.types import Place, Types
    from bpfctl.spec import ObjectSpec

NO_TYPES = Answer(UNKNOWN, "the kernel does not tell its types")
#: Enumerators of the kernel's own types that say which tags of pointers it knows.
_TAGS = {
    "kptr": "BPF_KPTR_REF",
    "kptr_untrusted": "BPF_KPTR_UNREF",
    "percpu_kptr": "BPF_KPTR_PERCPU",
    "uptr": "BPF_UPTR",
}
_KIND_OF_FIELDS = "btf_field_type"


def plain(name: str) -> str:
    """Return a name without its flavour."""
    return name.partition("___")[0]


def kfunc(need: Need, spec: ObjectSpec, known: Types | None) -> Answer:
    """Return whether there is a function of the type that the object takes it for."""
    return _extern(need, spec, known, types.Func, "function")


def variable(need: Need, spec: ObjectSpec, known: Types | None) -> Answer:
    """Return whether there is a variable of the type that the object takes it for."""
    return _extern(need, spec, known, types.Var, "variable")


def place(name: str, known: Types) -> Place | None:
    """Return where a function is."""
    return known.find(plain(name), types.Func)


def _extern(need: Need, spec: ObjectSpec, known: Types | None, kind: type[types.Func | types.Var], word: str) -> Answer:
    if known is None:
        return NO_TYPES
    found = known.find(plain(need.name), kind)
    if found is None:
        return Answer(NO, f"the kernel's types have no {word} {plain(need.name)}")
    theirs = found.btf.type(found.type_id)
    if need.extern is None or spec.btf is None or not isinstance(theirs, types.Func | types.Var):
        return AVAILABLE
    try:
        reason = misfit(spec.btf, need.extern.type_id, found.btf, theirs.type_id)
    except BTFError as error:
        return Answer(UNKNOWN, str(error))
    return Answer(NO, f"it {reason}") if reason else AVAILABLE


def field(need: Need, known: Types | None) -> Answer:
    """Return whether the kernel knows what a map's value has in it."""
    if known is None:
        return NO_TYPES
    tag = _TAGS.get(need.name)
    if tag is None:
        return _struct(need.name, known)
    kinds = known.vmlinux.find(_KIND_OF_FIELDS, types.Enum)
    if kinds is None:
        return Answer(UNKNOWN, f"the kernel's types have no enum {_KIND_OF_FIELDS}")
    return AVAILABLE if any(one.name == tag for one in kinds.values) else Answer(NO, f"the kernel has no {tag}")


def struct_ops(need: Need, known: Types | None) -> Answer:
    """Return whether the kernel lets programs fill in a struct of functions."""
    if known is None:
        return NO_TYPES
    linked = need.map is not None and need.map.flags & MapFlag.LINK
    if linked and b"\0BPF_F_LINK\0" not in known.vmlinux.strings:
        return Answer(NO, "the kernel has no links for structs of functions")
    return _struct(f"bpf_struct_ops_{plain(need.name)}", known)


def _struct(name: str, known: Types) -> Answer:
    found = known.find(name, types.Struct)
    return AVAILABLE if found is not None else Answer(NO, f"the kernel's types have no struct {name}")
