"""Every way in which the program can end, seen from outside: exit code or signal, stdout, stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from bpfctl.__main__ import run
from bpfctl.cli import version
from bpfctl.render.sink import Sink

SCRIPT = Path(sysconfig.get_path("scripts"), "bpfctl")
SHELL = ["sh", "-c", '"$@" ; echo $? >&2', "sh", SCRIPT]
NO_SPACE = "Error: can't write the output: No space left on device\n"
CLOSED = "Error: can't write the output: Bad file descriptor\n"


def start(*arguments, **how):
    """Start the command as a shell would."""
    return subprocess.Popen([SCRIPT, *arguments], stderr=subprocess.PIPE, text=True, **how)


def much(tmp_path, count=50):
    """Return a batch file with more output than a pipe holds, since JSON repeats each command's words."""
    path = tmp_path / "much"
    path.write_text(f"version {'x' * 20_000}\n" * count)
    return str(path)


@pytest.mark.parametrize("option", ["-j", "--plain"])
def test_a_reader_that_leaves_ends_us_silently(tmp_path, option):
    """As SIGPIPE ends bpftool."""
    with start(option, "batch", "file", much(tmp_path), stdout=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait() == -signal.SIGPIPE
        assert process.stderr.read() == ""


@pytest.mark.parametrize("arguments", [("-j", "version"), ("version",), ("prog", "show", "--help")])
def test_a_reader_that_was_never_there(arguments):
    """The first write is that at the end; help goes the same way."""
    read, write = os.pipe()
    os.close(read)
    with start(*arguments, stdout=write) as process:
        os.close(write)
        assert process.wait() == -signal.SIGPIPE
        assert process.stderr.read() == ""


def test_an_error_is_told_though_the_reader_has_left():
    read, write = os.pipe()
    os.close(read)
    with start("prog", "nonsense", stdout=write) as process:
        os.close(write)
        assert process.wait() == 255
        assert process.stderr.read().count("\n") == 1


@pytest.mark.parametrize("arguments", [("-j", "version"), ("--plain", "version"), ("-p", "version"), ("-j", "no")])
def test_a_full_disk(arguments):
    with open("/dev/full", "wb") as full, start(*arguments, stdout=full) as process:
        assert process.wait() == 255
        lines = process.stderr.read().splitlines(keepends=True)
    assert lines[-1] == NO_SPACE
    assert len(lines) == (2 if "no" in arguments else 1)


@pytest.mark.parametrize(
    ("arguments", "closed", "code", "said"),
    [
        (["version"], ">&-", 255, CLOSED),
        (["-j", "version"], ">&-", 255, CLOSED),
        (["help"], "2>&-", 0, ""),
        (["help"], ">&- 2>&-", 0, ""),
        (["nonsense"], "2>&-", 255, ""),
        (["version"], ">&- 2>&- <&-", 255, ""),
        (["batch", "file", "-"], "<&-", 255, "Error: reading batch file failed: Bad file descriptor\n"),
        (["batch", "file", "/dev/null"], "2>&- <&-", 0, ""),
    ],
)
def test_closed_descriptors(arguments, closed, code, said):
    """No descriptor of ours takes the place of a closed one, so nothing is written to a map by accident."""
    line = f'"$0" "$@" {closed}'
    done = subprocess.run(["sh", "-c", line, SCRIPT, *arguments], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (code, said)


def test_a_pipe_that_does_not_block_gets_everything(tmp_path):
    """Whoever shares a pipe with us may have made it non-blocking."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with start("-j", "batch", "file", much(tmp_path), stdout=write) as process, open(read, "rb") as reader:
        os.close(write)
        time.sleep(0.2)
        assert len(json.loads(reader.read())) == 50
        assert process.wait() == 0


# Ctrl-C -----------------------------------------------------------------------------------------------------

VERSION = "bpfctl.cli.version"
INTERRUPT_AT_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["bpfctl", *{arguments!r}]
from bpfctl.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    "name",
    ["bpfctl.render.sink", "bpfctl.cli.app", "bpfctl.cli.options", "bpfctl.render.json", "json.encoder", VERSION],
)
def test_ctrl_c_while_the_program_starts(name):
    code = INTERRUPT_AT_IMPORT.format(name=name, arguments=["-j", "version"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    assert done.stdout == ("" if name != VERSION else '{"error":"interrupted"}\n')


@pytest.mark.parametrize("option", ["-j", "-p", "--plain"])
def test_ctrl_c_ends_us_by_the_signal(option):
    """A shell's loop ends too, and JSON is whole."""
    with start(option, "batch", "file", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write("version\n")
        process.stdin.flush()
        begin = process.stdout.read(20)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait() == -signal.SIGINT
        assert process.stderr.read() == ""
        process.stdin.close()
    if option != "--plain":
        assert json.loads(begin + rest)[-1] == {"error": "interrupted"}


def test_ctrl_c_does_not_wait_for_a_reader_that_does_not_read(tmp_path):
    """The pipe is full: what is left is given up a second later."""
    with start("-j", "batch", "file", much(tmp_path), stdout=subprocess.PIPE) as process:
        process.stdout.read(10)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == -signal.SIGINT
        assert process.stderr.read() == ""


def test_ctrl_c_is_ignored_where_the_shell_says_so():
    """A command in the background of a script has SIGINT ignored."""
    ignore = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", SCRIPT, "--plain", "batch", "file", "-"]
    with subprocess.Popen(ignore, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("version\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.stdout.read().endswith("processed 1 commands\n")
        assert process.wait() == 0


# faults of our own ------------------------------------------------------------------------------------------


def overflow():
    """Use up the stack."""
    overflow()


def burst():
    """Ask for more memory than there is."""
    bytearray(1 << 62)


def divide():
    """Do what no number allows."""
    return 1 / 0


def missing():
    """Need a package that is not installed."""
    import bpfctl_that_is_not_there  # noqa: F401


FAULTS = [
    (overflow, "RecursionError"),
    (divide, "ZeroDivisionError: division by zero"),
    (lambda: {}["\x1b[31m"], "KeyError"),
]


def faulty(monkeypatch, tmp_path, fault, *options):
    """Run a batch whose second command has a fault; return exit code and stdout."""

    class Rows:
        def __init__(self):
            self.left = 1

        def __iter__(self):
            return self

        def __next__(self):
            if self.left:
                self.left -= 1
                return {"id": 1}
            fault()
            raise StopIteration

    def show(session):
        from bpfctl.views.view import View

        view = View("things", dict, lambda row: [str(row["id"])], (), lambda _: {})
        session.out.show(view, Rows(), listing=True)

    monkeypatch.setattr(version, "show", show)
    path = tmp_path / "commands"
    path.write_text("help\nversion\n")
    with open(tmp_path / "out", "w+b") as out:
        code = run([*options, "batch", "file", str(path)], Sink(out.fileno()))
        return code, (tmp_path / "out").read_text()


@pytest.mark.parametrize("case", FAULTS, ids=[what for _, what in FAULTS])
@pytest.mark.parametrize("option", ["-j", "-p", "--plain"])
def test_a_fault_of_ours_is_one_sentence(monkeypatch, tmp_path, capfd, case, option):
    """It asks for a report and says how to see more; JSON is whole."""
    fault, what = case
    code, out = faulty(monkeypatch, tmp_path, fault, option)

    err = capfd.readouterr().err
    assert code == 255
    assert "Traceback" not in err + out
    assert "\x1b" not in err + out
    if option == "--plain":
        told = err.splitlines()[-1].removeprefix("Error: ")
    else:
        assert err == ""
        first, told = json.loads(out)[1]["output"]
        assert first == {"id": 1}
        told = told["error"]
    assert what in told
    assert "please report it" in told
    assert "-d" in told


def full():
    raise OSError(28, "No space left on device")


def no_more_files():
    raise OSError(24, "Too many open files", version.__file__)


def no_more_files_to_link():
    raise ImportError("resource.so: cannot open shared object file: Too many open files")


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (burst, "Cannot allocate memory (ulimit -v"),
        (full, "No space left on device (df"),
        (no_more_files, "Too many open files (ulimit -n"),
        (no_more_files_to_link, "Too many open files (ulimit -n"),
    ],
)
def test_what_there_is_too_little_of(monkeypatch, tmp_path, capfd, fault, what):
    """It is no fault of ours, nor of the installation."""
    code, out = faulty(monkeypatch, tmp_path, fault, "-j")

    assert code == 255
    assert capfd.readouterr().err == ""
    assert json.loads(out)[1]["output"][1]["error"].startswith(f"can't go on: {what}")


@pytest.mark.parametrize(("fault", "what"), FAULTS, ids=[what for _, what in FAULTS])
def test_debug_shows_the_traceback(monkeypatch, tmp_path, capfd, fault, what):
    from bpfctl._sys import calls

    monkeypatch.setattr(calls, "_trace", None)
    code, out = faulty(monkeypatch, tmp_path, fault, "-j", "-d")

    err = capfd.readouterr().err
    assert code == 255
    assert "Traceback (most recent call last)" in err
    assert what in err
    assert "\x1b" not in err
    assert json.loads(out)


def unreadable():
    raise PermissionError(13, "Permission denied", version.__file__)


@pytest.mark.parametrize("fault", [missing, unreadable])
def test_what_is_missing_is_an_installation_that_is_not_complete(monkeypatch, tmp_path, fault):
    code, out = faulty(monkeypatch, tmp_path, fault, "-j")

    assert code == 255
    assert "installation of bpfctl is not complete" in json.loads(out)[1]["output"][1]["error"]


# folders that belong to others ------------------------------------------------------------------------------

HOSTILE = """
import os
os.write(2, b"hostile: " + __file__.encode() + b"\\n")
os._exit(66)
"""


@pytest.fixture
def hostile(tmp_path):
    """A folder with a hostile module for every name that this Python and we could import."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    ours = {"sitecustomize", "usercustomize", "bpfctl", "btf", "typer", "rich", "elftools", "cffi"}
    for name in {*sys.stdlib_module_names, *ours, *(name.partition(".")[0] for name in sys.modules)} - {"__main__"}:
        (folder / f"{name}.py").write_text(HOSTILE)
    (folder / "encodings").mkdir()
    (folder / "encodings" / "__init__.py").write_text(HOSTILE)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["-j", "version"],
        ["version"],
        ["prog", "show", "--help"],
        ["nonsense"],
        ["-d", "batch", "file", "/nonexistent"],
        ["plugin", "list"],
    ],
)
def test_modules_in_the_current_folder_are_not_imported(hostile, arguments):
    done = subprocess.run([SCRIPT, *arguments], cwd=hostile, capture_output=True, text=True, check=False)

    assert "hostile" not in done.stderr
    assert done.returncode in (0, 255)


def test_python_m_imports_nothing_from_there_once_it_has_found_us(hostile):
    """What Python imports to find us is its own affair; with -P it is safe too."""

    def go(*how):
        command = [sys.executable, *how, "-m", "bpfctl", "-j", "version"]
        done = subprocess.run(command, cwd=hostile, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert go("-P") == (0, "")

    probe = "import runpy, bpfctl, sys; print(*sorted(sys.modules))"
    before = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    for name in {name.partition(".")[0] for name in before} | {"bpfctl", "__future__"}:
        (hostile / f"{name}.py").unlink(missing_ok=True)
    (hostile / "encodings" / "__init__.py").unlink()
    (hostile / "encodings").rmdir()
    assert {"json.py", "signal.py", "btf.py"} <= set(os.listdir(hostile))
    assert go() == (0, "")
