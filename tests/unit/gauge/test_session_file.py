"""Session files: what they say, and where the mistake is when they make no sense."""

from __future__ import annotations

from tomllib import loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import UsageError
from bpfctl.gauge.file import Plan, parse, read

TEXT = '''# who reads
duration = 10
interval = 0.5

[[count]]
probes = "tracepoint:syscalls:sys_enter_*"
by = ["comm", "pid"]

[[trace]]
probes = ["tracepoint:sched:sched_process_exec"]

[[hist]]
name = """
[[hist]]
of = 3
"""
probes = ["a:b",
  "c:d"]
of = "ret"
linear = [0, 100, 10]
top = 3
{}
[[count]]
name = "the last"
probes = "e:f"
'''


def test_what_it_says():
    """Measurements come in the order of the file, with what Session's methods take."""
    plan = parse(TEXT.format("").encode(), "f.toml")

    assert (10, 0.5, None, None) == (plan.duration, plan.interval, plan.pid, plan.cgroup)
    assert [
        ("count", "tracepoint:syscalls:sys_enter_*", ("tracepoint:syscalls:sys_enter_*",), None, "f.toml:5"),
        ("trace", "tracepoint:sched:sched_process_exec", ("tracepoint:sched:sched_process_exec",), None, "f.toml:9"),
        ("hist", "[[hist]]\nof = 3\n", ("a:b", "c:d"), 3, "f.toml:12"),
        ("count", "the last", ("e:f",), None, "f.toml:23"),
    ] == [(one.action, one.name, one.probes, one.top, one.place) for one in plan.measurements]
    assert [{"by": ("comm", "pid")}, {}, {"of": "ret", "linear": (0, 100, 10)}, {}] == [
        one.arguments for one in plan.measurements
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("of = 3", "f:22: Cannot overwrite a value"),
        ("off = 3", "f:22: nothing is called 'off' here; did you mean 'of'?"),
        ("max_entries = 0", "f:22: 'max_entries' should be a number above 0"),
        ("max_entries = true", "f:22: 'max_entries' should be a number above 0"),
        ("where = 7", "f:22: 'where' should be a string"),
        ("by = [1]", "f:22: 'by' should be a string, or a list of strings"),
        ("duration = 3", "f:22: nothing is called 'duration' here; there are name, probes, "),
        ("x = [", "f:23: Invalid value"),
        ('[[hist]]\nprobes = "x"', "f:22: [[hist]] needs 'of'"),
        ("[[trace]]", "f:22: [[trace]] needs 'probes'"),
        ('[[trace]]\nprobes = "x"\n\nlinear = [1, 2, 3]', "f:25: nothing is called 'linear' here; "),
        ("[hists]", "f:22: nothing is called 'hists' here; did you mean 'hist'?"),
        ("[[counts]]", "f:22: nothing is called 'counts' here; did you mean 'count'?"),
        ("linear.x = 3", "f:22: "),
    ],
)
def test_mistakes_have_their_line(line, sentence):
    """The line is that of the mistake, whatever stands in strings before it."""
    with pytest.raises(UsageError) as error:
        parse(TEXT.format(line).encode(), "f")

    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "f: nothing is to be measured"),
        (b"duration = 0", "f:1: 'duration' should be a number of seconds"),
        (b"\ninterval = nan", "f:2: 'interval' should be a number of seconds"),
        (b"# \xff", "f:1: this is no UTF-8"),
        (b"\n\ncount = 3", "f:3: it should be [[count]]"),
        (b"\n[count]\n", "f:2: it should be [[count]]"),
        (b'count = [{probes = "a:b", byy = "x"}]', "f:1: nothing is called 'byy' here; did you mean 'by'?"),
        (b"duration = " + b"9" * 5000, "'f' is no session file: a number in it is too large"),
        (b"x = " + b"[" * 100_000, "'f' is no session file: it is nested too deeply"),
    ],
)
def test_other_mistakes(text, sentence):
    """What is no session file at all is told too."""
    with pytest.raises(UsageError) as error:
        parse(text, "f")

    assert str(error.value).startswith(sentence)


def test_each_statement_of_a_long_file_is_read_twice_at_most(monkeypatch):
    """Once as a part of the whole, and once to know where it ends."""
    text = "\n".join(f'[[count]]\nname = "number {at}"\nprobes = ["a:b"]\n' for at in range(200))
    asked = []
    monkeypatch.setattr("bpfctl.gauge.file.tomllib.loads", lambda part: asked.append(len(part)) or loads(part))

    assert [f"f:{4 * at + 1}" for at in range(200)] == [one.place for one in parse(text.encode(), "f").measurements]
    assert sum(asked) <= 2 * len(text)


def test_a_file_without_end():
    """A file that is too large for anybody to have written is not read."""
    with pytest.raises(UsageError, match="larger than"):
        read("/dev/zero")


WORDS = st.sampled_from(
    ["[[count]]", "[[hist]]", "[trace]", "probes", "by", "of", "=", '"a:b"', "[1, 2]", "3", "\n", '"""', "{", "}"]
)


@given(st.one_of(st.binary(max_size=100), st.lists(WORDS, max_size=30).map(lambda words: " ".join(words).encode())))
def test_anything(data):
    """Whatever it is, there is a plan or one sentence."""
    found = said = None
    try:
        found = parse(data, "f")
    except UsageError as error:
        said = str(error)

    assert isinstance(found, Plan) if said is None else "\n" not in said
