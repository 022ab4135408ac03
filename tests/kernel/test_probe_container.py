"""Numbers of processes in a namespace of their own: those that its inhabitants see."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.build.called import TALK, built
from tests.kernel.command import CHECKOUT, ENVIRONMENT

WORK = (
    TALK
    + r"""
__attribute__((noinline, noclone)) long work(long a) { __asm__ volatile(""); return a; }
static void does(const char *what, long count) { for (long number = 0; number < count; number++) work(what[0]); }
"""
)
# Counts what a process does that it has started, and what all others do meanwhile.
INSIDE = """
import json, os, sys
from bpfctl.probe.actions.count import Count
from tests.build.called import called
from tests.kernel.probing import YIELD, probing
with called(sys.argv[1]) as process:
    hits, yields = Count(("pid", "tid", "comm")), Count(("pid",))
    own = f"pid == {process.pid}"
    with probing(hits, f"uprobe:{sys.argv[1]}:work", where=own), probing(yields, YIELD, where=f"pid == {os.getpid()}"):
        process.does("x", 30)
        for _ in range(7):
            os.sched_yield()
        told = [[[*row.values, row.hits] for row in counts.rows()] for counts in (hits, yields)]
        print(json.dumps([process.pid, os.getpid(), *told]))
"""


def test_pids_are_those_of_the_namespace():
    path = built("inhabitant", WORK)
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", INSIDE, path]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    pid, itself, hits, yields = json.loads(done.stdout)
    assert itself == 1
    assert hits == [[pid, pid, "inhabitant", 30]]
    assert yields == [[1, 7]]
