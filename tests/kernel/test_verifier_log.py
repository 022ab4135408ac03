"""What a person is told about a program that the verifier refuses, with real refusals of the kernel that runs."""

from __future__ import annotations

import os
import struct
from errno import E2BIG
from fnmatch import fnmatchcase

import pytest

from bpfctl.__main__ import run
from bpfctl._sys import calls, programs
from bpfctl.asm.build import Program as Code
from bpfctl.asm.disasm import text
from bpfctl.asm.insn import BPF_ADD, BPF_ATOMIC, BPF_B, BPF_H, BPF_STX, R0, R1, R10, Insn
from bpfctl.cli import app
from bpfctl.errors import VerifierError
from bpfctl.kernel import verifier
from bpfctl.kernel.btf import Btf
from bpfctl.kernel.prog import Program
from bpfctl.render.sink import Sink
from bpfctl.uapi.enums import ProgType
from tests.kernel import client
from tests.kernel.mistakes import MISTAKES, Maps
from tests.kernel.typeblob import SIGNED, Blob

SOCKET_FILTER = 1


@pytest.fixture
def maps():
    with Maps() as made:
        yield made


def load(mistake, maps):
    insns = mistake.program(maps).assemble()
    with Program.load(ProgType(mistake.prog_type), insns, name="mistaken", license=mistake.license.decode()):
        pass


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_told(name, maps):
    """In a sentence, with the instruction; the kernel's own words and log are there too."""
    mistake = MISTAKES[name]
    code = mistake.program(maps)
    try:
        load(mistake, maps)
    except VerifierError as error:
        refused = error
    else:
        # Since Linux 6.3 privileged programs may read what they have not written to their stack.
        assert name == "stack that nobody has written", "the kernel takes it"
        return
    refusal = refused.refusal

    assert fnmatchcase(refusal.sentence, mistake.sentence), refused.log[-3000:]
    assert refusal.complaint
    assert refusal.slot == (None if mistake.at is None else code.offset(mistake.at)), refused.log[-3000:]
    where = "it" if refusal.slot is None else f"instruction {refusal.slot}"
    assert refused.sentence == f"can't load program 'mistaken': the verifier refuses {where}: {refusal.sentence}"
    if refusal.slot is not None:
        raw = code.assemble()[8 * refusal.slot :]
        assert refusal.insn == text(Insn.decode(raw))
        assert refused.__notes__[0] == f"{refusal.slot}: {refusal.insn}"
    for line in refusal.complaint:
        assert line in refused.log
    assert len("\n".join(refused.__notes__)) < 3000


@pytest.mark.parametrize(
    ("name", "register", "value"),
    [
        ("null pointer", "R0", "map_value_or_null("),
        ("past the value", "R0", "map_value("),
        ("shifted pointer", "R1", "ctx("),
        ("number for a pointer", "R2", ""),
        ("shift too far", "R0", ""),
    ],
)
def test_registers(name, register, value, maps):
    """What the kernel knows of the register at fault is shown, whatever kernel it is."""
    with pytest.raises(VerifierError) as caught:
        load(MISTAKES[name], maps)
    known = dict(caught.value.refusal.registers)

    assert known[register].startswith(value)
    assert f"{register}={known[register]}" in "\n".join(caught.value.__notes__)


def test_a_log_of_fifty_megabytes():
    """It is cut; the sentence and the error are those of a short one all the same."""
    code = Code().mov(R0, 0).label("again").add(R0, 1).jump("jlt", R0, 10_000_000, "again").exit_()
    with pytest.raises(VerifierError) as caught:
        Program.load(ProgType.SOCKET_FILTER, code.assemble(), name="counting")
    refusal = caught.value.refusal

    assert caught.value.errno == E2BIG
    assert 10_000 < len(caught.value.log) < 17 << 20
    assert refusal.slot is None
    assert refusal.sentence == (
        "there are too many ways through the program, or too many rounds in its loops: 1000001 instructions"
    )
    assert len("\n".join(caught.value.__notes__)) < 3000


def test_source():
    """The line of source of the instruction, and where it is if the kernel says so."""
    blob = Blob()
    number = blob.int_("int", 4, SIGNED)
    main = blob.func("main", number, [("ctx", blob.ptr(0))])
    file = blob.string("src/prog.c")
    lines = [(0, "int x = 1;", 10, 5), (1, "return *missing;", 12, 7)]
    raw_lines = b"".join(
        struct.pack("=IIII", at, file, blob.string(line), row << 10 | column) for at, line, row, column in lines
    )
    types = client.btf_load(blob.raw())
    try:
        with pytest.raises(programs.LoadError) as caught:
            programs.load(
                SOCKET_FILTER,
                Code().mov(R1, 1).ldx(8, R0, R1, 0).exit_().assemble(),
                btf_fd=types,
                func_info=struct.pack("=II", 0, main),
                line_info=raw_lines,
                log_level=1,
            )
    finally:
        os.close(types)
    refusal = verifier.read(caught.value.log)

    assert (refusal.slot, refusal.source) == (1, "return *missing;")
    assert refusal.place in {"", "prog.c:12", "src/prog.c:12"}
    assert "source: return *missing;" in "\n".join(verifier.notes(refusal))


def told(capfd, monkeypatch, command, *words):
    """Run a command line whose command does something of ours; return what is said on stderr."""
    monkeypatch.setattr(app, "run", lambda *_: command())
    out = os.memfd_create("output")
    try:
        assert run(words, Sink(out)) == 255
        return capfd.readouterr().err, os.pread(out, 1 << 16, 0).decode()
    finally:
        calls.set_trace(None)
        os.close(out)


def test_on_the_command_line(capfd, monkeypatch, maps):
    """The sentence, then where and why; with -d all of the log."""
    mistake = MISTAKES["null pointer"]
    err, _ = told(capfd, monkeypatch, lambda: load(mistake, maps), "prog", "list")
    lines = err.splitlines()

    assert lines[0] == (
        "Error: can't load program 'mistaken': the verifier refuses instruction 6: "
        "R0 may be null: compare it with 0 before you use it"
    )
    assert lines[1] == "  6: (79) r1 = *(u64 *)(r0 +0)"
    assert lines[2].startswith("  known: R0=map_value_or_null(")
    assert lines[3] == "  the kernel's words: R0 invalid mem access 'map_value_or_null'"
    assert lines[-2].strip() == "R0 invalid mem access 'map_value_or_null'"
    assert lines[-1] == "  (-d shows all of it)"
    assert "processed" not in err

    err, _ = told(capfd, monkeypatch, lambda: load(mistake, maps), "-d", "prog", "list")
    assert err.splitlines()[-1].startswith("processed 6 insns")


def test_in_json(capfd, monkeypatch, maps):
    """One sentence, as for every error."""
    err, out = told(capfd, monkeypatch, lambda: load(MISTAKES["no result"], maps), "-j", "prog", "list")

    assert err == ""
    assert out == (
        "{\"error\":\"can't load program 'mistaken': the verifier refuses instruction 0: "
        'R0 is read before anything is written to it"}\n'
    )


def test_who_may_not_load_is_told_so():
    """Where the kernel refuses without asking the verifier there is its errno."""
    with pytest.raises(VerifierError) as caught:
        Program.load(ProgType.SOCKET_FILTER, b"", name="empty")

    assert caught.value.sentence == "can't load program 'empty': Argument list too long"
    assert not hasattr(caught.value, "__notes__")


def test_types_that_are_refused():
    """The kernel's last words are told."""
    blob = Blob()
    blob.ptr(77)
    with pytest.raises(VerifierError) as caught:
        Btf.load(blob.raw())

    assert caught.value.refusal is None
    assert caught.value.__notes__ == ["the kernel's words: [1] PTR (anon) type_id=77 Invalid type_id"]


@pytest.mark.parametrize("size", [BPF_B, BPF_H])
def test_no_kernel_has_atomics_of_one_or_two_bytes(size):
    """So the assembler writes none."""
    code = Code().st(8, R10, -8, 0).mov(R1, 1).raw(Insn(BPF_STX | BPF_ATOMIC | size, R10, R1, -8, BPF_ADD))
    with pytest.raises(VerifierError) as caught:
        Program.load(ProgType.SOCKET_FILTER, code.mov(R0, 0).exit_().assemble(), name="small")

    # Before 6.15 and its loads and stores with an order, these opcodes were none.
    assert caught.value.refusal.sentence in {
        "an atomic operation is on 4 or 8 bytes",
        f"this kernel has no instruction with opcode {BPF_STX | BPF_ATOMIC | size:02x}",
    }
