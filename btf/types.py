"""What BTF describes: one class per kind, and the records inside them.

References to other types are plain ids; a `btf.read.BTF` turns them into types. Attribute names are
the words of ``bpftool btf dump``.

The class of a type is its kind; `KINDS` has the numbers.

The classes are named tuples and not frozen dataclasses, because a command line pays for them at
start: 25 dataclasses take some 40 ms to create (their decorator's module included), 25 named tuples
5 ms, and reading all types of a kernel takes half the time. For the same reason annotations here are
evaluated at once: typing would compile each one that is a string.
"""

from typing import NamedTuple, TypeAlias

from btf import kind as _kind

#: Bits of `Int.encoding`.
SIGNED, CHAR, BOOL = 1, 2, 4

#: Words for `Func.linkage` and `Var.linkage`, by number.
LINKAGES = ("static", "global", "extern")


class Member(NamedTuple):
    """One member of a struct or union; ``bitfield_size`` is 0 for ordinary members."""

    name: str
    type_id: int
    bits_offset: int
    bitfield_size: int = 0


class EnumValue(NamedTuple):
    """One named value of an enum, negative only when the enum is signed."""

    name: str
    val: int


class Param(NamedTuple):
    """One parameter; a last one without name and with type 0 stands for ``...``."""

    name: str
    type_id: int


class SectionVar(NamedTuple):
    """One variable's place in a section; ``type_id`` is the id of a `Var` or `Func`."""

    type_id: int
    offset: int
    size: int


class Void(NamedTuple):
    """The type with id 0, which no BTF spells out."""

    id: int = 0
    name: str = ""


class Int(NamedTuple):
    """An integer of ``size`` bytes that uses ``nr_bits`` of them."""

    id: int
    name: str
    size: int
    nr_bits: int
    bits_offset: int = 0
    encoding: int = 0

    @property
    def signed(self) -> bool:
        """Whether the type is a signed integer."""
        return bool(self.encoding & SIGNED)


class Pointer(NamedTuple):
    """A pointer to ``type_id``."""

    id: int
    name: str
    type_id: int


class Array(NamedTuple):
    """``nr_elems`` elements of ``type_id``; 0 for a flexible array."""

    id: int
    name: str
    type_id: int
    index_type_id: int
    nr_elems: int


class Struct(NamedTuple):
    """A struct; ``kind_flag`` says whether its members may be bitfields."""

    id: int
    name: str
    size: int
    members: tuple[Member, ...]
    kind_flag: bool = False


class Union(NamedTuple):
    """A union; ``kind_flag`` says whether its members may be bitfields."""

    id: int
    name: str
    size: int
    members: tuple[Member, ...]
    kind_flag: bool = False


class Enum(NamedTuple):
    """An enum whose values fit 32 bits."""

    id: int
    name: str
    size: int
    values: tuple[EnumValue, ...]
    signed: bool = False


class Enum64(NamedTuple):
    """An enum with 64-bit values."""

    id: int
    name: str
    size: int
    values: tuple[EnumValue, ...]
    signed: bool = False


class Fwd(NamedTuple):
    """A struct or union of which only the name is known."""

    id: int
    name: str
    is_union: bool = False


class Typedef(NamedTuple):
    """Another name for ``type_id``."""

    id: int
    name: str
    type_id: int


class Volatile(NamedTuple):
    """``volatile`` before ``type_id``."""

    id: int
    name: str
    type_id: int


class Const(NamedTuple):
    """``const`` before ``type_id``."""

    id: int
    name: str
    type_id: int


class Restrict(NamedTuple):
    """``restrict`` before ``type_id``."""

    id: int
    name: str
    type_id: int


class Func(NamedTuple):
    """A function; ``type_id`` is its `FuncProto`."""

    id: int
    name: str
    type_id: int
    linkage: int = 0


class FuncProto(NamedTuple):
    """A function's return type and parameters."""

    id: int
    name: str
    ret_type_id: int
    params: tuple[Param, ...]


class Var(NamedTuple):
    """A global variable."""

    id: int
    name: str
    type_id: int
    linkage: int = 0


class Datasec(NamedTuple):
    """An ELF section and the variables in it."""

    id: int
    name: str
    size: int
    vars: tuple[SectionVar, ...]


class Float(NamedTuple):
    """A floating point number of ``size`` bytes."""

    id: int
    name: str
    size: int


class DeclTag(NamedTuple):
    """A tag on a declaration, or on its member or parameter ``component_idx`` when that is not -1.

    ``kind_flag`` says that the tag is a compiler attribute rather than a ``btf_decl_tag``.
    """

    id: int
    name: str
    type_id: int
    component_idx: int = -1
    kind_flag: bool = False


class TypeTag(NamedTuple):
    """A tag on a type; ``kind_flag`` says that it is a compiler attribute."""

    id: int
    name: str
    type_id: int
    kind_flag: bool = False


class Unknown(NamedTuple):
    """A type of a kind newer than this library, skipped with the help of the layout section."""

    id: int
    name: str
    kind: int


Type: TypeAlias = (
    Void
    | Int
    | Pointer
    | Array
    | Struct
    | Union
    | Enum
    | Fwd
    | Typedef
    | Volatile
    | Const
    | Restrict
    | Func
    | FuncProto
    | Var
    | Datasec
    | Float
    | DeclTag
    | TypeTag
    | Enum64
    | Unknown
)

#: The number in `btf.kind` of each class.
KINDS: dict[type, int] = {
    Void: _kind.UNKN,
    Int: _kind.INT,
    Pointer: _kind.PTR,
    Array: _kind.ARRAY,
    Struct: _kind.STRUCT,
    Union: _kind.UNION,
    Enum: _kind.ENUM,
    Fwd: _kind.FWD,
    Typedef: _kind.TYPEDEF,
    Volatile: _kind.VOLATILE,
    Const: _kind.CONST,
    Restrict: _kind.RESTRICT,
    Func: _kind.FUNC,
    FuncProto: _kind.FUNC_PROTO,
    Var: _kind.VAR,
    Datasec: _kind.DATASEC,
    Float: _kind.FLOAT,
    DeclTag: _kind.DECL_TAG,
    TypeTag: _kind.TYPE_TAG,
    Enum64: _kind.ENUM64,
}
