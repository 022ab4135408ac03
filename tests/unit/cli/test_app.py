"""From words to a command: directly, or through Typer where the line has an option of ours."""

from __future__ import annotations

import functools
import re
import subprocess
import sys

import pytest

from bpfctl.cli import app, options
from bpfctl.cli import prog as prog_commands
from bpfctl.cli.session import Session
from bpfctl.cli.table import OBJECTS
from bpfctl.errors import UsageError
from bpfctl.render.json import JsonOutput
from bpfctl.render.plain import PlainOutput
from bpfctl.render.sink import Sink


@pytest.fixture
def meant(monkeypatch):
    """Return what a command line means to ``prog show``: the words of its handle and what its options say."""
    heard = []
    monkeypatch.setattr(prog_commands.lists, "show", lambda *call: heard.append(call[-2:]))

    def ask(line):
        heard.clear()
        run(line)
        (call,) = heard
        return (str(call[0]) if call[0] else None, {k: v for k, v in call[1]._asdict().items() if v})

    return ask


def run(line):
    chosen, words = options.split(line.split() if isinstance(line, str) else line)
    out = JsonOutput(Sink(1), pretty=False) if chosen.json else PlainOutput(Sink(1))
    try:
        app.run(Session(out, chosen), words)
    finally:
        out.close()


@pytest.mark.parametrize(
    ("line", "handle", "wanted"),
    [
        ("prog", None, {}),
        ("p", None, {}),
        ("prog show", None, {}),
        ("prog l", None, {}),
        ("prog list id 7", "id 7", {}),
        ("prog --type xdp", None, {"type": "xdp"}),
        ("prog list --type=xdp --name a*", None, {"type": "xdp", "name": "a*"}),
        ("prog list id 7 --sort -id", "id 7", {"sort": "-id"}),
        ("prog list --sort -id id 7", "id 7", {"sort": "-id"}),
        ("prog list --pinned --owner 1", None, {"pinned": True, "owner": "1"}),
        ("prog list --watch", None, {"watch": 2.0}),
        ("prog list --watch 5", None, {"watch": 5.0}),
        ("prog list --watch .5", None, {"watch": 0.5}),
        ("prog list --watch=5", None, {"watch": 5.0}),
        ("prog list --watch id 7", "id 7", {"watch": 2.0}),
        ("prog list --watch --pinned", None, {"watch": 2.0, "pinned": True}),
        ("prog list --watch -- name 7", "name 7", {"watch": 2.0}),
        ("prog list -- name --watch", "name --watch", {}),
        ("prog list --pinned -- name --watch", "name --watch", {"pinned": True}),
    ],
)
def test_what_a_line_means(meant, line, handle, wanted):
    assert meant(line) == (handle, wanted)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("prog list --tpye xdp", "unrecognized option '--tpye', did you mean '--type'?"),
        ("prog --foo", "unrecognized option '--foo'"),
        ("prog list --type", "option '--type' requires an argument"),
        ("prog list --watch=soon", "invalid value for '--watch': 'soon' is no number"),
        ("prog tracelog --seconds nan", "invalid value for '--seconds': 'nan' is no number"),
        ("prog list --pinned=1", "option '--pinned' does not take a value"),
        ("prog list --type xdp what", "what is 'what'?"),
        ("--foo prog", "unrecognized option '--foo'"),
        ("porg", "unknown object 'porg', did you mean 'prog'?"),
        ("-", "unknown object '-'"),
        ("prog -", "unknown command 'prog -'"),
        ("prog hlep", "unknown command 'prog hlep', did you mean 'help'?"),
        ("gen skeleton x", "'gen skeleton' is not in this release of bpfctl"),
        ("batch file", "too few parameters for batch"),
        ("batch file x y", "too many parameters for batch"),
        ("prog lits", "unknown command 'prog lits', did you mean 'list'?"),
        ("prog -- --type", "unrecognized option '--type'"),
        ("-- prog show --sort id more words", "what is '--sort'?"),
    ],
)
def test_mistakes_are_one_sentence(line, sentence):
    with pytest.raises(UsageError) as caught:
        run(line)

    assert str(caught.value) == sentence
    assert caught.value.exit_code == 255


@pytest.mark.parametrize("line", ["-j porg", "-j prog lits"])
def test_a_mistake_in_json(capfd, line):
    """It is null on stdout, as bpftool's, and told on stderr."""
    with pytest.raises(UsageError) as caught:
        run(line)

    assert capfd.readouterr() == ("null\n", f"Error: {caught.value}\n")


@pytest.mark.parametrize("line", ["help", "-h", "prog help", "help prog show", "prog show -h"])
def test_help_in_json(capfd, line):
    """It is null, as bpftool's."""
    run(f"-j {line}")

    assert capfd.readouterr() == ("null\n", "")


@pytest.mark.parametrize(
    ("line", "given", "command"),
    [
        ("map update id 1 key -1 value -2", {"words": "id 1 key -1 value -2"}, ""),
        ("map update id 1 key -1 value -2 --dry-run", {"dry_run": True, "words": "id 1 key -1 value -2"}, ""),
        ("map update --dry-run id 1 key -1", {"dry_run": True, "words": "id 1 key -1"}, ""),
        ("map update --dry-run -- id 1 key --dry-run", {"dry_run": True, "words": "id 1 key --dry-run"}, ""),
        ("probe stat --per-cpu -- sleep -1", {"per_cpu": True, "words": ""}, "sleep -1"),
        ("probe stat one two -- sleep --per-cpu", {"words": "one two"}, "sleep --per-cpu"),
        ("probe -- stat one", {"words": ""}, "one"),
    ],
)
def test_what_is_no_option(monkeypatch, line, given, command):
    """Numbers may be negative in DATA, and another command has its own options."""
    heard = []
    known = app.function

    def function(command):
        return functools.wraps(known(command))(lambda ctx, **given: heard.append((given, ctx.obj.command)))

    monkeypatch.setattr(app, "function", function)
    run(line)

    assert [(given | {"words": given["words"].split()}, tuple(command.split()))] == heard


def test_help_of_a_command_tells_its_options(capfd):
    """On stdout, so that a pager gets it."""
    run("prog list --help")
    captured = capfd.readouterr()

    assert captured.err == ""
    assert captured.out.startswith("Usage: bpfctl prog list [PROG] [OPTIONS]\n")
    assert captured.out.endswith("\n")
    for option in "--type", "--name", "--owner", "--pinned", "--sort", "--watch [SECONDS]":
        assert option in captured.out
    assert max(map(len, captured.out.splitlines())) <= 80


@pytest.mark.parametrize("line", ["", "help", "--help", "-h"])
def test_help_of_the_program_tells_all_there_is(capfd, line):
    """On stderr as bpftool's, but on stdout where an option asks for it, so that it can be piped."""
    run(line)
    captured = capfd.readouterr()

    told, other = (captured.out, captured.err) if "-" in line else (captured.err, captured.out)
    assert other == ""
    for name, commands in OBJECTS.items():
        if any(command.run for command in commands):
            assert f"\n  {name} " in told
    for option in "--json", "--plain", "--extra", "--bpffs", "--owners", "--no-owners", "--base-btf":
        assert option in told
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("name", [name for name, commands in OBJECTS.items() if any(c.run for c in commands)])
def test_help_of_an_object_tells_its_commands(capfd, name):
    run(["-h", name])
    told = capfd.readouterr().out

    assert told.startswith(f"Usage: bpfctl {name} ")
    for command in OBJECTS[name]:
        assert bool(re.search(rf"^  (\w+, )*{command.word}\b", told, re.MULTILINE)) == bool(command.run)
    run(["help", name])
    assert capfd.readouterr().err == told
    if name != "batch":  # whose words are bpftool's
        run([name, "help"])
        assert capfd.readouterr().err == told


def test_help_of_a_command_by_the_word(capfd):
    run("help map dump")
    word = capfd.readouterr().err
    run("map dump -h")

    assert capfd.readouterr().out == word


def test_plain_words_do_without_typer():
    """Loading it takes longer than most commands."""
    script = (
        "import sys; from bpfctl.cli import app, options, prog; from bpfctl.cli.session import Session\n"
        "prog.lists.show = lambda *_: None\n"
        "app.run(Session(None, options.Options()), ['prog', 'list', 'id', '7'])\n"
        "unwanted = {'typer', 'rich', 'inspect', 'fnmatch', *(f'bpfctl.cli.{name}' for name in\n"
        "    ('help', 'manual', 'terms', 'examples', 'usage', 'rights', 'synopsis', 'complete', 'global_option'))}\n"
        "assert not unwanted & set(sys.modules), sorted(sys.modules)"
    )

    subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path = {sys.path!r}\n{script}"], check=True)
