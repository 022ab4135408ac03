"""Stacks that nobody has counted, for tests of how they are shown."""

from __future__ import annotations

from bpfctl.probe.named_stacks import NamedStack
from bpfctl.symbols.frame import Frame
from bpfctl.views.stacks import Round

LIBC = "/usr/lib/libc.so.6"
PROGRAM = "/usr/bin/program"
READ = (Frame("vfs_read", 7), Frame("ksys_read", 9), Frame("do_syscall_64", 1), Frame("ext4_read", 3, "[ext4]"))
USER = (Frame("read", 5, LIBC), Frame("", 0x1234, PROGRAM), Frame("jitted", 3, "[jit]"), Frame("", 0x7F00, ""))


def stack(kernel=(), user=(), *, hits=1, total=None, values=("cat", 7), pid=7):
    """Return a stack whose addresses are its places."""
    addresses = tuple(range(0x1000, 0x1000 + len(kernel))), tuple(range(0x2000, 0x2000 + len(user)))
    total = hits if total is None else total
    return NamedStack(tuple(values), tuple(kernel), tuple(user), addresses, pid, hits, total)


def told(*rows, unit="", by=("comm", "pid"), every=None, waiting=None, lost=0, missed=0):
    """Return a round of these stacks."""
    return Round(
        1.5,
        2.0,
        by,
        unit,
        rows,
        [[str(value) for value in row.values] for row in rows],
        len(rows) if every is None else every,
        sum(row.hits for row in rows),
        sum(row.total for row in rows),
        lost,
        missed,
        waiting,
    )
