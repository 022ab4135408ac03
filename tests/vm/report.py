"""What pytest said in each guest, and the account of all guests together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Report:
    """What pytest said about one kernel; BROKEN says in a sentence why it said nothing, or not everything."""

    kernel: str
    release: str
    seconds: float
    passed: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    skipped: Mapping[str, str] = field(default_factory=dict)  # test -> reason
    broken: str = ""

    @classmethod
    def read(cls, junit: str, kernel: str, release: str, seconds: float, code: int) -> Report:
        """Read pytest's JUnit report; a test that passed and then failed in its teardown failed."""
        passed, failed, skipped = set(), set(), {}
        for case in ET.fromstring(junit).iter("testcase"):
            name = f"{case.get('classname', '')}::{case.get('name', '')}".removeprefix("tests.")
            results = {child.tag: child for child in case}
            if "failure" in results or "error" in results:
                failed.add(name)
            elif "skipped" in results:
                skipped[name] = results["skipped"].get("message", "")
            else:
                passed.add(name)
        broken = ""
        if not passed and not failed:
            broken = "no test ran here"
        elif code != bool(failed):  # pytest says 1 for failed tests; any other code is trouble of its own
            broken = f"pytest ended with exit code {code}"
        return cls(kernel, release, seconds, frozenset(passed - failed), frozenset(failed), skipped, broken)


def account(reports: Sequence[Report]) -> tuple[list[str], bool]:
    """Return the lines to print about REPORTS, oldest kernel first, and whether all is well."""
    forgotten = dict(_forgotten(reports))
    lines = ["", f"{'kernel':<8}{'release':<24}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    for report in reports:
        counts = f"{len(report.passed):>8}{len(report.failed):>8}{len(report.skipped):>9}"
        lines.append(f"{report.kernel:<8}{report.release:<24}{counts}{report.seconds:>9.0f}")
    lines += _skips(reports)
    for report in reports:
        lines += [f"FAILED {report.kernel}: {name}" for name in sorted(report.failed)]
        lines += [f"FAILED {report.kernel}: {report.broken}"] if report.broken else []
    for name, (older, newer, reason) in sorted(forgotten.items()):
        lines.append(f"FAILED {newer}: {name} was skipped ({reason}), yet it ran on {older}")
    return lines, not (forgotten or any(report.failed or report.broken for report in reports))


def _skips(reports: Sequence[Report]) -> Iterator[str]:
    """Tell each skip once, with all the kernels that it happened on."""
    kernels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for report in reports:
        for name, reason in report.skipped.items():
            kernels[name, reason].append(report.kernel)
    for (name, reason), where in kernels.items():
        yield f"SKIPPED {' '.join(where)}: {name}: {reason}"


def _forgotten(reports: Sequence[Report]) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Find the tests that a newer kernel skipped though an older one has what they need."""
    ran: dict[str, str] = {}
    for report in reports:
        for name, reason in report.skipped.items():
            if name in ran:
                yield name, (ran[name], report.kernel, reason)
        ran |= dict.fromkeys(report.passed, report.kernel)
