"""Probes on one process: the files that it sees and has mapped, and nobody else is attached to."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from errno import EBADF, EINVAL

import pytest

from bpfctl._sys import attach
from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.code import Code
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from bpfctl.probe.where import parse
from tests.build.called import NOTES, TALK, built, called
from tests.kernel import client
from tests.kernel.command import run, running
from tests.kernel.probing import PATIENCE, Own, is_attached, until

WAYS = ["multi-uprobe link", "perf event", "tracefs event"]
KPROBE, TRACE_UPROBE_MULTI = 2, 48

WORK = (
    NOTES
    + TALK.replace("#include <stdio.h>", "#include <pthread.h>\n#include <stdio.h>\n#include <sys/wait.h>")
    + r"""
#include <unistd.h>
__attribute__((noinline, noclone)) long work(long a) { __asm__ volatile(""); return a; }
unsigned short watched __attribute__((section(".probes")));
static void *thread(void *count)
{
    for (long number = 0; number < (long)count; number++) work(number);
    return 0;
}
static void does(const char *what, long count)
{
    if (!strcmp(what, "work")) thread((void *)count);
    if (!strcmp(what, "note")) for (long number = 0; number < count; number++) NOTE("watched", "p", "n", "");
    if (!strcmp(what, "threads")) {
        pthread_t threads[4];
        for (int each = 0; each < 4; each++) pthread_create(&threads[each], 0, thread, (void *)count);
        for (int each = 0; each < 4; each++) pthread_join(threads[each], 0);
    }
    if (!strcmp(what, "fork")) {
        pid_t child = fork();
        if (!child) { thread((void *)count); _exit(0); }
        waitpid(child, 0, 0);
    }
    if (!strcmp(what, "borrow")) {  /* a child that has its parent's memory until it ends */
        pid_t child = vfork();
        if (!child) { thread((void *)count); _exit(0); }
        waitpid(child, 0, 0);
    }
}
"""
)


@pytest.fixture(scope="module")
def path():
    return built("worker", WORK, "-pthread")


@contextmanager
def probing(action, pid, *specs, where="1", way=""):
    """Probe one process, by nothing but where it is attached."""
    sources = Sources(pid)
    with action, Probing(sources, Wanted(sources.resolve(specs), parse(where), way), action) as run:
        yield run


@pytest.fixture(params=["multi-uprobe", "perf", "tracefs"])
def way(request):
    """Each way to attach that this kernel has."""
    if request.param == "multi-uprobe" and not links_look_at_processes():
        pytest.skip("this kernel has no links to places in files, or ones that look at a thread (Linux 6.10)")
    return request.param


def links_look_at_processes():
    """Ask the kernel: a folder is no file for links that it has, and a pid that is none is refused before that."""

    def refusal(pid):
        with pytest.raises(OSError) as caught:
            attach.uprobe_multi(program, "/", [(0, 0, 0)], attach_type=TRACE_UPROBE_MULTI, pid=pid).close()
        return caught.value.errno

    program = client.prog_load(KPROBE, Code().end(), expected_attach_type=TRACE_UPROBE_MULTI)
    try:
        return (refusal(0), refusal(0xFFFFFFFF)) == (EBADF, EINVAL)
    finally:
        os.close(program)


def hits(counts):
    return {row.values[0].rpartition(":")[2]: row.hits for row in counts.rows()}


def test_only_that_process_pays(path, way):
    """Another of the same file never runs the program, nor does one that starts later.

    But older kernels, such as 5.10, run that of a return where somebody else probes that function in another: hence its
    condition, which the command adds too.
    """
    with called(path) as wanted, called(path) as other, called(path) as unrelated:
        counts, returns, of_other = Count(), Count(), Count()
        specs = [f"uprobe:{path}:work", f"usdt:{path}:p:n"]
        with (
            probing(counts, wanted.pid, *specs, way=way),
            probing(returns, wanted.pid, f"uretprobe:{path}:work", where=f"pid == {wanted.pid}", way=way),
            probing(of_other, other.pid, f"uprobe:{path}:work", way=way),
        ):
            wanted.does("work", 1000)
            wanted.does("note", 10)
            for each in (other, unrelated):
                each.does("work", 77)
                each.does("note", 7)
            with called(path) as later:
                later.does("work", 7)

            found = {row.values[0]: row.hits for row in counts.rows()}
            assert found == dict(zip(specs, (1000, 10), strict=True))
            assert hits(returns) == {"work": 1000}
            assert hits(of_other) == {"work": 77}


def test_all_threads_are_that_process_and_no_child(path, way):
    counts = Count()
    with called(path) as process, probing(counts, process.pid, f"uprobe:{path}:work", way=way):
        process.does("threads", 250)
        process.does("fork", 30)

        assert hits(counts) == {"work": 1000}


def test_a_link_that_would_look_at_a_thread_is_none(path, monkeypatch):
    """Before Linux 6.10, which refuses this pid; then there are perf events."""
    asked = attach.uprobe_multi

    def without_check(prog_fd, path, places, *, pid=0, **more):
        if pid == 0xFFFFFFFF:
            raise OSError(EBADF, "not a regular file")
        return asked(prog_fd, path, places, pid=pid, **more)

    counts = Count()
    with called(path) as process:
        with probing(Count(), process.pid, f"uprobe:{path}:work") as run:
            assert (run.made[0].group.way == "multi-uprobe link") is links_look_at_processes()
        monkeypatch.setattr(attach, "uprobe_multi", without_check)
        with probing(counts, process.pid, f"uprobe:{path}:work") as run:
            process.does("threads", 25)

            assert run.made[0].group.way == "perf event"
            assert hits(counts) == {"work": 100}


def test_who_borrows_its_memory_is_another(path, way):
    """A perf event is one of the memory; the condition that the command adds still says whose the hit is."""
    counts = Count()
    with (
        called(path) as process,
        probing(counts, process.pid, f"uprobe:{path}:work", where=f"pid == {process.pid}", way=way),
    ):
        process.does("work", 5)
        process.does("borrow", 50)

        assert hits(counts) == {"work": 5}


@contextmanager
def elsewhere(path, folder):
    """Run a copy of a program that is in a folder which only its own mount namespace has."""
    script = f"mount -t tmpfs none {folder} && cp {path} {folder}/copied && exec {folder}/copied"
    with called("unshare", "--mount", "sh", "-c", script) as process:
        process.does("work", 1)  # it has begun
        yield process


def test_a_file_that_only_the_process_sees(path, tmp_path):
    inside = f"{tmp_path}/copied"
    by_path, by_name = Count(), Count()
    with elsewhere(path, tmp_path) as process:
        assert not os.path.exists(inside)
        with pytest.raises(NotFound, match="is not there"):
            Sources().resolve([f"uprobe:{inside}:work"])
        with probing(by_path, process.pid, f"uprobe:{inside}:work"), probing(by_name, process.pid, "usdt:copied:p:n"):
            process.does("work", 500)
            process.does("note", 20)

            assert [(row.values[0], row.hits) for row in by_path.rows()] == [(f"uprobe:{inside}:work", 500)]
            assert [(row.values[0], row.hits) for row in by_name.rows()] == [(f"usdt:{inside}:p:n", 20)]


def test_a_process_with_another_root_folder(tmp_path):
    """Its paths are those that it sees, and absolute links in there stay inside."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(built("alone", WORK, "-pthread", "-static"), root / "bin" / "alone")
    (root / "link").symlink_to("/bin")
    counts, by_name, by_link = Count(), Count(), Count()
    with called("chroot", root, "/bin/alone") as process:
        process.does("work", 1)
        with (
            probing(counts, process.pid, "uprobe:/bin/alone:work"),
            probing(by_name, process.pid, "uprobe:alone:work"),
            probing(by_link, process.pid, "uprobe:/link/alone:work"),
        ):
            process.does("work", 50)

            assert [(row.values[0], row.hits) for row in counts.rows()] == [("uprobe:/bin/alone:work", 50)]
            assert by_name.rows() == counts.rows()
            assert [(row.values[0], row.hits) for row in by_link.rows()] == [("uprobe:/link/alone:work", 50)]


def test_the_commands_tell_what_a_process_sees(path, tmp_path):
    with elsewhere(path, tmp_path) as process:
        of = ["-p", str(process.pid)]
        listed = run("-j", "probe", "list", f"uprobe:{tmp_path}/copied:wor*", *of).stdout
        shown = run("-j", "probe", "show", "uprobe:copied:work", *of).stdout
        counted = run("-j", "probe", "count", "uprobe:copied:work", *of, "--duration", "0.1").stdout

    target = f"{tmp_path}/copied:work"
    assert [row["target"] for row in map(json.loads, listed.splitlines())] == [target]
    told = json.loads(shown)
    assert (told["target"], told["attach"] in WAYS) == (target, True)
    assert told["locations"][0]["file"] == f"/proc/{process.pid}/root{tmp_path}/copied"
    assert json.loads(counted)["counts"] == [{"probe": f"uprobe:{target}", "count": 0}]


def test_patterns_for_the_files_of_a_process(path):
    counts = Count()
    with called(path) as process:
        process.does("nothing")  # a process that has just begun may not have mapped all its files yet
        specs = ["uprobe:wor*:work", "usdt:*:p:n", "usdt:*:n", "uprobe:*:puts"]
        with probing(counts, process.pid, *specs) as run_:
            process.does("work", 20)
            process.does("note", 2)
            run_.stop()

            found = {row.values[0]: row.hits for row in counts.rows()}
        listed = run("probe", "list", "usdt:*", "-p", str(process.pid), "--plain").stdout.splitlines()
        missing = run("probe", "show", "uprobe:*:no_such_function", "-p", str(process.pid)).stderr
    (puts,) = (name for name in found if name.endswith(":puts"))

    assert found == {f"uprobe:{path}:work": 20, f"usdt:{path}:p:n": 2, puts: 2}
    assert re.fullmatch(r"uprobe:/.*/libc.*:puts", puts)
    assert f"usdt:{path}:p:n" in listed
    assert missing == (
        "Error: the process has mapped no file '*' with a function 'no_such_function' that can be probed\n"
    )
    with pytest.raises(UsageError, match="'wor\\*' is a pattern for files, which are those that a process has mapped"):
        Sources().resolve(["uprobe:wor*:work"])


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_has_gone_is_still_the_one_it_runs(path, tmp_path, way, is_replaced):
    copied = tmp_path / "copied"
    shutil.copy(path, copied)
    counts = Count()
    with called(copied) as process:
        process.does("nothing")  # as above
        copied.unlink()
        if is_replaced:
            shutil.copy("/bin/true", copied)
        with probing(counts, process.pid, f"uprobe:{copied}:work", "usdt:copied:p:n", way=way):
            process.does("work", 40)
            process.does("note", 4)

            assert hits(counts) == {"work": 40, "n": 4}


def test_a_process_that_is_none(path, way):
    with called(path) as process:
        sources = Sources(process.pid)
        points = sources.resolve([f"uprobe:{path}:work"])
    over = re.escape(f"process {process.pid} has ended")
    with Count() as counts, pytest.raises(NotFound, match=over):
        Probing(sources, Wanted(points, way=way), counts)
    with pytest.raises(NotFound, match=f"there is no process {process.pid}"):
        Sources(process.pid).resolve([f"uprobe:{path}:work"])
    with pytest.raises(NotFound, match="2 is a thread of the kernel: it runs no file"):
        Sources(2).resolve([f"uprobe:{path}:work"])


def test_one_that_nobody_has_waited_for(path):
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(NotFound, match=f"process {process.pid} has ended"):
        Sources(process.pid).resolve([f"uprobe:{path}:work"])
    process.wait()


@pytest.mark.parametrize("words", [["count"], ["trace", "--fields", "pid"]])
@pytest.mark.parametrize("probe", ["uprobe:{}:work", "tracepoint:sched:sched_process_exit"])
def test_it_is_over_when_the_process_is(path, words, probe):
    command, *options = words
    with called(path) as process:
        words = ["-j", "probe", command, probe.format(path), "-p", str(process.pid), *options]
        with running(*words) as beside:
            assert until(lambda: is_attached(beside.pid))
            process.does("work", 5)
            os.kill(process.pid, signal.SIGKILL)
            out, error = beside.communicate(timeout=PATIENCE)

    assert (error, beside.returncode) == ("", 0)
    told = [json.loads(line) for line in out.splitlines()]
    number = told[-1]["hits"] if command == "count" else len(told)
    assert number == (5 if probe.startswith("uprobe") else 1)


def test_rounds_are_over_when_the_process_is(path):
    with called(path) as process:
        words = ["-j", "probe", "count", f"uprobe:{path}:work", "-p", str(process.pid), "--interval", "0.1"]
        with running(*words) as beside:
            beside.stdout.readline()
            process.does("work", 5)
            while json.loads(beside.stdout.readline())["hits"] < 5:
                pass
            os.kill(process.pid, signal.SIGKILL)
            _, error = beside.communicate(timeout=PATIENCE)

    assert (error, beside.returncode) == ("", 0)


def test_a_process_that_is_none_for_probes_of_the_kernel():
    done = run("probe", "count", "sched:sched_switch", "-p", "4194304")  # more than any may have

    assert (done.stderr, done.returncode) == ("Error: there is no process 4194304\n", 3)


def test_a_program_of_ones_own(path, held, place):
    if not has_cookies():
        pytest.skip("this kernel has no links of perf events, which alone can be pinned (Linux 5.15)")
    pin, own = place.bpffs / "own", Own(held, KPROBE, client.own("own"))
    with called(path) as process, called(path) as other:
        words = ["probe", "attach", f"uprobe:{path}:work", "name", own.name, "-p", str(process.pid), "--pin", str(pin)]
        done = run(*words)
        try:
            assert (done.stderr, done.returncode) == ("", 0)
            process.does("work", 30)
            other.does("work", 7)
        finally:
            pin.unlink()

        assert own.runs() == 30
        done = run("probe", "attach", "sched:sched_switch", "name", own.name, "-p", str(process.pid))
    assert "sched:sched_switch is attached in no process alone" in done.stderr


def test_rounds_leave_nothing(path, way):
    with called(path) as process:
        for _ in range(20):
            with probing(Count(), process.pid, f"uprobe:{path}:work", f"usdt:{path}:p:n", way=way):
                pass
