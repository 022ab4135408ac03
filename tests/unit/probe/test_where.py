"""The language of conditions on hits: what a line means, and what is said about one that means nothing."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import UsageError
from bpfctl.probe.where import Binary, Name, Number, String, Unary, names, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pid", Name("pid")),
        ("pid == 7", Binary("==", Name("pid"), Number(7))),
        ("0x10 < args.len", Binary("<", Number(16), Name("args.len"))),
        ("a->b.c[3]", Name("a.b.c[3]")),
        ('comm == "a\\"b"', Binary("==", Name("comm"), String('a"b'))),
        ("comm != 'x y'", Binary("!=", Name("comm"), String("x y"))),
        ("not a and b or c", Binary("||", Binary("&&", Unary("!", Name("a")), Name("b")), Name("c"))),
        ("not a == 1", Unary("!", Binary("==", Name("a"), Number(1)))),
        ("not a & 1 and b", Binary("&&", Unary("!", Binary("&", Name("a"), Number(1))), Name("b"))),
        ("!a & 1", Binary("&", Unary("!", Name("a")), Number(1))),
        ("a == not b", Binary("==", Name("a"), Unary("!", Name("b")))),
        ("a || b && c", Binary("||", Name("a"), Binary("&&", Name("b"), Name("c")))),
        ("a & 1 == 1", Binary("==", Binary("&", Name("a"), Number(1)), Number(1))),
        ("a - b - c", Binary("-", Binary("-", Name("a"), Name("b")), Name("c"))),
        ("a + b * c << 1", Binary("<<", Binary("+", Name("a"), Binary("*", Name("b"), Name("c"))), Number(1))),
        ("-a < ~b", Binary("<", Unary("-", Name("a")), Unary("~", Name("b")))),
        ("(a < b) == c", Binary("==", Binary("<", Name("a"), Name("b")), Name("c"))),
        ("android", Name("android")),
    ],
)
def test_meaning(text, wanted):
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "in nothing at all: a field or a value is missing"),
        ("pid ==", "at its end: a field or a value is missing"),
        ("pid = 7", "at '= 7': use == to compare"),
        ("comm == 'x", "at ''x': a quote is open"),
        ("pid 7", "at '7': an operator is missing before it"),
        ("(pid", "at its end: a ')' is missing"),
        ("pid)", "at ')': an operator is missing before it"),
        ("a < b < c", "at '< c': two comparisons in a row: join them with &&"),
        ("pid == 7up", "'7up' is no number"),
        ("pid == 0x10000000000000000", "more than 64 bits"),
        ("$pid", "at '$pid': what is this?"),
        ("(" * 60 + "a" + ")" * 60, "nested too deeply"),
        ("!" * 60 + "a", "nested too deeply"),
        ("not " * 60 + "a", "nested too deeply"),
    ],
)
def test_refusals(text, why):
    with pytest.raises(UsageError, match=re.escape(why)):
        parse(text)


def test_names_of_fields():
    assert list(names(parse("a + args.b[1] > 7 && !(c == 'x' || a)"))) == ["a", "args.b[1]", "c", "a"]
    assert len(list(names(parse(" + ".join("ab" * 3000))))) == 6000


@given(st.text(max_size=60) | st.text("ab.()[]&|<>=!~+-*/%^'\"0x7 ", max_size=60))
def test_anything_is_a_tree_or_refused(text):
    with suppress(UsageError):
        assert all(name[0].isalpha() or name[0] == "_" for name in names(parse(text)))
