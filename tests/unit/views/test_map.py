"""bpfctl.views.map: bpftool's two forms and ours, of rows written by hand."""

from __future__ import annotations

import pytest

from bpfctl.kernel.map import MapInfo, MapRow
from bpfctl.kernel.owner import Owner
from bpfctl.uapi.enums import MapType, ProgType
from bpfctl.uapi.flags import MapFlag
from bpfctl.views.map import VIEW, flag_names

INFO = MapInfo(
    id=7,
    type=MapType.HASH,
    key_size=4,
    value_size=8,
    max_entries=1024,
    map_flags=0,
    name="conns",
    ifindex=0,
    netns_dev=0,
    netns_ino=0,
    btf_id=0,
    btf_key_type_id=0,
    btf_value_type_id=0,
    btf_vmlinux_value_type_id=0,
    map_extra=0,
)
ROW = MapRow(INFO, memlock=86368, frozen=False, owner_prog_type=None, owner_jited=None, pinned=None, owners=())


def row(info=None, **changes):
    return ROW._replace(info=INFO._replace(**info or {}), **changes)


def test_an_ordinary_map():
    assert VIEW.json(ROW) == {
        "id": 7,
        "type": "hash",
        "name": "conns",
        "flags": 0,
        "bytes_key": 4,
        "bytes_value": 8,
        "max_entries": 1024,
        "bytes_memlock": 86368,
        "frozen": 0,
    }
    assert list(VIEW.plain(ROW)) == [
        "7: hash  name conns  flags 0x0",
        "\tkey 4B  value 8B  max_entries 1024  memlock 86368B",
    ]


def test_everything_at_once_and_in_order():
    """bpftool tells frozen before btf_id in JSON and after it in text."""
    full = row(
        {"type": MapType.PROG_ARRAY, "btf_id": 12, "map_flags": 0x41},
        frozen=True,
        owner_prog_type=ProgType.XDP,
        owner_jited=True,
        pinned=("/sys/fs/bpf/a", "/sys/fs/bpf/b"),
        owners=(Owner(99, "agent"),),
    )

    assert list(VIEW.json(full))[6:] == [
        *("max_entries", "bytes_memlock", "owner_prog_type", "owner_jited"),
        *("frozen", "btf_id", "pinned", "pids"),
    ]
    assert list(VIEW.plain(full)) == [
        "7: prog_array  name conns  flags 0x41",
        "\tkey 4B  value 8B  max_entries 1024  memlock 86368B",
        "\towner_prog_type xdp  owner jited",
        "\tpinned /sys/fs/bpf/a",
        "\tpinned /sys/fs/bpf/b",
        "\tbtf_id 12  frozen",
        "\tpids agent(99)",
    ]


def test_what_is_absent_is_not_told():
    """No name, no memlock, nothing pinned anywhere; but an empty list where other maps are pinned."""
    bare = row({"name": None}, memlock=None, pinned=())

    assert "name" not in VIEW.json(bare)
    assert "bytes_memlock" not in VIEW.json(bare)
    assert VIEW.json(bare)["pinned"] == ()
    assert "pinned" not in VIEW.json(ROW)
    assert list(VIEW.plain(bare)) == ["7: hash  flags 0x0", "\tkey 4B  value 8B  max_entries 1024"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"frozen": True}, "\tfrozen"),
        ({"info": {"btf_id": 12}}, "\tbtf_id 12"),
        (
            {"info": {"type": MapType.PROG_ARRAY}, "owner_prog_type": 4000, "owner_jited": False},
            "\towner_prog_type 4000  owner not jited",
        ),
    ],
)
def test_single_lines(changes, line):
    assert list(VIEW.plain(row(**changes)))[2:] == [line]


def test_only_program_arrays_tell_their_owner():
    """Kernels tell it of device maps too; bpftool does not pass it on."""
    devmap = row({"type": MapType.DEVMAP}, owner_prog_type=ProgType.XDP, owner_jited=True)

    assert "owner_prog_type" not in VIEW.json(devmap)
    assert len(list(VIEW.plain(devmap))) == 2


def test_a_type_that_nobody_knows():
    new = row({"type": 4000})

    assert VIEW.json(new)["type"] == 4000
    assert next(VIEW.plain(new)) == "7: type 4000  name conns  flags 0x0"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (0, []),
        (1, ["BPF_F_NO_PREALLOC"]),
        (0x41, ["BPF_F_NO_PREALLOC", "BPF_F_ZERO_SEED"]),
        (1 << 31 | 1 << 10, ["BPF_F_MMAPABLE", "0x80000000"]),
    ],
)
def test_flags_in_words(flags, words):
    assert flag_names(flags) == words


def test_every_flag_has_its_name():
    assert flag_names(sum(MapFlag)) == [f"BPF_F_{flag.name}" for flag in MapFlag]


def test_extra_keys():
    """What bpftool lacks, as far as there is anything."""
    told = {"map_flags": 1, "map_extra": 3, "btf_key_type_id": 1, "btf_value_type_id": 2}

    assert VIEW.extra(ROW) == {}
    assert VIEW.extra(row(told)) == {
        "flag_names": ["BPF_F_NO_PREALLOC"],
        "map_extra": 3,
        "btf_key_type_id": 1,
        "btf_value_type_id": 2,
    }


def test_columns():
    """Each column of the table has something to say of some map."""
    full = row(
        {"map_flags": 1, "map_extra": 3, "btf_id": 9, "btf_key_type_id": 1, "btf_value_type_id": 2},
        frozen=True,
        owner_prog_type=ProgType.XDP,
        owner_jited=True,
        pinned=("/x",),
        owners=(Owner(1, "init"),),
    )

    cells = {column.title: column.get(full) for column in VIEW.columns + VIEW.details}

    assert cells == {
        "id": 7,
        "type": "hash",
        "name": "conns",
        "flags": ("NO_PREALLOC",),
        "key": 4,
        "value": 8,
        "entries": 1024,
        "memlock": 86368,
        "state": ("frozen",),
        "pinned": ("/x",),
        "owners": ("init(1)",),
        "extra": "0x3",
        "takes": "xdp, jited",
        "device": None,
        "btf": 9,
        "key type": 1,
        "value type": 2,
        "kernel type": None,
    }
