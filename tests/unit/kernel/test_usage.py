"""What programs did between two looks, computed from the kernel's counters; and kernels that cannot count for us."""

from __future__ import annotations

from errno import EINVAL, EPERM

import pytest

from bpfctl import KernelError, NotSupported, Statistics
from bpfctl.kernel import usage
from bpfctl.kernel.prog import ProgramInfo
from bpfctl.uapi.layouts import PROG_INFO

SECOND = 10**9


def counters(at, runs=0, run_time=0, misses=0, load_time=1):
    info = ProgramInfo.from_raw(bytes(PROG_INFO.size))
    info = info._replace(id=7, load_time=load_time, run_cnt=runs, run_time_ns=run_time, recursion_misses=misses)
    return usage._Counters(at * SECOND, info, "name")


def test_differences():
    told = usage._usage(counters(1, 100, 5000, 1), 0, counters(3, 300, 25000, 4))

    assert (told.id, told.name, told.seconds) == (7, "name", 2.0)
    assert (told.runs, told.run_time, told.misses) == (200, 20000, 3)
    assert (told.per_second, told.per_run) == (100.0, 100.0)
    assert told.cpu == pytest.approx(0.001)


def test_several_cpus_make_more_than_one():
    assert usage._usage(counters(1), 0, counters(2, 1, 3 * SECOND)).cpu == pytest.approx(300)


@pytest.mark.parametrize("before", [None, counters(1, 1000, 1000, 10, load_time=9)], ids=["new", "id given out again"])
def test_a_new_program_counts_from_the_last_look_on(before):
    told = usage._usage(before, SECOND, counters(3, 10, 100, 2))

    assert (told.seconds, told.runs, told.run_time, told.misses) == (2.0, 10, 100, 2)


def test_a_program_that_did_not_run():
    told = usage._usage(counters(1, 5), 0, counters(2, 5))

    assert (told.runs, told.per_run, told.cpu, told.per_second) == (0, None, 0.0, 0.0)


def test_kernels_that_do_not_count_misses():
    old, new = (each._replace(info=each.info._replace(recursion_misses=None)) for each in (counters(1), counters(2, 5)))

    assert usage._usage(old, 0, new).misses is None


@pytest.fixture
def refusing(monkeypatch, tmp_path):
    """Return what makes the kernel refuse to count, with an errno and a setting of the administrator."""

    def refuse(errno, setting):
        def enable():
            raise OSError(errno, "refused")

        monkeypatch.setattr(usage.programs, "enable_stats", enable)
        monkeypatch.setattr(usage, "_SWITCH", str(tmp_path / "switch"))
        monkeypatch.setattr(usage, "_counters", lambda _which, _names: iter(()))
        (tmp_path / "switch").write_text(setting)

    return refuse


def test_before_linux_5_8(refusing):
    refusing(EINVAL, "0\n")
    with pytest.raises(NotSupported, match=r"Linux 5\.8") as caught:
        Statistics()

    assert caught.value.hint == "sysctl kernel.bpf_stats_enabled=1 turns them on for good"


def test_before_linux_5_8_with_statistics_on(refusing):
    refusing(EINVAL, "1\n")
    with Statistics() as statistics:
        assert statistics.look() == []


def test_without_rights(refusing):
    refusing(EPERM, "1\n")
    with pytest.raises(KernelError, match=r"^can't turn statistics of programs on"):
        Statistics()
