"""btf against ``bpftool btf dump``: the same words for every type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from btf import types
from btf.kind import NAMES
from btf.read import BTF, enum_values
from btf.write import Builder
from tests.bpftool import peer

VMLINUX = Path("/sys/kernel/btf/vmlinux")

ENCODINGS = {0: "(none)", types.SIGNED: "SIGNED", types.CHAR: "CHAR", types.BOOL: "BOOL"}


def dump(path):
    """Return what bpftool says about a BTF file."""
    answer = peer.run(peer.bpftools()[0], "-j", "btf", "dump", "file", str(path))
    assert answer.rc == 0, answer.stderr
    return json.loads(answer.stdout.decode("utf-8", "surrogateescape"))["types"]


def printed(of, val):
    """Return what bpftool prints: it extends the sign of 32-bit values even where there is none."""
    unsigned = isinstance(of, types.Enum) and not of.signed
    return val | 0xFFFFFFFF << 32 if unsigned and val >> 31 else val


def in_bpftools_words(of):
    """Return a type as the object that bpftool prints."""
    words = {"id": of.id, "kind": NAMES[types.KINDS[type(of)]], "name": of.name or "(anon)"}
    fields = {key: value for key, value in of._asdict().items() if key not in ("id", "name", "kind_flag")}
    match of:
        case types.Int():
            fields["encoding"] = ENCODINGS[of.encoding]
        case types.Struct() | types.Union():
            fields["vlen"] = len(of.members)
            fields["members"] = [
                {"name": name or "(anon)", "type_id": type_id, "bits_offset": offset}
                | ({"bitfield_size": width} if width else {})
                for name, type_id, offset, width in of.members
            ]
        case types.Enum() | types.Enum64():
            fields["vlen"] = len(of.values)
            fields["encoding"] = "SIGNED" if fields.pop("signed") else "UNSIGNED"
            fields["values"] = [{"name": name, "val": printed(of, val)} for name, val in of.values]
        case types.Fwd():
            fields = {"fwd_kind": "union" if of.is_union else "struct"}
        case types.Func() | types.Var():
            fields["linkage"] = types.LINKAGES[of.linkage]
        case types.FuncProto():
            fields["vlen"] = len(of.params)
            fields["params"] = [{"name": p.name or "(anon)", "type_id": p.type_id} for p in of.params]
        case types.Datasec():
            fields["vlen"] = len(of.vars)
            fields["vars"] = [var._asdict() for var in of.vars]
    return words | fields


def test_every_type_of_the_running_kernel():
    """Over 100,000 types, with all their members, read as bpftool reads them."""
    if not VMLINUX.exists():
        pytest.skip("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    btf = BTF.from_bytes(VMLINUX.read_bytes())

    expected = dump(VMLINUX)

    assert len(expected) == len(btf)
    for theirs, ours in zip(expected, btf, strict=True):
        assert theirs == in_bpftools_words(ours)


def test_enums_of_the_running_kernel():
    """The short cut to one enum finds what a full reading finds."""
    if not VMLINUX.exists():
        pytest.skip("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    raw = VMLINUX.read_bytes()
    btf = BTF.from_bytes(raw)

    for name in ("bpf_prog_type", "bpf_map_type", "bpf_attach_type", "bpf_link_type", "bpf_cmd"):
        found = btf.find(name, types.Enum)
        assert dict(found.values) == enum_values(raw, name)


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_every_kind_that_the_builder_makes(tmp_path, byteorder):
    """bpftool reads our writing: each kind, each flag, in both byte orders."""
    b = Builder(byteorder=byteorder)
    u32 = b.add_int("unsigned int", 4)
    for encoding in ENCODINGS:
        b.add_int("i8", 1, encoding=encoding)
    odd = b.add_int("odd", 4, nr_bits=3, bits_offset=5)
    b.add_ptr(b.add_fwd("f"))
    b.add_fwd("g", union=True)
    b.add_array(u32, u32, 7)
    b.add_struct("s", 16, [("bits", u32, 5, 3), ("", odd, 64)])
    b.add_union("u", 4, [("a", u32), ("b", u32, 8)])
    b.add_struct("", 0, [])
    for signed in (False, True):
        b.add_enum("e", [("A", 0), ("B", 1 << 31 if not signed else -1)], signed=signed)
        b.add_enum64("e64", [("C", 1 << 63 if not signed else -(1 << 63))], signed=signed)
    b.add_typedef("t", b.add_volatile(b.add_const(b.add_restrict(b.add_type_tag("user", u32)))))
    proto = b.add_func_proto(u32, [("x", u32), ("", 0)])
    for linkage in range(3):
        b.add_func("fn", proto, linkage)
    variables = [b.add_var("v", u32, linkage) for linkage in range(3)]
    b.add_datasec(".data", 12, [(var, 4 * index, 4) for index, var in enumerate(variables)])
    b.add_float("double", 8)
    b.add_decl_tag("tag", u32 + 12, 1)
    b.add_decl_tag("tag", proto + 1)
    raw = b.build()
    path = tmp_path / "all.btf"
    path.write_bytes(raw)

    ours = [in_bpftools_words(each) for each in BTF.from_bytes(raw)]

    assert dump(path) == ours
