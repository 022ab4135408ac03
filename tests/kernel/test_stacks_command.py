"""probe stacks as a command: its voices, its files, and what it refuses."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import stat
import xml.etree.ElementTree as ET

import pytest

from tests.build.called import built, called
from tests.kernel.command import run, running
from tests.kernel.probing import is_waiting, until
from tests.kernel.test_probe_stacks import CHAIN, GETPPID, POINTERS

ROOT = "main;does;a;b;c;"


@pytest.fixture
def chain():
    with called(built("chain", CHAIN, *POINTERS)) as process:
        yield process


def words(chain, *more):
    return ["probe", "stacks", GETPPID, "-p", str(chain.pid), *more]


def some_calls(chain, process):
    """Have 101 calls counted; then end the command and return what it has written."""
    assert until(lambda: is_waiting(process.pid) or process.poll() is not None)
    chain.does("calls", 101)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output, errors


def test_json_of_what_is_known(chain):
    with running("-j", *words(chain, "--interval", "0.2")) as process:
        first = json.loads(process.stdout.readline())
        chain.does("calls", 100)
        process.stdout.readline()
        told = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert first["stacks"] == []
    (row,) = told["stacks"]
    assert (row["comm"], row["pid"], row["count"]) == ("chain", chain.pid, 100)
    assert [frame["function"] for frame in row["user"][:5]] == ["c", "b", "a", "does", "main"]
    assert {frame["module"].rpartition("/")[2] for frame in row["user"][:5]} == {"chain"}
    assert (told["hits"], told["lost"], told["missed"], told["left_out"]) == (100, 0, 0, 0)


def test_paragraphs(chain):
    with running(*words(chain)) as process:
        output, errors = some_calls(chain, process)

    lines = output.splitlines()
    begin = lines.index("  c (chain)")
    assert lines[begin - 1] == "  --"
    assert lines[begin : begin + 5] == [f"  {name} (chain)" for name in ("c", "b", "a", "does", "main")]
    assert f"    comm=chain pid={chain.pid}" in lines
    assert int(lines[-2]) == 101
    assert errors == ""


def test_folded_lines(chain):
    with running(*words(chain, "--folded")) as process:
        output, _ = some_calls(chain, process)

    (line,) = output.splitlines()
    path, count = line.rsplit(" ", 1)
    assert path.startswith("chain;")
    assert ROOT in path
    assert path.endswith("_[k]")
    assert int(count) == 101


@pytest.mark.parametrize("where", ["--folded", "--pprof"])
def test_what_had_no_room_is_told_beside_a_file_too(chain, tmp_path, where):
    more = ["--folded"] if where == "--folded" else ["--pprof", str(tmp_path / "profile")]
    with running(*words(chain, "--max-entries", "100", *more)) as process:
        assert until(lambda: is_waiting(process.pid) or process.poll() is not None)
        chain.does("turns", 2048)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)

    (lost,) = re.findall(r"^(\d+) hits were not counted", errors, re.MULTILINE)
    assert 0 < int(lost) < 2048
    if where == "--folded":
        assert sum(int(line.rpartition(" ")[2]) for line in output.splitlines()) + int(lost) == 2048


def test_files(chain, tmp_path):
    svg, pprof = tmp_path / "flame.svg", tmp_path / "profile"
    svg.write_text("before")
    with running(*words(chain, "--svg", str(svg), "--pprof", str(pprof))) as process:
        output, _ = some_calls(chain, process)

    assert output == ""
    titles = [title.text for title in ET.parse(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == GETPPID
    assert any(title.startswith("c (") for title in titles)
    assert b"vfs" not in gzip.decompress(pprof.read_bytes()).replace(b"syscall", b"")
    assert b"main" in gzip.decompress(pprof.read_bytes())
    assert sorted(os.listdir(tmp_path)) == ["flame.svg", "profile"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(pprof.stat().st_mode) == 0o666 & ~umask


def test_files_and_more(chain, tmp_path):
    path = tmp_path / "flame.svg"
    with running("-j", *words(chain, "--svg", str(path), "--top", "1")) as process:
        output, _ = some_calls(chain, process)

    assert json.loads(output)["stacks"][0]["count"] == 101
    assert ET.parse(path)


def test_a_command_that_fails_leaves_the_file_as_it_was(chain, tmp_path):
    path = tmp_path / "flame.svg"
    path.write_text("before")
    done = run(*words(chain, "--svg", str(path), "--where", "nobody == 1", "--duration", "1"))

    assert done.returncode == 3
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["flame.svg"]


def test_time_off_cpu_in_words(chain):
    with running("probe", "stacks", "sched:sched_switch", "--off-cpu", "-p", str(chain.pid), "--kernel") as process:
        assert until(lambda: is_waiting(process.pid) or process.poll() is not None)
        chain.does("naps", 3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)

    assert "nanosleep" in output
    assert " ms in " in output
    assert "1 thread is still off CPU, and its time is not counted" in output


@pytest.mark.parametrize(
    ("more", "status", "why"),
    [
        (["--off-cpu"], 2, "has no prev_pid, next_pid, prev_state"),
        (["--over", "1ms"], 2, "known with --off-cpu alone"),
        (["--over", "soon"], 2, "'soon' should be a time, such as 10ms"),
        (["--folded", "--top", "1"], 2, "--folded tells all stacks at the end"),
        (["--depth", "100000"], 2, "the kernel follows"),
        (["--of", "comm"], 2, "comm is no number"),
        (["--by", "nobody"], 3, "has no field 'nobody'"),
        (["--svg", "/nonexistent/flame.svg"], 3, "can't write '/nonexistent/flame.svg'"),
    ],
)
def test_mistakes(more, status, why):
    done = run("probe", "stacks", GETPPID, *more)

    assert why in done.stderr
    assert done.returncode == status
