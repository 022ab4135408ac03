"""Differences on purpose, beside bpftool: rows of docs/differences.md that no other test shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bpftool import differences, listing, peer
from tests.bpftool.newest import CURRENT, NEWEST, OLDER
from tests.kernel import client
from tests.kernel.zoo import Zoo


@pytest.fixture(scope="module")
def zoo():
    with Zoo(hostile=True) as inhabited:
        yield inhabited


def test_stale_btf_id(zoo):
    """In a list, bpftool tells of a map without BTF either nothing or the id of another map's BTF; by id, nothing."""
    ids = {made.id: differences.btf_id(made.fd) for made in zoo.created.values() if made.kind == "map"}
    mine = listing.objects(peer.inside("-j", "map"), ["-j"])
    for tool in peer.bpftools():
        theirs = listing.objects(peer.run(tool, "-j", "map"), ["-j"])
        others = {0, *client.ids("btf")}
        for id_, btf_id in ids.items():
            told = json.loads(theirs[id_]).get("btf_id", 0)
            assert json.loads(mine[id_]).get("btf_id", 0) == btf_id
            assert told == btf_id or (not btf_id and told in others)
        bare = next(id_ for id_ in ids if not ids[id_])
        assert b"btf_id" not in peer.run(tool, "-j", "map", "show", "id", str(bare)).stdout


def hard(word):
    return any(character in word for character in '"\\\x1b\udcff\n')


@CURRENT
@pytest.mark.parametrize("word", ['a"b', "a\\b", "a\x1bb", "a\tb", "a\x7fb", "a\udcffb"], ids=ascii)
def test_hostile_words(word):
    """In an error, a word is the same in both; in our JSON it can be read."""
    words = ["prog", "show", "id", word]
    theirs, mine = peer.run(NEWEST, "-j", *words), peer.inside("-j", *words)

    assert theirs.stdout == b'{"error":"can\'t parse %s as ID"}\n' % os.fsencode(word)
    assert json.loads(mine.stdout) == {"error": f"can't parse {word} as ID".replace("\udcff", "\ufffd")}
    assert peer.run(NEWEST, *words).stderr == b"Error: can't parse %s as ID\n" % os.fsencode(word)
    assert peer.inside(*words).stderr.decode().rstrip("\n").isprintable()


@CURRENT
def test_hostile_pins(zoo):
    """A path is spelled where bpftool writes it as it is, and escaped in JSON; all else is the same."""
    paths = {str(path): name for path, name in zoo.pins.items()}
    assert any(map(hard, paths))
    for name in {name for path, name in paths.items() if hard(path)}:
        kind, id_ = zoo.created[name].kind, zoo.created[name].id
        words = [kind, "show", "id", str(id_)]
        theirs, mine = peer.run(NEWEST, "-f", *words).stdout, peer.inside("-f", *words).stdout
        for path in paths:
            spelled = path.encode("utf-8", "backslashreplace").replace(b"\\udcff", b"\\xff")
            spelled = spelled.replace(b"\n", b"\\x0a").replace(b"\x1b", b"\\x1b")
            theirs = theirs.replace(os.fsencode(path), spelled)
        assert theirs == mine
        row = json.loads(peer.inside("-j", "-f", *words).stdout)
        told = [path.replace("\udcff", "\ufffd") for path, of in paths.items() if of == name]
        assert sorted(row["pinned"]) == sorted(told)


@pytest.mark.skipif(not OLDER, reason="needs a second bpftool, older than the kernel (BPFCTL_BPFTOOL=FILE)")
def test_types_newer_than_the_tool(zoo):
    """Where an older bpftool writes a number, we write the name that the kernel's BTF has for it."""
    number_of = {"prog": "BPF_PROG_TYPE_", "map": "BPF_MAP_TYPE_", "link": "BPF_LINK_TYPE_"}
    seen = 0
    for kind, prefix in number_of.items():
        theirs = listing.objects(peer.run(OLDER[-1], "-j", kind), ["-j"])
        mine = listing.objects(peer.inside("-j", kind), ["-j"])
        for id_ in zoo.ids(kind):
            old, new = json.loads(theirs[id_])["type"], json.loads(mine[id_])["type"]
            if isinstance(old, int):
                assert zoo.number(prefix + new.upper()) == old
                seen += 1
            else:
                assert old == new
    if not seen:
        pytest.skip("the kernel has no type that bpftool lacks")


@CURRENT
def test_a_batch_that_succeeds(zoo, tmp_path):
    """bpftool may end with the error of a call that mattered to nobody; we never do."""
    commands = [f"map show id {next(iter(zoo.ids('map')))}", "map show name hash_flags"]
    file = tmp_path / "batch"
    file.write_text("\n".join(commands))
    for options in (["-j"], ["-p"], []):
        line = [*options, "batch", "file", str(file)]
        mine = peer.inside(*line)
        assert mine.rc == 0
        assert b"error" not in mine.stdout + mine.stderr
        for tool in peer.bpftools():
            theirs = peer.run(tool, *line)
            assert theirs == mine or differences.without_stale_errno(theirs, len(commands)) == mine


def test_options_inside_a_batch(tmp_path):
    """bpftool takes one for a command, and ours says what it is; the exit code is the same."""
    file = tmp_path / "batch"
    file.write_text("prog -j show\n")
    line = ["batch", "file", str(file)]
    for tool in peer.bpftools():
        plain, told = peer.run(tool, *line), peer.run(tool, "-j", *line)
        assert b"Usage: " in plain.stdout + plain.stderr
        assert json.loads(told.stdout) == [{"command": ["prog", "-j", "show"], "output": None}]
        assert plain.rc == told.rc == 255

    wrong = "unrecognized option '-j'"
    assert peer.inside(*line) == (255, b"", f"Error: {wrong}\n  in line 1 of {file}\n".encode())
    told = peer.inside("-j", *line)
    assert json.loads(told.stdout) == [{"command": ["prog", "-j", "show"], "output": {"error": wrong}}]
    assert told.rc == 255


def test_a_nul_byte_in_a_batch(tmp_path):
    """bpftool does what stands before it; we do nothing by halves."""
    file = tmp_path / "batch"
    file.write_bytes(b"version\0 and more\n")
    line = ["batch", "file", str(file)]
    for tool in peer.bpftools():
        theirs = peer.run(tool, "-j", *line)
        assert json.loads(theirs.stdout)[0]["command"] == ["version"]

    told = peer.inside("-j", *line)
    assert json.loads(told.stdout) == [{"error": "null byte in command 0"}]
    assert told.rc == 255


@CURRENT
def test_mounting(zoo):
    """Both mount a BPF file system over a folder that is none; we say so, unless in JSON."""
    id_ = str(zoo.created["map:hash"].id)
    said = []
    for run in (lambda *words: peer.run(NEWEST, *words), peer.inside):
        folder = zoo.place.root / f"folder{len(said)}"
        folder.mkdir()
        answer = run("map", "pin", "id", id_, str(folder / "pin"))
        assert (answer.rc, answer.stdout) == (0, b"")
        assert f" {folder} bpf " in Path("/proc/self/mounts").read_text()
        fd = client.obj_get(folder / "pin")
        assert str(client.id_of("map", fd)) == id_
        os.close(fd)
        (folder / "pin").unlink()
        said.append(answer.stderr)
    assert said[0] == b""
    assert f"on {folder}, over what is there: 'umount {folder}' undoes it".encode() in said[1]
    assert said[1].count(b"\n") == 1
    second = zoo.place.root / "silent"
    second.mkdir()
    answer = peer.inside("-j", "map", "pin", "id", id_, str(second / "pin"))
    assert answer == (0, b"null\n", b"")
    (second / "pin").unlink()


@CURRENT
def test_where_nothing_can_be_written():
    """bpftool does not notice."""
    for command, code in (([NEWEST], 0), ([sys.executable, "-m", "bpfctl"], 255)):
        line = [*command, "-j", "version"]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, check=False, env=peer.ENVIRONMENT)
        assert (done.returncode, bool(done.stderr)) == (code, bool(code))
        shell = ["sh", "-c", '"$@" >&-', "sh", *line]
        done = subprocess.run(shell, stderr=subprocess.PIPE, check=False, env=peer.ENVIRONMENT)
        assert (done.returncode, bool(done.stderr)) == (code, bool(code))


@CURRENT
def test_version():
    """A script that looks for a version finds the one that we speak like; a person is told both."""
    theirs, mine = (
        json.loads(run("-j", "version").stdout) for run in (lambda *words: peer.run(NEWEST, *words), peer.inside)
    )
    plain = peer.inside("version").stdout.decode()

    assert list(mine) == list(theirs)
    assert list(mine["features"]) == list(theirs["features"])
    assert plain.startswith("bpfctl v")
    assert f"bpftool v{mine['version']}" in plain
    assert tuple(map(int, mine["version"].split(".")))[:2] == peer.CURRENT


@pytest.mark.parametrize("words", [[], ["map"], ["map", "dump"]])
def test_help_that_an_option_asks_for(words):
    """The word help is answered on stderr by both."""
    mine, theirs = peer.bpfctl(*words, "--help"), peer.run(peer.bpftools()[0], *words, "--help")

    assert (mine.rc, mine.stderr) == (theirs.rc, theirs.stdout) == (0, b"")
    assert mine.stdout.startswith(b"Usage: bpfctl " + " ".join(words or ["[OPTIONS]"]).encode())
    assert b"OBJECT" in theirs.stderr
    word = peer.bpfctl(*words[:1], "help")
    assert (word.rc, word.stdout) == (0, b"")
