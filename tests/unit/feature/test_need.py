"""What objects need, as their files tell: no kernel is asked here."""

from __future__ import annotations

from bpfctl.elf.read import read
from bpfctl.feature.need import needs
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from tests.build.compiled import compiled, source


def wanted(data, *kinds):
    """The needs of some kinds, as (kind, name, of)."""
    return [(one.kind, one.name, one.of) for one in needs(read(data)) if one.kind in kinds]


def test_types_of_programs():
    (program, attach) = [one for one in needs(read(compiled("connect4"))) if one.kind.endswith("type")]

    assert (program.kind, program.name, program.number) == (
        "program type",
        "cgroup_sock_addr",
        ProgType.CGROUP_SOCK_ADDR,
    )
    assert (attach.kind, attach.name, attach.of) == ("attach type", "cgroup_inet4_connect", "cgroup_sock_addr")
    assert attach.number == AttachType.CGROUP_INET4_CONNECT
    assert program.uses == attach.uses


def test_helpers_of_all_that_a_program_calls():
    """What two programs need of one type is one need, with an instruction for each."""
    data = source(
        """
        #include "bpf.h"
        static __noinline u64 below(void) { return ktime_get_ns(); }
        SEC("tc") int first(void *context) { return below(); }
        SEC("classifier") int second(void *context) { return below(); }
        SEC("kprobe") int third(void *context) { return get_current_pid_tgid(); }
        LICENSE("GPL");
        """
    )
    found = [one for one in needs(read(data)) if one.kind == "helper"]

    assert {(one.name, one.of) for one in found} == {
        ("ktime_get_ns", "sched_cls"),
        ("get_current_pid_tgid", "kprobe"),
    }
    (shared,) = [one for one in found if one.of == "sched_cls"]
    assert {use.by for use in shared.uses} == {"first", "second"}
    assert {use.section for use in shared.uses} == {".text"}
    assert all(use.source.endswith(":3") for use in shared.uses)


def test_a_program_that_is_not_loaded_by_itself_needs_nothing():
    data = source(
        """
        #include "bpf.h"
        SEC("?tc") int optional(void *context) { return no_such_helper(); }
        SEC("socket") int filter(void *context) { return 0; }
        LICENSE("GPL");
        """
    )
    assert wanted(data, "helper", "program type") == [("program type", "socket_filter", "")]


def test_maps_flags_and_fields():
    found = [one for one in needs(read(compiled("map_timer"))) if one.kind.startswith("map")]

    assert [(one.kind, one.name, one.of) for one in found] == [
        ("map type", "array", "timers"),
        ("map field", "bpf_timer", "array"),
    ]
    assert found[0].number == MapType.ARRAY
    assert wanted(compiled("map_arena"), "map flag") == [("map flag", "mmapable", "arena")]
    assert wanted(compiled("map_lock"), "map field") == [("map field", "bpf_spin_lock", "hash")]


def test_the_flag_that_loaders_leave_out_of_maps_of_variables():
    assert wanted(compiled("atomics"), "map flag") == []


def test_externs():
    """A kfunc has to be there, and to be for the programs that call it."""
    assert set(wanted(compiled("kfunc"), "kfunc", "license")) == {
        ("license", "compatible with GPL", "kfuncs"),
        ("kfunc", "bpf_rcu_read_lock", ""),
        ("kfunc", "bpf_rcu_read_lock", "sched_cls"),
        ("kfunc", "bpf_rcu_read_unlock", ""),
        ("kfunc", "bpf_rcu_read_unlock", "sched_cls"),
    }
    assert set(wanted(compiled("ksym"), "ksym", "address")) == {
        ("ksym", "bpf_prog_active", ""),
        ("address", "bpf_prog_fops", ""),
    }
    assert {name for _, name, _ in wanted(compiled("kconfig"), "kconfig")} == {"CONFIG_BPF_SYSCALL", "CONFIG_HZ"}


def test_instructions():
    assert wanted(compiled("atomics"), "instructions") == [("instructions", "atomics", "")]
    assert wanted(compiled("isa_v4"), "instructions") == [("instructions", "v4", "")]
    assert wanted(compiled("may_goto"), "instructions") == [("instructions", "may_goto", "")]


def test_size_counts_each_function_once():
    """A program is as long as itself and all functions that it calls, however often."""
    text = """
        #include "bpf.h"
        static __noinline u64 below(u64 value) {{ return value + ktime_get_ns(); }}
        SEC("tc") int first(void *context) {{ return {}; }}
        LICENSE("GPL");
        """
    for calls in ("0", "below(1)", "below(1) + below(2)"):
        spec = read(source(text.format(calls)))
        (size,) = [one for one in needs(spec) if one.kind == "program size"]
        assert size.number == sum(one.end - one.start for one in spec.functions)


def test_sleepers_and_packets():
    assert wanted(compiled("uprobe_sleepable"), "attach target") == [("attach target", "sleepable", "uprobe.s")]
    assert wanted(compiled("xdp_frags"), "attach target") == [
        ("attach target", "packets of several buffers", "xdp.frags")
    ]
    assert wanted(compiled("fexit_sleepable"), "attach target") == [("attach target", "__x64_sys_getpid", "fexit.s")]


def test_kinds_of_types():
    kinds = {name for _, name, _ in wanted(compiled("float_and_tags"), "BTF kind")}

    assert {"INT", "STRUCT", "DATASEC", "FLOAT", "TYPE_TAG", "DECL_TAG"} <= kinds


def test_structs_that_are_not_made_by_themselves():
    """Their programs are not loaded either, unless another struct has them too."""
    text = """
        #include "bpf.h"
        struct some_ops {{ u32 (*first)(u64 *); u32 (*second)(u64 *); }};
        SEC("struct_ops/first") u32 first(u64 *context) {{ return 1; }}
        SEC("struct_ops/second") u32 second(u64 *context) {{ return 2; }}
        SEC("?.struct_ops") struct some_ops optional = {{ .first = (void *)first, .second = (void *)second }};
        {}
        SEC("socket") int filter(void *context) {{ return 0; }}
        LICENSE("GPL");
        """
    made = 'SEC(".struct_ops") struct some_ops made = { .second = (void *)second };'

    assert wanted(source(text.format("")), "attach target", "struct_ops") == []
    assert set(wanted(source(text.format(made)), "attach target", "struct_ops")) == {
        ("attach target", "second", "struct_ops"),
        ("struct_ops", "some_ops", ""),
    }
