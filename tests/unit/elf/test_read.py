"""Objects as their files tell them: programs, functions, maps, externs, and what instructions refer to."""

from __future__ import annotations

import pytest

from bpfctl.elf.read import read
from bpfctl.elf.section import SECTIONS, find
from bpfctl.errors import ObjectError
from bpfctl.spec import ADDRESS, BSS, EXTERN, FUNCTION, KCONFIG, KFUNC, KSYM, MAP, RODATA, Reference
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from bpfctl.uapi.flags import MapFlag
from tests.build.compiled import compiled, source

RICH = """
#include "bpf.h"
struct inner {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
};
struct {
	__uint(type, 12);
	__uint(max_entries, 3);
	__type(key, u32);
	__uint(pinning, 1);
	__array(values, struct inner);
} outer SEC(".maps");
const volatile int constant = 7;
static int counter;
int shared = 9;
extern int LINUX_KERNEL_VERSION __kconfig;
extern const int bpf_prog_active __ksym;
extern const void some_address __ksym __weak;
extern void bpf_some_function(void) __ksym;
static __noinline int below(void *context)
{
	u32 key = 0;

	return map_lookup_elem(&outer, &key) != 0;
}
__noinline int global(void *context)
{
	return below(context) + counter++;
}
SEC("?fentry.s/module:function") int first(void *context)
{
	bpf_some_function();
	return global(context) + constant + shared + LINUX_KERNEL_VERSION;
}
SEC("fentry.s/other") int second(void *context)
{
	return (long)&bpf_prog_active + (long)&some_address == 1;
}
LICENSE("Dual MIT/GPL");
"""


@pytest.fixture(scope="module")
def rich():
    return read(source(RICH))


def test_programs(rich):
    first, second = sorted(rich.programs, key=lambda one: one.name)

    assert (first.name, first.section, first.target) == ("first", "fentry.s/module:function", "module:function")
    assert (first.type, first.attach_type) == (ProgType.TRACING, AttachType.TRACE_FENTRY)
    assert first.sleepable
    assert first.attach_btf
    assert not first.autoload
    assert (second.name, second.target, second.autoload) == ("second", "other", True)
    assert (rich.license, rich.is_gpl, rich.byteorder, rich.refusals) == ("Dual MIT/GPL", True, "little", ())


def test_functions_and_references(rich):
    functions = {one.name: one for one in rich.functions}

    assert set(functions) == {"first", "second", "below", "global"}
    assert {name for name, one in functions.items() if one.is_global} == {"first", "second", "global"}
    below = functions["below"]
    assert Reference(FUNCTION, "below", ".text", below.start) in rich.code[".text"].references.values()
    assert Reference(MAP, "outer") in rich.code[".text"].references.values()
    inside = rich.code["?fentry.s/module:function"]
    names = {(one.kind, one.name) for one in inside.references.values()}
    assert names == {
        (EXTERN, "bpf_some_function"),
        (EXTERN, "LINUX_KERNEL_VERSION"),
        (FUNCTION, "global"),
        (MAP, ".rodata"),
        (MAP, ".data"),
    }
    assert all(inside.insns[slot] is not None for slot in inside.references)


def test_maps(rich):
    maps = {one.name: one for one in rich.maps}
    outer = maps["outer"]

    assert set(maps) == {"outer", ".rodata", ".data", ".bss", ".kconfig"}
    assert (outer.type, outer.key_size, outer.value_size, outer.max_entries) == (MapType.ARRAY_OF_MAPS, 4, 4, 3)
    assert outer.pinned
    assert outer.inner.name == "outer.inner"
    assert (outer.inner.type, outer.inner.value_size, outer.inner.max_entries) == (MapType.ARRAY, 8, 4)
    assert (maps[".rodata"].made_of, maps[".rodata"].contents) == (RODATA, bytes([7, 0, 0, 0]))
    assert maps[".rodata"].flags == MapFlag.RDONLY_PROG | MapFlag.MMAPABLE
    assert (maps[".data"].contents, maps[".data"].flags) == (bytes([9, 0, 0, 0]), MapFlag.MMAPABLE)
    assert (maps[".bss"].made_of, maps[".bss"].flags, maps[".bss"].contents) == (BSS, 0, b"")
    assert maps[".kconfig"].value_size == 4


def test_externs(rich):
    assert {one.name: (one.kind, one.weak) for one in rich.externs} == {
        "LINUX_KERNEL_VERSION": (KCONFIG, False),
        "bpf_prog_active": (KSYM, False),
        "some_address": (ADDRESS, True),
        "bpf_some_function": (KFUNC, False),
    }


def test_struct_ops():
    spec = read(compiled("struct_ops"))
    (ops,) = [one for one in spec.maps if one.type == MapType.STRUCT_OPS]

    assert (ops.name, ops.struct) == ("ours", "tcp_congestion_ops")
    assert dict(ops.functions) == {"ssthresh": "ssthresh", "undo_cwnd": "undo_cwnd", "cong_avoid": "cong_avoid"}
    assert {one.type for one in spec.programs} == {ProgType.STRUCT_OPS}


def test_callbacks_are_functions():
    """The address of a function in an instruction of two slots leads to it."""
    spec = read(compiled("callback"))
    (reference,) = [one for one in spec.code["tc"].references.values() if one.kind == FUNCTION]

    assert reference.name == "fine"


def test_maps_of_old():
    spec = read(compiled("map_legacy"))
    (map_,) = spec.maps

    assert (map_.name, map_.type, map_.key_size, map_.value_size, map_.max_entries) == ("hash", 1, 4, 8, 16)
    assert spec.refusals == ("maps of section maps are declared in a way that libbpf 1.0 gave up",)


def test_big_endian():
    """An object for machines of the other byte order reads the same."""
    little, big = (read(source(RICH, *options)) for options in ((), ("-target", "bpfeb")))

    assert big.byteorder == "big"
    assert little.programs == big.programs
    assert little.functions == big.functions
    assert {one.name: one.value_size for one in little.maps} == {one.name: one.value_size for one in big.maps}
    assert {name: code.insns for name, code in little.code.items()} == {
        name: code.insns for name, code in big.code.items()
    }
    assert {name: code.references for name, code in little.code.items()} == {
        name: code.references for name, code in big.code.items()
    }


def test_an_object_without_types():
    """Without -g there are programs all the same, and maps only if none are declared by types."""
    text = compiled_text("socket")
    data = source(text, "-g0")

    assert [one.name for one in read(data).programs] == ["filter"]
    with pytest.raises(ObjectError, match=r"the maps of section .maps have no BTF"):
        read(source(compiled_text("maps"), "-g0"))


def compiled_text(name):
    from tests.build.compiled import OBJECTS

    return (OBJECTS / f"{name}.bpf.c").read_text()


@pytest.mark.parametrize(
    ("name", "type_", "attach_type", "target"),
    [
        ("xdp", ProgType.XDP, AttachType.XDP, ""),
        ("kprobe", ProgType.KPROBE, None, ""),
        ("kprobe/vfs_read+4", ProgType.KPROBE, None, "vfs_read+4"),
        ("kprobe.multi/vfs_*", ProgType.KPROBE, AttachType.TRACE_KPROBE_MULTI, "vfs_*"),
        ("cgroup/connect6", ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET6_CONNECT, ""),
        ("tp/sched/sched_switch", ProgType.TRACEPOINT, None, "sched/sched_switch"),
        ("lsm_cgroup/socket_bind", ProgType.LSM, AttachType.LSM_CGROUP, "socket_bind"),
    ],
)
def test_sections(name, type_, attach_type, target):
    said, found = find(name)

    assert (said.type, said.attach_type, found) == (type_, attach_type, target)


@pytest.mark.parametrize("name", ["", "xdp/else", "kprobes", "kprobe_multi/x", "socket1", "tcx", "cgroup/connect"])
def test_no_sections(name):
    assert find(name) is None


def test_every_type_of_program_has_a_section():
    """The one without a section of its own is made by nobody."""
    assert {said.type for said in SECTIONS.values()} == set(ProgType) - {ProgType.UNSPEC}
