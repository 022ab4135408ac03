"""Kernel functions that programs may call: what the full report says of them, beside programs that call them."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from tests.kernel import client
from tests.kernel.asked import report
from tests.kernel.facts import Facts

IN_A_GUEST = Path("/run/bpfctl-vm").exists()
MODULE = "nf_conntrack"
FACTS = Facts("none")
RAW_TP, ITER = 23, 28
TASK_RENAME, TASKS = FACTS.btf.id("typedef", "btf_trace_task_rename"), FACTS.btf.id("func", "bpf_iter_task")
# Types of programs by the report's words: the number, and what else a load must say.
PROGRAMS = {
    "socket_filter": (1, {}),
    "kprobe": (2, {}),
    "sched_cls": (3, {}),
    "tracepoint": (5, {}),
    "xdp": (6, {}),
    "cgroup_skb": (8, {}),
    "sk_msg": (16, {}),
    "syscall": (31, {"prog_flags": 16}),
    "tracing_raw_tp": (26, {"expected_attach_type": RAW_TP, "attach_btf_id": TASK_RENAME}),
    "tracing_iter": (26, {"expected_attach_type": ITER, "attach_btf_id": TASKS}),
}
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
ONE = bytes.fromhex("b701000001000000")  # r1 = 1
LEAVE_IF_NULL = bytes.fromhex("5500010000000000 9500000000000000")  # if r0 != 0 goto +1; exit
PASS_ON = bytes.fromhex("bf01000000000000")  # r1 = r0


def call(name, module_at=0, number=0):
    """Return the call of a function."""
    return struct.pack("=BBhi", 0x85, 0x20, module_at, number or FACTS.btf.id("func", name))


# Programs that call functions as they want to be called.
PAIRS = {
    "bpf_rcu_read_lock": lambda: call("bpf_rcu_read_lock") + call("bpf_rcu_read_unlock"),
    "bpf_preempt_disable": lambda: call("bpf_preempt_disable") + call("bpf_preempt_enable"),
    "bpf_cpumask_create": lambda: call("bpf_cpumask_create") + LEAVE_IF_NULL + PASS_ON + call("bpf_cpumask_release"),
    "bpf_task_from_pid": lambda: ONE + call("bpf_task_from_pid") + LEAVE_IF_NULL + PASS_ON + call("bpf_task_release"),
    "bpf_cgroup_from_id": lambda: (
        ONE + call("bpf_cgroup_from_id") + LEAVE_IF_NULL + PASS_ON + call("bpf_cgroup_release")
    ),
    "bpf_lookup_system_key": lambda: (
        ONE + call("bpf_lookup_system_key") + LEAVE_IF_NULL + PASS_ON + call("bpf_key_put")
    ),
}


@pytest.fixture(scope="module")
def modules():
    """A module with kfuncs, in a guest; where there are none, its functions may be the kernel's own."""
    if not IN_A_GUEST:
        return []
    done = subprocess.run(["modprobe", MODULE], check=False, capture_output=True)
    return [MODULE] if not done.returncode else []


@pytest.fixture(scope="module")
def told(modules):  # noqa: ARG001 - it is loaded before the kernel is asked
    return {one["name"]: one for one in report()["kfuncs"]}


def test_each_is_a_function_of_the_kernel(told, modules):
    symbols = {line.split()[2] for line in Path("/proc/kallsyms").read_text().splitlines()}
    there = {name for name, one in told.items() if one["available"]}

    assert there <= symbols
    assert {one["module"] for one in told.values() if "module" in one} <= {*modules, *os.listdir("/sys/kernel/btf")}


def test_those_that_this_kernel_marks_are_all_told_of(told):
    """Marks are decl_tags, kind 17, in the kernel's BTF; their type is the function's."""
    raw = Path("/sys/kernel/btf/vmlinux").read_bytes()
    header, type_off, type_len, str_off, str_len = struct.unpack_from("=IIIII", raw, 4)
    strings = raw[header + str_off : header + str_off + str_len]
    mark = strings.find(b"\0bpf_kfunc\0") + 1
    words = struct.unpack_from(f"={type_len // 4}I", raw, header + type_off)
    marked = [
        words[at + 2] for at, word in enumerate(words[:-2]) if mark and word == mark and words[at + 1] == 17 << 24
    ]
    ids = {FACTS.btf.id("func", name) for name, one in told.items() if "module" not in one}

    assert set(marked) <= ids | {0}


@pytest.mark.parametrize("word", PROGRAMS)
@pytest.mark.parametrize("name", PAIRS)
def test_calls(told, name, word):
    """A program that calls it in order loads just where it is said to be callable."""
    kind, more = PROGRAMS[word]
    try:
        if not FACTS.btf.id("func", name):
            raise FileNotFoundError(name)
        os.close(client.prog_load(kind, PAIRS[name]() + RETURN_0, **more))
        loads = True
    except OSError:
        loads = False

    assert (word in told.get(name, {}).get("program_types", ())) is loads


@pytest.mark.parametrize("word", ["socket_filter", "xdp", "sched_cls", "syscall"])
def test_calls_into_modules(told, modules, word):
    """The verifier complains of the function, or of its argument, which comes after that."""
    name = "bpf_ct_release"
    blob = Path("/sys/kernel/btf", MODULE)
    if not modules or not blob.exists():
        pytest.skip(f"there is no module {MODULE} with BTF here")
    if name not in told:
        assert name.encode() not in blob.read_bytes()
        pytest.skip(f"{MODULE} has no {name} here")
    kind, more = PROGRAMS[word]
    fd = next(fd for fd in map(_btf, client.ids("btf")) if fd is not None)
    try:
        with pytest.raises(OSError) as error:
            client.prog_load(
                kind, call(name, 1, _id_in(blob, name)) + RETURN_0, fd_array=struct.pack("=ii", 0, fd), **more
            )
    finally:
        os.close(fd)

    assert (word in told[name]["program_types"]) is ("is not allowed" not in error.value.log), error.value.log
    assert told[name]["module"] == MODULE


def _btf(id_):
    """Open a BTF object if it is the module's."""
    fd = client.fd_by_id("btf", id_)
    name = client.ctypes.create_string_buffer(64)
    info = client.ctypes.create_string_buffer(
        struct.pack("=QIIQI", 0, 0, 0, client.ctypes.addressof(name), len(name)), 32
    )
    client.bpf("obj_get_info_by_fd", client.INFO, bpf_fd=fd, info_len=32, info=info)
    if name.value == MODULE.encode():
        return fd
    os.close(fd)
    return None


def _id_in(blob, name):
    """Return the id of a function in a module's BTF, whose ids and strings follow those of the kernel."""
    raw, base = blob.read_bytes(), Path("/sys/kernel/btf/vmlinux").read_bytes()
    header, type_off, type_len, str_off, str_len = struct.unpack_from("=IIIII", raw, 4)
    strings = raw[header + str_off : header + str_off + str_len]
    base_strings = struct.unpack_from("=I", base, 20)[0]
    wanted = base_strings + strings.index(b"\0" + name.encode() + b"\0") + 1
    words = struct.unpack_from(f"={type_len // 4}I", raw, header + type_off)
    at, type_id = 0, _count(base) + 1
    while words[at] != wanted or words[at + 1] >> 24 & 31 != 12:
        at += 3 + _rest(words[at + 1])
        type_id += 1
    return type_id


def _count(raw):
    header, type_off, type_len = struct.unpack_from("=III", raw, 4)
    words = struct.unpack_from(f"={type_len // 4}I", raw, header + type_off)
    at = count = 0
    while at < len(words):
        at += 3 + _rest(words[at + 1])
        count += 1
    return count


def _rest(info):
    """Return how many words follow the three of struct btf_type."""
    kind, vlen = info >> 24 & 31, info & 0xFFFF
    return {1: 1, 3: 3, 14: 1, 17: 1}.get(kind, 0) + {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}.get(kind, 0) * vlen
