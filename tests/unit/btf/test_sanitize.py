"""btf.sanitize: what a kernel lacks is gone, and everything keeps its id."""

from __future__ import annotations

import pytest

from btf import kind, types
from btf.errors import BTFError
from btf.read import BTF
from btf.sanitize import SINCE, Feature, known_to, sanitize
from btf.write import Builder
from tests.unit.btf.test_write import one_of_each

EVERYTHING = frozenset(Feature)


def read(builder, base=None):
    return BTF.from_bytes(builder.build(), base)


def without(builder, *features):
    """The types as a kernel without these features gets them."""
    return list(BTF.from_bytes(sanitize(read(builder), EVERYTHING - {*features})))


def test_a_kernel_that_knows_everything():
    """There is nothing to do."""
    for byteorder in ("little", "big"):
        raw = one_of_each(byteorder)

        assert sanitize(BTF.from_bytes(raw), EVERYTHING) == raw


@pytest.mark.parametrize("version", sorted({(4, 18), *SINCE.values()}))
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_versions(version, byteorder):
    """No kind, no flag that this version lacks; ids, sizes and strings are what they were."""
    raw = one_of_each(byteorder)
    before = BTF.from_bytes(raw)

    after = BTF.from_bytes(sanitize(before, known_to(version)))

    kinds = {after.kind(type_id) for type_id in after.ids}
    for feature, gone in (
        (Feature.FUNC, {kind.FUNC, kind.FUNC_PROTO}),
        (Feature.DATASEC, {kind.VAR, kind.DATASEC}),
        (Feature.FLOAT, {kind.FLOAT}),
        (Feature.DECL_TAG, {kind.DECL_TAG}),
        (Feature.TYPE_TAG, {kind.TYPE_TAG}),
        (Feature.ENUM64, {kind.ENUM64}),
    ):
        assert (kinds & gone == set()) == (SINCE[feature] > version)
    for each in before:
        new = after.type(each.id)
        if Feature.ATTRIBUTES not in known_to(version) and isinstance(each, types.DeclTag | types.TypeTag):
            assert not getattr(new, "kind_flag", False)
        if hasattr(each, "size"):
            assert after.size_of(each.id) == before.size_of(each.id)
    assert after.strings.startswith(before.strings)
    assert after.byteorder == byteorder


def test_since():
    """Versions add features and never take them away."""
    assert set(SINCE) == EVERYTHING
    assert known_to((4, 18)) == frozenset()
    assert known_to((5, 10)) == {Feature.KIND_FLAG, Feature.FUNC, Feature.DATASEC, Feature.FUNC_LINKAGE}
    assert known_to((99, 0)) == EVERYTHING


def test_functions():
    """Without prototypes a function is a name for something without size; without linkage it is static."""
    b = Builder()
    b.add_func("f.part", b.add_func_proto(0, [("", 0)]), 1)

    assert without(b, Feature.FUNC) == [types.Struct(1, "", 0, ()), types.Typedef(2, "f_part", 1)]
    assert without(b, Feature.FUNC_LINKAGE)[1] == types.Func(2, "f.part", 1, 0)


def test_sections():
    """A section is a struct of its variables, which are only bytes."""
    b = Builder()
    number = b.add_int("int", 4)
    variable, static = b.add_var("a", number, 1), b.add_var("f.b", number)
    function = b.add_func("kfunc", b.add_func_proto(0))
    b.add_datasec("?.x-y", 8, [(variable, 0, 4), (static, 4, 4), (function, 8, 0)])

    found = without(b, Feature.DATASEC)

    assert found[1:3] == [types.Int(2, "a", 1, 8), types.Int(3, "f.b", 1, 8)]
    assert found[5:] == [
        types.Struct(
            6, "__x_y", 9, (types.Member("a", 2, 0), types.Member("f_b", 3, 32), types.Member("kfunc", 7, 64))
        ),
        types.Int(7, "", 1, 8),
    ]
    assert [each.name for each in without(b, Feature.SECTION_NAMES)][5:] == ["_.x_y"]


def test_floats():
    """As large, and nothing more."""
    b = Builder()
    b.add_float("double", 8)

    assert without(b, Feature.FLOAT) == [types.Struct(1, "", 8, ())]


def test_tags():
    """Tags on types make way for what does not change them, tags on declarations stay as mere ids."""
    b = Builder()
    number = b.add_int("int", 4)
    b.add_type_tag("user", number)
    b.add_type_tag("noderef", number, attribute=True)
    b.add_func("f", b.add_func_proto(0))
    b.add_decl_tag("tag", 5, attribute=True)

    assert without(b, Feature.TYPE_TAG)[1:3] == [types.Const(2, "", 1), types.Const(3, "", 1)]
    assert without(b, Feature.DECL_TAG)[5] == types.Int(6, "tag", 1, 8)
    assert without(b, Feature.FUNC)[5] == types.Int(6, "tag", 1, 8)
    found = without(b, Feature.ATTRIBUTES)
    assert [types.TypeTag(2, "user", 1), types.TypeTag(3, "attribute:noderef", 1)] == found[1:3]
    assert types.DeclTag(6, "attribute:tag", 5) == found[5]


def test_enums():
    """A wide enum is an integer of its size and sign; a narrow one loses only its sign."""
    b = Builder()
    b.add_enum64("e", [("A", -1)], signed=True)
    b.add_enum64("u", [("B", 1 << 40)])
    b.add_enum("n", [("C", -1)], signed=True)

    assert without(b, Feature.ENUM64) == [
        types.Int(1, "e", 8, 64, 0, types.SIGNED),
        types.Int(2, "u", 8, 64),
        types.Enum(3, "n", 4, (types.EnumValue("C", 0xFFFFFFFF),)),
    ]


def test_bitfields():
    """Before kind_flag they were of types of their own."""
    b = Builder()
    number = b.add_int("int", 4, encoding=types.SIGNED)
    alias = b.add_typedef("s32", number)
    color = b.add_enum("color", [("RED", 0)])
    b.add_struct("s", 8, [("x", alias, 0, 3), ("y", color, 3, 2), ("z", number, 5, 3), ("w", number, 32)])
    b.add_fwd("u", union=True)

    assert without(b, Feature.KIND_FLAG)[3:] == [
        types.Struct(
            4,
            "s",
            8,
            (
                types.Member("x", 6, 0),
                types.Member("y", 7, 3),
                types.Member("z", 6, 5),
                types.Member("w", 1, 32),
            ),
        ),
        types.Fwd(5, "u"),
        types.Int(6, "", 4, 3, 0, types.SIGNED),
        types.Int(7, "", 4, 2),
    ]


def test_encodings():
    """No kernel takes two at once."""
    b = Builder()
    b.add_int("char", 1, encoding=types.SIGNED | types.CHAR)
    b.add_int("bool", 1, encoding=types.BOOL | types.CHAR)
    b.add_int("char", 1, encoding=types.CHAR)

    assert [types.SIGNED, types.BOOL, types.CHAR] == [each.encoding for each in without(b)]


def test_split():
    """Types of the base are left alone, strings of the base stay where they are."""
    b = Builder()
    b.add_float("double", 8)
    base = read(b)
    split = Builder(base=base, reuse=True)
    split.add_float("double", 8)
    split.add_type_tag("attribute", 1, attribute=True)
    btf = read(split, base)

    found = BTF.from_bytes(sanitize(btf, EVERYTHING - {Feature.FLOAT, Feature.ATTRIBUTES}), base)

    assert list(found) == [types.Struct(2, "", 8, ()), types.TypeTag(3, "attribute:attribute", 1)]


def test_damage():
    """What cannot be read cannot be rewritten, and what cannot be counted cannot be said."""
    b = Builder()
    b.add_datasec(".data", 4, [(9, 0, 4)])
    with pytest.raises(BTFError, match="out of range"):
        without(b, Feature.DATASEC)
    b = Builder()
    b.add_struct("huge", 4, [("", 0)] * 65536)
    with pytest.raises(BTFError, match="type 1 has 65536 members, more than the kernel can count"):
        without(b, Feature.VLEN)
    assert len(without(b)) == 1


def test_a_section_stays_where_sections_are_known():
    """Whatever else is not."""
    builder = Builder()
    variable = builder.add_var("x", builder.add_float("float", 4))
    section = builder.add_datasec("odd/name", 4, [(variable, 0, 4)])

    assert read(builder).type(section) == without(builder, Feature.FLOAT)[section - 1]
