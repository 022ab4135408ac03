"""Wrong words: bpfctl's answer beside bpftool's, and the written list of those that differ on purpose."""

from __future__ import annotations

import json
import os

import pytest

from tests.bpftool import differences, peer
from tests.bpftool.newest import CURRENT, NEWEST

pytestmark = CURRENT
LONG = "A" * 127

# The same bytes on stdout and the same exit code. No test makes an object with an id as high as these.
SAME = """
prog show foo
prog show id
prog show id 1x
prog show id 0x
prog show id 0x10000000
prog show id 02000000000
prog show id 08
prog show id 1_0
prog show id 0o17
prog show id 4294967295
prog show id +4294967295
prog show id -1
prog show id 0
prog show id 4294967295 extra
prog show id 4294967295 extra more
prog show i 4294967295
prog l id 4294967295
p s i 4294967295
prog show tag
prog show tag zz
prog show tag 00112233445566
prog show name
prog show pinned
prog show pinned /nonexistent
prog show pinned /nonexistent/further
prog show --nonsense
prog pin
prog pin id
prog pin id 4294967295
prog pin id 4294967295 /nonexistent/x
prog pin nonsense 4294967295 /nonexistent/x
map show foo
map show id
map show id 1x
map show id 4294967295
map show id 4294967295 extra
map show name
map show name AAAAAAAAAAAAAAAA
map show tag 0011223344556677
map show pinned /nonexistent
map pin
map pin id 4294967295 /nonexistent/x
link show foo
link show id
link show id 1x
link show id 4294967295
link show id 4294967295 extra
link show name x
link show pinned /nonexistent
link pin
link pin id 4294967295 /nonexistent/x
link detach id 4294967295
btf show id
btf show id 1x
btf show id 4294967295
btf show id 4294967295 extra
btf list prog id 1
btf list name x
batch
batch nonsense
batch nonsense /dev/null
batch file
batch file /nonexistent
batch file /dev/null
batch file /dev/null extra
batch fil /dev/null
help
help nonsense
prog help
prog help nonsense
map help
link help
btf help
--nonsense
-Z
-jZ
-- prog show id 4294967295
prog -- show id 4294967295
prog show -- id 4294967295
--
""".strip("\n").split("\n")

UNKNOWN = "an unknown object or command under `-j`"
LARGE = "numbers above 4294967295"
EMPTY = "an empty word where an id belongs"
TAG = "a tag with more than 16 digits, or with what is no digit behind 14 of them"
PIN = "words behind the path of `pin`"
OUTSIDE = "a path outside every BPF file system after `pinned`"
DETACH = "`link detach` without a link"
VALUE = "an option that lacks its value"
SIGNING = "options for signing that lack each other"
FOLDER = "`batch file` with a folder"

# What bpfctl answers instead, exit code and error, and the row of docs/differences.md that tells so.
DIFFERENT = {
    "prog show id 4294967296": (255, "can't parse 4294967296 as ID", LARGE),
    "prog show id 18446744073709551617": (255, "can't parse 18446744073709551617 as ID", LARGE),
    "map show id 99999999999999999999999": (255, "can't parse 99999999999999999999999 as ID", LARGE),
    "prog show id ": (255, "can't parse  as ID", EMPTY),
    "prog show tag 0011223344556677": (255, "no program with tag 0011223344556677", differences.NO_MATCH),
    "prog show tag 00112233445566778": (255, "can't parse tag", TAG),
    "prog show tag 001122334455667z": (255, "can't parse tag", TAG),
    "prog show name no_such_name": (255, "no program with name no_such_name", differences.NO_MATCH),
    f"prog show name {LONG}": (255, f"no program with name {LONG}", differences.NO_MATCH),
    "map show name no_such_name": (255, "no map with name no_such_name", differences.NO_MATCH),
    "prog show pinned /": (255, "bpf obj get (/): directory not in bpf file system (bpffs)", None),
    "prog show pinned /proc": (255, "bpf obj get (/proc): directory not in bpf file system (bpffs)", OUTSIDE),
    "prog pin id 4294967295 /nonexistent/x y": (255, "what is 'y'?", PIN),
    "link detach": (1, "link specifier is invalid or missing", DETACH),
    "link detach id 4294967295 extra": (1, "link specifier is invalid or missing", DETACH),
    "batch file /": (255, "Can't open file (/): Is a directory", FOLDER),
    "-B": (255, "option '-B' needs a value", VALUE),
    "prog show --base-btf": (255, "option '--base-btf' needs a value", VALUE),
    "-S": (234, "signing (-S) needs a private key (-k FILE) and a certificate (-i FILE)", SIGNING),
    "-k x": (234, "a private key (-k) and a certificate (-i) are of use only for signing (-S)", SIGNING),
}


@pytest.mark.parametrize("line", SAME)
@pytest.mark.parametrize("voice", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
def test_wrong_words_are_answered_alike(voice, line):
    words = [*voice, *line.split(" ")]

    theirs, mine = peer.run(NEWEST, *words), peer.inside(*words)

    assert (mine.rc, mine.stdout) == (theirs.rc, theirs.stdout)
    if not voice and theirs.stderr.startswith(b"Error: "):
        assert differences.without_hint(mine).stderr.splitlines()[0] == theirs.stderr.splitlines()[0]


@pytest.mark.parametrize("line", ["nonsense", "prog nonsense", "map nonsense", "link nonsense", "btf nonsense", "prgo"])
def test_words_that_begin_nothing(line):
    """JSON is bpftool's null; a person is told in one sentence instead of by the whole usage."""
    assert differences.rows()[UNKNOWN]
    for voice in ["-j"], ["-p"], []:
        theirs, mine = peer.run(NEWEST, *voice, *line.split()), peer.inside(*voice, *line.split())

        assert (mine.rc, mine.stdout) == (theirs.rc, theirs.stdout)
        assert mine.stderr.startswith(b"Error: unknown ")
        assert mine.stderr.count(b"\n") == 1


#: Which say their help with nothing at all in JSON.
SILENT = {"perf", "iter"}
OBJECTS = ["prog", "map", "link", "cgroup", "net", "feature", "btf", "gen", "struct_ops", "token", *sorted(SILENT)]


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("voice", ["-j", "-p"])
def test_help(voice, name):
    """It is told to people alone."""
    theirs, mine = peer.run(NEWEST, voice, name, "help"), peer.inside(voice, name, "help")

    assert theirs[:2] == (0, b"\n" if name in SILENT else b"null\n")
    assert mine == (0, b"null\n", b"")


def test_an_option_of_the_past():
    """What had it asked libbpf for less."""
    words = ["map", "show", "id", "4294967295"]

    assert peer.inside("-l", *words) == peer.inside(*words)
    assert peer.run(NEWEST, "-l", *words).stderr.startswith(b"Error: unrecognized option '-l'\n")


# Lines of batches, and where they end with an error.
BATCHES = [
    ("# a comment\n\nmap show id 4294967295\n", 3),
    (" \t\n  # and nothing else\n", None),
    ("map show id \\\n4294967295\nversion\n", 1),
    ("map\tshow  id\t4294967295", 1),
    ("feature list_builtins map_types # the rest\n", None),
    ("feature list_builtins map_types #\n#prog\n \\\n feature list_builtins link_types\n", None),
    ("feature 'list_builtins' \"map_types\"\r\n", None),
    ("map 'show id 4294967295\n", None),
    ("batch file -\n", None),
]


@pytest.mark.parametrize(("text", "where"), BATCHES, ids=range(len(BATCHES)))
@pytest.mark.parametrize("voice", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
def test_lines_of_batches(held, voice, text, where):
    """Comments, lines that go on, quotes and blanks, out of stdin."""
    answers = []
    for tool in (lambda *words, **how: peer.run(NEWEST, *words, **how), peer.inside):
        stdin = held(os.memfd_create("batch"))
        os.pwrite(stdin, text.encode(), 0)
        answers.append(tool(*voice, "batch", "file", "-", stdin=stdin))
    theirs, mine = answers

    assert mine == (theirs if voice or not where else differences.with_line(theirs, f"line {where} of stdin"))
    assert mine.rc == (255 if where else theirs.rc)


@pytest.mark.parametrize("line", DIFFERENT)
def test_wrong_words_that_are_answered_otherwise_on_purpose(line):
    code, error, row = DIFFERENT[line]
    words = line.split(" ")

    theirs, mine = peer.run(NEWEST, "-j", *words), peer.inside("-j", *words)

    assert (mine.rc, json.loads(mine.stdout)) == (code, {"error": error})
    if row is None:
        assert (theirs.rc, theirs.stdout) == (mine.rc, mine.stdout)
    else:
        assert differences.rows()[row]
        assert theirs.stdout != mine.stdout, "this is no difference any more"
        assert theirs.rc == code
    plain = differences.without_hint(peer.inside(*words))
    assert (plain.rc, plain.stdout, plain.stderr) == (code, b"", f"Error: {error}\n".encode())
