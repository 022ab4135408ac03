"""bpfctl map diff and edit on the real kernel."""

from __future__ import annotations

import json
import stat
import struct
import sys

import pytest

from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.saved_maps import U32, create, dump, ordered, ours, saved, typed, word

ARRAY, ARRAY_OF_MAPS, HASH, PERCPU_HASH, PERF_EVENT_ARRAY, PROG_ARRAY = 2, 12, 1, 5, 4, 3


def compare(first, second, *voice):
    return ours(*(voice or ("--plain",)), "map", "diff", "id", word(first), *second)


def two(stack):
    """Two maps: one entry each that the other lacks, one that differs, one that does not."""
    first, second = (create(stack, HASH, 4, 2, 8) for _ in range(2))
    for fd, entries in ((first, {1: b"ab", 2: b"ab", 3: b"ab"}), (second, {2: b"ab", 3: b"cd", 4: b"ab"})):
        for key, value in entries.items():
            client.map_update(fd, U32(key), value)
    return first, second


def test_maps_that_are_equal(stack):
    first, _ = two(stack)

    assert compare(first, ["id", word(first)]) == (0, b"", b"")
    assert compare(first, ["id", word(first)], "-j") == (0, b'{"only_first":[],"only_second":[],"changed":[]}\n', b"")


@pytest.mark.parametrize("against", ["map", "file"])
def test_what_differs(stack, tmp_path, against):
    first, second = two(stack)
    other = ["id", word(second)] if against == "map" else [saved(tmp_path, dump(second))]

    answer = compare(first, other)
    assert answer.rc == 1
    assert answer.stdout.decode().splitlines() == [
        "- 01 00 00 00: 61 62",
        "+ 04 00 00 00: 61 62",
        "~ 03 00 00 00: 61 62 -> 63 64",
    ]
    for voice in ("-j", "-p"):
        answer = compare(first, other, voice)
        assert answer.rc == 1
        assert json.loads(answer.stdout) == {
            "only_first": [{"key": ["0x01", "0x00", "0x00", "0x00"], "value": ["0x61", "0x62"]}],
            "only_second": [{"key": ["0x04", "0x00", "0x00", "0x00"], "value": ["0x61", "0x62"]}],
            "changed": [
                {
                    "key": ["0x03", "0x00", "0x00", "0x00"],
                    "first": {"value": ["0x61", "0x62"]},
                    "second": {"value": ["0x63", "0x64"]},
                }
            ],
        }


@pytest.mark.parametrize("against", ["map", "file"])
def test_fields_that_differ(stack, tmp_path, against):
    first, second = typed(stack, HASH, 2)
    client.map_update(first, U32(7), struct.pack("=iiq", 1, -2, 3))
    client.map_update(second, U32(7), struct.pack("=iiq", 1, 5, 4))
    other = ["id", word(second)] if against == "map" else [saved(tmp_path, dump(second, "--plain"))]

    assert compare(first, other).stdout == b"~ 7: b: -2 -> 5, c: 3 -> 4\n"
    assert json.loads(compare(first, other, "-j").stdout)["changed"][0]["fields"] == [
        {"field": "b", "first": -2, "second": 5},
        {"field": "c", "first": 3, "second": 4},
    ]


def test_a_key_twice_in_a_file_hides_none_of_the_map(stack, tmp_path):
    fd, _ = two(stack)
    one, _, three = ordered(dump(fd))

    answer = compare(fd, [saved(tmp_path, json.dumps([one, one, three]))])
    assert (answer.rc, answer.stdout) == (1, b"- 02 00 00 00: 61 62\n")


def test_values_of_cpus_that_differ(stack):
    first, second = (create(stack, PERCPU_HASH, 4, 3, 8) for _ in range(2))
    values = [bytes([cpu] * 3).ljust(8, b"\0") for cpu in range(client.CPUS)]
    client.map_update(first, U32(1), b"".join(values))
    client.map_update(second, U32(1), b"".join([*values[:-1], b"\7\7\7".ljust(8, b"\xee")]))
    last = client.CPUS - 1

    shown = compare(first, ["id", word(second)]).stdout.decode()
    assert shown == f"~ 01 00 00 00: cpu {last} {bytes([last] * 3).hex(' ')} -> 07 07 07\n"


def test_maps_that_cannot_be_compared(stack, tmp_path):
    first = create(stack, HASH, 4, 4, 4)
    assert compare(first, ["id", word(create(stack, HASH, 8, 4, 4))]).rc == 2
    answer = compare(first, [saved(tmp_path, "[7]")])
    assert (answer.rc, b"entry 1 of " in answer.stderr) == (255, True)
    events = [create(stack, PERF_EVENT_ARRAY, 4, 4, 4) for _ in range(2)]
    for against in (
        ["id", word(events[1])],
        [saved(tmp_path, json.dumps([{"key": ["0x00"] * 4, "value": ["0x00"] * 4}]))],
    ):
        answer = compare(events[0], against)
        assert (answer.rc, b"the kernel does not tell the values of a perf_event_array map" in answer.stderr) == (
            5,
            True,
        )
    assert compare(first, ["id", "4294967295"]).rc == 3
    assert compare(first, ["/nonexistent"]).rc == 3


def test_a_thousand_differences_more_than_memory_has(stack):
    """Differences are put aside in a file; all of them come out again."""
    first, second = (create(stack, HASH, 4, 4000, 4000) for _ in range(2))
    for number in range(1500):
        client.map_update(first, U32(number), bytes([number & 0xFF]) * 4000)
        client.map_update(second, U32(number), bytes([number + 1 & 0xFF]) * 4000)

    answer = compare(first, ["id", word(second)])

    assert answer.rc == 1
    lines = sorted(answer.stdout.decode().splitlines())
    assert len(lines) == 1500
    assert all(line.startswith("~ ") and len(line) == 2 + 11 + 2 + 2 * 11999 + 4 for line in lines)


# edit


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """Something that stands for an editor: Python code with the text in ``text``, and its path in ``path``."""

    def use(code):
        script = tmp_path / "editor.py"
        script.write_text(
            "import os, sys, subprocess\npath = sys.argv[1]\ntext = open(path).read()\n"
            f"{code}\nopen(path, 'w').write(text)\n"
        )
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return use


def edit(fd, *words):
    return ours("--plain", "map", "edit", "id", word(fd), *words)


def test_nowhere_to_write_the_text(stack, editor, monkeypatch):
    editor("")
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    fd = create(stack, HASH, 4, 2, 8)

    answer = edit(fd)

    assert (answer.rc, answer.stdout) == (255, b"")
    assert b"can't write the text for the editor: no folder for temporary files can be written to" in answer.stderr


def left_behind(tmp_path):
    return list(tmp_path.glob("bpfctl-*"))


def test_entries_are_edited(stack, tmp_path, editor):
    (fd,) = typed(stack)
    for number in range(3):
        client.map_update(fd, U32(number), struct.pack("=iiq", number, 5, 6))
    note = tmp_path / "mode"
    editor(
        "import json\n"
        f"open({str(note)!r}, 'w').write(oct(os.stat(path).st_mode | os.stat(os.path.dirname(path)).st_mode))\n"
        "told = sorted(json.loads(text), key=lambda entry: entry['key'])\n"
        "told[1]['value']['b'] = -1\n"
        "del told[0]\n"
        "told.append({'key': -9, 'value': {'c': 7}})\n"
        "text = json.dumps(told)"
    )

    answer = edit(fd)

    assert (answer.rc, answer.stdout) == (0, b"1 changed, 1 added, 1 deleted\n")
    assert {entry["formatted"]["key"]: entry["formatted"]["value"] for entry in json.loads(dump(fd))} == {
        1: {"a": 1, "b": -1, "c": 6},
        2: {"a": 2, "b": 5, "c": 6},
        -9: {"a": 0, "b": 0, "c": 7},
    }
    assert left_behind(tmp_path) == []
    assert stat.S_IMODE(int(note.read_text(), 8)) & 0o077 == 0


@pytest.mark.parametrize("kind", [HASH, PERCPU_HASH, ARRAY])
def test_bytes_are_edited(stack, editor, kind):
    fd = create(stack, kind, 4, 2, 2)
    client.map_update(
        fd,
        U32(1),
        b"ab".ljust(2 if kind != PERCPU_HASH else 8, b"\0") * (client.CPUS if kind == PERCPU_HASH else 1),
    )
    editor("assert '61 62' in text; text = text.replace('61 62', '63 64')")

    assert edit(fd).stdout == b"1 changed\n"
    value = ordered(dump(fd))[-1]
    told = value["values"][0]["value"] if kind == PERCPU_HASH else value["value"]
    assert told == ["0x63", "0x64"]


def test_one_entry_is_edited(stack, editor):
    fd = create(stack, HASH, 4, 2, 4)
    for number in range(3):
        client.map_update(fd, U32(number), b"ab")
    editor("assert text.count('key') == 1; text = text.replace('61', '00')")

    assert edit(fd, "key", "2").stdout == b"1 changed\n"
    assert [entry["value"][0] for entry in ordered(dump(fd))] == ["0x61", "0x61", "0x00"]
    assert edit(fd, "key", "9").rc == 3


def test_nothing_was_edited(stack, tmp_path, editor):
    (fd,) = typed(stack)
    client.map_update(fd, U32(1), bytes(16))
    editor("")
    assert edit(fd).stdout == b"nothing was changed\n"
    editor("sys.exit(3)")
    answer = edit(fd)
    assert (answer.rc, answer.stderr) == (255, b"Error: the editor ended with exit code 3, so nothing was changed\n")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("text = text[:-5]", "this is no JSON"),
        ("text = '[' * 100000", "this is no JSON"),
        ("open(path, 'wb').write(b'[\"\\xe9\"]'); sys.exit()", "this is no JSON"),
        ("text = '{}'", "this is no list of entries"),
        ("text = text.replace('61 62', '61 6')", "entry 1: value: "),
        ("text = text.replace('61 62', '61 62 63')", "entry 1: value: "),
        ("text = text.replace('\"value\"', '\"valeu\"')", "entry 1: it is no object of key and value"),
        ("text = '[' + text[2:-2] + ',' + text[2:]", "entry 2: its key is that of another one"),
    ],
)
def test_what_cannot_be_applied_is_kept(stack, tmp_path, editor, code, says):
    fd = create(stack, HASH, 4, 2, 4)
    client.map_update(fd, U32(1), b"ab")
    before = dump(fd)
    editor(code)

    answer = edit(fd)

    assert answer.rc == 255
    (kept,) = left_behind(tmp_path)
    assert says in answer.stderr.decode()
    assert answer.stderr.decode().endswith(f"; the text is kept in {kept}/map-{word(fd)}.json\n")
    assert dump(fd) == before


def test_what_others_changed_meanwhile_is_left_alone(stack, tmp_path, editor):
    fd = create(stack, HASH, 4, 2, 4)
    for number in (1, 2):
        client.map_update(fd, U32(number), b"ab")
    command = [*BPFCTL, "map", "update", "id", word(fd), "key", "1", "value", "0", "0"]
    editor(f"subprocess.run({command}, check=True, env={ENVIRONMENT}); text = text.replace('61 62', '63 64')")

    answer = edit(fd)

    assert answer.rc == 1
    assert (
        "1 entries were changed by others meanwhile and left alone, first key 01 00 00 00 (1 changed)"
        in answer.stderr.decode()
    )
    assert [entry["value"] for entry in ordered(dump(fd))] == [["0x00", "0x00"], ["0x63", "0x64"]]
    assert len(left_behind(tmp_path)) == 1


def test_maps_in_maps_are_edited_by_their_ids(stack, editor):
    inner = [create(stack, ARRAY, 4, 4, 2) for _ in range(2)]
    fd = create(stack, ARRAY_OF_MAPS, 4, 4, 3, inner_map_fd=inner[0])
    client.map_update(fd, U32(1), U32(inner[0]))
    first, second = word(inner[0]), word(inner[1])
    editor(f"assert '\"value\": {first}' in text; text = text.replace('{first}', '{second}')")

    assert edit(fd).stdout == b"1 changed\n"
    assert json.loads(dump(fd))[0]["inner_map_id"] == int(second)
    editor("text = '[]'")
    assert edit(fd).stdout == b"1 deleted\n"
    assert json.loads(dump(fd)) == []


def test_what_cannot_be_edited(stack, editor):
    editor("")
    fd = create(stack, ARRAY, 4, 4, 20_000)
    answer = edit(fd)
    assert (answer.rc, b"too much for an editor" in answer.stderr) == (2, True)
    editor("text = '[]'")
    small = create(stack, ARRAY, 4, 4, 2)
    assert b"an array has all its keys always" in edit(small).stderr
    assert edit(create(stack, PROG_ARRAY, 4, 4, 2)).stdout == b"nothing was changed\n"
