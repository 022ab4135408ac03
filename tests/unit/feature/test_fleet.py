"""Objects checked against many reports at once."""

from __future__ import annotations

import json

import pytest

from bpfctl.errors import KernelError, SavedError
from bpfctl.feature import elsewhere, fleet
from bpfctl.feature.check import MET, NOT_MET, OPEN, Object, check
from btf.read import BTF
from btf.write import Builder
from tests.build.compiled import compiled
from tests.build.reports import report


def written(folder, **hosts):
    """A folder with reports, and the hosts in it."""
    for name, document in hosts.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return fleet.hosts(str(folder))


def types(member="pid"):
    """A kernel's types with a task that has one member."""
    b = Builder()
    b.add_struct("task_struct", 8, [(member, b.add_int("int", 4), 32)])
    return b.build()


def statuses(outcomes, *kinds):
    """What the needs of some kinds came to, by name."""
    return {
        row.need.name: [verdict.status for verdict in row.verdicts]
        for row in fleet.rows(outcomes)
        if not kinds or row.need.kind in kinds
    }


def test_a_row_for_each_need_and_a_column_for_each_host(tmp_path):
    hosts = written(tmp_path, a=report(), b=report("hash", "raw_tracepoint"), c=report(unknown=("hash",)))
    objects = {name: Object(compiled(name)) for name in ("maps", "core")}
    outcomes = fleet.check(objects, hosts)

    assert [outcome.host for outcome in outcomes] == ["a", "b", "c"]
    assert statuses(outcomes, "map type")["hash"] == [MET, NOT_MET, OPEN]
    assert statuses(outcomes, "program type") == {"socket_filter": [MET] * 3, "raw_tracepoint": [MET, NOT_MET, MET]}
    assert {row.object for row in fleet.rows(outcomes)} == set(objects)


@pytest.mark.parametrize("name", ["maps", "core", "kfunc_missing", "struct_ops", "isa_v4", "kconfig_missing"])
def test_a_host_is_told_the_same_as_alone(name, tmp_path):
    (tmp_path / "a.btf").write_bytes(types())
    (host,) = written(tmp_path, a=report("lru_hash"))
    outcomes = fleet.check({name: Object(compiled(name))}, [host])
    alone = check(compiled(name), elsewhere.read((tmp_path / "a.json").read_bytes(), BTF.from_bytes(types())))

    assert outcomes[0].verdicts[name] == alone
    assert sorted((row.need.name, row.verdicts[0].status) for row in fleet.rows(outcomes)) == sorted(
        {(one.need.kind, one.need.name, one.need.of): (one.need.name, one.status) for one in alone}.values()
    )


def test_relocations_of_hosts_with_other_types_and_with_none(tmp_path):
    """Where there are no types, what is true of all relocations is told of each that another host tells of."""
    (tmp_path / "old.btf").write_bytes(types("no_pid"))
    (tmp_path / "new.vmlinux").write_bytes(types())
    hosts = written(tmp_path, bare=report(), new=report(), old=report())
    outcomes = fleet.check({"core": Object(compiled("core"))}, hosts)
    (row,) = [row for row in fleet.rows(outcomes) if row.need.kind == "relocation"]

    assert row.need.name == "byte offset of struct task_struct.pid"
    assert [verdict.status for verdict in row.verdicts] == [OPEN, MET, NOT_MET]
    assert row.verdicts[0].reason == "the kernel does not tell its types"
    assert row.verdicts[2].reason
    only = fleet.check({"core": Object(compiled("core"))}, hosts[:1])
    assert statuses(only, "relocation") == {"1 in section raw_tp": [OPEN]}


def test_types_may_be_in_an_object_file(tmp_path):
    """As those of a vmlinux are."""
    (tmp_path / "a.vmlinux").write_bytes(compiled("core"))
    outcomes = fleet.check({"core": Object(compiled("core"))}, written(tmp_path, a=report()))

    assert statuses(outcomes, "relocation") == {"byte offset of struct task_struct.pid": [MET]}


def test_the_same_is_found_out_once(tmp_path, monkeypatch):
    """Reports that are equal are asked once, and so are types, whatever their files are called."""
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.btf").write_bytes(types("pid" if name != "c" else "no_pid"))
    (tmp_path / "b.btf").unlink()
    (tmp_path / "b.btf").hardlink_to(tmp_path / "a.btf")
    hosts = written(tmp_path, **dict.fromkeys("abcd", report()), e=report(), f=report("hash"))
    asked, read = [], []
    monkeypatch.setattr(Object, "check", lambda _, kernel: asked.append(kernel) or [])
    monkeypatch.setattr(fleet.btf, "read", lambda path: read.append(path) or BTF.from_bytes(types()))
    outcomes = fleet.check({"core": Object(compiled("core"))}, hosts)

    assert [outcome.host for outcome in outcomes] == [*"abcdef"]
    assert len(asked) == 4, "a, b and d; c; e; f"
    assert len(read) == 2, "that of a, b and d, and that of c"


def test_hosts_are_found(tmp_path):
    """By their reports, in the order of their numbers, each with its types if they are there."""
    written(tmp_path, web10=report(), web9=report(), db=report())
    (tmp_path / "web9.vmlinux").touch()
    (tmp_path / "web10.btf").touch()
    (tmp_path / ".hidden.json").touch()
    (tmp_path / "notes.txt").touch()

    assert fleet.hosts(str(tmp_path)) == [
        ("db", f"{tmp_path}/db.json", ""),
        ("web9", f"{tmp_path}/web9.json", f"{tmp_path}/web9.vmlinux"),
        ("web10", f"{tmp_path}/web10.json", f"{tmp_path}/web10.btf"),
    ]


def test_no_hosts(tmp_path):
    with pytest.raises(SavedError, match="has no report"):
        fleet.hosts(str(tmp_path))
    with pytest.raises(KernelError, match="No such file"):
        fleet.hosts(str(tmp_path / "missing"))


def test_files_that_are_damaged(tmp_path):
    """The other hosts are told of all the same."""
    (tmp_path / "b.btf").write_bytes(types()[:40])
    (tmp_path / "c.btf").mkdir()
    hosts = written(tmp_path, a=report(), b=report(), c=report(), d=[])
    (tmp_path / "e.json").symlink_to("nowhere")
    outcomes = fleet.check({"maps": Object(compiled("maps"))}, [*hosts, *fleet.hosts(str(tmp_path))[-1:]])

    assert [bool(outcome.complaint) for outcome in outcomes] == [False, True, True, True, True]
    assert outcomes[1].complaint.startswith(f"{tmp_path}/b.btf cannot be used: ")
    assert outcomes[2].complaint == f"can't read {tmp_path}/c.btf: Is a directory"
    assert outcomes[3].complaint == f"{tmp_path}/d.json cannot be used: it is no report of feature probe"
    assert outcomes[4].complaint == f"can't read {tmp_path}/e.json: No such file or directory"
    assert all(len(row.verdicts) == 1 for row in fleet.rows(outcomes))
