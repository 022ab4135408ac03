"""bpfctl.kernel.owner_iter: a kernel's BTF into offsets, offsets into programs, records into owners."""

from __future__ import annotations

import os
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm.insn import Insn
from bpfctl.errors import NotSupported
from bpfctl.kernel import handle, owner_iter
from bpfctl.kernel.owner import Owner, Table
from bpfctl.kernel.owner_iter import Chain, Layout, decode, finder, lister
from btf.read import BTF
from btf.write import Builder

KINDS = (handle.PROG, handle.MAP, handle.LINK, handle.BTF)


def kernel(*, randomized: bool = False, cookies: bool = True, iterator: bool = True, without: str = "") -> BTF:
    """Return what a kernel's BTF tells of the structures in question, with places that no real kernel has."""
    build = Builder()
    u32 = build.add_int("unsigned int", 4)
    u64 = build.add_int("unsigned long", 8)
    void = build.add_ptr(0)

    def struct(name: str, *members: tuple[str, int, int]) -> int:
        rows = [(member, type_, 8 * place) for member, type_, place in members if f"{name}.{member}" != without]
        if randomized:
            inner = build.add_struct("", 4096, [(member, type_, bits - 64) for member, type_, bits in rows])
            rows = [("", build.add_const(inner), 64)]
        return build.add_struct(name, 4096, rows)

    def pointer(struct_id: int) -> int:
        return build.add_ptr(build.add_const(struct_id))

    operations = struct("file_operations", ("llseek", void, 8), ("release", void, 88))
    file = struct("file", ("f_op", pointer(operations), 16), ("private_data", void, 24))
    leader = build.next_id + (3 if randomized else 1)
    task = struct("task_struct", ("group_leader", build.add_ptr(leader), 40), ("tgid", u32, 32), ("comm", u64, 48))
    assert task == leader
    aux = struct("bpf_prog_aux", ("refcnt", u64, 8), ("id", u32, 20))
    struct("bpf_prog", ("aux", pointer(aux), 56))
    struct("bpf_map", ("id", u32, 64))
    struct("btf", ("id", u32, 72))
    link = struct("bpf_link", ("id", u32, 80), ("type", u32, 84))
    if cookies:
        struct("bpf_perf_link", ("link", link, 8), ("perf_file", pointer(file), 96))
        struct("perf_event", ("bpf_cookie", u64, 104))
    if iterator:
        meta = struct("bpf_iter_meta", ("session_id", u64, 8), ("seq", void, 16))
        parameters = [("meta", pointer(meta)), ("task", pointer(task)), ("fd", u32), ("file", pointer(file))]
        build.add_func("bpf_iter_task_file", build.add_func_proto(u32, parameters))
    return BTF.from_bytes(build.build())


@pytest.mark.parametrize("randomized", [False, True])
def test_layout(randomized):
    """Members are found by name, also in the nameless struct that a randomized layout puts them in."""
    layout = Layout.of(kernel(randomized=randomized), handle.PROG)

    assert (layout.meta, layout.task, layout.fd, layout.file) == (0, 8, 16, 24)
    assert (layout.seq, layout.f_op, layout.release, layout.private_data) == (16, 16, 88, 24)
    assert (layout.tgid, layout.group_leader, layout.comm) == (32, 40, 48)
    assert (layout.id, layout.link_type, layout.cookie) == (Chain((56,), 20), None, None)
    assert kernel(randomized=randomized).name(layout.function) == "bpf_iter_task_file"


@pytest.mark.parametrize(("kind", "place"), [(handle.MAP, 64), (handle.BTF, 72), (handle.LINK, 80)])
def test_where_the_id_is(kind, place):
    assert Layout.of(kernel(), kind).id == Chain((), place)


def test_cookies_of_links():
    """They are behind two pointers, where the kernel has them at all."""
    assert Layout.of(kernel(), handle.LINK)[-2:] == (84, Chain((96, 24), 104))
    assert Layout.of(kernel(cookies=False), handle.LINK)[-2:] == (None, None)


@pytest.mark.parametrize(
    ("has", "told"),
    [
        ({"iterator": False}, "no iterator over the files of processes"),
        ({"without": "file.f_op"}, "struct file has no member f_op"),
        ({"without": "bpf_prog_aux.id"}, "struct bpf_prog_aux has no member id"),
        ({"without": "task_struct.group_leader"}, "struct task_struct has no member group_leader"),
    ],
)
def test_a_kernel_that_lacks_something(has, told):
    with pytest.raises(NotSupported, match=told):
        Layout.of(kernel(**has), handle.PROG)


def instructions(raw: bytes) -> list[Insn]:
    found = []
    while raw:
        insn = Insn.decode(raw)
        found.append(insn)
        raw = raw[8 * insn.slots :]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_programs(kind):
    """They test for null first, compare with what they are made for, and return 0."""
    layout = Layout.of(kernel(), kind)
    found, listed = instructions(finder(layout, 1234, 5)), instructions(lister(layout, 0xFFFF_FFFF_8123_4560))

    for insns in found, listed:
        assert [(insn.dst, insn.imm) for insn in insns[2:5:2]] == [(7, 0), (8, 0)]
        assert insns[-2].imm == 0
    assert {1234, 5} <= {insn.imm for insn in found}
    assert [insn.imm for insn in listed if insn.wide] == [0xFFFF_FFFF_8123_4560]


def test_a_member_out_of_reach():
    """An instruction has 16 bits for an offset."""
    layout = Layout.of(kernel(), handle.PROG)._replace(tgid=1 << 15)

    with pytest.raises(NotSupported, match="a member at 32768"):
        lister(layout, 1)


def record(id_: int, tgid: int, comm: bytes, cookie: int | None = None) -> bytes:
    return pack("=IIQQ16s", id_, tgid, cookie is not None, cookie or 0, comm)


def test_decode():
    """One owner for each process and object, ascending, without us."""
    ours, other = os.getpid(), os.getpid() + 1
    records = [
        record(7, other, b"later"),
        record(7, 1, b"init\0junk"),
        record(7, ours, b"us"),
        record(7, other, b"later"),
        record(8, ours, b"us", 0),
        record(9, 1, b"\xff\x1b[m", 2**64 - 1),
    ]

    assert decode(b"".join(records)) == Table(
        {7: (Owner(1, "init"), Owner(other, "later")), 9: (Owner(1, "\udcff\x1b[m"),)},
        {},
        {8: 0, 9: 2**64 - 1},
        partial=False,
    )


@pytest.mark.parametrize("error", [FileNotFoundError, BlockingIOError])
def test_a_sample_that_cannot_be_opened_is_passed_over(monkeypatch, error):
    """It has gone meanwhile, or is a link that has its id already and is not attached yet."""

    def opened(_, id_):
        if id_ == 1:
            raise error
        return id_

    monkeypatch.setattr(owner_iter.calls, "next_id", lambda _, id_: id_ + 1)
    monkeypatch.setattr(owner_iter.calls, "fd_by_id", opened)

    assert owner_iter._any(handle.LINK) == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.binary(max_size=15)), max_size=30))
def test_decode_keeps_who_holds_what(rows):
    """Whatever the names, each pair of object and process comes out once."""
    found = decode(b"".join(record(id_, tgid, comm) for id_, tgid, comm in rows)).owners

    pairs = [(id_, owner.pid) for id_, owners in found.items() for owner in owners]
    assert sorted(pairs) == sorted({(id_, tgid) for id_, tgid, _ in rows if tgid != os.getpid()})
