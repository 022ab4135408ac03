"""One type with all that is known of it: a struct as pahole prints it, an enum with its values, a function as in C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from btf import types
from btf.declare import declare, parts
from btf.layout import CACHE_LINE, Field, Layout, layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf.read import BTF

_TAB = 8
_MOST_TYPE, _MOST_NAME = 26, 22  # columns that types and names take before they push the numbers to the right
_RECORDS = (types.Struct, types.Union)


class Shown(NamedTuple):
    """A type to be shown: where it was found (a module's name, or empty), its types, and its id."""

    where: str
    btf: BTF
    id: int
    expand: bool = False


# JSON


def json(shown: Shown) -> dict[str, Any]:
    """Return what is known of a type: each kind has members of its own."""
    btf, of = shown.btf, shown.btf.type(shown.id)
    out: dict[str, Any] = {"id": of.id, "kind": kind_word(of), "name": of.name or None}
    if shown.where:
        out["module"] = shown.where
    match of:
        case types.Struct() | types.Union():
            out |= _layout_json(btf, layout(btf, of.id, expand=shown.expand))
        case types.Enum() | types.Enum64():
            out |= {"size": of.size, "signed": of.signed, "values": [value._asdict() for value in of.values]}
        case types.Int():
            out |= {"size": of.size, "bits": of.nr_bits, "signed": of.signed}
        case types.Float():
            out["size"] = of.size
        case types.Fwd():
            out["of"] = "union" if of.is_union else "struct"
        case types.Datasec():
            out |= {"size": of.size, "vars": [_var_json(btf, var) for var in of.vars]}
        case types.Unknown() | types.Void():
            pass
        case _:
            out |= _reference_json(shown, of)
    return out


def _reference_json(shown: Shown, of: Any) -> dict[str, Any]:
    """Return what is known of a type that is made of others."""
    btf = shown.btf
    out: dict[str, Any] = {}
    match of:
        case types.Array():
            out = {"type": declare(btf, of.type_id), "type_id": of.type_id, "elements": of.nr_elems}
            out["size"] = btf.size_of(of.id)
        case types.FuncProto():
            out = _prototype_json(btf, of)
        case types.Func():
            out = {"linkage": types.LINKAGES[of.linkage] if of.linkage < len(types.LINKAGES) else of.linkage}
            out["declaration"] = declare(btf, of.id)
            proto = btf.type(of.type_id)
            out |= _prototype_json(btf, proto) if isinstance(proto, types.FuncProto) else {}
        case _:
            out = {"type": declare(btf, of.type_id), "type_id": of.type_id}
            if isinstance(of, types.Typedef):
                behind = btf.type(btf.resolve(of.id))
                if not isinstance(behind, types.Void | types.Fwd | types.FuncProto | types.Func):
                    out["size"] = btf.size_of(of.id)
                if isinstance(behind, (*_RECORDS, types.Enum, types.Enum64)):
                    out["target"] = json(shown._replace(id=behind.id))
    return out


def _layout_json(btf: BTF, of: Layout) -> dict[str, Any]:
    return {
        "size": of.size,
        "cachelines": of.cache_lines,
        "members": [_field_json(btf, field) for field in of.fields],
        "holes": [*_holes(of)],
        "sum_holes": sum(of.holes),
        "sum_bit_holes": sum(of.bit_holes),
        "padding": of.padding,
        "bit_padding": of.bit_padding,
    }


def _holes(of: Layout) -> Iterator[dict[str, Any]]:
    """Yield the gaps: those of bytes with offset and size, those of bits with the first free bit."""
    gaps: list[tuple[int, str | None, int, int]] = [(of.offset * 8, None, of.bit_hole, of.hole)]
    gaps += [(field.end, field.name or None, field.bit_hole, field.hole) for field in of.fields]
    for end, name, bits, size in gaps:
        if bits:
            yield {"after": name, "bit_offset": end, "bits": bits}
        if size:
            yield {"after": name, "offset": (end + bits + 7) // 8, "size": size}


def _field_json(btf: BTF, field: Field) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": field.name or None,
        "type": declare(btf, field.type_id),
        "type_id": field.type_id,
        "offset": field.offset,
        "size": field.size,
        "cacheline": field.offset // CACHE_LINE,
    }
    if field.width:
        out |= {"bit": field.bit, "bits": field.width}
    if field.inside is not None:
        inside = field.inside
        out["members"] = [_field_json(btf, inner) for inner in inside.fields]
        out |= {"holes": [*_holes(inside)], "padding": inside.padding}
    return out


def _prototype_json(btf: BTF, of: types.FuncProto) -> dict[str, Any]:
    params = [
        {"name": one.name or None, "type": declare(btf, one.type_id), "type_id": one.type_id} for one in of.params
    ]
    if of.params and not of.params[-1].type_id and not of.params[-1].name:
        params[-1]["type"] = "..."
    return {"returns": declare(btf, of.ret_type_id), "returns_id": of.ret_type_id, "params": params}


def _var_json(btf: BTF, var: types.SectionVar) -> dict[str, Any]:
    of = btf.type(var.type_id)
    return {"name": of.name, "type_id": var.type_id, "offset": var.offset, "size": var.size}


# text


def lines(shown: Shown) -> Iterator[str]:
    """Yield the type as C with its numbers in comments."""
    btf, of = shown.btf, shown.btf.type(shown.id)
    where = f" in {shown.where}" if shown.where else ""
    head = f"/* [{of.id}]{where} */"
    match of:
        case types.Struct() | types.Union():
            yield from record(btf, layout(btf, of.id, expand=shown.expand), head)
        case types.Enum() | types.Enum64():
            yield f"enum {of.name + ' ' if of.name else ''}{{ {head}"
            width = min(max((len(value.name) for value in of.values), default=0), 40)
            yield from (f"\t{value.name:<{width}} = {value.val}," for value in of.values)
            yield from ("", f"\t/* size: {of.size}, values: {len(of.values)} */", "};")
        case types.Typedef():
            yield f"typedef {declare(btf, of.type_id, of.name)}; {head}"
            behind = btf.type(btf.resolve(of.id))
            if isinstance(behind, (*_RECORDS, types.Enum, types.Enum64)):
                yield ""
                yield from lines(shown._replace(id=behind.id))
            elif not isinstance(behind, types.Void | types.Fwd | types.FuncProto):
                yield from ("", f"/* size: {btf.size_of(of.id)} */")
        case types.Datasec():
            yield f'/* section "{of.name}" */ {head}'
            yield from (f"{declare(btf, var.type_id)}; /* {var.offset:>5} {var.size:>5} */" for var in of.vars)
        case types.Int():
            yield f"{of.name}; {head}"
            yield f"/* size: {of.size}, bits: {of.nr_bits}, {'signed' if of.signed else 'unsigned'} */"
        case types.DeclTag():
            yield f'/* tag "{of.name}" of [{of.type_id}] */ {head}'
        case _:
            yield f"{declare(btf, of.id)}; {head}"


def record(btf: BTF, of: Layout, head: str = "") -> Iterator[str]:
    """Yield a struct or union as pahole prints it."""
    word = "union" if of.is_union else "struct"
    yield f"{word} {of.name + ' ' if of.name else ''}{{ {head}".rstrip()
    yield from _Text(btf, of).body(of, 1)
    yield ""
    yield from (f"\t/* {', '.join(told)} */" for told in _totals(of))
    yield "};"


def _totals(of: Layout) -> Iterator[list[str]]:
    yield [f"size: {of.size}", f"cachelines: {of.cache_lines}", f"members: {len(of.fields)}"]
    if of.holes or (of.used and of.bit_holes):
        used = [f"sum members: {of.used}"] if of.used else []
        holes = [f"holes: {len(of.holes)}", f"sum holes: {sum(of.holes)}"] if of.holes else []
        yield [*used, *holes]
    if of.used_bits and (of.holes or of.bit_holes):
        bits = [f"bit holes: {len(of.bit_holes)}", f"sum bit holes: {sum(of.bit_holes)} bits"] if of.bit_holes else []
        yield [f"sum bitfield members: {of.used_bits} bits", *bits]
    if of.padding:
        yield [f"padding: {of.padding}"]
    if of.bit_padding:
        yield [f"bit_padding: {of.bit_padding} bits"]
    if of.size % CACHE_LINE:
        yield [f"last cacheline: {of.size % CACHE_LINE} bytes"]


class _Text:
    """Writes the members of one type, and where a cache line begins among them."""

    def __init__(self, btf: BTF, of: Layout) -> None:
        self._btf = btf
        self._line = 0
        befores, names = [0], [0]
        for depth, field in of.walk():
            before, name = self._declared(field)
            befores.append(min(len(before) + depth * _TAB, _MOST_TYPE))
            names.append(min(len(name), _MOST_NAME))
        self._type, self._name = max(befores), max(names)

    def _declared(self, field: Field) -> tuple[str, str]:
        """Return the type of a member, and its name with what C puts behind it."""
        before, bare, after = parts(self._btf, field.type_id)
        width = f":{field.width}" if field.width else ""
        if field.inside is not None:
            return "}", f"{field.name}{after};"
        if not field.name:
            return bare, f"{after}{width};"
        head, paren, star = before.rpartition(" (")  # of a pointer to a function, whose name stands in parentheses
        return (head if paren else before).strip(), f"{paren[1:]}{star if paren else ''}{field.name}{after}{width};"

    def body(self, of: Layout, depth: int) -> Iterator[str]:
        """Yield the lines of the members."""
        tabs = "\t" * depth
        yield from self._gap(tabs, of.bit_hole, of.hole)
        begin = self._line
        for field in of.fields:
            yield from self._boundary(tabs, field)
            if field.inside is not None:
                yield tabs + self._opened(field, field.inside)
                yield from self.body(field.inside, depth + 1)
            yield self._member(tabs, depth, field)
            if field.hole or field.bit_hole:
                yield ""
                yield from self._gap(tabs, field.bit_hole, field.hole)
            if of.is_union:  # each of its members starts where the union does, and what comes next tells again
                self._line = begin

    def _opened(self, field: Field, inside: Layout) -> str:
        word = "union" if inside.is_union else "struct"
        text = f"{word} {inside.name} {{" if inside.name else f"{word} {{"
        of = self._btf.type(field.type_id)
        return f"{text} /* typedef {of.name} */" if isinstance(of, types.Typedef) else text

    def _member(self, tabs: str, depth: int, field: Field) -> str:
        before, name = self._declared(field)
        room = max(self._type - (depth - 1) * _TAB, 0)
        at = (
            f"{field.offset:>5}:{field.bit:>2} {field.size:>2}" if field.width else f"{field.offset:>5} {field.size:>5}"
        )
        if field.inside is not None:
            text = before + (f" {name}" if name != ";" else name)
        else:
            text = f"{before:<{room}} {name}"
        return f"{tabs}{text:<{room + 1 + self._name}} /* {at} */"

    def _gap(self, tabs: str, bits: int, size: int) -> Iterator[str]:
        if bits:
            yield f"{tabs}/* XXX {bits} bit{'s' if bits > 1 else ''} hole, try to pack */"
        if size:
            yield f"{tabs}/* XXX {size} byte{'s' if size > 1 else ''} hole, try to pack */"
        if bits or size:
            yield ""

    def _boundary(self, tabs: str, field: Field) -> Iterator[str]:
        line, past = divmod(field.offset, CACHE_LINE)
        if line > self._line:
            self._line = line
            ago = f" was {past} byte{'s' if past > 1 else ''} ago" if past else ""
            yield f"{tabs}/* --- cacheline {line} boundary ({line * CACHE_LINE} bytes){ago} --- */"


_KINDS: dict[type, str] = {
    types.Struct: "struct",
    types.Union: "union",
    types.Enum: "enum",
    types.Enum64: "enum",
    types.Typedef: "typedef",
    types.Func: "func",
    types.FuncProto: "func_proto",
    types.Var: "var",
    types.Datasec: "section",
    types.Int: "int",
    types.Float: "float",
    types.Fwd: "fwd",
    types.Pointer: "pointer",
    types.Array: "array",
    types.Const: "const",
    types.Volatile: "volatile",
    types.Restrict: "restrict",
    types.TypeTag: "type_tag",
    types.DeclTag: "decl_tag",
    types.Void: "void",
    types.Unknown: "unknown",
}


def kind_word(of: types.Type) -> str:
    """Return the word for the kind of a type."""
    return _KINDS[type(of)]
