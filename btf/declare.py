"""C declarations of single types, without going through all types as `btf.dump_c` does.

::

    declare(btf, type_id, "handler")     # void (*handler)(int, struct pt_regs *)

Nothing is written out: types without a name are ``struct {...}``, and a name that several types share stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import types
from btf._c_declarator import Chain, named
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf.read import BTF

_MAX_DEPTH = 64
_MAX_LENGTH = 1 << 14
_KEYWORDS = {types.Struct: "struct", types.Union: "union", types.Enum: "enum", types.Enum64: "enum"}
_QUALIFIERS = {types.Const: "const", types.Volatile: "volatile", types.Restrict: "restrict"}


def declare(btf: BTF, type_id: int, name: str = "") -> str:
    """Return the C declaration of something of this type, without semicolon; a type by itself without a name.

    A `btf.types.Func` or `btf.types.Var` brings its own name along. Raises BTFError for types that refer to themselves
    other than by name, and for declarations of more than 16 KiB.
    """
    before, bare, after = parts(btf, type_id)
    of = btf.type(type_id)
    if not name and isinstance(of, types.Func | types.Var):
        name = of.name
    return f"{before}{name}{after}" if name else bare + after


def parts(btf: BTF, type_id: int) -> tuple[str, str, str]:
    """Return what stands before a name, what before no name, and what behind."""
    return _chain(btf, type_id, 0).parts()


def _chain(btf: BTF, type_id: int, depth: int) -> Chain:
    chain = _made(btf, type_id, depth)
    if depth > _MAX_DEPTH or len(chain.named) + len(chain.after) + len(chain.last) > _MAX_LENGTH:
        raise BTFError(f"the declarator of type {type_id} is too long")
    return chain


def _made(btf: BTF, type_id: int, depth: int) -> Chain:  # noqa: C901 - one case for each kind
    if depth > _MAX_DEPTH:
        raise BTFError(f"type {type_id} is part of a circle of references")
    match of := btf.type(type_id):
        case types.Void():
            return named("void")
        case types.Pointer():
            return _chain(btf, of.type_id, depth + 1).pointed_at()
        case types.Array():
            return _chain(btf, of.type_id, depth + 1).times(of.nr_elems)
        case types.Const() | types.Volatile() | types.Restrict():
            return _chain(btf, of.type_id, depth + 1).qualified(_QUALIFIERS[type(of)])
        case types.TypeTag():
            # what matters to sparse and to verifiers hides from people what a type is
            return _chain(btf, of.type_id, depth + 1)
        case types.FuncProto():
            return _chain(btf, of.ret_type_id, depth + 1).called_with(_params(btf, of, depth), fixed=True)
        case types.Func() | types.Var():
            return _chain(btf, of.type_id, depth + 1)
        case types.Fwd():
            return named(f"{'union' if of.is_union else 'struct'} {of.name}")
        case types.Struct() | types.Union() | types.Enum() | types.Enum64():
            return named(f"{_KEYWORDS[type(of)]} {of.name or '{...}'}")
    return named(of.name)


def _params(btf: BTF, of: types.FuncProto, depth: int) -> str:
    if not of.params:
        return "void"
    texts = []
    for param in of.params:
        if not param.type_id and not param.name:
            texts.append("..." if len(of.params) > 1 else "void")
            continue
        before, bare, after = _chain(btf, param.type_id, depth + 1).parts()
        texts.append(f"{before}{param.name}{after}" if param.name else bare + after)
    return ", ".join(texts)
