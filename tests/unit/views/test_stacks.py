"""Stacks in three voices, and folded."""

from __future__ import annotations

from bpfctl.probe.named_stacks import by_function, leaf_of
from bpfctl.symbols.frame import Frame
from bpfctl.views.stacks import BOARD, folded
from tests.unit.views.stacks import LIBC, PROGRAM, READ, USER, stack, told


def lines(*rows, unit="", values=("cat",)):
    return list(folded([(values, row) for row in rows], unit))


def test_paragraphs():
    shown = list(BOARD.plain(told(stack(READ[:2], USER[:2], hits=3), stack((), (), hits=1), every=4, lost=2)))

    assert shown == [
        "  vfs_read",
        "  ksys_read",
        "  --",
        "  read (libc.so.6)",
        "  [program]",
        "    comm=cat pid=7",
        "    3",
        "",
        "  [no stack]",
        "    comm=cat pid=7",
        "    1",
        "",
        "2 more stacks are not shown",
        "2 hits were not counted: there was no room for their stacks (--max-entries N makes more)",
    ]


def test_rows():
    """Calls of one function of another are a row, and so is no stack at all."""
    shown = told(stack(READ[:1] * 3, USER[:1], hits=3), stack((), (), hits=1))
    rows = [[column.get(row) for column in BOARD.columns(shown)] for row in BOARD.rows(shown)]

    assert rows == [
        ["3", "75.0", "cat", "7", "vfs_read x 3", "kernel"],
        [None, None, None, None, "read", LIBC],
        ["1", "25.0", "cat", "7", "[no stack]", None],
    ]


def test_modules_of_the_kernel():
    assert next(BOARD.plain(told(stack(READ[3:])))) == "  ext4_read [ext4]"


def test_time_off_cpu():
    row = stack(READ[:1], hits=3, total=1_234_567)
    shown = list(BOARD.plain(told(row, unit="nanoseconds", waiting=2)))

    assert shown[2] == "    1.235 ms in 3 hits"
    assert shown[4] == "2 threads are still off CPU, and their time is not counted"
    assert BOARD.head(told(row, unit="nanoseconds", waiting=0)) == "3 hits, 1.235 ms off CPU in 1 stack, 2.0 s"


def test_json():
    row = stack(READ[:1], USER[:2], hits=3, total=8)

    assert BOARD.json(told(row, unit="bytes", lost=1)) == {
        "time": 1.5,
        "seconds": 2.0,
        "stacks": [
            {
                "comm": "cat",
                "pid": 7,
                "count": 3,
                "total": 8,
                "kernel": [{"function": "vfs_read", "offset": 7, "module": None, "address": "0x1000"}],
                "user": [
                    {"function": "read", "offset": 5, "module": LIBC, "address": "0x2000"},
                    {"function": None, "offset": 0x1234, "module": PROGRAM, "address": "0x2001"},
                ],
            }
        ],
        "left_out": 0,
        "hits": 3,
        "unit": "bytes",
        "total": 8,
        "lost": 1,
        "missed": 0,
    }


def test_fields_that_are_called_as_members_have_their_whole_names():
    (shown,) = BOARD.json(told(stack(READ[:1], hits=3, values=(7, 8)), by=("count", "user")))["stacks"]

    assert (shown["args.count"], shown["count"], shown["args.user"], shown["user"]) == (7, 3, 8, [])


def test_a_table():
    round_ = told(stack(READ[:2], USER[:1], hits=3), stack(READ[:1], hits=1, values=("dog", 9)))
    columns, rows = BOARD.columns(round_), BOARD.rows(round_)

    assert [column.title for column in columns] == ["count", "%", "comm", "pid", "function", "module"]
    assert [[column.get(row) for column in columns] for row in rows] == [
        ["3", "75.0", "cat", "7", "vfs_read", "kernel"],
        [None, None, None, None, "ksys_read", "kernel"],
        [None, None, None, None, "read", LIBC],
        ["1", "25.0", "dog", "9", "vfs_read", "kernel"],
    ]


def test_recursion_in_a_table():
    work = Frame("work", 3, PROGRAM)
    round_ = told(stack((), [Frame("leaf", 1, PROGRAM), work, work._replace(offset=9), work, USER[0]]))

    assert [row.function for row in BOARD.rows(round_)] == ["leaf", "work x 3", "read"]


def test_folded_lines_begin_at_the_root():
    assert lines(stack(READ, USER, hits=3)) == [
        "cat;[unknown];jitted_[j];[program];read;ext4_read_[k];do_syscall_64_[k];ksys_read_[k];vfs_read_[k] 3"
    ]


def test_the_same_path_is_one_line():
    assert lines(stack(READ[:1], hits=3), stack(READ[:1], hits=4, pid=8)) == ["cat;vfs_read_[k] 7"]


def test_what_would_break_a_line():
    row = stack((), [Frame("operator;\n()", 1, LIBC)], hits=3)

    assert lines(row, values=("a;b",)) == ["a:b;operator: () 3"]


def test_a_path_without_anything_has_a_name():
    """A line of a number alone is no line that others read."""
    assert lines(stack((), (), hits=3), values=()) == ["[no stack] 3"]
    assert lines(stack((), (), hits=3)) == ["cat 3"]


def test_folded_time_is_in_microseconds():
    rows = stack(READ[:1], total=1_499), stack(READ[1:2], total=400)

    assert lines(*rows, unit="nanoseconds") == ["cat;vfs_read_[k] 1"]


def test_calls_between_a_probe_and_its_program():
    def leaf(*names):
        return leaf_of([Frame(name, 1) for name in names])

    assert (
        leaf("bpf_prog_0123456789abcdef_bpfctl_probe", "bpf_trace_run4", "__traceiter_sched_switch", "__schedule") == 3
    )
    assert leaf("", "bpf_trace_run4", "__schedule") == 2
    assert leaf("vfs_read", "bpf_prog_0123456789abcdef_other", "bpf_trace_run4") == 0
    assert leaf("bpf_prog_0123456789abcdef_bpfctl_probe") == 0
    assert leaf() == 0


def test_stacks_by_function():
    one = stack([Frame("f", 1)], [Frame("g", 1, LIBC), Frame("", 5, LIBC)], hits=1)
    same = stack([Frame("f", 2)], [Frame("g", 3, LIBC), Frame("", 6, LIBC)], hits=2)
    other = stack([Frame("f", 2)], [Frame("g", 3, LIBC), Frame("", 5, PROGRAM)], hits=4)

    assert [(row.hits, row.user) for row in by_function([one, same, other])] == [(4, other.user), (3, one.user)]
