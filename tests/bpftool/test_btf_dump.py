"""bpfctl btf dump beside bpftool's: sources, words and voices."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path

import pytest

from btf.read import BTF
from btf.write import Builder
from tests.bpftool import differences, peer
from tests.bpftool.newest import CURRENT, NEWEST
from tests.kernel import client
from tests.kernel.inhabitants.programs import returning
from tests.kernel.typeblob import SIGNED, Blob
from tests.unit.btf.c_cases import CASES

pytestmark = CURRENT
VMLINUX = Path("/sys/kernel/btf/vmlinux")
needs_btf = pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
VOICES = ([], ["-j"], ["-p"])


def same(*words, voices=VOICES, rc=0):
    """Compare an answer in each voice, and return the plain one."""
    for voice in reversed(voices):
        theirs, mine = peer.run(NEWEST, *voice, *words), peer.inside(*voice, *words)
        assert (theirs.rc, theirs.stdout) == (mine.rc, mine.stdout), (voice, words)
        assert mine.rc == rc, (voice, words)
        if not voice:
            assert said(theirs) == said(mine)
    return mine


def said(answer):
    """Return the complaints, without the usage that bpftool adds."""
    return [line for line in answer.stderr.splitlines() if line.startswith((b"Error", b"Warning", b"skipping"))]


@pytest.fixture
def typed_map():
    """A map with types for keys and values, and a third type."""
    blob = Blob()
    key = blob.int_("unsigned int", 4)
    value = blob.int_("long", 8, SIGNED)
    blob.int_("unsigned short", 2)
    types = client.btf_load(blob.raw())
    fd = client.map_create(1, 4, 8, 4, name="typed", btf_fd=types, btf_key_type_id=key, btf_value_type_id=value)
    os.close(types)
    yield str(client.id_of("map", fd))
    os.close(fd)


def test_types_of_a_map(typed_map):
    """The key's, the value's, both, or all there are."""
    for part in ([], ["key"], ["k"], ["value"], ["kv"], ["all"]):
        same("btf", "dump", "map", "id", typed_map, *part)
        same("btf", "dump", "map", "id", typed_map, *part, "format", "c", voices=[[]])
    same("btf", "dump", "map", "id", typed_map, "key", "root_id", "1", rc=234)  # either of them


@pytest.fixture
def typed_program():
    """A program with types."""
    blob = Blob()
    number = blob.int_("int", 4, SIGNED)
    main = blob.func("main", number, [])
    types = client.btf_load(blob.raw())
    info = {"func_info": struct.pack("=II", 0, main), "func_info_rec_size": 8, "func_info_cnt": 1}
    fd = client.prog_load(1, returning(0), name="typed", prog_btf_fd=types, **info)
    os.close(types)
    yield str(client.id_of("prog", fd))
    os.close(fd)


@pytest.fixture
def files(tmp_path):
    """A base, and two files split off it that have a type in common."""
    base = Builder(byteorder=sys.byteorder)
    number = base.add_int("int", 4, encoding=SIGNED)
    (tmp_path / "base").write_bytes(base.build())
    for name in ("one", "two"):
        split = Builder(byteorder=sys.byteorder, base=BTF.from_bytes(base.build()))
        split.add_typedef(f"{name}_t", number)
        split.add_typedef("common_t", number)
        (tmp_path / name).write_bytes(split.build())
    return [str(tmp_path / name) for name in ("base", "one", "two")]


def test_split_files_and_merged_ones(files):
    """-B has the base; several files become one."""
    base, one, two = files

    for form in ([], ["format", "c"], ["format", "c", "unsorted"], ["root_id", "1", "root_id", "2"]):
        voices = [[]] if "c" in form else VOICES
        for voice in voices:
            same(*voice, "-B", base, "btf", "dump", "file", one, *form, voices=[[]])
            same(*voice, "-B", base, "btf", "dump", "file", one, "file", two, *form, voices=[[]])
    same("btf", "dump", "file", one, "file", two, rc=234)


@needs_btf
def test_the_running_kernel():
    """By file, by id, parts of it, and modules over it."""
    module = next((path for path in sorted(VMLINUX.parent.iterdir()) if path != VMLINUX), None)
    task = BTF.from_bytes(VMLINUX.read_bytes()).find("list_head").id
    listed = json.loads(peer.run(NEWEST, "-j", "btf").stdout)
    kernel = next(row["id"] for row in listed if row["name"] == "vmlinux")

    same("btf", "dump", "file", str(VMLINUX), "root_id", str(task))
    same("btf", "dump", "id", str(kernel), "root_id", str(task), "format", "c", voices=[[]])
    assert len(same("btf", "dump", "id", str(kernel), voices=[[]]).stdout) > 1_000_000
    if module:
        same("btf", "dump", "file", str(module))
        same("btf", "dump", "file", str(module), "file", str(VMLINUX), "format", "c", voices=[[]])
        same("btf", "dump", "id", str(next(row["id"] for row in listed if row["name"] == module.name)))


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_type(name, tmp_path):
    """In every voice, and as an ELF file would have it."""
    path = tmp_path / "case"
    path.write_bytes(CASES[name].data)

    same("btf", "dump", "file", str(path))
    same("btf", "d", "f", str(path), "fo", "c", voices=[[]])


WRONG = [
    "id 4294967295 format x",
    "id 4294967295 format",
    "id 4294967295 root_id 1 root_id 1",
    "id 4294967295 root_id z",
    "id 4294967295 bar",
    "id 1x",
    "id",
    "what 1",
    "map id 4294967295",
    "prog id 4294967295",
    "file /nonexistent",
    "file CASE root_id 99999",
    "file CASE " + " ".join(f"root_id {number}" for number in range(20)),
    "file CASE file CASE",
    "file CASE file",
    "file CASE " + "file CASE " * 64,
]


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong(words, tmp_path):
    """The same sentence and exit code."""
    path = tmp_path / "case"
    path.write_bytes(next(iter(CASES.values())).data)
    given = ["btf", "dump", *words.replace("CASE", str(path)).split()]
    theirs, mine = peer.run(NEWEST, *given), differences.without_hint(peer.inside(*given))

    assert (theirs.rc, said(theirs)[:1]) == (mine.rc, said(mine)[:1])
    assert mine.rc
    assert not mine.stdout
    theirs, mine = peer.run(NEWEST, "-j", *given), peer.inside("-j", *given)
    assert theirs.rc == mine.rc
    # Something may follow that makes it no JSON, and the error about a format ends with a line break of its own.
    assert mine.stdout.rstrip() in theirs.stdout.replace(b"option\n", b"option")
    assert json.loads(mine.stdout).keys() == {"error"}


def test_header_has_no_json(typed_map):
    """A header is C and nothing else."""
    answer = same("btf", "dump", "map", "id", typed_map, "format", "c", voices=[["-j"]], rc=161)

    assert (answer.rc, json.loads(answer.stdout)) == (
        161,
        {"error": "JSON output for C-syntax dump is not supported"},
    )


def test_types_of_a_program(typed_program):
    """All of them."""
    same("btf", "dump", "prog", "id", typed_program)
    same("btf", "dump", "prog", "id", typed_program, "format", "c", voices=[[]])


def test_files_without_types(tmp_path):
    """bpftool lets a number of libelf's stand where an errno belongs."""
    path = tmp_path / "text"
    path.write_text("no types\n")
    for words in (["file", str(path)], ["file", "/bin/true"]):
        answer = peer.inside("btf", "dump", *words)
        assert answer.rc == 195
        assert answer.stderr.startswith(f"Error: failed to load BTF from {words[1]}: ".encode())
        assert b"Unknown error" not in answer.stderr


@pytest.mark.parametrize("form", [[], ["format", "c"]])
def test_a_name_that_is_not_there(tmp_path, form):
    """It is found when types are written, and said as an error of the file, with nothing written before."""
    path = tmp_path / "damaged"
    builder = Builder()
    builder.add_int("fine", 4)
    builder.add_int("lost", 4)
    raw = bytearray(builder.build())
    raw[24 + 16 : 24 + 20] = (0xFFFF).to_bytes(4, sys.byteorder)  # name_off of the second type behind the header
    path.write_bytes(raw)
    words = ["btf", "dump", "file", str(path), *form]
    theirs, mine = peer.run(NEWEST, *words), peer.inside(*words)

    assert (theirs.rc, theirs.stdout) == (mine.rc, mine.stdout) == (234, b"")
    assert mine.stderr == f"Error: {path} cannot be understood: string offset 65535 is out of range\n".encode()


def test_objects_without_types():
    """The sentence says so."""
    fd = client.map_create(2, 4, 4, 1, name="untyped")
    answer = peer.inside("-j", "btf", "dump", "map", "id", str(client.id_of("map", fd)))
    os.close(fd)

    assert answer.rc == 255
    assert "has no BTF" in json.loads(answer.stdout)["error"]


def test_an_object_that_is_gone():
    """One error, which is JSON."""
    theirs, mine = (
        tool("-j", "btf", "dump", "id", "4294967295") for tool in (lambda *w: peer.run(NEWEST, *w), peer.inside)
    )

    assert theirs.rc == mine.rc
    assert json.loads(mine.stdout) == {"error": "get btf by id (4294967295): No such file or directory"}
    assert mine.stdout.strip() in theirs.stdout
