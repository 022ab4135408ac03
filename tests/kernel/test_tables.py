"""Lists in the form that somebody wants them, and long tables, with real objects and on terminals."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess

import pytest

from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT, ON_TERMINAL
from tests.terminal import Terminal

ARRAY, SOCKMAP = 2, 15
ENTRIES = 3000
NAME = client.own("tables")
#: Puts a mark before each line.
MARKS = "sed s/^/%/"
#: Shows a few lines, and ends with Enter.
WAITS = "sh -c 'head -n 3; read key </dev/tty'"


@pytest.fixture(scope="module")
def table():
    """Return the id of a map with more entries than a screen has lines."""
    fd = client.map_create(ARRAY, 4, 8, ENTRIES, name=NAME)
    for key in range(0, ENTRIES, 100):
        client.map_update(fd, struct.pack("=I", key), struct.pack("=Q", key * 7))
    yield client.id_of("map", fd)
    os.close(fd)


def piped(*words, **environment):
    done = subprocess.run([*BPFCTL, *words], env=ENVIRONMENT | environment, capture_output=True, check=True)
    return done.stdout.decode()


def on_terminal(*words, size=(80, 24), **environment):
    with Terminal([*BPFCTL, *words], size=size, env=ON_TERMINAL | environment) as terminal:
        assert terminal.finish() == 0, terminal.seen
        return terminal


def test_columns_tell_what_json_does(table):
    """In a pipe, in CSV and in JSON alike, sizes in bytes."""
    words = ["map", "list", "--name", NAME]
    (row,) = json.loads(piped("-j", *words))
    expected = [str(table), "array", str(row["bytes_memlock"]), "8"]
    fields = ["--fields", "id,type,memlock,value"]

    assert piped(*words, *fields) == "\t".join(expected) + "\n"
    assert list(csv.reader(io.StringIO(piped(*words, *fields, "--csv"), newline=""))) == [
        ["id", "type", "memlock", "value"],
        expected,
    ]
    assert json.loads(piped("-j", *words, *fields)) == [
        {"id": table, "type": "array", "memlock": row["bytes_memlock"], "value": 8}
    ]


def test_csv_is_of_what_stands_there_for_people(table):
    rows = list(csv.DictReader(io.StringIO(piped("map", "list", "--csv"), newline="")))

    assert NAME in {row["name"] for row in rows if row["id"] == str(table)}
    assert {"pinned", "owners", "key type"} <= rows[0].keys()


def test_columns_on_a_terminal(table):
    words = ["map", "show", "id", str(table), "--fields", "name,id,pinned"]

    assert on_terminal(*words).lines() == [f"name  {NAME}", f"id    {table}"]
    assert on_terminal(*words, "--no-header").lines() == [f"{NAME}  {table}"]
    assert on_terminal(*words, "--csv").lines() == ["name,id,pinned", f"{NAME},{table},"]
    assert on_terminal("--plain", *words).lines() == [f"{NAME}\t{table}\t-"]


def test_colours_in_a_pipe(table):
    words = ["map", "list", "--name", NAME, "--fields", "id,name"]
    id_ = str(table)

    assert f"\x1b[36m{id_}\x1b[0m" in piped(*words, "--color", "always", NO_COLOR="1")
    assert f"\x1b[36m{id_}\x1b[0m" in piped(*words, CLICOLOR_FORCE="1", NO_COLOR="")
    assert piped(*words, CLICOLOR_FORCE="1", NO_COLOR="1") == f"{id_}\t{NAME}\n"
    assert "\x1b" not in piped(*words, "--color", "never", CLICOLOR_FORCE="1")


@pytest.mark.parametrize("pager", [MARKS, WAITS, "head -n 3"])
def test_a_long_dump_goes_through_a_pager(table, pager):
    """All of it, or as much as somebody looks at; then the program ends well."""
    words = ["map", "dump", "id", str(table)]
    with Terminal([*BPFCTL, *words], env=ON_TERMINAL | {"BPFCTL_PAGER": pager}) as terminal:
        if pager == WAITS:
            terminal.wait_for(b"\n", 3)
            terminal.type(b"q\n")
        assert terminal.finish() == 0
        lines = terminal.lines()
    if pager == MARKS:
        assert len(lines) == ENTRIES + 2
        assert {line[0] for line in lines} == {"%"}
        assert lines[2 + 1000] == "%e8 03 00 00  58 1b 00 00 00 00 00 00"
    else:
        assert len(lines) < 30
    assert not any("rror" in line for line in lines)


def test_no_pager_for_what_is_short_or_not_for_people(table):
    words = ["map", "dump", "id", str(table)]

    for more in (["--limit", "3"], ["--no-pager"], ["--plain"], ["-j"]):
        assert "%" not in on_terminal(*words, *more, BPFCTL_PAGER=MARKS).seen.decode()
    assert "%" not in piped(*words, BPFCTL_PAGER=MARKS)


def test_entries_of_a_map(table):
    """All columns in CSV; some in a pipe, in JSON and on a terminal."""
    words = ["map", "dump", "id", str(table), "--limit", "2"]
    key, value = "00 00 00 00", "00 00 00 00 00 00 00 00"

    assert piped(*words, "--csv").split("\r\n")[:2] == ["key,value,error", f"{key},{value},"]
    assert piped(*words, "--fields", "value").splitlines() == [value] * 2
    assert json.loads(piped("-j", *words, "--fields", "key"))[0] == {"key": key}
    assert on_terminal(*words, "--fields", "value,key", "--no-header").lines()[0] == f"{value}  {key}"


@pytest.mark.usefixtures("table")
def test_entries_of_several_maps_are_no_table():
    fd = client.map_create(ARRAY, 4, 8, 1, name=NAME)
    try:
        words = [*BPFCTL, "map", "dump", "name", NAME, "--csv"]
        done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, check=False)
    finally:
        os.close(fd)

    assert done.returncode == 255
    assert done.stderr == b"Error: --fields, --no-header and --csv are for one map, and 2 have that name\n"


def test_values_that_the_kernel_does_not_tell():
    """Of sockets it tells a cookie, where that is what a value has room for."""
    fd = client.map_create(SOCKMAP, 4, 4, 1, name="tables_sockets")
    try:
        rows = piped("map", "dump", "id", str(client.id_of("map", fd)), "--csv").split("\r\n")
    finally:
        os.close(fd)

    assert rows[1:] == ["00 00 00 00,,the kernel tells values of 8 bytes alone", ""]
