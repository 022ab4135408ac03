"""bpfctl.kernel.saved: files of entries, right ones in any spelling, and damaged ones."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import SavedError
from bpfctl.host import cpus
from bpfctl.kernel import saved, saved_fast
from bpfctl.kernel.elements import pieces
from bpfctl.kernel.map import MapInfo
from bpfctl.kernel.saved import Saved
from bpfctl.kernel.saved_entry import Entries
from bpfctl.kernel.saved_fast import learn
from bpfctl.uapi.enums import MapType

CPUS = 3


@pytest.fixture(autouse=True)
def _three_cpus(monkeypatch):
    monkeypatch.setattr(cpus, "possible", lambda: CPUS)


def info(kind=MapType.HASH, key=2, value=3):
    return MapInfo(7, kind, key, value, 100, 0, "m", 0, 0, 0, 0, 0, 0, 0, 0)


@contextmanager
def opened(text):
    fd = os.memfd_create("saved")
    try:
        os.pwrite(fd, text if isinstance(text, bytes) else text.encode(), 0)
        yield Saved(fd)
    finally:
        os.close(fd)


def read(text, of=None):
    """Return the entries of a file, and what it tells of the map."""
    of = of or info()
    with opened(text) as file:
        head = file.begin()
        form = Entries(of)
        file.fits(form)
        found = []
        for chunk in file.chunks(form):
            keys = pieces(chunk.keys, of.key_size, chunk.entries)
            found += zip(keys, pieces(chunk.values, form.room, chunk.entries), strict=True)
        return found, head


def spelled(data):
    return [f"{byte:#04x}" for byte in data]


def entry(key, value):
    return {"key": spelled(key), "value": spelled(value)}


ENTRIES = st.lists(st.tuples(st.binary(min_size=2, max_size=2), st.binary(min_size=3, max_size=3)), max_size=40)


@given(ENTRIES, st.sampled_from([None, 0, 1, 4]), st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n")]))
def test_entries_in_any_spelling(entries, indent, separators):
    document = [entry(*pair) for pair in entries]

    assert read(json.dumps(document, indent=indent, separators=separators)) == (entries, {})


TYPED = st.recursive(
    st.none() | st.integers() | st.text() | st.just('}},{"key":["0x'),
    lambda of: st.lists(of) | st.dictionaries(st.text(), of),
)


@given(st.lists(st.tuples(st.binary(min_size=2, max_size=2), st.binary(min_size=3, max_size=3), TYPED)), st.data())
def test_entries_with_values_by_types(entries, data):
    """What stands behind the bytes may be any JSON, and is no bytes."""
    document = [entry(key, value) | {"formatted": {"value": typed}} for key, value, typed in entries]
    how = data.draw(st.sampled_from([{"separators": (",", ":")}, {"indent": 4}, {"ensure_ascii": False}]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_fast, "_TYPED", data.draw(st.sampled_from([200, 1000, 1 << 18])))

        assert read(json.dumps(document, **how))[0] == [(key, value) for key, value, _ in entries]


@given(ENTRIES, st.integers(1, 60))
def test_pieces_of_any_size(entries, size):
    """However the text is cut, and whichever entries are read many at once, the answer is the same."""
    document = json.dumps([entry(*pair) for pair in entries], separators=(",", ":"))
    with pytest.MonkeyPatch.context() as patch:
        for room, name, number in (
            (saved, "_READ", size),
            (saved, "_WINDOW", size),
            (saved_fast, "_ALIKE", size % 4 + 1),
        ):
            patch.setattr(room, name, number)

        assert read(document)[0] == entries


@given(ENTRIES.filter(bool), st.data())
def test_any_damage_is_an_error_or_read_as_json_does(entries, data):
    """One byte is changed, added or taken away: the entries are those that Python's own reader finds, or none are.

    Both take strings as bpftool writes them, with whatever bytes a program has put there.
    """
    more = data.draw(st.sampled_from([{}, {"formatted": {"key": 1, "value": [2, "x"]}}]))
    text = bytearray(json.dumps([entry(*pair) | more for pair in entries], separators=(",", ":")).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    how = data.draw(st.sampled_from(["change", "add", "cut", "end"]))
    byte = data.draw(st.one_of(st.sampled_from(list(b' "0[]{},:x')), st.integers(0, 255)))
    if how == "change":
        text[at] = byte
    elif how == "add":
        text.insert(at, byte)
    elif how == "cut":
        del text[at]
    else:
        del text[at:]

    try:
        found = read(bytes(text))[0]
    except SavedError:
        return

    told = json.loads(text.decode(errors="surrogateescape"), strict=False)
    numbers = [[[int(item, 16) for item in one[name]] for name in ("key", "value")] for one in told]
    assert [[list(key), list(value)] for key, value in found] == numbers


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda of: st.lists(of) | st.dictionaries(
    st.sampled_from(["key", "value", "values", "formatted", "error", "elements", "id", "x"]), of)))  # fmt: skip
def test_any_other_json_is_an_error(document):
    try:
        found, _ = read(json.dumps(document))
    except SavedError:
        return

    assert found == []


@given(st.binary(max_size=200))
def test_anything_at_all_is_an_error(text):
    with pytest.raises(SavedError):
        read(b"[" + text + b"\0")


def test_values_of_cpus():
    of = info(MapType.PERCPU_HASH, 1, 3)
    values = [{"cpu": cpu, "value": spelled([cpu] * 3)} for cpu in range(CPUS)]
    many = [{"key": spelled([n]), "values": values} for n in range(50)]

    expected = b"".join(bytes([cpu] * 3).ljust(8, b"\0") for cpu in range(CPUS))
    assert read(json.dumps(many), of)[0] == [(bytes([n]), expected) for n in range(50)]
    many[49]["values"] = values[::-1]
    assert read(json.dumps(many), of)[0] == [(bytes([n]), expected) for n in range(50)]
    for wrong in (values[:2], [*values, {"cpu": 3, "value": spelled(bytes(3))}], [values[0]] * 3, [1, 2, 3], {}):
        many[49]["values"] = wrong
        with pytest.raises(SavedError, match="entry 50 of the file"):
            read(json.dumps(many), of)


def test_what_a_file_tells_of_a_map():
    head = {"id": 7, "type": "hash", "name": "m", "flags": 0, "bytes_key": 2}
    document = [{**head, "elements": [entry(b"ab", b"cde")], "more": {"a": [1]}}]

    assert read(json.dumps(document)) == ([(b"ab", b"cde")], head)
    assert read(json.dumps(document[0])) == ([(b"ab", b"cde")], head)
    assert read(json.dumps(entry(b"ab", b"cde"))) == ([(b"ab", b"cde")], {})


@pytest.mark.parametrize("read_at_once", [100, 1 << 20])
def test_one_map_is_not_taken_for_several(monkeypatch, read_at_once):
    """Wherever its entries begin in the text that is looked through, and whatever members its values have."""
    monkeypatch.setattr(saved, "_READ", read_at_once)
    typed = {"formatted": {"value": {"elements": [{"id": 1}]}}}
    for length in range(200):
        for entries in ([], [(b"ab", b"cde")]):
            document = {"id": 7, "name": "m" * length, "elements": [entry(*pair) | typed for pair in entries]}
            assert read(json.dumps([document]))[0] == entries
            with pytest.raises(SavedError, match="entries of several maps"):
                read(json.dumps([document, document]))


def test_maps_before_the_one_that_is_chosen_may_have_entries_of_any_length():
    large, small = ({"id": n, "elements": [entry(b"ab", bytes(size))]} for n, size in ((1, 400_000), (2, 3)))
    with opened(json.dumps([large, small])) as file:
        file.begin("2")
        form = Entries(info())
        file.fits(form)

        assert [chunk.values for chunk in file.chunks(form)] == [bytes(3)]


def test_templates_are_learned_from_bytes_alone():
    form = Entries(info())
    text = json.dumps(entry(b"ab", b"cde")).encode() + b","
    assert learn(text, entry(b"ab", b"cde"), form) is not None
    for other in (
        {"value": spelled(b"cde"), "key": spelled(b"ab")},
        {"formatted": {}, **entry(b"ab", b"cde")},
        {"key": {"a": "0x01", "b": "0x02"}, "value": spelled(b"cde")},
        {"key": spelled(b"ab"), "value": {"error": "0x01"}},
    ):
        assert learn(json.dumps(other).encode() + b",", other, form) is None


def test_an_entry_that_never_ends_is_not_read_into_memory():
    """What is longer than any entry of this map can be is an error long before its end."""
    fd, out = os.pipe()
    child = os.fork()
    if not child:
        os.close(fd)
        try:
            os.write(out, b'[{"key":["')
            while True:
                os.write(out, b"0" * 65536)
        finally:
            os._exit(0)
    os.close(out)
    file = Saved(fd)
    file.begin()
    form = Entries(info())
    file.fits(form)

    with pytest.raises(SavedError, match="longer than an entry of this map can be"):
        list(file.chunks(form))
    os.close(fd)
    os.waitpid(child, 0)


def test_damage_right_after_entries_that_were_alike():
    """What begins a block of entries is looked at like all that follows in it."""
    typed = {"formatted": {"key": 1, "value": [2, "x"]}}
    text = json.dumps([entry(b"\0\0", b"\0\0\0") | typed for _ in range(4)], separators=(",", ":")).encode()
    starts = [match.start() for match in re.finditer(rb'\{"key":\["0x', text)]

    assert len(read(text)[0]) == len(starts) == 4
    for start in starts:
        for at in range(start, start + len('{"key":["0x')):
            with pytest.raises(SavedError):
                read(text[:at] + b"~" + text[at + 1 :])
