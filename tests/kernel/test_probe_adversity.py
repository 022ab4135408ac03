"""Probes when things go wrong: outputs that nobody reads, more values than room, kills, slips, a thousand rounds."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import re
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import KernelError, NotSupported
from bpfctl.probe import registry
from bpfctl.probe.actions.count import Count
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from tests.build.called import NOTES, TALK, built
from tests.kernel import client, hardship
from tests.kernel.command import run, running
from tests.kernel.facts import KPROBES, needs
from tests.kernel.probing import FORK, OPEN, PATIENCE, YIELD, ends, is_attached, links, until

KILOBYTE = 1024
WARM = 10  # rounds


def lost(errors):
    """Return how many hits the remarks tell of that were not shown."""
    return sum(map(int, re.findall(r"^(\d+) (?:more )?hits (?:were lost|are not shown)", errors, re.MULTILINE)))


def missed(errors):
    """Return how many hits of all processes came while the program ran, which may be put aside in the midst of one."""
    return sum(map(int, re.findall(r"^(\d+) hits were missed", errors, re.MULTILINE)))


def memory(pid):
    """Return how much memory a process has had at most, in KiB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def test_a_pipe_that_nobody_reads(child):
    """What has no room is lost and counted, memory stays what it was, and what was shown and lost is all there was."""
    words = ["-j", "probe", "trace", YIELD, "-p", str(child.pid), "--buffer", "65536", "--fields", "pid"]
    with running(*words) as process:
        assert until(lambda: is_attached(process.pid))
        child.does("yields", 10_000)
        before = memory(process.pid)
        child.does("yields", 300_000)
        assert memory(process.pid) - before < 8 * KILOBYTE
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    assert 0 < output.count("\n") < 100_000
    told = output.count("\n") + lost(errors)
    assert told <= 310_000 <= told + missed(errors)


def test_what_is_in_the_buffer_when_it_ends_is_shown(child):
    with running("-j", "probe", "trace", YIELD, "-p", str(child.pid), "--fields", "pid") as process:
        assert until(lambda: is_attached(process.pid))
        os.kill(process.pid, signal.SIGSTOP)
        child.does("yields", 50_000)
        process.send_signal(signal.SIGINT)
        os.kill(process.pid, signal.SIGCONT)
        output, errors = process.communicate(timeout=PATIENCE)

    assert (output.count("\n"), errors, process.returncode) == (50_000, "", 0)


def test_counts_between_two_rounds_are_told_at_the_end(child):
    with running("-j", "probe", "count", YIELD, "-p", str(child.pid), "--interval", "30") as process:
        assert until(lambda: is_attached(process.pid))
        child.does("yields", 1000)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)

    assert [json.loads(line)["hits"] for line in output.splitlines()] == [1000]
    assert (errors, process.returncode) == ("", 0)


def test_limits_hold_to_the_end(child):
    with running("probe", "trace", YIELD, "-p", str(child.pid), "--limit", "234") as process:
        assert ends(process, lambda: child.does("yields", 1000))
        output, errors = process.communicate(timeout=PATIENCE)

    assert (output.count("\n"), errors) == (234, "")


def test_more_values_than_room(child):
    """A hundred thousand, and room for ten: what was counted and what was lost is all there was."""
    words = ["-j", "probe", "count", OPEN, "-p", str(child.pid), "--by", "args.filename"]
    with running(*words) as process:
        assert until(lambda: is_attached(process.pid))
        child.does("opens", 100_000)
        process.send_signal(signal.SIGINT)
        counts = json.loads(process.communicate(timeout=PATIENCE)[0])

    assert 10_000 <= len(counts["counts"]) < 12_000  # the kernel has a little more room, on each CPU
    assert {count["count"] for count in counts["counts"]} == {1}
    assert sum(count["count"] for count in counts["counts"]) + counts["lost"] == 100_000


@pytest.mark.parametrize("words", [["trace", "--fields", "pid"], ["count", "--interval", "0.1"]])
def test_whoever_reads_goes_away(child, words):
    with running("probe", words[0], YIELD, "-p", str(child.pid), *words[1:]) as process:
        assert until(lambda: is_attached(process.pid))
        child.does("yields", 100)
        process.stdout.readline()
        process.stdout.close()
        assert ends(process, lambda: child.does("yields", 1000))
        errors = process.stderr.read()

    assert "Traceback" not in errors


@pytest.mark.parametrize("words", [["count", YIELD], ["trace", YIELD], ["count", "software:page-faults"]])
def test_a_killed_one_leaves_nothing(words):
    if "software" in words[1] and not has_cookies():
        pytest.skip("this kernel has no links of perf events")
    with running("probe", *words) as process:
        assert until(lambda: is_attached(process.pid))
        ids = {*map(int, links(process.pid))}
        process.kill()
        process.wait()

        assert ids
        assert until(lambda: not ids & {*client.ids("link")})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["count", FORK, "--duration", "0"], "--duration: can't wait for 0 seconds"),
        (["trace", FORK, "--duration", "-1"], "--duration: can't wait for -1 seconds"),
        (["count", FORK, "--duration", "nan"], "--duration: can't wait for nan seconds"),
        (["count", FORK, "--interval", "1e99"], "--interval: can't wait for 1e+99 seconds"),
        (["count", "trackepoint:sched:sched_switch"], "did you mean 'tracepoint'?"),
        (["count", "sched:sched_swich"], "did you mean 'sched:sched_switch'?"),
        (["count", "sched_switch"], "'bpfctl probe list sched_switch' tells which there are"),
        (["count", FORK, "-p", "bash"], "'bash' is no whole number"),
        (["count", FORK, "--by", "com"], "did you mean 'comm'?"),
        (["trace", FORK, "--fields", "args.child_pud"], "did you mean 'child_pid'?"),
        (["count", FORK, "--were", "pid == 1"], "unrecognized option '--were', did you mean '--where'?"),
        (["count", FORK, "--where", "pidd == 1"], "did you mean 'pid'?"),
        (["count", FORK, "--top", "0"], "--top"),
        (["count", FORK, "--by", "pid", "--max-entries", "5000000000"], "--max-entries"),
        (["trace", FORK, "--limit", "x"], "--limit"),
        (["trase", FORK], "trase"),
        (["count", "software:page-fault"], "did you mean 'page-faults'?"),
        (["count", "uprobe:c:getaddrinf"], "did you mean 'getaddrinfo'?"),
        (["count", "\x1b[31m:x"], "no plugin offers probes of kind"),
        (["count", f"{'a' * 5000}:x"], "no plugin offers probes of kind"),
        (["count", "tracepoint:*:*[!"], "no tracepoint matches '*:*[!'"),
        (["count", FORK, "-p", "4999999999"], "4999999999 is not in the range"),
    ],
)
def test_slips_of_the_pen(words, why):
    done = run("probe", *words, *([] if "--duration" in words else ["--duration", "0.1"]))

    assert done.returncode not in (0, 1)
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


def _user():
    """Become an ordinary user, who may be unable to read the files of this Python."""
    importlib.import_module("encodings.ascii")
    found = registry.plugins()
    registry.plugins = lambda kind=None: [plugin for plugin in found if kind in (None, plugin.kind)]
    for plugin in found:
        registry.load(plugin)
    hardship.ordinary_user()


@pytest.mark.parametrize(
    "words",
    [
        ["count", FORK],
        ["count", "sched:sched_switch"],
        ["count", "software:page-faults"],
        ["count", "raw_tracepoint:sched_switch"],
        ["trace", "uprobe:c:getppid"],
    ],
)
def test_an_ordinary_user_is_told_what_is_missing(words):
    outcome = hardship.bpfctl("probe", *words, "--duration", "0.1", hardship=_user)

    assert (outcome.code, outcome.out) == (4, b"")
    assert re.search(r"it needs CAP_(BPF|PERFMON)|tracefs is root's", outcome.err), outcome.err


def test_an_ordinary_user_sees_what_needs_no_rights():
    outcome = hardship.bpfctl("probe", "list", "page-faults", hardship=_user)

    assert (outcome.code, outcome.out) == (0, b"software:page-faults\n")
    assert re.search(r"tracepoints cannot be listed: (Operation not permitted|Permission denied)", outcome.err)


def _held():
    """Return what this process holds open, and what of that it has mapped."""
    files = Counter()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists them
            files[os.readlink(f"/proc/self/fd/{fd}")] += 1
    return files, Path("/proc/self/maps").read_text().count("anon_inode")


SPECS = [
    (FORK, ""),
    (FORK, "args.child_pid"),
    (YIELD, ""),
    ("raw_tracepoint:sched_process_fork", ""),
    ("tp_btf:sched_process_fork", ""),
    ("software:page-faults", ""),
    ("profile:99hz", ""),
    ("interval:1s", ""),
    ("breakpoint:{address}:8:w", ""),
    ("uprobe:c:getppid", ""),
    ("uretprobe:c:getppid", ""),
    ("usdt:{program}:guarded", ""),
    ("kprobe:vfs_read", ""),
    ("kretprobe:vfs_read", ""),
    ("fentry:vfs_read", ""),
    ("fexit:vfs_read", ""),
]
GUARDED = (
    TALK
    + NOTES
    + """
__attribute__((section(".probes"), used)) unsigned short guard;
void does(const char *what, long count)
{
    while (guard && count--) NOTE("guard", "made", "guarded", "-8@%[count]", [count] "r"(count));
}
"""
)


def _skip_without(sources, wanted):
    """Skip where this kernel has no such probes of its functions."""
    kind, target = wanted.points[0]
    if target == "vfs_read" and kind.startswith("k"):
        needs(*KPROBES)
    try:
        with Count() as counts, Probing(sources, wanted, counts):
            pass
    except KernelError as error:
        if kind not in ("fentry", "fexit") or "lockdown" not in str(error):
            raise
        pytest.skip("lockdown forbids tracing programs")
    except NotSupported:
        if kind not in ("fentry", "fexit") or os.uname().machine == "x86_64":
            raise
        pytest.skip("this kernel cannot attach tracing programs on this architecture")


@pytest.mark.parametrize(("spec", "by"), SPECS)
def test_a_thousand_rounds_leave_nothing(spec, by):
    """As many as there is time for: some kernels wait for a tenth of a second whenever a probe is taken away."""
    word, sources = ctypes.c_uint64(), Sources()
    program = built("guarded", GUARDED) if "usdt" in spec else ""
    target = spec.format(address=hex(ctypes.addressof(word)), program=program)
    wanted = Wanted(sources.resolve([target]))
    _skip_without(sources, wanted)
    for number in hardship.rounds(1000, 2, least=2 * WARM):
        with Count((by,) if by else ()) as counts, Probing(sources, wanted, counts):
            counts.rows()
        if number == WARM:
            before = _held()

    assert _held() == before
