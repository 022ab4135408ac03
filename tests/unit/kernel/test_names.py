"""bpfctl.kernel.names: what our tables do not know, the running kernel's BTF does."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import pytest

from bpfctl.host import vmlinux
from bpfctl.kernel import names
from bpfctl.uapi.enums import MapType, ProgType
from btf.write import Builder


@pytest.fixture(autouse=True)
def _forgetful():
    """Let no test's kernel answer for another's."""
    names.name.cache_clear()
    names._from_kernel.cache_clear()
    yield
    names.name.cache_clear()
    names._from_kernel.cache_clear()


def older(table, *missing):
    """Return the table as a release before these types had it."""
    return IntEnum("Older", {member.name: member.value for member in table if member not in missing})


@pytest.mark.skipif(not Path(vmlinux.VMLINUX).exists(), reason="this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
@pytest.mark.parametrize(
    ("table", "member", "enum", "prefix"),
    [
        (ProgType, ProgType.XDP, "bpf_prog_type", "BPF_PROG_TYPE_"),
        (ProgType, ProgType.SK_LOOKUP, "bpf_prog_type", "BPF_PROG_TYPE_"),
        (MapType, MapType.RINGBUF, "bpf_map_type", "BPF_MAP_TYPE_"),
        # which the kernel calls DEPRECATED too
        (MapType, MapType.CGROUP_STORAGE, "bpf_map_type", "BPF_MAP_TYPE_"),
    ],
)
def test_the_running_kernel_is_asked(table, member, enum, prefix):
    """A type that our table lacks gets the word that it has with the table, out of the kernel's BTF."""
    without = older(table, member)
    with pytest.raises(ValueError):
        without(member.value)
    expected = names.name(table, enum, prefix, member)

    actual = names.name(without, enum, prefix, member.value)

    if member is MapType.CGROUP_STORAGE:
        assert actual in (expected, expected + "_deprecated")
    else:
        assert actual == expected == member.name.lower()


def test_a_kernel_newer_than_any(monkeypatch, tmp_path):
    """The first of several names counts, whatever does not begin like a type is none, and unknown is None."""
    builder = Builder()
    values = [("BPF_PROG_TYPE_NEW", 100), ("BPF_PROG_TYPE_ALIAS", 100), ("__MAX_BPF_PROG_TYPE", 101)]
    builder.add_enum("bpf_prog_type", values)
    (tmp_path / "vmlinux").write_bytes(builder.build())
    monkeypatch.setattr(vmlinux, "VMLINUX", str(tmp_path / "vmlinux"))

    assert [names.prog_type(number) for number in (6, 100, 101, 102)] == ["xdp", "new", None, None]


@pytest.mark.parametrize("content", [None, b"", b"no BTF at all", b"\x9f\xeb\1\0" + b"\xff" * 20])
def test_without_usable_btf_numbers_stay_numbers(monkeypatch, tmp_path, content):
    if content is not None:
        (tmp_path / "vmlinux").write_bytes(content)
    monkeypatch.setattr(vmlinux, "VMLINUX", str(tmp_path / "vmlinux"))

    assert names.map_type(1000) is None
    assert names.map_type(MapType.HASH) == "hash"
