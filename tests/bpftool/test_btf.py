"""bpfctl btf show beside bpftool btf show: the kernel's own types, its modules', and what was loaded."""

from __future__ import annotations

import json
import os

import pytest

from bpfctl.kernel import btf
from btf import kind
from tests.bpftool import differences, peer
from tests.bpftool.newest import BPFTOOLS, CURRENT
from tests.kernel import client
from tests.kernel.typeblob import SIGNED, Blob

ROUNDS = 20
ZOO = None
ALU64_MOV_0_EXIT = bytes.fromhex("b700000000000000 9500000000000000")
SOCKET_FILTER, ARRAY = 1, 2


def same(tool, *args):
    """What both answer; tried again when the kernel's objects changed between two answers of bpftool."""
    for _ in range(ROUNDS):
        before, mine, after = peer.run(tool, *args), peer.ours(*args), peer.run(tool, *args)
        if before == after:
            return before, mine
    pytest.fail("other processes make and release BPF objects all the time")


@pytest.mark.parametrize("tool", BPFTOOLS)
@pytest.mark.parametrize("voice", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
def test_the_whole_list(zoo, tool, voice):
    """With the programs and maps that refer to each object, in bpftool's order."""
    theirs, mine = same(tool, *voice, "btf")

    assert mine == theirs
    assert str(zoo.created["btf:zoo"].id).encode() in mine.stdout


@pytest.mark.parametrize("tool", BPFTOOLS)
@pytest.mark.parametrize("voice", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
def test_one_alone(zoo, tool, voice):
    theirs, mine = same(tool, *voice, "btf", "list", "id", str(zoo.created["btf:zoo"].id))

    assert mine == theirs
    assert mine.rc == 0


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_the_order_of_those_that_refer_to_it(count):
    """bpftool's hash table turns their order round as it grows; every number of them comes out as there."""
    blob = Blob()
    u32 = blob.int_("unsigned int", 4)
    main = blob.func("main", blob.int_("int", 4, SIGNED), [("ctx", blob.ptr(0))])
    btf_fd = client.btf_load(blob.raw())
    func_info = {
        "prog_btf_fd": btf_fd,
        "func_info_rec_size": 8,
        "func_info_cnt": 1,
        "func_info": bytes(4) + main.to_bytes(4, "little"),
    }
    types = {"btf_fd": btf_fd, "btf_key_type_id": u32, "btf_value_type_id": u32}
    fds = [btf_fd]
    try:
        for _ in range(count):
            fds.append(client.prog_load(SOCKET_FILTER, ALU64_MOV_0_EXIT, **func_info))
            fds.append(client.map_create(ARRAY, 4, 4, 1, **types))
        id_ = client.id_of("btf", btf_fd)
        theirs, mine = same(peer.bpftools()[0], "-j", "btf", "show", "id", str(id_))
    finally:
        for fd in fds:
            os.close(fd)

    assert mine == theirs
    told = json.loads(mine.stdout)
    assert len(told["prog_ids"]) == len(told["map_ids"]) == count


def types_by_bpftool(id_):
    dumped = json.loads(peer.run(peer.bpftools()[0], "-j", "btf", "dump", "id", str(id_)).stdout)
    return [(type_["id"], type_["kind"], type_["name"]) for type_ in dumped["types"]]


def types_by_us(id_):
    found = btf.load(id_)
    return [(type_id, kind.NAMES[found.kind(type_id)], found.name(type_id) or "(anon)") for type_id in found.ids]


def test_types_by_id(zoo):
    """What was loaded comes back out of the kernel as bpftool reads it."""
    id_ = zoo.created["btf:zoo"].id

    assert types_by_us(id_) == types_by_bpftool(id_)


def test_types_of_modules():
    """A module's types continue those of the kernel, which its names and references point into."""
    modules = [row.id for row in btf.rows(owners=False) if row.info.kernel_btf and row.name != "vmlinux"]
    if not modules:
        pytest.skip("the kernel lacks modules with BTF (CONFIG_DEBUG_INFO_BTF_MODULES)")

    for id_ in modules[:3]:
        assert types_by_us(id_) == types_by_bpftool(id_)


@CURRENT
@pytest.mark.parametrize("voice", [["-j"], []], ids=["json", "plain"])
@pytest.mark.parametrize(
    "words",
    [
        ["show", "id", "4000000000"],
        ["show", "id", "1x"],
        ["show", "id"],
        ["list", "prog", "3"],
        ["show", "id", "1", "2"],
    ],
    ids=" ".join,
)
def test_mistakes(words, voice):
    """The same words and the same exit code."""
    mine = differences.without_hint(peer.ours(*voice, "btf", *words))

    assert mine == peer.run(peer.bpftools()[0], *voice, "btf", *words)


def test_owners(zoo):
    """The zoo's types are held by this very process."""
    (row,) = [row for row in json.loads(peer.bpfctl("-j", "btf").stdout) if row["id"] == zoo.created["btf:zoo"].id]

    assert os.getpid() in [owner["pid"] for owner in row["pids"]]
