"""bpfctl.kernel.btf: infos from literals, and names out of types that may be damaged."""

from __future__ import annotations

import struct

import pytest

from bpfctl.errors import KernelError
from bpfctl.kernel import btf
from bpfctl.kernel.btf import BtfInfo
from btf.errors import BTFError
from btf.read import BTF
from btf.write import Builder

# struct bpf_btf_info: address and size of the types, id, address and length of the name, whether it is the kernel's
MODULE = struct.pack("=QIIQII", 0, 5500, 3, 0x1000, 5, 1)


def test_a_module():
    assert BtfInfo.from_raw(MODULE, b"xfs\xff") == BtfInfo(3, 5500, "xfs\udcff", kernel_btf=True)


def test_an_older_kernel_writes_less():
    """Before Linux 5.11 nobody knows the name, and whether the types are the kernel's own."""
    assert BtfInfo.from_raw(MODULE[:16]) == BtfInfo(3, 5500, None, kernel_btf=None)


def test_what_was_loaded_has_no_name():
    assert BtfInfo.from_raw(struct.pack("=QIIQII", 0, 64, 9, 0, 0, 0)) == BtfInfo(9, 64, "", kernel_btf=False)


@pytest.fixture
def types(monkeypatch):
    """Types that every id loads: the first is a number, the third a function."""
    builder = Builder()
    u32 = builder.add_int("unsigned int", 4)
    builder.add_func("a_name_longer_than_fifteen", builder.add_func_proto(u32))
    found = BTF.from_bytes(builder.build())
    monkeypatch.setattr(btf, "load", lambda _id: found)


def records(*type_ids):
    """Return func_info records that point to types."""
    return b"".join(struct.pack("=II", at * 2, type_id) for at, type_id in enumerate(type_ids))


@pytest.mark.usefixtures("types")
def test_the_first_function_names_the_program():
    assert btf.function_name(1, records(3, 1)) == "a_name_longer_than_fifteen"


@pytest.mark.usefixtures("types")
@pytest.mark.parametrize("type_id", [0, 1, 2, 4, 0xFFFFFFFF])
def test_what_is_no_function_names_nothing(type_id):
    """Other kinds of types and ids out of range leave the name that the kernel has."""
    assert btf.function_name(1, records(type_id)) is None


@pytest.mark.parametrize("error", [BTFError("damaged"), KernelError("can't get BTF object by id (1)", 2)])
def test_types_that_cannot_be_had_name_nothing(monkeypatch, error):
    def load(_id):
        raise error

    monkeypatch.setattr(btf, "load", load)

    assert btf.function_name(1, records(3)) is None
