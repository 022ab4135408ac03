"""One line on a type, in the words that bpftool has for functions (src/btf_dumper.c btf_dumper_type_only).

It is less than C: nothing is nested around a name, and a function with a type tag has no line at all.
`btf.dump_c.declaration` is C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import types
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf.read import BTF

#: As long as bpftool's buffer; it prints nothing instead of what does not fit.
_MAX_LENGTH = 1023
_STATIC = 0
_WORDS = {
    types.Int: "",
    types.Typedef: "",
    types.Float: "",
    types.Struct: "struct ",
    types.Union: "union ",
    types.Enum: "enum ",
    types.Enum64: "enum ",
}
_QUALIFIERS = {types.Volatile: "volatile ", types.Const: "const ", types.Restrict: "restrict "}


class _Unprintable(Exception):
    """There are no words for the type, or too many."""


def prototype(btf: BTF, type_id: int) -> str:
    """Return a line such as ``int vfs_fsync(struct file * file, int datasync)``; empty when bpftool has none.

    Raises BTFError when a type refers to one that does not exist, or to itself.
    """
    try:
        return _line(btf, type_id)
    except _Unprintable:
        return ""
    except RecursionError:
        raise BTFError(f"type {type_id} is part of a circle of references") from None


def _line(btf: BTF, type_id: int) -> str:
    line = _words(btf, btf.type(type_id))
    if len(line.encode("utf-8", "surrogateescape")) > _MAX_LENGTH:
        raise _Unprintable
    return line


def _words(btf: BTF, of: types.Type) -> str:  # noqa: C901 - one case for each kind
    match of:
        case types.Void():
            return "void "
        case types.Pointer():
            return f"{_line(btf, of.type_id)}* "
        case types.Array():
            return f"{_line(btf, of.type_id)}[{of.nr_elems}]"
        case types.Fwd():
            return f"{'union' if of.is_union else 'struct'} {of.name} "
        case types.Volatile() | types.Const() | types.Restrict():
            return _QUALIFIERS[type(of)] + _line(btf, of.type_id)
        case types.FuncProto():
            return _function(btf, of, "")
        case types.Func():
            proto = btf.type(of.type_id)
            if not isinstance(proto, types.FuncProto):
                raise BTFError(f"function {of.name!r} is of type {of.type_id}, which is no function type")
            return _function(btf, proto, of.name)
        case types.Var():
            return f"{'static ' if of.linkage == _STATIC else ''}{_line(btf, of.type_id)} {of.name}"
        case types.Datasec():
            return f'section ("{of.name}") '
    if type(of) not in _WORDS:
        raise _Unprintable
    return f"{_WORDS[type(of)]}{of.name} "


def _function(btf: BTF, proto: types.FuncProto, name: str) -> str:
    params = []
    for param in proto.params:
        words = _line(btf, param.type_id) if param.type_id else "..."
        params.append(words + param.name if param.name else words.removesuffix(" "))
    return f"{_line(btf, proto.ret_type_id)}{name}({', '.join(params)})"
