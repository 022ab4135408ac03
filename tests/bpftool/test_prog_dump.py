"""bpfctl prog dump xlated beside bpftool's: programs with every kind of instruction, and the zoo's."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from bpfctl.asm.cfg import functions
from bpfctl.asm.insn import Insn
from tests.bpftool import peer
from tests.bpftool.coded import Coded
from tests.bpftool.newest import CURRENT, NEWEST, VOICES

pytestmark = CURRENT
OPTIONS = [[], ["opc", "l"]]
# What the kernels of the last years have not had from the beginning.
NEW = {"arithmetic_v4", "atomics", "ordered", "unbounded", "kernel_functions", "with_lines", "spaces"}


@pytest.fixture(scope="module")
def coded():
    made = Coded()
    assert set(made.refused) <= NEW, made.refused
    yield made
    made.close()


PROGRAMS = (
    "socket_filter",
    "xdp",
    "tp_btf",
    "with_maps",
    "with_tail_call",
    "with_subprograms",
    "with_metadata",
    "not_gpl",
)
ZOO = [f"prog:{name}" for name in PROGRAMS]


def answers(tmp_path, voice, commands):
    """Return the two answers to all commands; bpftool ends some batches with an error of its own."""
    line = [*voice, *peer.batch(tmp_path / "batch", commands)]
    theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)
    assert (mine.rc, mine.stderr) == (0, b"")
    return theirs.stdout.decode().splitlines(), mine.stdout.decode().splitlines()


@pytest.mark.parametrize("voice", VOICES)
def test_every_instruction(coded, tmp_path, voice):
    """With and without opcodes and numbers of lines."""
    ids = coded.ids()
    commands = [["prog", "dump", "xlated", "id", str(id_), *options] for id_ in ids.values() for options in OPTIONS]
    for name in ids.keys() & {"with_lines", "calls"}:
        commands += [["prog", "dump", "xlated", "id", str(ids[name]), option] for option in ("opcodes", "linum")]
    theirs, mine = answers(tmp_path, voice, commands)

    assert theirs == mine
    assert "BUG" not in "".join(mine)


@pytest.mark.parametrize("voice", VOICES)
def test_the_zoo(zoo, tmp_path, voice):
    """Programs of other types, also by their pins."""
    handles = [["id", str(id_)] for id_ in zoo.ids("prog")]
    handles += [["pinned", str(path)] for path, name in zoo.pins.items() if name.startswith("prog:")]
    commands = [["prog", "dump", "xlated", *handle, "opcodes", "linum"] for handle in handles]
    theirs, mine = answers(tmp_path, voice, commands)

    assert theirs == mine


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.usefixtures("coded")
def test_several_programs(voice):
    """Of one name, of which each says which one it is."""
    another = Coded(only=("branches",))
    try:
        words = [*voice, "prog", "dump", "xlated", "name", "branches"]
        theirs, mine = peer.run(NEWEST, *words), peer.inside(*words)
        for word in ("file", "visual", "file x"):
            refused = ["prog", "dump", "xlated", "name", "branches", *word.split()]
            assert peer.run(NEWEST, *refused) == peer.inside(*refused)
    finally:
        another.close()

    assert theirs == mine
    assert mine.stdout.count(b"branches") >= 2  # others may have some too


def test_a_file(coded, tmp_path):
    """The same bytes, for the owner alone; JSON is null."""
    id_ = str(coded.ids()["with_fewer_lines"])
    files = [tmp_path / "theirs", tmp_path / "mine"]
    theirs, mine = (
        tool("-j", "prog", "dump", "x", "i", id_, "f", str(file))
        for tool, file in zip((lambda *w: peer.run(NEWEST, *w), peer.inside), files, strict=True)
    )

    assert theirs == mine
    assert json.loads(mine.stdout) is None
    assert files[0].read_bytes() == files[1].read_bytes() != b""
    assert files[0].stat().st_mode == files[1].stat().st_mode


WRONG = [
    "foo id 1",
    "xlated id 4294967295",
    "xlated id 1x",
    "xlated id ID file",
    "xlated id ID file /nonexistent/x",
    "xlated id ID file /tmp opcodes",
    "xlated id ID visual linum file /tmp",
]


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong(coded, words):
    """The same sentences and exit codes."""
    line = ["prog", "dump", *words.replace("ID", str(coded.ids()["memory"])).split()]
    for voice in ([], ["-j"]):
        theirs, mine = peer.run(NEWEST, *voice, *line), peer.inside(*voice, *line)
        assert theirs == mine


def test_a_graph_is_no_json(coded):
    """The same sentence."""
    line = ["-j", "prog", "dump", "xlated", "id", str(coded.ids()["memory"]), "visual"]

    assert peer.run(NEWEST, *line) == peer.inside(*line)


def test_too_few_words():
    """bpftool shows its usage, in JSON null."""
    for words in (["prog", "dump"], ["prog", "dump", "xlated"], ["prog", "dump", "xlated", "id"]):
        assert peer.run(NEWEST, "-j", *words).rc == 255
        mine = peer.inside("-j", *words)
        assert (mine.rc, "needs at least" in json.loads(mine.stdout)["error"]) == (255, True)


def test_words_behind_the_program(coded):
    """bpftool shows its usage."""
    line = ["-j", "prog", "dump", "xlated", "id", str(coded.ids()["memory"]), "foo"]
    theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)

    assert (theirs.rc, json.loads(theirs.stdout)) == (255, None)
    assert (mine.rc, json.loads(mine.stdout)) == (255, {"error": "what is 'foo'?"})


# Programs without subprograms that end in one place, and what to show of them.
GRAPHS = {"arithmetic": ["opcodes"], "jumps": [], "unbounded": ["opcodes", "linum"]}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(coded, name):
    """The same bytes."""
    if name not in coded.ids():
        pytest.skip(f"this kernel refuses {name}: {coded.refused[name]}")
    line = ["prog", "dump", "xlated", "id", str(coded.ids()[name]), "visual", *GRAPHS[name]]

    assert peer.run(NEWEST, *line) == peer.inside(*line)


def test_graphs_of_exits(coded):
    """bpftool lets an exit lead to whatever stands behind it; here it leads to the exit, all else is the same."""
    line = ["prog", "dump", "xlated", "id", str(coded.ids()["branches"]), "visual"]
    theirs, mine = (
        set(tool(*line).stdout.decode().splitlines()) for tool in (lambda *w: peer.run(NEWEST, *w), peer.inside)
    )

    assert {re.sub(r" \[.*", "", line) for line in theirs - mine} == {
        "\tfn_0_bb_3:s -> fn_0_bb_4:n",
        "\tfn_0_bb_7:s -> fn_0_bb_8:n",
    }
    assert {re.sub(r" \[.*", "", line) for line in mine - theirs} == {
        "\tfn_0_bb_3:s -> fn_0_bb_1:n",
        "\tfn_0_bb_7:s -> fn_0_bb_1:n",
    }


def test_graphs_of_subprograms(coded):
    """bpftool counts anew in each, and tells the main function's prototype and source there; it cuts long lines."""
    if "with_lines" not in coded.ids():
        pytest.skip(f"this kernel refuses callbacks: {coded.refused['with_lines']}")
    line = ["prog", "dump", "xlated", "id", str(coded.ids()["with_lines"])]
    theirs = peer.run(NEWEST, *line, "visual").stdout.decode()
    mine = peer.inside(*line, "visual").stdout.decode()
    plain = peer.inside(*line).stdout.decode()

    assert theirs.count("; int main_with_a_name_that_is_too_long(void * ctx):") > 1
    for prototype in (
        "int main_with_a_name_that_is_too_long(void * ctx)",
        "int sub()",
        "int callback(int index, void * ctx)",
    ):
        assert mine.count(f"; {prototype}:\\l") == 1
    told = re.findall(r"^(?:\| )?(\d+: .*)\\l", mine, re.MULTILINE)
    assert sorted(map(unescaped, told)) == sorted(
        line.strip() for line in plain.splitlines() if re.match(" *[0-9]+: ", line)
    )


def test_graphs_of_long_names(zoo):
    """bpftool has room for 63 characters of an instruction."""
    line = ["prog", "dump", "xlated", "id", str(zoo.created["prog:with_subprograms"].id), "visual"]
    theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)

    assert b"_a_subprogram_with_a_lo| 1: (95) exit" in theirs.stdout
    assert b"_a_subprogram_with_a_long_name\\l\\\n| 1: (95) exit" in mine.stdout


def unescaped(text):
    """Return a line of an instruction as it is outside of a graph."""
    return re.sub(r"\\([<>|&])", r"\1", text)


@pytest.mark.parametrize("name", ["branches", "jumps", "calls", "with_lines"])
def test_graphs_are_graphs(coded, tmp_path, name):
    """Each block has a node, and each edge both ends."""
    if name not in coded.ids():
        pytest.skip(f"this kernel refuses {name}: {coded.refused[name]}")
    words = ["prog", "dump", "xlated", "id", str(coded.ids()[name])]
    graph = peer.inside(*words, "visual", "opcodes", "linum").stdout
    peer.inside(*words, "file", str(tmp_path / "raw"))
    found = functions(list(Insn.decode_all((tmp_path / "raw").read_bytes())))
    text = graph.decode()
    nodes = set(re.findall(r"(fn_\d+_bb_\d+) \[", text))
    edges = set(re.findall(r"(fn_\d+_bb_\d+):s -> (fn_\d+_bb_\d+):n", text))

    assert len(nodes) == sum(len(function.blocks) + 2 for function in found)
    assert {end for edge in edges for end in edge} == nodes
    assert len(edges) == sum(len(function.edges) + 2 for function in found)


def test_graphs_can_be_drawn(coded):
    """Graphviz takes each without a word, and finds as many nodes."""
    for id_ in coded.ids().values():
        graph = peer.inside("prog", "dump", "xlated", "id", str(id_), "visual", "opcodes", "linum").stdout
        drawn = subprocess.run(["dot", "-Tplain"], input=graph, capture_output=True, check=True)
        assert drawn.stderr == b""
        assert drawn.stdout.count(b"\nnode ") == graph.count(b" [shape=")


def test_drawn_by_graphviz(coded, tmp_path):
    """--svg means visual, and has the options of code; what cannot be drawn is no half a file."""
    file = tmp_path / "code.svg"
    words = ["prog", "dump", "xlated", "id", str(coded.ids()["with_fewer_lines"])]

    assert peer.inside(*words, "linum", "--svg", str(file)) == peer.Answer(0, b"", b"")
    drawn = file.read_text()
    assert drawn.count("<title>cluster_") == 2
    assert "line:10 col:3" in drawn
    refused = peer.inside("prog", "dump", "jited", *words[3:], "--svg", str(tmp_path / "none.svg"))
    assert (refused.rc, refused.stdout, (tmp_path / "none.svg").exists()) == (255, b"", False)
    refused = peer.inside(*words, "file", str(tmp_path / "bytes"), "--svg", str(file))
    assert refused.stderr == b"Error: 'file' is not compatible with '--svg'\n"
