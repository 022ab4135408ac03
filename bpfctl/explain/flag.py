"""Flags of bpf(2) and of helpers: a line on each, and the release that brought it where no probe tells.

Those of loading and attaching programs are macros in include/uapi/linux/bpf.h, which BTF does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.uapi.flags import KprobeMultiFlag, MapFlag, OutputFlag, StackFlag, UpdateFlag, UprobeMultiFlag, WakeupFlag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import IntFlag


class Flag(NamedTuple):
    """A flag, its value, and what is known of it; ``since`` is empty where the table of its probe has that."""

    name: str
    value: int
    since: str
    text: str


MAP_FLAGS: dict[MapFlag, str] = {
    MapFlag.NO_PREALLOC: "Memory for an element is taken when the element is set, and not for all of them at first.",
    MapFlag.NO_COMMON_LRU: "Each CPU of an LRU map has a list of its own of what was not used for long.",
    MapFlag.NUMA_NODE: "The memory comes from the NUMA node that is told.",
    MapFlag.RDONLY: "User space may only read the map through this descriptor.",
    MapFlag.WRONLY: "User space may only write the map through this descriptor.",
    MapFlag.STACK_BUILD_ID: "A stack map has build ids and offsets of files in the place of addresses.",
    MapFlag.ZERO_SEED: "The hash of keys is the same in each run, for tests and measurements alone.",
    MapFlag.RDONLY_PROG: "Programs may only read the map.",
    MapFlag.WRONLY_PROG: "Programs may only write the map.",
    MapFlag.CLONE: "A connection that is accepted gets a copy of the value of the listening socket.",
    MapFlag.MMAPABLE: "User space may map the values into its memory.",
    MapFlag.PRESERVE_ELEMS: "Perf events stay in the map when the descriptor is closed that put them there.",
    MapFlag.INNER_MAP: "An array may be put into a map of maps whose template has another number of entries.",
    MapFlag.LINK: "A struct_ops map is registered by a link, and not as soon as its value is set.",
    MapFlag.PATH_FD: "The path of a pin begins at a descriptor of a folder; a flag of pins, not of maps.",
    MapFlag.VTYPE_BTF_OBJ_FD: "The type of a struct_ops map is of a module, whose BTF is told by a descriptor.",
    MapFlag.TOKEN_FD: "The rights are those of a BPF token, which is told by a descriptor.",
    MapFlag.SEGV_ON_FAULT: "A process gets SIGSEGV where it touches a page of an arena that nobody has allocated.",
    MapFlag.NO_USER_CONV: "Pointers in an arena are not made into those of user space when a program stores them.",
    MapFlag.RB_OVERWRITE: "A full ring buffer overwrites its oldest records.",
}

#: Of the flags that no table of probes has: what they are of, their enumeration, and each by its name there.
_OTHERS: tuple[tuple[str, type[IntFlag], str, dict[str, tuple[str, str]]], ...] = (
    (
        "flag of map elements",
        UpdateFlag,
        "BPF_F_",
        {
            "ANY": ("3.19", "An element is made, or the one that is there gets the new value."),
            "NOEXIST": ("3.19", "An element is made; EEXIST where there is one."),
            "EXIST": ("3.19", "The element that is there gets the new value; ENOENT where there is none."),
            "LOCK": ("5.1", "The value is read or written while the spin lock in it is held."),
            "CPU": ("7.0", "Only the value of one CPU is meant, whose number is in the upper half of the flags."),
            "ALL_CPUS": ("7.0", "The values of all CPUs are set to the one that is given."),
        },
    ),
    (
        "flag of kprobe.multi links",
        KprobeMultiFlag,
        "BPF_F_KPROBE_MULTI_",
        {"RETURN": ("5.18", "The program runs when the kernel functions return.")},
    ),
    (
        "flag of uprobe.multi links",
        UprobeMultiFlag,
        "BPF_F_UPROBE_MULTI_",
        {
            "RETURN": ("6.6", "The program runs when the functions of the file return."),
            "PATH_FD": ("7.2", "The file of the functions is told by a descriptor."),
        },
    ),
    (
        "flag of helpers that walk stacks",
        StackFlag,
        "BPF_F_",
        {
            "SKIP_FIELD_MASK": ("4.6", "So many of the innermost calls are left out: the lowest eight bits."),
            "USER_STACK": ("4.6", "The stack of the process is walked, not that of the kernel."),
            "FAST_STACK_CMP": ("4.6", "Stacks are taken for the same whose hashes are."),
            "REUSE_STACKID": ("4.6", "A stack whose hash is that of another takes its place."),
            "USER_BUILD_ID": ("4.18", "bpf_get_stack() tells build ids and offsets in the place of addresses."),
        },
    ),
    (
        "flag of ring buffer helpers",
        WakeupFlag,
        "BPF_RB_",
        {
            "NO_WAKEUP": ("5.8", "Who waits for records is not woken."),
            "FORCE_WAKEUP": ("5.8", "Who waits for records is woken, even if it has not read the ones before."),
        },
    ),
    (
        "flag of perf event helpers",
        OutputFlag,
        "BPF_F_",
        {
            "INDEX_MASK": ("4.4", "The number of the perf event in its array, which is that of a CPU."),
            "CURRENT_CPU": ("4.4", "The perf event of the CPU at hand is meant."),
            "CTXLEN_MASK": ("4.8", "So many bytes of the packet are appended to the record: bits 32 to 51."),
        },
    ),
)
#: Flags whose names have no F.
_PLAIN = frozenset({"ANY", "NOEXIST", "EXIST"})

PROGRAM_FLAGS = (
    Flag("BPF_F_STRICT_ALIGNMENT", 1 << 0, "", "The verifier wants aligned access, as if the CPU could do no other."),
    Flag("BPF_F_ANY_ALIGNMENT", 1 << 1, "", "The verifier allows unaligned access on CPUs that are slow with it."),
    Flag("BPF_F_TEST_RND_HI32", 1 << 2, "", "Upper halves of registers get random numbers where they must not matter."),
    Flag("BPF_F_TEST_STATE_FREQ", 1 << 3, "", "The verifier remembers its state far more often, to test it."),
    Flag("BPF_F_SLEEPABLE", 1 << 4, "5.10", "The program may sleep, and so may the helpers that it calls."),
    Flag("BPF_F_XDP_HAS_FRAGS", 1 << 5, "", "The program can deal with packets in several buffers."),
    Flag("BPF_F_XDP_DEV_BOUND_ONLY", 1 << 6, "6.3", "The program is for one device, whose metadata it may read."),
    Flag("BPF_F_TEST_REG_INVARIANTS", 1 << 7, "", "The load fails where the verifier contradicts itself, to test it."),
)

ATTACH_FLAGS = (
    Flag("BPF_F_ALLOW_OVERRIDE", 1 << 0, "4.10", "Cgroups below may put a program of their own in the place of this."),
    Flag("BPF_F_ALLOW_MULTI", 1 << 1, "4.15", "Cgroups have any number of programs here, and those above run as well."),
    Flag("BPF_F_REPLACE", 1 << 2, "5.6", "The program takes the place of another that is attached."),
    Flag("BPF_F_BEFORE", 1 << 3, "6.6", "The program is put before another one, or before all."),
    Flag("BPF_F_AFTER", 1 << 4, "6.6", "The program is put behind another one, or behind all."),
    Flag("BPF_F_ID", 1 << 5, "6.6", "The other program, or link, is told by its id and not by a descriptor."),
    Flag("BPF_F_PREORDER", 1 << 6, "6.15", "The program of a cgroup runs before those of the cgroups below it."),
)


def others() -> Iterator[tuple[str, Flag]]:
    """Yield the kind of each flag that is of neither maps nor programs, and the flag."""
    for kind, members, prefix, flags in _OTHERS:
        for name, (since, text) in flags.items():
            yield kind, Flag(f"{'BPF_' if name in _PLAIN else prefix}{name}", members[name].value, since, text)
