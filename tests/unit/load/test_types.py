"""An object's types for the kernel: whole sections, and nothing that only the kernel has."""

from __future__ import annotations

from bpfctl.elf.read import read
from bpfctl.load.types import described
from btf import types
from btf.read import BTF
from tests.build.compiled import compiled


def prepared(name, settings=None):
    spec = read(compiled(name))
    return spec, BTF.from_bytes(described(spec, spec.btf, settings or {}))


def test_sections_are_whole():
    """A compiler leaves out sizes and places; the kernel wants variables in their order, and none beyond the end."""
    spec, btf = prepared("load_data")
    for section in (".data", ".bss", ".rodata", ".data.more"):
        of = btf.find(section, types.Datasec)
        (map_,) = [one for one in spec.maps if one.name == section]
        ends = [var.offset + var.size for var in of.vars]

        assert of.size == map_.value_size >= max(ends)
        assert all(var.offset >= end for var, end in zip(of.vars[1:], ends, strict=False))
    assert {btf.name(var.type_id): var.offset for var in btf.find(".bss", types.Datasec).vars} == {
        name: place for (section, name), place in spec.places.items() if section == ".bss"
    }


def test_ids_and_strings_stay():
    spec, btf = prepared("load_functions")

    assert btf.ids == spec.btf.ids
    assert btf.strings.startswith(spec.btf.strings)
    assert [btf.type(one) for one in btf.ids if btf.kind(one) != 15] == [
        spec.btf.type(one) for one in spec.btf.ids if spec.btf.kind(one) != 15
    ]


def test_what_the_kernel_has_is_nothing_of_ours():
    """Functions and variables of the kernel, and their section, are no types that it takes."""
    _, btf = prepared("load_kfuncs")

    assert btf.find(".ksyms") is None
    assert not btf.find_all("bpf_rcu_read_lock")
    assert not btf.find_all("bpf_no_such_variable")


def test_settings_have_places():
    spec = read(compiled("load_settings"))
    places = {one.name: 8 * at for at, one in enumerate(reversed(spec.externs))}
    btf = BTF.from_bytes(described(spec, spec.btf, places))
    section = btf.find(".kconfig", types.Datasec)

    assert {btf.name(var.type_id): var.offset for var in section.vars} == places
    assert [var.offset for var in section.vars] == sorted(places.values())
    assert {btf.type(var.type_id).linkage for var in section.vars} == {1}
    assert all(var.size == btf.size_of(var.type_id) for var in section.vars)
