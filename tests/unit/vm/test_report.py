"""What is made of pytest's reports."""

from __future__ import annotations

from tests.vm.report import Report, account

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.kernel.test_a" name="test_good" time="0.1"/>
<testcase classname="tests.kernel.test_a" name="test_bad" time="0.1"><failure message="no"/></testcase>
<testcase classname="tests.kernel.test_a" name="test_leak" time="0.1"/>
<testcase classname="tests.kernel.test_a" name="test_leak" time="0.1"><error message="left open"/></testcase>
<testcase classname="tests.kernel.test_a" name="test_new"><skipped message="needs arena"/></testcase>
</testsuite></testsuites>"""


def report(kernel, passed=(), failed=(), skipped=None, broken=""):
    """Build a report without XML."""
    return Report(kernel, f"{kernel}-amd64", 1.0, frozenset(passed), frozenset(failed), skipped or {}, broken)


def test_outcomes_are_read_from_junit():
    """A test whose teardown fails is listed twice, and failed."""
    read = Report.read(JUNIT, "6.1", "6.1.0-1", 2.0, 1)

    assert {"kernel.test_a::test_good"} == read.passed
    assert {"kernel.test_a::test_bad", "kernel.test_a::test_leak"} == read.failed
    assert read.skipped == {"kernel.test_a::test_new": "needs arena"}
    assert read.broken == ""


def test_pytest_failing_without_a_failed_test_is_a_failure():
    """Objects left behind, or an interrupted run."""
    read = Report.read('<testsuite><testcase classname="a" name="b"/></testsuite>', "6.1", "", 1.0, 1)

    assert read.broken == "pytest ended with exit code 1"


def test_a_run_of_nothing_but_skips_is_a_failure():
    """A kernel on which no test runs proves nothing."""
    junit = '<testsuite><testcase classname="a" name="b"><skipped message="x"/></testcase></testsuite>'

    assert Report.read(junit, "6.1", "", 1.0, 0).broken == "no test ran here"


def test_the_account_lists_each_skip_once():
    """A reason that several kernels have in common is one line."""
    older, newer = (
        report("5.10", ["t::a"], skipped={"t::b": "needs x"}),
        report("6.1", ["t::a"], skipped={"t::b": "needs x"}),
    )

    lines, ok = account([older, newer])

    assert ok
    assert lines[3].split() == ["6.1", "6.1-amd64", "1", "0", "1", "1"]
    assert lines[4:] == ["SKIPPED 5.10 6.1: t::b: needs x"]


def test_a_skip_on_a_newer_kernel_is_a_failure():
    """What an older kernel has, a newer one has; the other way round is what skips are for."""
    older, newer = (
        report("5.10", ["t::a"], skipped={"t::b": "needs x"}),
        report("6.1", ["t::b"], skipped={"t::a": "needs y"}),
    )

    lines, ok = account([older, newer])

    assert not ok
    assert [x for x in lines if "FAILED" in x] == ["FAILED 6.1: t::a was skipped (needs y), yet it ran on 5.10"]


def test_failures_come_last():
    """They are what a reader looks for at the end of the output."""
    lines, ok = account([report("5.10", failed=["t::a"], skipped={"t::b": "x"}), report("6.1", broken="panicked")])

    assert not ok
    assert lines[-2:] == ["FAILED 5.10: t::a", "FAILED 6.1: panicked"]
