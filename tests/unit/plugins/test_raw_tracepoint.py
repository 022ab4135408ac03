"""Tracepoints by their types: those of the kernel, and of its modules."""

from __future__ import annotations

import bpfctl_raw_tracepoint
import pytest
from bpfctl_raw_tracepoint import RawTracepointSource, TpBtfSource

from bpfctl.errors import NotFound
from btf.read import BTF
from btf.write import Builder


def types(name, base=None):
    b = Builder(base=base)
    b.add_typedef(f"btf_trace_{name}", b.add_ptr(b.add_func_proto(0, [("", b.add_ptr(0)), ("", b.add_int(name, 4))])))
    return BTF.from_bytes(b.build(), base)


@pytest.fixture(autouse=True)
def _kernel(monkeypatch):
    kernel = types("of_kernel")
    monkeypatch.setattr(bpfctl_raw_tracepoint, "kernel_types", lambda: kernel)
    monkeypatch.setattr(bpfctl_raw_tracepoint, "types_of", lambda _: [kernel, types("of_module", kernel)])


def test_names():
    assert [point.target for point in RawTracepointSource().discover("*")] == ["of_kernel", "of_module"]
    assert [point.target for point in RawTracepointSource().resolve("of_m*")] == ["of_module"]


def test_programs_that_know_the_types_are_of_the_kernel_alone():
    source = TpBtfSource()

    assert [point.target for point in source.discover("*")] == ["of_kernel"]
    assert source._group(*source.resolve("of_kernel")).btf_id == source._types("")[0].find("btf_trace_of_kernel").id
    with pytest.raises(NotFound, match="there is no raw tracepoint 'of_module'"):
        source.resolve("of_module")
