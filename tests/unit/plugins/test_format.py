"""The format files of events: which fields they tell, and that no file makes the reader fail."""

from __future__ import annotations

import sys

import pytest
from bpfctl_tracepoint.format import parse
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.probe.field import Blob, Bytes, Integer, Numbers, Text

COMMON = """name: thing
ID: 314
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

"""


def one(line, **more):
    (field,) = parse(f"{COMMON}\t{line}\n\nprint fmt: ...\n", **more).fields
    return field


@pytest.mark.parametrize(
    ("line", "name", "type_"),
    [
        ("field:pid_t pid;\toffset:8;\tsize:4;\tsigned:1;", "pid", Integer(4, signed=True)),
        ("field:unsigned char flag;\toffset:8;\tsize:1;\tsigned:0;", "flag", Integer(1)),
        ("field:void * ptr;\toffset:8;\tsize:8;\tsigned:0;", "ptr", Integer(8, hexadecimal=True)),
        ("field:char comm[16];\toffset:8;\tsize:16;\tsigned:0;", "comm", Text(16)),
        ("field:char comm[TASK_COMM_LEN];\toffset:8;\tsize:16;\tsigned:0;", "comm", Text(16)),
        ("field:unsigned char addr[6];\toffset:8;\tsize:6;\tsigned:0;", "addr", Blob(6)),
        ("field:__u8 addr[16];\toffset:8;\tsize:16;\tsigned:0;", "addr", Blob(16)),
        (
            "field:unsigned long args[6];\toffset:8;\tsize:48;\tsigned:0;",
            "args",
            Numbers(Integer(8), 6),
        ),
        ("field:s16 pair[2];\toffset:8;\tsize:4;\tsigned:1;", "pair", Numbers(Integer(2, signed=True), 2)),
        ("field:u32 odd[3];\toffset:8;\tsize:16;\tsigned:0;", "odd", Blob(16)),
        ("field:u32 named[LENGTH];\toffset:8;\tsize:16;\tsigned:0;", "named", Blob(16)),
        ("field:u32 none[0];\toffset:8;\tsize:0;\tsigned:0;", "none", Blob(0)),
        ("field:__data_loc char[] path;\toffset:8;\tsize:4;\tsigned:0;", "path", Text(64, may_be_cut=True)),
        ("field:__rel_loc char[] path;\toffset:8;\tsize:4;\tsigned:0;", "path", Text(64, may_be_cut=True)),
        ("field:__data_loc u32[] list;\toffset:8;\tsize:4;\tsigned:0;", "list", Bytes(64)),
        ("field:const char * name;\toffset:8;\tsize:8;\tsigned:0;", "name", Text(64, may_be_cut=True)),
        ("field:struct thing whole;\toffset:8;\tsize:24;\tsigned:0;", "whole", Blob(24)),
    ],
)
def test_types_of_fields(line, name, type_):
    field = one(line)

    assert (field.name, field.type) == (name, type_)


@pytest.mark.parametrize(
    ("declared", "type_"),
    [
        ("int fd", Integer(4, signed=True)),
        ("unsigned int flags", Integer(4)),
        ("const clockid_t which_clock", Integer(4, signed=True)),
        ("const enum landlock_rule_type rule_type", Integer(4)),
        ("key_t key", Integer(4, signed=True)),
        ("const size_t size", Integer(8)),
        ("const int * pointer", Integer(8, hexadecimal=True)),
        ("umode_t mode", Integer(2)),
        ("size_t count", Integer(8)),
        ("loff_t pos", Integer(8, signed=True)),
        ("struct stat * statbuf", Integer(8, hexadecimal=True)),
        ("const char * filename", Text(64, may_be_cut=True)),
    ],
)
def test_arguments_of_system_calls_have_less_than_eight_bytes(declared, type_):
    assert one(f"field:{declared};\toffset:16;\tsize:8;\tsigned:0;", is_syscall=True).type == type_


def test_items_of_arrays():
    line = "field:int pair[2];\toffset:8;\tsize:8;\tsigned:1;"
    items = parse(f"{COMMON}\t{line}\n\nprint fmt: ...\n").items

    assert [(item.name, item.type) for item in items] == [
        ("pair[0]", Integer(4, signed=True)),
        ("pair[1]", Integer(4, signed=True)),
    ]


def test_numbers_of_an_array():
    pair = Numbers(Integer(4, signed=True), 2)

    assert pair.decode((7).to_bytes(4, sys.byteorder) + b"\xff" * 4) == (7, -1)
    assert pair.spell((7, -1)) == "[7, -1]"


def test_number_of_the_event():
    assert parse(COMMON).id == 314
    assert parse("").id == 0


@given(
    st.text(max_size=200)
    | st.text("field:char[];\toffset size_t 0123456789\n*", max_size=200).map(lambda t: f"\tfield:{t}")
)
def test_any_text_is_read(text):
    for field in parse(text).fields:
        assert field.name
        assert field.type.size >= 0


@given(st.integers(0, 1 << 70), st.integers(0, 1 << 70))
def test_numbers_of_any_length(at, size):
    """What has no place in a record is no field."""
    for field in parse(f"{COMMON}\tfield:char x[9];\toffset:{at};\tsize:{size};\tsigned:0;\n").fields:
        assert field.type.size <= 1 << 13
