"""One line on a type, as bpftool's buffer holds it."""

from __future__ import annotations

import pytest

from btf.errors import BTFError
from btf.prototype import prototype
from btf.read import BTF
from btf.write import Builder


def line(make):
    """Return the line on what ``make`` adds last, to a builder that has an int and a struct file."""
    b = Builder()
    last = make(b, b.add_int("int", 4), b.add_struct("file", 8, []))
    return prototype(BTF.from_bytes(b.build()), last)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda *_: 0, "void "),
        (lambda b, *_: b.add_ptr(0), "void * "),
        (lambda b, number, _: b.add_restrict(b.add_ptr(number)), "restrict int * "),
        (lambda b, number, _: b.add_const(b.add_volatile(number)), "const volatile int "),
        (lambda b, number, _: b.add_array(number, number, 3), "int [3]"),
        (lambda b, *_: b.add_fwd("u", union=True), "union u "),
        (lambda b, *_: b.add_union("u", 4, []), "union u "),
        (lambda b, *_: b.add_enum("e", []), "enum e "),
        (lambda b, number, _: b.add_var("v", number, 0), "static int  v"),
        (lambda b, number, _: b.add_var("v", number, 1), "int  v"),
        (
            lambda b, number, file: b.add_func(
                "sync", b.add_func_proto(number, [("file", b.add_ptr(file)), ("", number), ("", 0)])
            ),
            "int sync(struct file * file, int, ...)",
        ),
        (lambda b, number, _: b.add_type_tag("rcu", number), ""),
        (lambda b, *_: b.add_typedef("n" * 1022, 0), "n" * 1022 + " "),
        (lambda b, *_: b.add_typedef("n" * 1023, 0), ""),
    ],
)
def test_words(make, expected):
    assert expected == line(make)


def test_a_function_of_no_function_type():
    with pytest.raises(BTFError, match="which is no function type"):
        line(lambda b, number, _: b.add_func("f", number))
