"""bpfctl.host.fdinfo: what /proc tells of a descriptor."""

from __future__ import annotations

import os

import pytest

from bpfctl.host import fdinfo

TEXT = b"pos:\t0\nflags:\t02000002\nprog_type:\t1\nprog_tag:\ta04f5eef06a7f555\nmemlock:\t4096\nprog_id:\t12\n"


@pytest.mark.parametrize(
    ("name", "number"), [(b"memlock", 4096), (b"prog_id", 12), (b"id", None), (b"og_id", None), (b"map_id", None)]
)
def test_number(name, number):
    """Names are whole lines' names."""
    assert fdinfo.number(TEXT, name) == number
    assert fdinfo.number(b"", name) is None


def test_fields():
    fields = fdinfo.fields(TEXT + b"path:\t/a:b \xff\nno colon\n")

    assert fields["prog_tag"] == "a04f5eef06a7f555"
    assert fields["path"] == "/a:b \udcff"
    assert "no colon" not in fields


def test_own():
    """A descriptor of ours has a text, and one that is closed has none."""
    with open(os.devnull) as file:
        fd = file.fileno()
        assert fdinfo.own(fd).startswith(b"pos:\t0\n")
        assert fdinfo.fields(fdinfo.read(fd)) == fdinfo.fields(fdinfo.own(fd))
    assert fdinfo.own(fd) == b""
