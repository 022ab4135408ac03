"""btf/_fast.c beside its twins in Python: the same bytes, and nothing that an honest compiler makes is left to them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from btf import _loops, dump_raw
from btf._table import Table
from btf.dump_c import header
from btf.errors import BTFError
from btf.read import BTF
from btf.write import Builder
from tests.unit.btf.c_cases import CASES, Types

RUNNING = Path("/sys/kernel/btf")
DUMPS = (header, partial(header, sort=False), dump_raw.text, dump_raw.json, partial(dump_raw.json, pretty=True))
#: Text beyond ASCII is left to Python.
IN_PYTHON = {"names_that_are_not_ascii"}


def texts(data, base=None):
    """Return every dump of a blob, or why there is none."""
    btf, found = BTF.from_bytes(data, base and BTF.from_bytes(base)), []
    for dump in DUMPS:
        try:
            found.append("".join(dump(btf)))
        except BTFError as error:
            found.append(repr(error))
    return found


def same(monkeypatch, data, base=None):
    """Compare the dumps with those of Python alone."""
    fast = texts(data, base)
    with monkeypatch.context() as patch:
        patch.setattr(_loops, "fast", None)
        assert fast == texts(data, base)


def by_c(data):
    """Return whether all of a header is written by C, in both orders."""
    table = Table(BTF.from_bytes(data))
    if table.fast is None:
        return False
    for sort in (True, False):
        steps = table.fast.steps(table.fast.queue(sort))
        if table.fast.header(steps, b"", table.pointer_size)[0] is None:
            return False
    return True


def ids_by_name(data, names, base=None):
    """Return the types of each name, each looked up in BTF that was never asked before."""
    base = base and BTF.from_bytes(base)
    return {name: BTF.from_bytes(data, base).ids_named(name) for name in names}


@pytest.mark.parametrize("name", CASES)
def test_names_of_each_feature(monkeypatch, name):
    data = CASES[name].data
    names = [*{type_.name for type_ in BTF.from_bytes(data) if type_.name}, "nobody has this name"]

    fast = ids_by_name(data, names)

    assert all(fast[name] for name in names[:-1])
    assert not fast[names[-1]]
    monkeypatch.setattr(_loops, "fast", None)
    assert fast == ids_by_name(data, names)


def test_a_name_that_ends_others(monkeypatch):
    """Strings may share their ends, and modules have names of the kernel's."""
    base, split = Builder(), None
    ids = [base.add_int(name, 4) for name in ("xint", "int", "yxint")]
    kernel = base.build()
    split = Builder(base=BTF.from_bytes(kernel))
    ids += [split.add_typedef("int", 1), split.add_typedef("mint", 1), split.add_typedef("mint", 2)]
    module, names = split.build(), ("int", "xint", "mint", "yxint", "t")

    fast = ids_by_name(module, names, kernel)

    assert fast == {"int": [ids[1], ids[3]], "xint": [ids[0]], "mint": ids[4:], "yxint": [ids[2]], "t": []}
    monkeypatch.setattr(_loops, "fast", None)
    assert fast == ids_by_name(module, names, kernel)


@pytest.mark.parametrize("name", CASES)
def test_each_feature(monkeypatch, name):
    """What C can have, C writes."""
    same(monkeypatch, CASES[name].data)

    assert (name not in IN_PYTHON) == by_c(CASES[name].data)


@pytest.mark.skipif(not (RUNNING / "vmlinux").exists(), reason="this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
def test_running_kernel(monkeypatch):
    """All types of the kernel, and those of a module over it."""
    vmlinux = (RUNNING / "vmlinux").read_bytes()
    modules = sorted(set(RUNNING.iterdir()) - {RUNNING / "vmlinux"})

    same(monkeypatch, vmlinux)
    assert by_c(vmlinux)
    for path in modules[:1]:
        same(monkeypatch, path.read_bytes(), vmlinux)


def test_functions_that_return_functions(monkeypatch):
    """Names are numbered in the order in which types are met, which is not that of the text."""
    builder = Types()
    records = [builder.add_struct("s", 4, [("x", builder.int, 32 * 0)]) for _ in range(4)]
    pointers = [builder.add_ptr(record) for record in records]
    inner = builder.function(pointers[2], pointers[1])
    outer = builder.function(inner, pointers[3], pointers[0])
    builder.add_struct("user", 8, [("f", outer)])
    builder.add_struct("array", 80, [("f", builder.add_array(builder.function(outer), builder.int, 10))])

    same(monkeypatch, builder.build())
    assert by_c(builder.build())


def test_functions_that_return_records(monkeypatch):
    """A function may lead to what is not defined yet through one that it returns, though no compiler has that."""
    builder = Types()
    outer = builder.add_func_proto(builder.next_id + 4, [("", 0)])
    known = builder.add_typedef("known", 0)
    builder.add_typedef("", 0)
    record = builder.add_struct("", 4, [("x", known)])
    assert outer + 4 == builder.add_func_proto(record, [])

    same(monkeypatch, builder.build())


def test_enums_that_only_a_table_has(monkeypatch):
    """A search for definitions does not go there, and yet they are no constants by themselves."""
    builder = Types()
    _, index, tagged, variable, _ = [builder.add_enum("", [(name, 0)]) for name in ("A", "B", "C", "D", "LOOSE")]
    builder.add_struct("s", 4, [("x", builder.add_array(builder.int, index, 1))])
    builder.add_decl_tag("tag", tagged)
    builder.add_datasec(".data", 4, [(variable, 0, 4)])
    same(monkeypatch, builder.build())

    text = "".join(header(BTF.from_bytes(builder.build())))
    assert ["\tLOOSE = 0,"] == [line for line in text.splitlines() if line.endswith(" = 0,")]


@pytest.mark.parametrize("depth", [1, 20, 60, 120, 300])
def test_depth(monkeypatch, depth):
    """C and Python agree on how deep records without names can be in each other."""
    builder = Types()
    inner = builder.int
    for _ in range(depth):
        inner = builder.add_struct("", 4, [("", inner)])
    builder.add_struct("top", 4, [("x", inner)])

    same(monkeypatch, builder.build())


def test_too_deep_for_c(monkeypatch):
    """What is odd is left to Python, which knows what to say."""
    builder = Types()
    pointer = builder.int
    for _ in range(150):
        pointer = builder.add_ptr(pointer)
    builder.add_typedef("deep", pointer)

    assert not by_c(builder.build())
    same(monkeypatch, builder.build())


def test_text_that_explodes():
    """A few types that refer to each other in 2 ** n ways are not written out."""
    builder = Types()
    function = builder.add_func_proto(0, [("", builder.int)])
    for _ in range(30):
        pointer = builder.add_ptr(function)
        function = builder.add_func_proto(0, [("a", pointer), ("b", pointer)])
    builder.add_typedef("many", builder.add_ptr(function))

    assert not by_c(builder.build())


@pytest.mark.parametrize(
    ("words", "starts", "strings"),
    [
        (b"", b"\0" * 4, b"\0"),
        (bytes(12), b"\1\0\0\0", b"\0"),
        (bytes(12), bytes(4), b""),
        (bytes(12), bytes(4), b"x"),
        (bytes(12), b"", b"\0"),
        (bytes(12), bytes(4), b"\xff\0"),
        (bytes(12), bytes(4), b"\0" + b"x" * 3000 + b"\0"),
    ],
)
def test_damaged_tables(words, starts, strings):
    """Nothing is looked at before it is known to be in range."""
    assert _loops.fast

    with pytest.raises(ValueError, match="not as compilers make it"):
        _loops.fast.Table(words, starts, strings)


def test_numbers_out_of_range():
    """What Python hands over is checked as well."""
    builder = Builder()
    builder.add_int("int", 4)
    fast = Table(BTF.from_bytes(builder.build())).fast

    assert fast
    assert fast.steps(b"\xff\0\0\0") is None
    assert fast.header(b"\xff\0\0\0", b"", 8)[0] is None
    assert fast.header(b"", b"\1\0\0\0", 8)[0] is None
    with pytest.raises(ValueError, match="fields"):
        fast.lines(bytes(4), 0, (bytes(9),) * 31, False)
    with pytest.raises(IndexError):
        fast.lines(bytes(4), 0, (), False)
