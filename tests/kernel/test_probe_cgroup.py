"""Hits of tasks in a cgroup alone: with those below it, wherever the hit is, and what is no such cgroup."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.cgroup import Within
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from bpfctl.probe.where import Binary, parse
from tests.kernel.command import run, running
from tests.kernel.place import mounted

YIELD = "tracepoint:syscalls:sys_enter_sched_yield"
MOUNTS = mounted("cgroup2")
pytestmark = pytest.mark.skipif(not MOUNTS, reason="no cgroups of version 2 are mounted")


@pytest.fixture
def cgroup():
    """Make a cgroup with one in it, and one that begins with the same name beside it."""
    place = MOUNTS[0] / f"bpfctl-{os.getpid()}"
    folders = [place, place / "inner", Path(f"{place}-beside")]
    for folder in folders:
        folder.mkdir()
    yield place
    for folder in reversed(folders):
        folder.rmdir()


@contextmanager
def inside(folder):
    """Have this process in a cgroup meanwhile."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    home = next(line.removeprefix("0::") for line in lines if line.startswith("0::"))
    (folder / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (MOUNTS[0] / home.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def counting(cgroup, spec=YIELD, where=None):
    sources = Sources()
    with ExitStack() as held:
        tree = held.enter_context(Within(str(cgroup))).holds
        if where:
            tree = Binary("&&", tree, parse(where))
        counts = held.enter_context(Count())
        held.enter_context(Probing(sources, Wanted(sources.resolve([spec]), tree), counts))
        yield lambda: sum(row.hits for row in counts.rows())


def yields(count):
    for _ in range(count):
        os.sched_yield()


def test_what_is_in_it_and_below_counts(cgroup):
    with counting(cgroup) as hits:
        yields(10)  # elsewhere
        for folder, count in ((cgroup, 100), (cgroup / "inner", 1000), (Path(f"{cgroup}-beside"), 10)):
            with inside(folder):
                yields(count)

        assert hits() == 1100


def test_conditions_hold_besides(cgroup):
    with counting(cgroup, where="pid == 1") as none, counting(cgroup, where=f"pid == {os.getpid()}") as ours:
        with inside(cgroup):
            yields(10)

        assert (none(), ours()) == (0, 10)


@pytest.mark.parametrize(
    ("spec", "happens"),
    [
        ("raw_tracepoint:sys_enter", lambda: yields(50)),
        ("tp_btf:sys_enter", lambda: yields(50)),
        ("software:page-faults", lambda: bytearray(64 << 20)),
        ("profile:999hz", lambda: sum(range(30_000_000))),
        ("uprobe:c:getppid", lambda: [os.getppid() for _ in range(50)]),
    ],
)
def test_programs_of_all_types_can_ask(cgroup, spec, happens):
    with counting(cgroup, spec) as hits:
        happens()
        assert hits() == 0
        with inside(cgroup):
            happens()
        assert hits() > 20


@pytest.mark.parametrize("form", ["{0}", "cgroup:/{1}", "cgroup:{1}", "/{1}", "{1}"])
def test_ways_to_write_it(cgroup, form):
    with counting(form.format(cgroup, cgroup.name)) as hits:
        with inside(cgroup):
            yields(3)

        assert hits() == 3


def test_all_of_it_counts():
    with counting("cgroup:/", where=f"pid == {os.getpid()}") as hits:
        yields(3)

        assert hits() == 3


def test_what_is_no_cgroup(tmp_path):
    with pytest.raises(NotFound, match=f"there is no cgroup '/not/there' below {MOUNTS[0]}"):
        Within("/not/there")
    with pytest.raises(UsageError, match="a cgroup without a name is none: cgroup:/ is that of all tasks"):
        Within("")
    with pytest.raises(UsageError, match="is no cgroup, but another folder"):
        Within(str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFound):
        Within(str(tmp_path / "file"))


@pytest.mark.skipif(not mounted("cgroup"), reason="no cgroups of version 1 are mounted")
def test_cgroups_of_version_1_are_told_apart():
    folder = str(mounted("cgroup")[0])
    with pytest.raises(UsageError, match=f"'{folder}' is a cgroup of version 1"):
        Within(folder)


def test_the_commands_take_it(cgroup):
    words = [YIELD, "--cgroup", f"cgroup:/{cgroup.name}"]
    (program,) = json.loads(run("-j", "probe", "dry-run", *words, "--where", "pid > 7").stdout)
    assert any(insn.endswith("#37") for insn in program["insns"])  # bpf_current_task_under_cgroup()
    with running("-j", "probe", "count", *words, "--by", "pid", "--interval", "0.2") as process:
        process.stdout.readline()
        yields(3)
        with inside(cgroup):
            yields(500)
        process.send_signal(signal.SIGINT)
        *_, last = process.stdout

    assert json.loads(last)["counts"] == [{"pid": os.getpid(), "count": 500}]
    assert "there is no cgroup 'cgroup:/nosuch'" in run("probe", "trace", YIELD, "--cgroup", "cgroup:/nosuch").stderr
