"""btf.dump_c and btf.dump_raw against ``bpftool btf dump``: the same bytes; whole kernels are in test_btf_sweep.py."""

from __future__ import annotations

import pytest

from bpfctl.render.json import dumps
from btf import dump_raw
from btf.dump_c import header
from btf.read import BTF
from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST
from tests.unit.btf.c_cases import CASES

#: The bpftool whose headers are ours; older ones have no functions in them and another order.

needs_current = CURRENT


def theirs(path, *words, tool=NEWEST, options=()):
    """Return what bpftool writes on standard output."""
    return peer.run(tool, *options, "btf", "dump", "file", str(path), *words).stdout


def encoded(pieces):
    """Return text as it is written."""
    return "".join(pieces).encode(errors="surrogateescape")


def forms(btf):
    """Yield bpftool's options, and our text for them."""
    yield (), encoded(dump_raw.text(btf))
    yield ("-j",), encoded(dump_raw.json(btf, quote=dumps)) + b"\n"
    yield ("-p",), encoded(dump_raw.json(btf, quote=dumps, pretty=True)) + b"\n"


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """A file with one feature of C, and the file's types."""
    path = tmp_path / "case.btf"
    path.write_bytes(CASES[request.param].data)
    return path, BTF.from_bytes(CASES[request.param].data)


@needs_current
@pytest.mark.parametrize("sort", [True, False])
def test_header_of_a_case(case, sort):
    """Each feature of C, in both orders."""
    path, btf = case

    assert theirs(path, "format", "c", *([] if sort else ["unsorted"])) == encoded(header(btf, sort=sort))


@needs_current
def test_header_of_each_type(case):
    """Every type of a case alone, with what it needs."""
    path, btf = case

    for type_id in btf.ids:
        words = ("format", "c", "root_id", str(type_id))
        assert theirs(path, *words) == encoded(header(btf, roots=[type_id]))


def test_raw_forms_of_a_case(case):
    """Text and JSON of each feature, with every bpftool."""
    path, btf = case

    for tool in peer.bpftools():
        for options, text in forms(btf):
            assert theirs(path, tool=tool, options=options) == text
