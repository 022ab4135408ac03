"""Notes of static probes, and where their arguments are on both kinds of machines."""

from __future__ import annotations

import struct

import pytest
from bpfctl_usdt import field, note
from bpfctl_usdt.operand import Argument, Constant, Index, InMemory, InRegister, arguments
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.elf.image import Note, Section
from bpfctl.errors import NotFound
from bpfctl.probe.code import Code
from bpfctl.probe.registers import ARM64, X86_64

SYMBOLS = {"table": 0x4010, "made.up$1": 0x8123}
X86, ARM = X86_64.at, ARM64.at


@pytest.mark.parametrize(
    ("text", "operand"),
    [
        ("8@%rax", InRegister(X86["rax"])),
        ("4@%eax", InRegister(X86["rax"])),
        ("2@%ax", InRegister(X86["rax"])),
        ("1@%al", InRegister(X86["rax"])),
        ("1@%ah", InRegister(X86["rax"] + 1)),
        ("1@%sil", InRegister(X86["rsi"])),
        ("4@%ebp", InRegister(X86["rbp"])),
        ("1@%spl", InRegister(X86["rsp"])),
        ("8@%r15", InRegister(X86["r15"])),
        ("-4@%r9d", InRegister(X86["r9"])),
        ("-2@%r10w", InRegister(X86["r10"])),
        ("-1@%r8b", InRegister(X86["r8"])),
        ("-4@$-7", Constant(-7)),
        ("8@$0x7fffffffffff", Constant(0x7FFFFFFFFFFF)),
        ("8@$table", Constant(0, "table")),
        ("8@$table+8", Constant(8, "table")),
        ("-4@-20(%rbp)", InMemory(X86["rbp"], None, -20)),
        ("8@(%rax)", InMemory(X86["rax"], None, 0)),
        ("8@0x10(%rax)", InMemory(X86["rax"], None, 16)),
        ("8@(%rax,%rbx)", InMemory(X86["rax"], Index(X86["rbx"], 0), 0)),
        ("8@8(%rax,%rbx,8)", InMemory(X86["rax"], Index(X86["rbx"], 3), 8)),
        ("8@-8(,%rbx,4)", InMemory(None, Index(X86["rbx"], 2), -8)),
        ("4@table(%rip)", InMemory(None, None, 0, "table")),
        ("4@table+4(%rip)", InMemory(None, None, 4, "table")),
        ("4@4+table(%rip)", InMemory(None, None, 4, "table")),
        ("4@made.up$1-4(%rip)", InMemory(None, None, -4, "made.up$1")),
        ("8@table(,%rax,8)", InMemory(None, Index(X86["rax"], 3), 0, "table")),
        ("8@0x601040", InMemory(None, None, 0x601040)),
        ("4@%xmm0", None),
        ("8f@%rax", None),
        ("8@%rflags", None),
        ("16@%rax", None),
        ("8@unknown(%rip)", None),
        ("8@16(%rip)", None),
        ("4@%fs:-4", None),
        ("4@-4(%rax,%rbx,3)", None),
        ("4@(%rax", None),
        ("4@", None),
        ("4@table+table(%rip)", None),
        ("4@-table(%rip)", None),
        ("%%", None),
    ],
)
def test_operands_of_x86(text, operand):
    (found,) = arguments(text, X86_64, SYMBOLS)

    assert found.operand == operand


@pytest.mark.parametrize(
    ("text", "operand"),
    [
        ("8@x0", InRegister(ARM["x0"])),
        ("-4@w30", InRegister(ARM["x30"])),
        ("8@fp", InRegister(ARM["x29"])),
        ("8@sp", InRegister(ARM["sp"])),
        ("8@xzr", Constant(0)),
        ("-4@5", Constant(5)),
        ("-4@-5", Constant(-5)),
        ("-4@#12", Constant(12)),
        ("8@010", Constant(10)),
        ("-4@[sp, 12]", InMemory(ARM["sp"], None, 12)),
        ("-4@[sp,12]", InMemory(ARM["sp"], None, 12)),
        ("8@[x0]", InMemory(ARM["x0"], None, 0)),
        ("8@[x29, #-8]", InMemory(ARM["x29"], None, -8)),
        ("8@[x0, x1]", InMemory(ARM["x0"], Index(ARM["x1"], 0), 0)),
        ("8@[x0, x1, lsl 3]", InMemory(ARM["x0"], Index(ARM["x1"], 3), 0)),
        ("4@[x0, w1, uxtw #2]", InMemory(ARM["x0"], Index(ARM["x1"], 2, 4), 0)),
        ("4@[x0, w1, sxtw 2]", InMemory(ARM["x0"], Index(ARM["x1"], 2, 4, signed=True), 0)),
        ("4@[x0, w1, sxtw]", InMemory(ARM["x0"], Index(ARM["x1"], 0, 4, signed=True), 0)),
        ("4@[x0, #:lo12:table]", InMemory(ARM["x0"], None, 0, "table", is_low=True)),
        ("4@[x0, :lo12:table+4]", InMemory(ARM["x0"], None, 4, "table", is_low=True)),
        ("8@d0", None),
        ("8@x31", None),
        ("8@[w0]", None),
        ("8@[x0, w1, lsl 3]", None),
        ("8@[x0, #8]!", None),
        ("8@[x0", None),
        ("4@[x0, :lo12:unknown]", None),
    ],
)
def test_operands_of_arm64(text, operand):
    (found,) = arguments(text, ARM64, SYMBOLS)

    assert found.operand == operand


def test_several_arguments():
    found = arguments("-4@[sp, 12] 8@x1  1@[x0, x1, lsl 3] 8f@d0", ARM64, {})

    assert [(one.text, one.size, one.signed, one.operand is not None) for one in found] == [
        ("-4@[sp, 12]", 4, True, True),
        ("8@x1", 8, False, True),
        ("1@[x0, x1, lsl 3]", 1, False, True),
        ("8f@d0", 8, False, False),
    ]
    assert arguments("", X86_64, {}) == ()
    assert arguments("%rax $5", X86_64, {}) == (  # as the first versions of sdt.h wrote them
        Argument("%rax", 8, signed=False, operand=InRegister(X86["rax"])),
        Argument("$5", 8, signed=False, operand=Constant(5)),
    )


WORDS = st.text(st.sampled_from("0123456789-@f$%()[],:#+ raxbpiwsltxu.table\n\0é"), max_size=40)


@given(st.one_of(WORDS, st.text(max_size=30)), st.sampled_from([X86_64, ARM64]))
def test_whatever_stands_there_is_read_or_opaque(text, registers):
    """And what is read becomes a program, whatever its numbers."""
    found = arguments(text, registers, SYMBOLS)
    around = field.Around(0x1000, SYMBOLS)
    fields = field.fields(found, around)
    assert [one.load is None for one in fields] == [argument.operand is None for argument in found]
    for one in (*fields, *field.strings(found, around, size=8)):
        code = Code()
        one.store(code, field.R1, code.room(64))
        assert code.end()


class Made:
    """A binary of notes alone."""

    name = "made"

    def __init__(self, notes, *, base=None):
        self.image = self
        self.sign, self.bits = "<", 64
        self._notes, self._base = notes, base

    def section(self, name):
        if name == ".stapsdt.base":
            return None if self._base is None else Section(name, 1, 0, self._base, 0, 1, 0, 0)
        return Section(name, 7, 0, 0, 0, 0, 0, 0) if self._notes is not None else None

    def notes(self, section):
        del section
        return self._notes


def described(*addresses, text=b"made\0probe\x008@%rax\0"):
    return struct.pack("<QQQ", *addresses) + text


def test_notes():
    made = Made(
        [Note(b"stapsdt", 3, described(0x1000, 0x5000, 0x6000)), Note(b"GNU", 3, b""), Note(b"stapsdt", 4, b"")]
    )

    assert note.sites(made) == [note.Site("made", "probe", 0x1000, 0x6000, "8@%rax")]


def test_a_file_that_was_moved():
    """As prelink does, which leaves notes as they are."""
    notes = [Note(b"stapsdt", 3, described(0x1000, 0x5000, 0x6000)), Note(b"stapsdt", 3, described(0x2000, 0x5000, 0))]

    assert [(site.address, site.semaphore) for site in note.sites(Made(notes, base=0x7000))] == [
        (0x3000, 0x8000),
        (0x4000, 0),
    ]


def test_names_that_no_spec_has():
    texts = (b"a:b\0c\0\0", b"a\0b:c\0\0", b"a\0c\0\0")
    made = Made([Note(b"stapsdt", 3, described(1, 2, 0, text=text)) for text in texts])

    assert [(site.provider, site.name) for site in note.sites(made)] == [("a", "c")]


def test_a_file_without_probes():
    with pytest.raises(NotFound, match="made has no static probes"):
        note.sites(Made(None))


@given(st.lists(st.binary(max_size=60)))
def test_damaged_notes_are_left_out(data):
    good = Note(b"stapsdt", 3, described(1, 2, 0))
    found = note.sites(Made([*(Note(b"stapsdt", 3, one) for one in data), good]))

    assert found[-1] == note.Site("made", "probe", 1, 0, "8@%rax")
    assert all(site.provider and site.name for site in found)
