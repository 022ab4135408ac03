"""btf.dump_c: each feature of C by a literal, and types that C cannot have."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest

from btf import types
from btf.dump_c import declaration, header
from btf.errors import BTFError
from btf.read import BTF
from tests.soon import soon
from tests.unit.btf.c_cases import CASES, Types

FIRST, LAST = "#endif\n#endif\n\n", "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n"
NO_KFUNCS = "\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n#endif\n\n"


pytestmark = pytest.mark.usefixtures("loops")


def built(build):
    """Return the BTF that a function builds."""
    builder = Types()
    build(builder)
    return BTF.from_bytes(builder.build())


def body(btf, **options):
    """Return a header without the lines that all headers have."""
    text = "".join(header(btf, **options))
    return text[text.index(FIRST) + len(FIRST) : text.index(LAST)].removesuffix(NO_KFUNCS)


@pytest.mark.parametrize("name", CASES)
def test_features(name):
    """The text of a case is what bpftool says, see tests/bpftool/test_btf_c.py."""
    case = CASES[name]

    assert case.text == body(BTF.from_bytes(case.data), sort=False)


def test_beginning_and_end():
    """A header guards itself, and lets a program relocate each access to a struct."""
    lines = "".join(header(built(lambda _: None))).splitlines()

    assert ["#ifndef __VMLINUX_H__", "#define __VMLINUX_H__"] == lines[:2]
    assert "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)" == lines[4]
    assert ["#pragma clang attribute pop", "#endif", "", "#endif /* __VMLINUX_H__ */"] == lines[-4:]


def test_sorted():
    """Constants, enums, then the others by name; the very first is left out, as by bpftool."""

    def build(b):
        b.add_struct("b", 4, [("x", b.int)])
        b.add_typedef("alias", b.int)
        b.add_struct("a", 4, [("x", b.int)])
        b.add_enum("", [("SECOND", 2)])
        b.add_enum("", [("FIRST", 1)])
        b.add_enum("e", [("E", 3)])
        b.add_typedef("a_t", b.next_id - 4)

    text = body(built(build))

    assert ["enum {", "enum e {", "typedef int alias;", "struct a {", "typedef struct a a_t;", "struct b {"] == [
        line for line in text.splitlines() if line[:1] not in ("", "\t", "}")
    ]
    assert "FIRST" not in text


def test_equal_names_are_sorted_by_what_is_inside():
    """Structs of one name come in the same order whatever their ids are."""
    members = [[("first", 1)], [("second", 1)], [("third", 1)]]

    def build(order):
        def inner(b):
            for number in order:
                b.add_struct("s", 4, members[number])

        return inner

    texts = {body(built(build(order))) for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0))}

    assert 1 == len(texts)


def test_late_declarations():
    """What only an unnamed type at the end of the order leads to is declared all the same."""

    def build(b):
        b.add_struct("a", 4, [("x", b.int)])
        b.add_struct("b", 4, [("x", b.int)])
        fwd = b.add_ptr(b.add_const(b.add_fwd("hidden")))
        b.add_func("f", b.add_func_proto(0, [("p", fwd)]))
        b.add_typedef("gone", 0)

    text = body(built(build))

    assert "struct hidden;\n\ntypedef void gone;\n\n" == text[-len("struct hidden;\n\ntypedef void gone;\n\n") :]


def test_referenced_enums_are_no_constants():
    """An enum without a name is written where it is used, and otherwise by itself."""

    def build(b):
        for name in ("LOOSE", "MEMBER", "PARAM", "TARGET", "RESULT", "AGAIN"):
            b.add_enum("", [(name, 0)])
        loose, member, param, target, result, _ = range(5, 11)
        b.add_enum("", [("AAA", 0)])
        b.add_struct("s", 4, [("m", member)])
        b.add_func_proto(0, [("p", param)])
        b.add_const(target)
        b.add_struct("t", 8, [("f", b.function(result))])
        assert loose == 5

    for sort in (True, False):
        lines = body(built(build), sort=sort).splitlines()
        constants = {lines[at + 1].split()[0] for at, line in enumerate(lines) if line == "enum {"}

        assert {"LOOSE", "RESULT", "AGAIN"} | (set() if sort else {"AAA"}) == constants


def test_roots():
    """A header of some types has what they need and no functions."""
    btf = built(
        lambda b: (
            b.add_struct("wanted", 8, [("p", b.next_id + 1)]),
            b.add_ptr(b.next_id + 1),
            b.add_struct("needed", 4, [("x", b.int)]),
            b.add_struct("other", 4, [("x", b.int)]),
        )
    )

    assert "struct needed;\n\nstruct wanted {\n\tstruct needed *p;\n};\n\n" == body(btf, roots=[5])
    assert "" == body(btf, roots=[0])


def test_split():
    """The header of a module has the types of its base too, and one numbering of names."""
    base = built(lambda b: b.add_struct("s", 4, [("x", b.int)]))
    builder = Types(base=base)
    builder.add_struct("s", 8, [("old", base.find("s").id), ("y", 1, 32)])

    text = body(BTF.from_bytes(builder.build(), base), sort=False)

    assert "struct s {\n\tint x;\n};\n\nstruct s___2 {\n\tstruct s old;\n\tint y;\n};\n\n" == text


def test_declaration():
    """A single type, with and without a name."""
    btf = built(
        lambda b: (
            b.add_struct("task", 4, [("x", b.int)]),
            b.add_ptr(b.next_id - 1),
            b.add_func_proto(b.int, [("task", b.next_id - 1), ("fmt", b.add_ptr(b.add_const(b.char))), ("", 0)]),
            b.add_array(b.next_id - 2, b.int, 3),
            b.add_struct("", 4, [("x", b.int)]),
        )
    )

    assert "struct task *t" == declaration(btf, 6, "t")
    assert "struct task *" == declaration(btf, 6)
    assert "int printk(struct task *task, const char *fmt, ...)" == declaration(btf, 9, "printk")
    assert "const char *[3]" == declaration(btf, 10)
    assert "struct {\n\tint x;\n} anonymous" == declaration(btf, 11, "anonymous")
    assert "void" == declaration(btf, 0)
    assert "int größe" == declaration(btf, 1, "größe")


def refused(build):
    """Assert that BTFError comes of it; when sorting, a header comes of what nothing needs."""
    btf = built(build)
    with pytest.raises(BTFError):
        body(btf, sort=False)
    with suppress(BTFError):
        assert body(btf) is not None
    return btf, btf.ids.stop - 1


def test_struct_that_contains_itself():
    """Directly, through another one, and through an array."""
    refused(lambda b: b.add_struct("s", 8, [("s", b.next_id)]))
    refused(lambda b: (b.add_struct("a", 8, [("b", b.next_id + 1)]), b.add_struct("b", 8, [("a", b.next_id - 1)])))
    refused(lambda b: (b.add_struct("a", 8, [("all", b.next_id + 1)]), b.add_array(b.next_id - 1, 1, 2)))


def test_circles():
    """References that never end: typedefs, pointers, qualifiers, arrays."""
    for add in ("add_ptr", "add_const", "add_type_tag", "add_typedef"):
        arguments = ("x",) if add in ("add_type_tag", "add_typedef") else ()
        btf, last = refused(lambda b, add=add, arguments=arguments: getattr(b, add)(*arguments, b.next_id))
        if add != "add_typedef":
            with pytest.raises(BTFError):
                declaration(btf, last, "x")
    refused(lambda b: (b.add_typedef("t", b.add_ptr(b.next_id + 2)), b.add_const(b.next_id - 1)))
    refused(lambda b: b.add_typedef("t", b.add_array(b.next_id, b.int, 2)))


def test_struct_without_a_name_that_points_to_itself():
    """It would have to be written inside itself."""
    refused(lambda b: (b.add_struct("", 8, [("p", b.next_id + 1)]), b.add_ptr(b.next_id - 1)))


@pytest.mark.parametrize("type_id", [99, 0xFFFFFFFF])
def test_ids_out_of_range(type_id):
    """A reference to a type that does not exist, in each place that has one."""
    refused(lambda b: b.add_struct("s", 8, [("m", type_id)]))
    refused(lambda b: b.add_typedef("t", type_id))
    refused(lambda b: b.add_struct("s", 8, [("m", b.add_ptr(type_id))]))
    refused(lambda b: b.add_struct("s", 8, [("m", b.add_array(type_id, 1, 1))]))
    refused(lambda b: b.add_typedef("t", b.function(type_id)))
    refused(lambda b: b.add_typedef("t", b.function(b.int, type_id)))


def test_names_out_of_range():
    """A name that lies behind the strings."""

    def build(b):
        at = b.add_struct("s", 4, [("m", b.int)])
        b.string = lambda _: 1 << 20
        b.add_struct("t", 4, [("m", at)])

    refused(build)


def test_depth():
    """Thousands of types in each other end in an error, not in Python's limit."""

    def nested(b):
        for _ in range(5000):
            b.add_struct("", 4, [("m", b.next_id - 1)])
        b.add_struct("outer", 4, [("m", b.next_id - 1)])

    refused(nested)
    refused(lambda b: ([b.add_ptr(b.next_id - 1) for _ in range(5000)], b.add_typedef("t", b.next_id - 1)))


def test_long_ways():
    """Pointers and functions that lead through thousands of others to a declaration are not gone through as often."""

    def pointers(b):
        b.add_fwd("f")
        for _ in range(50_000):
            b.add_ptr(b.next_id - 1)

    def functions(b):
        b.add_fwd("f")
        for _ in range(20_000):
            b.add_ptr(b.add_func_proto(0, [("", b.next_id - 1)]))

    with soon(), suppress(BTFError):
        body(built(pointers))
    with soon():
        assert "struct f;\n\n" == body(built(functions))


def test_types_that_double():
    """Types that would be written 2 ** 40 times, and functions that are met as often, end soon."""

    def inlined(b):
        b.add_struct("", 4, [("x", b.int)])
        for _ in range(40):
            b.add_struct("", 8, [("a", b.next_id - 1), ("b", b.next_id - 1)])
        b.add_struct("outer", 4, [("m", b.next_id - 1)])

    def called(b):
        b.add_struct("outer", 8, [("f", b.next_id + 41)])
        b.add_ptr(b.next_id - 1)
        for _ in range(39):
            b.add_func_proto(0, [("a", b.next_id - 1), ("b", b.next_id - 1)])
        b.add_ptr(b.next_id - 1)

    refused(inlined)
    refused(called)


def doubling(b, first):
    """Add pointers to functions that take two of the one before, and return the last one's id."""
    pointer = b.add_ptr(b.add_func_proto(0, [("", first)]))
    for _ in range(30):
        pointer = b.add_ptr(b.add_func_proto(0, [("", pointer), ("", pointer)]))
    return pointer


def test_functions_that_double():
    """Functions that are met 2 ** 30 times, behind the result of one and with a definition in them, end soon."""
    with soon():
        refused(lambda b: b.add_typedef("f", b.add_func_proto(doubling(b, b.int))))
        refused(lambda b: b.add_typedef("f", doubling(b, b.add_enum("", []))))


def test_a_definition_in_each_parameter():
    """Constants that would be defined a thousand times are not."""

    def build(b):
        enum = b.add_enum("", [(f"A{number}", number) for number in range(1000)])
        b.add_typedef("f", b.add_func_proto(0, [("", enum)] * 1000))

    tracemalloc.start()
    refused(build)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20


def test_long_names():
    """Names take room in a header that they have taken in the strings, too."""
    names = [f"A{number:0200}" for number in range(400)]
    lines = "".join(f"\t{name} = {number},\n" for number, name in enumerate(names))

    btf = built(lambda b: b.add_enum("long", [(name, number) for number, name in enumerate(names)]))

    assert f"enum long {{\n{lines}}};\n\n" == body(btf, sort=False)


def test_huge_gaps():
    """A hole of four gigabytes is not filled line by line."""
    refused(lambda b: b.add_struct("s", 0x1FFFFFFF, []))
    refused(lambda b: b.add_struct("s", 8, [("a", b.int), ("b", b.int, 0xFFFFFFE0)]))


def test_values_of_no_type():
    """Functions and variables are no types of values."""
    btf = built(lambda b: b.add_var("v", b.add_func("f", b.add_func_proto(0))))

    with pytest.raises(BTFError):
        declaration(btf, 6)
    with pytest.raises(BTFError):
        declaration(btf, 7)
    assert types.Var is type(btf.type(7))
