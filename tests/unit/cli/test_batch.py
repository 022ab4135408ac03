"""Batch files: bpftool's language of lines, and one document for the whole series."""

from __future__ import annotations

import io
import json
import os

import pytest

from bpfctl.__main__ import run
from bpfctl.cli import batch
from bpfctl.render.sink import Sink


def go(*arguments):
    """Run a command line in this process; return its exit code and what it wrote to stdout."""
    read, write = os.pipe()
    with open(read, "rb") as result:
        try:
            code = run(arguments, Sink(write))
        finally:
            os.close(write)
        return code, result.read().decode()


def written(tmp_path, text, name="commands"):
    """Return the path of a batch file."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"prog show\n", ["prog", "show"]),
        (b"  prog\t show \r\n", ["prog", "show"]),
        (b"prog show", ["prog", "show"]),
        (b"\n", []),
        (b"", []),
        (b"'a b' \"c d\"", ["a b", "c d"]),
        (b"'it is \"quoted\"'", ['it is "quoted"']),
        (b"a'b c'd", ["a'b", "c'd"]),
        (b"'a'b", ["a", "b"]),
        (b"''", [""]),
        (b"\xff\xc3\xa4", ["\udcff\u00e4"]),
        (b"back\\slash", ["back\\slash"]),
    ],
)
def test_words_are_split_as_bpftool_splits_them(text, words):
    assert words == batch.split(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"prog 'show\n", "unterminated quoted string in command {}"),
        (b"prog \"show'\n", "unterminated quoted string in command {}"),
        (b"a " * 4096, "too many arguments to command {}"),
        (b"prog sh\0ow", "null byte in command {}"),
    ],
)
def test_what_cannot_be_split_is_told(text, sentence):
    with pytest.raises(batch.BatchError) as error:
        batch.split(text)
    assert sentence == str(error.value)


def test_4095_words_fit():
    assert len(batch.split(b"a " * 4095)) == 4095


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"a\nb\n", [(b"a\n", 1), (b"b\n", 2)]),
        (b"a # b\nc\n", [(b"a ", 1), (b"c\n", 2)]),
        (b"'a # b'\n", [(b"'a ", 1)]),
        (b"#\n\nb", [(b"\n", 1), (b"\n", 2), (b"b", 3)]),
        (b"a \\\nb \\\nc\nd\n", [(b"a b c\n", 1), (b"d\n", 4)]),
        (b"a # b \\\nc\n", [(b"a ", 1), (b"c\n", 2)]),
        (b"a \\\nb # c \\\nd\n", [(b"a b ", 1), (b"d\n", 3)]),
        (b"a \\", [(b"a \\", 1)]),
        (b"#" + b"x" * 200_000 + b"\na\n", [(b"\n", 1), (b"a\n", 2)]),
    ],
)
def test_lines_are_joined_and_lose_their_comments(text, lines):
    """The rest of a comment that is longer than bpftool's buffer is no command."""
    assert lines == list(batch.lines(io.BytesIO(text)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"x" * 70_000, "reading batch file failed: Argument list too long"),
        (b"a \\\n", "missing continuation line on command {}"),
        (b"a" * 40_000 + b"\\\n" + b"b" * 40_000, "command {} is too long"),
    ],
)
def test_lines_that_do_not_fit_are_told(text, sentence):
    with pytest.raises(batch.BatchError) as error:
        list(batch.lines(io.BytesIO(text)))
    assert sentence == str(error.value)


def test_json_is_an_array_of_commands_and_outputs(tmp_path):
    path = written(tmp_path, "version\nhelp # nothing to say\nprog show --help\n")

    code, out = go("-j", "batch", "file", path)

    assert code == 0
    series = json.loads(out)
    assert [entry["command"] for entry in series] == [["version"], ["help"], ["prog", "show", "--help"]]
    assert series[0]["output"]["version"]
    assert [entry["output"] for entry in series[1:]] == [None, None]


def test_plain_ends_with_a_count(tmp_path):
    assert go("--plain", "batch", "file", written(tmp_path, "\n# nothing\n")) == (0, "processed 0 commands\n")
    assert go("--plain", "batch", "file", written(tmp_path, "version\n"))[1].endswith("\nprocessed 1 commands\n")


def test_the_first_failure_ends_the_series(tmp_path, capfd):
    path = written(tmp_path, "version\n\nprog show id 1x\nversion\n")

    code, out = go("-j", "batch", "file", path)

    assert code == 255
    version, failed = json.loads(out)
    assert version["command"] == ["version"]
    assert failed == {"command": ["prog", "show", "id", "1x"], "output": {"error": "can't parse 1x as ID"}}

    code, out = go("--plain", "batch", "file", path)

    assert code == 255
    assert "processed" not in out
    assert capfd.readouterr().err == f"Error: can't parse 1x as ID\n  in line 3 of {path}\n"


def test_the_exit_code_is_that_of_the_command(tmp_path):
    assert go("-j", "batch", "file", written(tmp_path, "prog pin\n"))[0] == go("-j", "prog", "pin")[0]


@pytest.mark.parametrize("options", [("-j",), ("-p",)])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense\n",
        "prog nonsense\n",
        "-j prog show\n",
        "version\n'",
        "version\nprog show \\\n",
        "x" * 70_000,
        "version \0\n",
        b"prog show name \xff\x1b\"'\n",
        "batch file /nonexistent\n",
        "batch nonsense\n",
        "batch\n",
    ],
)
def test_json_is_one_document_whatever_fails(tmp_path, options, text):
    code, out = go(*options, "batch", "file", written(tmp_path, text))

    assert isinstance(json.loads(out), list)
    assert code == (255 if text else 0)


def test_a_batch_may_run_another(tmp_path):
    inner = written(tmp_path, "help\nprog nonsense\nversion", "inner")
    outer = written(tmp_path, f"help\nbatch file {inner}\nversion", "outer")

    code, out = go("-j", "batch", "file", outer)

    assert code == 255
    assert json.loads(out) == [
        {"command": ["help"], "output": None},
        {
            "command": ["batch", "file", inner],
            "output": [
                {"command": ["help"], "output": None},
                {"command": ["prog", "nonsense"], "output": None},
            ],
        },
    ]


def test_a_batch_that_runs_itself_ends(tmp_path, capfd):
    path = str(tmp_path / "itself")
    written(tmp_path, f"batch file {path}\n", "itself")

    code, out = go("-j", "batch", "file", path)

    assert code == 255
    assert json.loads(out)
    assert "batch files run each other more than 16 deep" in out
    assert go("--plain", "batch", "file", path) == (255, "")
    assert capfd.readouterr().err.startswith("Error: batch files run each other more than 16 deep\n")


def test_global_options_do_not_change_per_line(tmp_path):
    code, out = go("-j", "batch", "file", written(tmp_path, "-p version\n"))

    assert code == 255
    assert json.loads(out)[0]["output"] == {"error": "unrecognized option '-p'"}


def test_a_file_that_is_none(tmp_path):
    code, out = go("-j", "batch", "file", str(tmp_path / "none"))

    assert code == 255
    assert json.loads(out) == {"error": f"Can't open file ({tmp_path / 'none'}): No such file or directory"}
    assert go("-j", "batch", "file", str(tmp_path))[0] == 255
