"""bpfctl.cli.data: the words behind key and value."""

from __future__ import annotations

import json
import struct
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.cli import data
from bpfctl.cli.data import Form
from bpfctl.cli.grammar import Words
from bpfctl.errors import UsageError
from bpfctl.kernel.address import address
from btf import types
from btf.encode import Encoder
from btf.read import BTF
from btf.value import Decoder
from btf.write import Builder

LITTLE = sys.byteorder == "little"


def typed():
    """Encoders of an enum, a text, a struct and an array of bytes."""
    b = Builder(byteorder=sys.byteorder)
    u32, char, u8 = b.add_int("unsigned int", 4), b.add_int("char", 1), b.add_int("unsigned char", 1)
    state = b.add_enum("task_state", [("RUNNING", 0), ("STOPPED", 4)])
    text = b.add_array(char, u32, 8)
    mac = b.add_array(u8, u32, 6)
    s32 = b.add_int("int", 4, encoding=types.SIGNED)
    members = [("pid", u32), ("state", state, 32), ("comm", text, 64), ("mac", mac, 128), ("home", u32, 192)]
    task = b.add_struct("task", 28, members)
    btf = BTF.from_bytes(b.build())
    parts = {"u32": u32, "s32": s32, "state": state, "text": text, "task": task, "mac": mac}
    return {name: Encoder(btf, id_, address) for name, id_ in parts.items()}, Decoder(btf, task)


TYPES, TASK = typed()


def form(size, of=None, **facts):
    return Form("value", size, lambda: TYPES.get(of), **facts)


def read(line, wanted, old=None):
    """Return the bytes of a line, which may have more words behind them."""
    words = Words(line if isinstance(line, list) else line.split())
    return data.parse(words, wanted, old).packed(), len(words)


def native(number, size):
    return (number % (1 << size * 8)).to_bytes(size, sys.byteorder)


@pytest.mark.parametrize(
    ("line", "wanted", "expected"),
    [
        ("1 2 3 4", form(4), b"\1\2\3\4"),
        ("10 0x0a 012 255", form(4), b"\x0a\x0a\x0a\xff"),
        ("hex 1 0x2 a ff", form(4), b"\1\2\x0a\xff"),
        ("h a b", form(2), b"\x0a\x0b"),
        ("7", form(1), b"\7"),
        ("-7", form(1), b"\xf9"),
        ("42", form(4), native(42, 4)),
        ("-2", form(8), native(-2, 8)),
        ("0xffffffffffffffff", form(8), b"\xff" * 8),
        ("300", form(2), native(300, 2)),
        ("str text", form(8), b"text\0\0\0\0"),
        ("str 12345678", form(8), b"12345678"),
        ("10.0.0.1", form(4), b"\x0a\0\0\1"),
        ("fe80::1", form(16), b"\xfe\x80" + bytes(13) + b"\1"),
        ("aa:bb:cc:dd:ee:0f", form(6), b"\xaa\xbb\xcc\xdd\xee\x0f"),
        ("10.0.0.0/8", form(8, prefix=True), native(8, 4) + b"\x0a\0\0\0"),
        ("10.0.0.1", form(8, prefix=True), native(32, 4) + b"\x0a\0\0\1"),
        ("fe80::/10", form(20, prefix=True), native(10, 4) + b"\xfe\x80" + bytes(14)),
        ("8 0 0 0 10 0 0 0", form(8, prefix=True), b"\x08\0\0\0\x0a\0\0\0"),
        ('["0x01",2]', form(2), b"\1\2"),
        ("[0,255]", form(2), b"\0\xff"),
        ('"text"', form(6), b"text\0\0"),
        ("[]", form(0), b""),
        ("42", form(4, "u32"), native(42, 4)),
        ("-42", form(4, "s32"), native(-42, 4)),
        ("STOPPED", form(4, "state"), native(4, 4)),
        ("7", form(4, "state"), native(7, 4)),
        ("eth0", form(8, "text"), b"eth0\0\0\0\0"),
        ("42", form(8, "text"), b"42\0\0\0\0\0\0"),
        ('{"pid":7,"mac":"aa:bb:cc:dd:ee:ff","home":"127.0.0.1"}', form(28, "task"),
         native(7, 4) + bytes(12) + b"\xaa\xbb\xcc\xdd\xee\xff\0\0" + b"\x7f\0\0\1"),
        (".pid=7 .state=STOPPED .comm=42", form(28, "task"), native(7, 4) + native(4, 4) + b"42".ljust(20, b"\0")),
        ("5", form(4, cpus=2), (native(5, 4) + bytes(4)) * 2),
        ("1 2 3 4", form(4, cpus=2), b"\1\2\3\4\0\0\0\0" * 2),
        ("[5,-1]", form(4, cpus=2), native(5, 4) + bytes(4) + native(-1, 4) + bytes(4)),
        ("[5,-1]", form(1, cpus=2), b"\5" + bytes(7) + b"\xff" + bytes(7)),
        ('["5","x"]', form(1, cpus=2), b"\5" + bytes(7) + b"x" + bytes(7)),
        ('"255"', form(1), b"\xff"),
        ("cpu 1 5", form(4, cpus=2), bytes(8) + native(5, 4) + bytes(4)),
        ("cpu 1 1 2 3 4 cpu 0 hex f 0 0 0", form(4, cpus=2), b"\x0f" + bytes(7) + b"\1\2\3\4" + bytes(4)),
    ],
)  # fmt: skip
def test_forms(line, wanted, expected):
    assert read(line, wanted) == (expected, 0)
    if "cpu" not in line:
        assert read(f"{line} key 1 2", wanted) == (expected, 3), "it ends where the next word begins"


def test_what_stays():
    old = bytes(range(28))
    assert read(".state=RUNNING .mac[1]=255", form(28, "task"), lambda: old) == (
        old[:4] + bytes(4) + old[8:17] + b"\xff" + old[18:], 0,
    )  # fmt: skip
    slots = bytes(range(64))
    new, _ = read("cpu 1 .pid=0", form(28, "task", cpus=2), lambda: slots)
    assert new == slots[:28] + bytes(8) + slots[36:60] + bytes(4)
    assert data.parse(Words([".pid=0"]), form(28, "task"), lambda: old).changed
    assert not data.parse(Words(["{}"]), form(28, "task"), lambda: old).changed


@pytest.mark.parametrize(
    ("line", "wanted", "sentence"),
    [
        ("1 2 3", form(4), "value expected 4 bytes got 3"),
        ("", form(4), "value expected 4 bytes got 0"),
        ("5", form(24), "value expected 24 bytes got 1"),
        ("zz", form(4), "error parsing byte: zz"),
        ("1 zz", form(4), "error parsing byte: zz"),
        ("1 2_0 3 4", form(4), "error parsing byte: 2_0"),
        (["5 "], form(1), "error parsing byte: 5 "),
        (["hex", "5\n"], form(1), "error parsing byte: 5\n"),
        ("1 256 3 4", form(4), "error parsing byte: 256 is more than 255"),
        ("hex 1 100 3 4", form(4), "error parsing byte: 100 is more than 255"),
        ("256", form(1), "error parsing byte: 256 is more than 255"),
        ("1 -1 3 4", form(4), "error parsing byte: -1"),
        ("70000", form(2), "value: 70000 is out of the range of 2 bytes (-32768 to 65535)"),
        ("-129", form(1), "value: -129 is out of the range of 1 bytes (-128 to 255)"),
        ("str abcde", form(4), "value: text of 5 bytes does not fit into 4"),
        ("10.0.0.0/33", form(8, prefix=True), "value: '10.0.0.0/33' has no prefix length of 0 to 32"),
        ("10.0.0.0/x", form(8, prefix=True), "value: '10.0.0.0/x' has no prefix length of 0 to 32"),
        ('{"a":1}', form(4), "value: the map has no types, so that names mean nothing"),
        (".a=1", form(4), "value: the map has no types, so that .a means nothing"),
        (".pid", form(28, "task"), "value: what is .pid to be? (.pid=VALUE)"),
        (".pdi=1", form(28, "task"), "value: struct task has no member 'pdi', did you mean 'pid'?"),
        ("RUNING", form(4, "state"), "value: enum task_state has no member 'RUNING', did you mean 'RUNNING'?"),
        (
            '{"state":"RUNING"}',
            form(28, "task"),
            "value: state: enum task_state has no member 'RUNING', did you mean 'RUNNING'?",
        ),
        ("-1", form(4, "u32"), "value: -1 is out of the range of unsigned int (0 to 4294967295)"),
        ("[1,2,3]", form(4, cpus=2), "value: a list has one item for each of 2 CPUs, not 3"),
        ("[1,2,256]", form(3), "value: without types a list is one of 3 bytes"),
        ("[1,256]", form(1, cpus=2), "value: 256 is no number of 1 bytes"),
        ("[1,2]", form(12, cpus=2), "value: 1 is no number of 12 bytes"),
        ("cpu 2 1", form(4, cpus=2), "there is no CPU 2: they are 0 to 1"),
        ("cpu x 1", form(4, cpus=2), "there is no CPU x: they are 0 to 1"),
        ("cpu 1", form(4, cpus=2), "value expected 4 bytes got 0"),
        ("cpu", form(4, cpus=2), "the number of the CPU is missing"),
    ],
)
def test_mistakes(line, wanted, sentence):
    with pytest.raises(UsageError) as caught:
        read(line, wanted)

    assert str(caught.value) == sentence


def test_nothing_whose_rest_could_stay():
    with pytest.raises(UsageError, match=r"there is no value whose rest could stay when \.pid is set"):
        read(".pid=1", form(28, "task"), lambda: None)


def test_broken_json():
    for text in '{"a"', "[" * 100000, '{"pid":' + "1" * 5000 + "}":
        with pytest.raises(UsageError, match="value: this is no JSON"):
            read([text], form(28, "task"))


pieces = st.sampled_from(
    ["hex", "str", "cpu", "0", "1", "-1", "255", "0x10", "012", "{", '"', "[1,2]", "[[]]", '{"pid":1}', "{}", ".pid=1",
     ".", ".=", ".comm[0]=1", ".pid[", "a", "key", "any", "", "-", "RUNNING", "1.2.3.4", "::1", "1.2.3.4/8", "null"],
)  # fmt: skip
line = st.lists(st.one_of(pieces, st.text(max_size=6)), max_size=8)
forms = st.builds(
    lambda size, of, prefix, cpus: form(TYPES[of].size if of else size, of, prefix=prefix, cpus=cpus),
    st.integers(0, 20), st.sampled_from([None, *TYPES]), st.booleans(), st.integers(0, 3),
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(line, forms)
def test_any_words_are_bytes_or_a_mistake(words, wanted):
    room = (wanted.size + 7 & ~7) * wanted.cpus or wanted.size
    for old in None, lambda: bytes(room), lambda: None:
        with suppress(UsageError):
            found = data.parse(Words(words), wanted, old)
            assert {len(part) for part in found.parts} == {wanted.size}
            assert len(found.parts) == max(wanted.cpus, 1)


@settings(deadline=None)
@given(st.integers(0, (1 << 32) - 1), st.sampled_from([0, 4]), st.text(st.characters(codec="ascii"), max_size=7))
def test_what_is_written_reads_back(pid, state, comm):
    value = {"pid": pid, "state": state, "comm": comm}
    with suppress(UsageError):
        raw, _ = read([json.dumps(value)], form(28, "task"))
        assert struct.unpack_from("=II", raw) == (pid, state)
        assert raw[8:16] == comm.encode().ljust(8, b"\0")
        assert TASK(raw)["pid"] == pid
