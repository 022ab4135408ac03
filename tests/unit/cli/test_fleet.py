"""`feature check --reports` and `feature diff` as they are typed: their voices, exit codes and complaints."""

from __future__ import annotations

import json
import sys

import pytest

from tests.bpftool import peer
from tests.build.compiled import compiled
from tests.build.reports import report
from tests.terminal import Terminal

BPFCTL = [sys.executable, "-m", "bpfctl"]
#: What prog.o needs, in the order in which that is told.
NEEDS = ("socket_filter", "hash", "percpu_hash", "percpu_array", "lru_hash", "lru_percpu_hash")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with objects, and one with reports in it."""
    (tmp_path / "prog.o").write_bytes(compiled("maps"))
    (tmp_path / "core.o").write_bytes(compiled("core"))
    (tmp_path / "reports").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hosts(place, **reports):
    for name, document in reports.items():
        (place / "reports" / f"{name}.json").write_text(json.dumps(document))


def check(*words):
    answer = peer.inside("feature", "check", *words)
    return answer.rc, answer.stdout.decode().splitlines(), answer.stderr.decode()


def test_all_is_met(place):
    hosts(place, a=report(), b=report())
    rc, lines, _ = check("prog.o", "--reports", "reports")

    assert (rc, lines) == (0, ["prog.o on all 2 hosts: 20 met"])
    rc, lines, _ = check("prog.o", "--reports", "reports", "--all")
    assert rc == 0
    assert len(lines) == 1 + 20
    assert lines[1].startswith("met: prog.o: byte order")
    assert all(" on all 2 hosts" in line for line in lines)


def test_lines(place):
    """A line for each that is not met, with the hosts where it came to the same."""
    lacking = report("hash")
    hosts(place, a=report(), b=lacking, c=lacking, d=report(unknown=("hash",)))
    rc, lines, _ = check("prog.o", "--reports", "reports")

    assert rc == 1
    assert lines == [
        "prog.o on a: 20 met",
        "prog.o on b, c: 19 met, 1 not met",
        "prog.o on d: 19 met, 1 cannot be told",
        "not met: prog.o: map type hash (hash) by hash on b, c: the report says no",
        "cannot be told: prog.o: map type hash (hash) by hash on d: nobody may ask",
    ]


def test_json(place):
    """In a pipe with -j, each host by its name."""
    hosts(place, a=report(), b=report("hash"))
    (place / "reports" / "c.json").write_text("{")
    answer = peer.inside("-j", "feature", "check", "prog.o", "core.o", "--reports", "reports")
    document = json.loads(answer.stdout)
    (need, relocation) = document["needs"]

    assert answer.rc == 1
    assert document["checks"][1] == {
        "object": "core.o", "against": "a", "needs": 14, "met": 13, "not_met": 0, "cannot_be_told": 1
    }  # fmt: skip
    assert document["checks"][4]["error"] == "reports/c.json cannot be used: it is no JSON"
    assert need == {
        "object": "prog.o",
        "kind": "map type",
        "name": "hash",
        "for": "hash",
        "status": {"a": "met", "b": "not met"},
        "reason": {"b": "the report says no"},
        "needed_by": [{"by": "hash"}],
    }
    assert relocation["status"] == {"a": "cannot be told", "b": "cannot be told"}


def test_a_host_that_cannot_be_told_of_is_no_success(place):
    hosts(place, a=report(), b={})
    rc, lines, _ = check("prog.o", "--reports", "reports")

    assert rc == 1
    assert lines == [
        "prog.o on a: 20 met",
        "prog.o on b: reports/b.json cannot be used: it is no report of feature probe",
    ]


def on_screen(width, *words):
    alone = ["sh", "-c", 'exec "$@" 2>/dev/null', "sh", *BPFCTL, *words]  # without what tells who waits what is done
    with Terminal(alone, size=(width, 40), env=peer.ENVIRONMENT | {"LC_ALL": "C.UTF-8"}) as terminal:
        rc = terminal.finish()
        return rc, terminal.lines()


def test_a_column_for_each_host_on_a_terminal(place):
    hosts(
        place, **{f"host-{number}": report(name) for number, name in enumerate(NEEDS, 1)}, same=report("socket_filter")
    )
    rc, lines = on_screen(160, "feature", "check", "prog.o", "--reports", "reports")
    at = lines.index("needs")
    title = lines[at + 1].split()
    marks = [[word for word in line.split() if word in {"met", "no"}][:6] for line in lines[at + 3 :]]

    assert rc == 1
    assert title[:8] == ["kind", "need", "host-1", "+1", "host-2", "host-3", "host-4", "host-5"]
    assert list(filter(None, marks)) == [["no" if one == row else "met" for one in range(6)] for row in range(6)]


def test_hosts_that_a_screen_has_no_room_for_are_named(place):
    hosts(place, **{f"host-{number}": report(name) for number, name in enumerate(NEEDS, 1)})
    rc, lines = on_screen(60, "feature", "check", "prog.o", "--reports", "reports")
    text = " ".join(" ".join(lines).split())
    title = lines[lines.index("needs") + 1].split()
    shown = [word for word in title if word.startswith("host-")]

    assert rc == 1
    assert max(map(len, lines)) <= 60
    assert 0 < len(shown) < 6
    left_out = [f"host-{number}" for number in range(1, 7) if f"host-{number}" not in shown]
    assert f"(a wider screen also shows: {', '.join(left_out)}, needed by, source, reason)" in text


def test_names_of_hosts_do_nothing_to_a_terminal(place):
    hosts(place, **{"\x1b[31mred": report("hash"), "white": report()})
    _, lines = on_screen(100, "feature", "check", "prog.o", "--reports", "reports")

    assert sum(r"\x1b[31mred" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--reports", "reports", "--report", "x.json"], 2, "--report is for one kernel, and --reports for those of a"),
        (["--reports", "reports", "--btf", "x"], 2, "--btf is for the kernel of a --report; with --reports, the types"),
        (["--reports", "reports", "--all", "--unmet"], 2, "--all and --unmet contradict each other"),
        (["--all"], 2, "--all is for --reports; of one kernel all needs are told"),
        (["--reports", "nowhere"], 3, "can't read nowhere: No such file or directory"),
        (["--reports", "reports"], 255, "reports has no report: no file whose name ends in .json"),
    ],
)
def test_mistakes(words, code, sentence, place):
    rc, lines, complaint = check("prog.o", *words)

    assert (rc, lines) == (code, [])
    assert complaint.startswith(f"Error: {sentence}")
    assert place


def test_diff_of_two_files(place):
    hosts(place, a=report("hash"), b=report(unknown=("xdp",)))
    answer = peer.inside("feature", "diff", "reports/a.json", "reports/b.json")

    assert answer.rc == 1
    assert answer.stdout.decode().splitlines() == [
        "+ map type hash",
        "? program type xdp: available -> cannot be told (nobody may ask)",
    ]
    assert peer.inside("feature", "diff", "reports/a.json", "reports/a.json") == (0, b"", b"")
    document = json.loads(peer.inside("-j", "feature", "diff", "reports/b.json", "reports/a.json").stdout)
    assert document["lost"] == [{"kind": "map type", "name": "hash", "first": True, "second": False}]
    assert [*document] == ["lost", "gained", "cannot_be_told", "changed", "not_compared"]


def test_diff_on_a_terminal(place):
    hosts(place, a=report("hash", "bpf_loop"), b=report(memory="4"))
    rc, lines = on_screen(100, "feature", "diff", "reports/a.json", "reports/b.json")

    assert rc == 1
    assert lines[: lines.index("") + 4][0] == "lost: 0"
    assert any(line.split() == ["map", "type", "hash"] for line in lines)
    assert any(line.split()[:3] == ["helper", "bpf_loop", "socket_filter,"] for line in lines)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "'diff' needs at least 1 arguments, 0 found"),
        (["nowhere.json"], 3, "can't read nowhere.json: No such file or directory"),
        (["reports"], 255, "can't read reports: Is a directory"),
        (["prog.o", "prog.o"], 255, "prog.o cannot be used: it is no JSON"),
        (["reports/a.json", "reports/a.json", "more"], 2, "what is 'more'?"),
    ],
)
def test_mistakes_of_diff(words, code, sentence, place):
    hosts(place, a=report())
    answer = peer.inside("feature", "diff", *words)

    assert (answer.rc, answer.stdout) == (code, b"")
    assert answer.stderr.decode().startswith(f"Error: {sentence}")
