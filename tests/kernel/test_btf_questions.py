"""btf show, find, diff and check: their words and voices, on the running kernel's types and on some made here."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from btf.write import Builder
from tests.bpftool import peer


def ours(*words):
    """Exit code, stdout as text, stderr as text."""
    answer = peer.inside(*words)
    return answer.rc, answer.stdout.decode(), answer.stderr.decode()


def answered(*words, rc=0):
    """The JSON of a command that ends with this exit code."""
    code, out, _ = ours("-j", "btf", *words)
    assert code == rc
    return json.loads(out)


@pytest.fixture
def blob(tmp_path):
    """A file of types: a struct with a bit field, a hole, padding, parts without a name; and some of other kinds."""
    b = Builder()
    byte, number, long = b.add_int("char", 1), b.add_int("int", 4), b.add_int("unsigned long", 8)
    inner = b.add_struct("", 8, [("deep", number), ("other", number, 32)])
    union = b.add_union("", 8, [("", inner), ("flat", long)])
    handler = b.add_ptr(b.add_func_proto(0, [("", number)]))
    members = [
        ("tag", byte, 0),
        ("flag", number, 32 | 3 << 24),
        ("", union, 64),
        ("list", b.add_array(long, number, 6), 128),
        ("call", handler, 512),
        ("last", byte, 576),
    ]
    thing = b.add_struct("thing", 80, members, kind_flag=True)
    b.add_typedef("thing_t", b.add_const(thing))
    b.add_struct("holder", 80, [("of", thing)])
    b.add_enum("colour", [("RED", 1), ("GREEN", 2)])
    b.add_func("paint", b.add_func_proto(number, [("with", b.add_ptr(thing)), ("", 0)]))
    b.add_enum("twice", [("ONE", 1)])
    b.add_typedef("twice", number)
    path = tmp_path / "types.btf"
    path.write_bytes(b.build())
    return str(path)


THING = """\
struct thing { /* [9] */
	char                  tag;          /*     0     1 */

	/* XXX 3 bytes hole, try to pack */

	int                   flag:3;       /*     4: 0  4 */

	/* XXX 29 bits hole, try to pack */

	union {
		struct {
			int   deep;         /*     8     4 */
			int   other;        /*    12     4 */
		};                          /*     8     8 */
		unsigned long flat;         /*     8     8 */
	};                                  /*     8     8 */
	unsigned long         list[6];      /*    16    48 */
	/* --- cacheline 1 boundary (64 bytes) --- */
	void                  (*call)(int); /*    64     8 */
	char                  last;         /*    72     1 */

	/* size: 80, cachelines: 2, members: 6 */
	/* sum members: 66, holes: 1, sum holes: 3 */
	/* sum bitfield members: 3 bits, bit holes: 1, sum bit holes: 29 bits */
	/* padding: 7 */
	/* last cacheline: 16 bytes */
};
"""


def test_show_a_struct(blob):
    assert ours("btf", "show", "struct", "thing", "file", blob) == (0, THING, "")
    assert ours("btf", "show", "[9]", "file", blob)[1] == THING
    assert ours("btf", "show", "thing", "-B", blob)[1] == THING


def test_show_a_struct_as_json(blob):
    thing = answered("show", "thing", "file", blob)

    assert (thing["size"], thing["cachelines"], thing["padding"], thing["bit_padding"]) == (80, 2, 7, 0)
    assert thing["holes"] == [
        {"after": "tag", "offset": 1, "size": 3},
        {"after": "flag", "bit_offset": 35, "bits": 29},
    ]
    by_name = {member["name"]: member for member in thing["members"]}
    flag = {"name": "flag", "type": "int", "type_id": 2, "offset": 4, "size": 4, "cacheline": 0, "bit": 0, "bits": 3}
    assert by_name["flag"] == flag
    assert by_name["call"]["cacheline"] == 1
    assert [member["name"] for member in by_name[None]["members"][0]["members"]] == ["deep", "other"]


def test_show_members_of_members_when_asked(blob):
    plain, expanded = (ours("btf", "show", "holder", "file", blob, *more)[1] for more in ([], ["-E"]))

    assert "\tstruct thing of; /*     0    80 */" in plain
    assert "struct thing {" in expanded
    assert "deep" in expanded
    assert "} of;" in expanded


@pytest.mark.parametrize(
    ("word", "first", "member", "value"),
    [
        ("thing_t", "typedef const struct thing thing_t; /* [11] */", "size", 80),
        ("colour", "enum colour { /* [13] */", "values", [{"name": "RED", "val": 1}, {"name": "GREEN", "val": 2}]),
        ("paint", "int paint(struct thing *with, ...); /* [16] */", "returns", "int"),
        ("int", "int; /* [2] */", "bits", 32),
    ],
)
def test_show_other_kinds(blob, word, first, member, value):
    assert ours("btf", "show", word, "file", blob)[1].splitlines()[0] == first
    assert answered("show", word, "file", blob)[member] == value


def test_show_all_types_of_a_name(blob):
    assert [one["kind"] for one in answered("show", "twice", "file", blob)] == ["enum", "typedef"]
    assert answered("show", "enum twice", "file", blob)["kind"] == "enum"


def test_show_without_a_source_asks_the_kernel():
    task = answered("show", "task_struct")

    assert task["name"] == "task_struct"
    assert "pid" in [member["name"] for member in task["members"]]


@pytest.mark.parametrize(
    ("words", "expected", "error"),
    [
        (["show", "thinge", "file", "BLOB"], 255, "there is no type 'thinge', did you mean 'thing'?"),
        (["show", "union", "thing", "file", "BLOB"], 255, "there is no type 'union thing'"),
        (["show", "[99]", "file", "BLOB"], 255, "there is no type [99]; the last is [18]"),
        (["show", "thing", "file", "BLOB", "more"], 255, "what is 'more'?"),
        (["show", "thing", "--sort", "name"], 255, "--fields, --no-header and --csv are for lists, not for a type"),
        (["list", "thing"], 255, "what is 'thing'?"),
        (["show", "--expand"], 255, "--expand is for a type, not for lists"),
        (["find", "/(/"], 2, "/(/ is no regular expression: missing ), unterminated subpattern at position 0"),
        (["find", "x", "--kind", "thing"], 2, "unknown kind 'thing', only type, struct"),
        (["find", "--embeds", "thing_", "file"], 3, "there is no type 'thing_'"),
        (["check"], 2, "no BPF object to check"),
        (["check", "BLOB"], 2, "no BPF object to check: BLOB is none"),
        (["check", "nowhere"], 3, "can't read nowhere"),
    ],
)
def test_what_is_wrong(blob, words, expected, error):
    code, out, err = ours("btf", *(blob if word == "BLOB" else word for word in words))

    assert (code, out) == (expected, "")
    assert error.replace("BLOB", blob) in err


def test_find_in_each_voice(blob):
    assert ours("btf", "find", "*[rR]*", "file", blob, "--kind", "member,enumerator") == (
        0,
        (
            "member struct thing.other: int  offset 12 size 4 [9]\n"
            "enumerator enum colour::RED = 1  [13]\n"
            "enumerator enum colour::GREEN = 2  [13]\n"
        ),
        "",
    )
    found = answered("find", "/^(flag|paint|RED|thing_t)$/", "file", blob)
    assert [(one["kind"], one["name"], one.get("type")) for one in found] == [
        ("member", "flag", "int"),
        ("typedef", "thing_t", "const struct thing"),
        ("enumerator", "RED", None),
        ("func", "paint", "int paint(struct thing *with, ...)"),
    ]
    assert {"of": "struct thing", "offset": 4, "bit": 0, "bits": 3}.items() <= found[0].items()


def test_find_by_use(blob):
    assert ours("btf", "find", "--embeds", "struct thing", "-B", blob)[1] == (
        "member struct holder.of: struct thing  offset 0 size 80 [12]\n"
    )
    assert [one["name"] for one in answered("find", "*", "file", blob, "--points-to", "thing", "--kind", "func")] == [
        "paint"
    ]


def test_find_nothing(blob):
    assert ours("btf", "find", "nobody", "file", blob) == (1, "", "")
    assert answered("find", "nobody", "file", blob, rc=1) == []
    assert len(answered("find", "*", "file", blob, "--limit", "3")) == 3


def test_diff(blob, tmp_path):
    b = Builder()
    number = b.add_int("int", 4)
    b.add_struct("holder", 8, [("of", number, 32), ("new", number)])
    b.add_float("float", 4)
    other = tmp_path / "other.btf"
    other.write_bytes(b.build())
    words = ["--type", "/^(holder|float|colour)$/"]

    assert ours("btf", "diff", blob, blob) == (0, "", "")
    assert answered("diff", blob, blob) == {"removed": [], "added": [], "changed": []}
    assert ours("btf", "diff", blob, "file", str(other), *words) == (
        1,
        (
            "- enum colour\n"
            "+ float float\n"
            "~ struct holder: size: 80 -> 8\n"
            "~ struct holder.of: moved: 0 -> 4\n"
            "~ struct holder.of: resized: 80 -> 4\n"
            "~ struct holder.of: retyped: struct thing -> int\n"
            "~ struct holder.new: added: int\n"
        ),
        "",
    )
    found = answered("diff", blob, str(other), *words, rc=1)
    assert found["removed"] == [{"kind": "enum", "name": "colour", "id": 13}]
    assert found["changed"][0]["changes"][1] == {"what": "moved", "name": "of", "first": 0, "second": 32}


def test_diff_with_the_kernel(tmp_path):
    """The kernel's own types are those in a copy of them."""
    copy = tmp_path / "vmlinux.btf"
    with open("/sys/kernel/btf/vmlinux", "rb") as file:
        copy.write_bytes(file.read())

    assert ours("btf", "diff", str(copy)) == (0, "", "")


def test_check(tmp_path):
    """What a compiled object asks of the kernel, with the line that asks."""
    source, object_ = tmp_path / "asks.bpf.c", tmp_path / "asks.o"
    source.write_text(
        "struct task_struct { int pid, gone; } __attribute__((preserve_access_index));\n"
        '__attribute__((section("socket"), used)) int program(struct task_struct *task) {\n'
        "\tif (__builtin_preserve_field_info(task->gone, 2))\n"
        "\t\treturn task->gone;\n"
        "\treturn task->pid;\n"
        "}\n"
    )
    subprocess.run(["clang", "-target", "bpf", "-g", "-O2", "-c", source, "-o", object_], check=True)
    found = answered("check", str(object_), "--all")

    assert found["checks"] == [
        {
            "object": str(object_),
            "against": "this kernel",
            "relocations": 3,
            "resolved": 1,
            "absent": 1,
            "guarded": 1,
            "failed": 0,
        }
    ]
    by_status = {one["status"]: one for one in found["relocations"]}
    assert by_status["resolved"]["wanted"] == "byte offset of struct task_struct.pid"
    pid = next(one for one in answered("show", "task_struct")["members"] if one["name"] == "pid")
    assert by_status["resolved"]["value"] == pid["offset"]
    assert by_status["guarded"]["source"] in (f"{source}:3", f"{source}:4")
    assert by_status["guarded"]["reason"].endswith("has no member gone")


@pytest.mark.parametrize("words", ["find fin*", "show [2]"])
def test_damage_that_is_found_late_names_the_file(tmp_path, words):
    b = Builder()
    b.add_int("fine", 4)
    b.add_int("lost", 4)
    raw = bytearray(b.build())
    raw[24 + 16 : 24 + 20] = (0xFFFF).to_bytes(4, sys.byteorder)  # name_off of the second type behind the header
    path = tmp_path / "damaged"
    path.write_bytes(raw)

    answer = ours("btf", *words.split(), "file", str(path))

    assert answer == (255, "", f"Error: {path} cannot be understood: string offset 65535 is out of range\n")


def test_an_id_of_many_digits_is_none():
    code, _, error = ours("btf", "show", f"[{'9' * 5000}]")

    assert (code, error.startswith("Error: there is no type '[999")) == (255, True)
