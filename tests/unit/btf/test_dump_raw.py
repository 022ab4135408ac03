"""btf.dump_raw: the words of each kind, in text and in JSON; and btf.prototype."""

from __future__ import annotations

import json

import pytest

from btf import dump_raw, types
from btf.errors import BTFError
from btf.prototype import prototype
from btf.read import BTF
from btf.write import Builder

pytestmark = pytest.mark.usefixtures("loops")


@pytest.fixture
def btf():
    """A type of each kind."""
    b = Builder()
    u32 = b.add_int("unsigned int", 4)
    b.add_ptr(u32)
    b.add_array(u32, u32, 2)
    b.add_struct("s", 8, [("a", u32), ("b", u32, 32, 3)])
    b.add_union("", 0, [])
    b.add_enum("e", [("A", 0x80000000)])
    b.add_enum64("w", [("B", -1)], signed=True)
    b.add_fwd("f", union=True)
    b.add_func("fn", b.add_func_proto(u32, [("ctx", 2), ("", 0)]), 1)
    b.add_datasec(".data", 4, [(b.add_var("v", u32, 2), 0, 4), (99, 4, 8)])
    b.add_float("double", 8)
    b.add_decl_tag("t", 4, -1)
    b.add_type_tag('say "hi"', u32)
    b.add_int("char", 1, encoding=types.CHAR, nr_bits=7, bits_offset=1)
    return BTF.from_bytes(b.build())


def test_text(btf):
    """One line for a type, and one for each member."""
    assert """\
[1] INT 'unsigned int' size=4 bits_offset=0 nr_bits=32 encoding=(none)
[2] PTR '(anon)' type_id=1
[3] ARRAY '(anon)' type_id=1 index_type_id=1 nr_elems=2
[4] STRUCT 's' size=8 vlen=2
	'a' type_id=1 bits_offset=0
	'b' type_id=1 bits_offset=32 bitfield_size=3
[5] UNION '(anon)' size=0 vlen=0
[6] ENUM 'e' encoding=UNSIGNED size=4 vlen=1
	'A' val=2147483648
[7] ENUM64 'w' encoding=SIGNED size=8 vlen=1
	'B' val=-1LL
[8] FWD 'f' fwd_kind=union
[9] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
	'ctx' type_id=2
	'(anon)' type_id=0
[10] FUNC 'fn' type_id=9 linkage=global
[11] VAR 'v' type_id=1, linkage=extern
[12] DATASEC '.data' size=4 vlen=2
	type_id=11 offset=0 size=4 (VAR 'v')
	type_id=99 offset=4 size=8
[13] FLOAT 'double' size=8
[14] DECL_TAG 't' type_id=4 component_idx=-1
[15] TYPE_TAG 'say "hi"' type_id=1
[16] INT 'char' size=1 bits_offset=1 nr_bits=7 encoding=CHAR
""" == "".join(dump_raw.text(btf))


def test_json(btf):
    """The same in one document, in which an unsigned value is printed as bpftool prints it."""
    document = json.loads("".join(dump_raw.json(btf)))

    assert ["types"] == list(document)
    found = {of["id"]: of for of in document["types"]}
    assert list(range(1, 17)) == list(found)
    assert {"id": 2, "kind": "PTR", "name": "(anon)", "type_id": 1} == found[2]
    assert [{"name": "a", "type_id": 1, "bits_offset": 0}] == found[4]["members"][:1]
    assert 3 == found[4]["members"][1]["bitfield_size"]
    assert [] == found[5]["members"]
    assert [{"name": "A", "val": 0xFFFFFFFF80000000}] == found[6]["values"]
    assert [{"name": "B", "val": -1}] == found[7]["values"]
    assert [{"type_id": 11, "offset": 0, "size": 4}] == found[12]["vars"][:1]
    assert 'say "hi"' == found[15]["name"]


def test_pretty_json(btf):
    """The same document, spread out."""
    text = "".join(dump_raw.json(btf, [2, 5], pretty=True))

    assert json.loads("".join(dump_raw.json(btf, [2, 5]))) == json.loads(text)
    assert [
        "{",
        '    "types": [{',
        '            "id": 2,',
        '            "kind": "PTR",',
        '            "name": "(anon)",',
        '            "type_id": 1',
        "        },{",
    ] == text.splitlines()[:7]
    assert ['            "members": []', "        }", "    ]", "}"] == text.splitlines()[-4:]


def test_some_types(btf):
    """Types in the order in which they were asked for, also void and those of the base."""
    split = Builder(base=btf)
    split.add_ptr(4)
    split = BTF.from_bytes(split.build(), btf)

    assert "[17] PTR '(anon)' type_id=4\n" == "".join(dump_raw.text(split))
    assert "[8] FWD 'f' fwd_kind=union\n[0] UNKNOWN '(anon)'\n" == "".join(dump_raw.text(split, [8, 0]))
    assert '{"types":[]}' == "".join(dump_raw.json(split, []))
    for dump in (dump_raw.text, dump_raw.json):
        with pytest.raises(BTFError):
            list(dump(split, [18]))


def test_names_are_spelled_by_the_caller(btf):
    """Whoever prints on a terminal says what is harmless there."""
    assert "[8] FWD 'F' fwd_kind=union\n" == "".join(dump_raw.text(btf, [8], safe=str.upper))
    assert '{"types":[{"id":8,"kind":"FWD","name":"F","fwd_kind":"union"}]}' == "".join(
        dump_raw.json(btf, [8], quote=lambda name: f'"{name.upper()}"')
    )


def test_names_that_are_no_text():
    """Bytes that are not UTF-8 come back as they were."""
    b = Builder()
    b.add_fwd(b"\xff\xc3\xbc")
    text = "".join(dump_raw.text(BTF.from_bytes(b.build())))

    assert b"[1] FWD '\xff\xc3\xbc' fwd_kind=struct\n" == text.encode(errors="surrogateescape")


def test_damaged_names():
    """A name behind the strings."""
    b = Builder()
    b.string = lambda _: 77
    b.add_fwd("x")
    btf = BTF.from_bytes(b.build())

    for dump in (dump_raw.text, dump_raw.json):
        with pytest.raises(BTFError):
            list(dump(btf))


def test_prototypes():
    """Functions in bpftool's words, which are not quite C."""
    b = Builder()
    integer = b.add_int("int", 4)
    task = b.add_struct("task", 4, [])
    pointer = b.add_ptr(b.add_const(task))
    callback = b.add_ptr(b.add_func_proto(0, [("", pointer), ("n", integer)]))
    table = b.add_array(b.add_enum("e", [("A", 0)]), integer, 3)
    params = [("t", pointer), ("cb", callback), ("", b.add_typedef("u64", integer)), ("", 0)]
    function = b.add_func("run", b.add_func_proto(b.add_ptr(b.add_fwd("u", union=True)), params))
    nothing = b.add_func("nothing", b.add_func_proto(0))
    variable = b.add_var("v", table, 0)
    tagged = b.add_ptr(b.add_type_tag("user", integer))
    section = b.add_datasec(".bss", 0, [])
    long = b.add_func("f", b.add_func_proto(0, [("x" * 200, integer)] * 6))
    circle = b.add_ptr(b.next_id)
    btf = BTF.from_bytes(b.build())

    assert "union u * run(const struct task * t, void (const struct task *, int n)* cb, u64, ...)" == prototype(
        btf, function
    )
    assert "void nothing()" == prototype(btf, nothing)
    assert "static enum e [3] v" == prototype(btf, variable)
    assert 'section (".bss") ' == prototype(btf, section)
    assert "" == prototype(btf, tagged)
    assert "" == prototype(btf, long)
    with pytest.raises(BTFError):
        prototype(btf, circle)
    with pytest.raises(BTFError):
        prototype(btf, 999)
