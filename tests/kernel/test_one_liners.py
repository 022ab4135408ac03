"""The commands of docs/one-liners.md, each beside what it is about to tell of."""

from __future__ import annotations

import mmap
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.kernel import client
from tests.kernel.command import CHECKOUT, run, running
from tests.kernel.facts import KPROBES, needs
from tests.kernel.place import mounted
from tests.kernel.probing import CYCLES, INSTRUCTIONS, PATIENCE, ends, has_counter

if TYPE_CHECKING:
    from collections.abc import Callable

DOC = CHECKOUT / "docs" / "one-liners.md"
COMMANDS = re.findall(r"^    \$ bpfctl (.+)$", DOC.read_text(), re.MULTILINE)
PYTHON = "/usr/bin/python3.11"
GROUP = "bpfctl-demo"
OWN_GROUP = client.own(GROUP)  # which other tests at the same time have not


class Case(NamedTuple):
    """What makes a command tell something, and a line that it then has."""

    happens: Callable[[], object]
    line: str  # a regular expression


def starts():
    subprocess.run(["/bin/true"], check=True)


def opens():
    with open("/proc/self/comm", "rb") as file:
        file.read()


def fails():
    with suppress(FileNotFoundError):
        os.stat("/nonexistent")
    with suppress(FileNotFoundError):
        open("/nonexistent")  # noqa: SIM115 - it never is


def kills():
    os.kill(os.getpid(), 0)


def syncs():
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        os.fsync(file.fileno())


def faults():
    with mmap.mmap(-1, 1 << 20) as fresh:  # memory of malloc(3) may have been there before
        fresh.write(bytes(1 << 20))


def spins():
    sum(range(3_000_000))


def reads():
    with open("/dev/zero", "rb", buffering=0) as file:
        for _ in range(10):
            file.read(1 << 24)


def sleeps():
    time.sleep(0.05)


def connects():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def resolves():
    with suppress(OSError):
        socket.getaddrinfo("localhost", 80)


def types_a_line():
    """Have somebody type at a shell's prompt."""
    import pty

    pid, terminal = pty.fork()
    if not pid:
        os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "-i"])
    os.write(terminal, b"echo read-by-readline\nexit\n")
    with suppress(OSError):  # the end of a terminal is an error
        while os.read(terminal, 4096):
            pass
    os.close(terminal)
    os.waitpid(pid, 0)


def collects():
    subprocess.run([PYTHON, "-I", "-S", "-c", "import gc; gc.collect(1)"], check=True)


def contained():
    """Have a file opened by somebody in a cgroup."""
    script = f"echo $$ > {_cgroups()}/{OWN_GROUP}/cgroup.procs && read comm < /proc/self/comm"
    subprocess.run(["/bin/sh", "-c", script], check=True)


def _cgroups():
    return mounted("cgroup2")[0]


CLOCK = r"\d\d:\d\d:\d\d\.\d{6} "
BAR = r"\[\S+ [num]?s, \S+ [num]?s\) +[1-9]\d*  \|@* *\|"
ENTER = r"tracepoint:syscalls:sys_enter_"

CASES = {
    "probe trace syscalls:sys_enter_execve --fields comm,filename": Case(
        starts, CLOCK + ENTER + r"execve comm=\S+ filename=/bin/\w+"
    ),
    "probe trace sched:sched_process_exec --fields pid,comm,filename": Case(
        starts, CLOCK + r"tracepoint:sched:sched_process_exec pid=\d+ comm=\S+ filename=/bin/\w+"
    ),
    "probe trace syscalls:sys_enter_openat --fields pid,comm,filename": Case(
        opens, CLOCK + ENTER + r"openat pid=\d+ comm=\S+ filename=/proc/self/comm"
    ),
    "probe trace syscalls:sys_exit_openat --where 'ret < 0' --fields pid,comm,ret": Case(
        fails, CLOCK + r"tracepoint:syscalls:sys_exit_openat pid=\d+ comm=\S+ ret=-2"
    ),
    f"probe count syscalls:sys_enter_openat --by comm,filename --cgroup cgroup:/{GROUP}": Case(
        contained, r" *\d+  sh +/proc/self/comm"
    ),
    "probe count raw_syscalls:sys_enter --by comm --top 5": Case(spins, r" *\d+  \S.*"),
    "probe count 'syscalls:sys_enter_*' --top 5": Case(opens, " *[1-9][0-9]*  " + ENTER + r"\w+"),
    "probe count syscalls:sys_exit_read --where 'ret > 0' --by comm,ret --top 5": Case(opens, r" *\d+  \S.* +\d+"),
    "probe trace syscalls:sys_enter_kill --fields pid,comm,args.pid,sig": Case(
        kills, CLOCK + ENTER + r"kill pid=\d+ comm=\S+ args.pid=\d+ sig=\d+"
    ),
    "probe trace 'syscalls:sys_enter_*sync' --fields pid,comm": Case(syncs, CLOCK + ENTER + r"fsync pid=\d+ comm=\S+"),
    "probe trace sock:inet_sock_set_state --where 'newstate == 1' --fields comm,sport,dport": Case(
        connects, CLOCK + r"tracepoint:sock:inet_sock_set_state comm=\S+ sport=\d+ dport=\d+"
    ),
    "probe count 'sched:*' --duration 5": Case(starts, r" *[1-9]\d*  tracepoint:sched:sched_process_exec"),
    "probe count raw_tracepoint:sched_switch --by 'prev->comm,next->comm' --top 5": Case(starts, r" *\d+  \S.*  \S+"),
    "probe count software:page-faults --by comm --top 5": Case(faults, r" *\d+  \S.*"),
    "probe count profile:99hz --by comm,user --top 5": Case(spins, r" *\d+  \S.* +[01]"),
    "probe stacks profile:99 --where 'pid != 0 && user == 0' --kernel --by comm --top 1": Case(reads, r"    comm=\S.*"),
    "probe stacks sched:sched_switch --off-cpu --over 10ms --by comm --kernel --top 1": Case(
        sleeps, r"    \d+\.\d{3} ms in \d+ hits?"
    ),
    "probe stacks syscalls:sys_enter_openat --folded": Case(opens, r"\S.*(;\S+)*;\S+_\[k\] \d+"),
    "probe count hardware:cycles hardware:instructions --by probe,comm --top 5": Case(
        spins, r" *\d+  hardware:(cycles|instructions) +\S.*"
    ),
    "probe trace uprobe:c:getaddrinfo 'uprobe:c:gethostbyname*' --fields pid,comm,str0": Case(
        resolves, CLOCK + r"uprobe:\S+/libc\.so\.6:getaddrinfo pid=\d+ comm=\S+ str0=localhost"
    ),
    "probe latency uprobe:c:getaddrinfo --over 1us --fields pid,comm,str0,retval": Case(
        resolves,
        CLOCK + r"uprobe:\S+/libc\.so\.6:getaddrinfo latency=\S+ \w+ pid=\d+ comm=\S+ str0=localhost retval=-?\d+",
    ),
    "probe latency syscalls:sys_enter_fsync --by comm": Case(syncs, BAR),
    "probe latency --from sched:sched_wakeup --to sched:sched_switch --key args.pid=args.next_pid": Case(starts, BAR),
    "probe latency kprobe:vfs_read --by comm": Case(opens, BAR),
    "probe trace uretprobe:bash:readline --fields pid,retstr": Case(
        types_a_line, CLOCK + r"uretprobe:\S+/bash:readline pid=\d+ retstr=echo .*"
    ),
    f"probe trace usdt:{PYTHON}:gc__start --fields pid,comm,arg0": Case(
        collects, CLOCK + rf"usdt:{PYTHON}:python:gc__start pid=\d+ comm=python3\.11 arg0=1"
    ),
    f"probe count usdt:{PYTHON}:import__find__load__start --by str0 --top 5": Case(collects, r" *\d+  [\w.]+"),
    "probe count 'kprobe:vfs_*' --top 5": Case(opens, r" *[1-9]\d*  kprobe:vfs_\w+"),
    "probe count kprobe:vfs_read kprobe:vfs_write kprobe:vfs_fsync kprobe:vfs_open kprobe:vfs_create": Case(
        opens, r" *[1-9]\d*  kprobe:vfs_open"
    ),
    "probe trace kprobe:vfs_open --fields 'pid,comm,path->dentry->d_name.name'": Case(
        opens, CLOCK + r"kprobe:vfs_open pid=\d+ comm=\S+ path->dentry->d_name\.name=comm"
    ),
    "probe count kretprobe:vfs_read --where 'retval > 0' --by comm,retval --top 5": Case(opens, r" *\d+  \S.* +\d+"),
}
#: What shows at once; with them no event has to happen.
LISTS = {
    "probe list 'sched:sched_process_*'": r"tracepoint:sched:sched_process_exec",
    "probe list -v sched:sched_process_exit": r"    pid_t pid",
    "probe list 'software:*faults'": r"software:page-faults",
    f"probe list 'usdt:{PYTHON}:*'": rf"usdt:{PYTHON}:python:gc__start",
    "probe show syscalls:sys_enter_openat": r"    can be attached: as raw tracepoint sys_enter",
}


def test_no_other_commands_are_there():
    assert sorted(COMMANDS) == sorted([*CASES, *LISTS])


def _shown(command):
    """Return the lines that stand below a command."""
    _, _, after = DOC.read_text().partition(f"    $ bpfctl {command}\n")
    return [line[4:] for line in after.split("\n\n", 1)[0].splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("command", [command for command in COMMANDS if _shown(command)])
def test_what_is_shown_there_looks_like_it(command):
    """What is checked on this machine is also what the document says."""
    wanted = CASES[command].line if command in CASES else LISTS[command]

    assert any(re.fullmatch(wanted, line) for line in _shown(command))


def _skip_without(command):
    if re.search("k(ret)?probe:", command):
        needs(*KPROBES)
    if "hardware:" in command and not all(map(has_counter, (CYCLES, INSTRUCTIONS))):
        pytest.skip("this machine has no hardware counters of cycles and instructions")
    if "--cgroup" in command and not mounted("cgroup2"):
        pytest.skip("no cgroups of version 2 are mounted")
    if PYTHON in command and b"stapsdt" not in (Path(PYTHON).read_bytes() if Path(PYTHON).exists() else b""):
        pytest.skip(f"there is no {PYTHON} with static probes here")
    if "kprobe:vfs_create" in command and b" vfs_create\n" not in Path("/proc/kallsyms").read_bytes():
        pytest.skip("this kernel has no vfs_create")


@contextmanager
def _group():
    """Make the cgroup that one of them speaks of."""
    group = _cgroups() / OWN_GROUP
    group.mkdir()
    try:
        yield
    finally:
        group.rmdir()


@pytest.mark.parametrize("command", LISTS)
def test_it_lists(command):
    _skip_without(command)

    assert re.search(f"^{LISTS[command]}$", run(*shlex.split(command)).stdout, re.MULTILINE)


@pytest.mark.parametrize("command", CASES)
def test_it_tells(command):
    _skip_without(command)
    case, words = CASES[command], shlex.split(command.replace(GROUP, OWN_GROUP))
    with _group() if "--cgroup" in words else nullcontext():
        is_line_by_line = "trace" in words or {"latency", "--over"} <= {*words}
        output = _traced(words, case) if is_line_by_line else _counted(words, case)

    assert any(re.fullmatch(case.line, line) for line in output), output[:20]


def _traced(words, case):
    """Have it happen until it is told of, and end it as a user would."""
    end = time.monotonic() + PATIENCE
    with running(*words) as process:
        os.set_blocking(process.stdout.fileno(), False)
        seen = b""
        while (
            process.poll() is None
            and time.monotonic() < end
            and not re.search(f"^{case.line}$".encode(), seen, re.MULTILINE)
        ):
            case.happens()
            with suppress(BlockingIOError):
                seen += os.read(process.stdout.fileno(), 1 << 20)
        process.send_signal(signal.SIGINT)
        os.set_blocking(process.stdout.fileno(), True)
        rest, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    return (seen.decode() + rest).splitlines()


def _counted(words, case):
    """Have it happen for a second."""
    if "--duration" in words:
        words[words.index("--duration") + 1] = "1"
    else:
        words += ["--duration", "1"]
    with running(*words) as process:
        assert ends(process, case.happens)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output.splitlines()
