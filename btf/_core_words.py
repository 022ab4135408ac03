"""Types in a few words, for the reasons that `btf.relo` gives."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from btf import types

if TYPE_CHECKING:
    from btf.read import BTF

#: No reason is clearer for more than this.
_MOST = 8
_KEYWORDS = {
    types.Struct: "struct",
    types.Union: "union",
    types.Enum: "enum",
    types.Enum64: "enum",
    types.Func: "function",
    types.Var: "variable",
    types.Datasec: "section",
}


def keyword(of: types.Type) -> str:
    """Return what stands before a type's name, empty for types that are known by name alone."""
    if isinstance(of, types.Fwd):
        return "union" if of.is_union else "struct"
    return _KEYWORDS.get(type(of), "")


def words(btf: BTF, type_id: int) -> str:
    """Return words for a type, such as ``pointer to struct sock`` or ``unsigned int[4]``."""
    before, after = "", ""
    for _ in range(_MOST):
        of = btf.type(type_id)
        match of:
            case types.Pointer():
                before += "pointer to " if not after else f"array {after} of pointers to "
                after = ""
            case types.Array():
                after += f"[{of.nr_elems}]"
            case types.Const() | types.Volatile() | types.Restrict() | types.TypeTag():
                pass
            case _:
                return f"{before}{_named(of)}{after}"
        type_id = of.type_id
    return f"{before}...{after}"


def _named(of: types.Type) -> str:
    match of:
        case types.Void():
            return "void"
        case types.FuncProto():
            return "function"
        case types.Fwd():
            return f"undefined {keyword(of)} {of.name}"
    if not of.name:
        return f"anonymous {keyword(of) or type(of).__name__}"
    return f"{keyword(of)} {of.name}".strip()


def listed(names: list[str]) -> str:
    """Return names with commas, the first few if they are many."""
    text = ", ".join(islice(names, _MOST))
    return text if len(names) <= _MOST else f"{text} and {len(names) - _MOST} more"
