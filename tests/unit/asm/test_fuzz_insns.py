"""The fuzzer of instructions: some of its words with each run of the tests, and that it finds faults."""

from __future__ import annotations

import pytest

from bpfctl.asm import disasm
from bpfctl.asm.insn import Insn, Reg
from tests.fuzz import insns, llvm
from tests.fuzz.assembled import assembled
from tests.unit.asm.test_disasm import LINES

# The assembler writes neither what only the kernel does, nor what no kernel takes.
UNSPOKEN = {
    "(8d) call bpf_tail_call#12",
    "(c2) nospec",
    "(bf) r0 = &(void __percpu *)(r0)",
    *(line for line in LINES if " jmp " in line or (" exit " in line and "goto" in line)),
}


@pytest.fixture(scope="module")
def peer() -> str:
    """Return the llvm-mc that tests/packages.sh installs."""
    found = llvm.found()
    assert found, "tests/packages.sh installs llvm-mc"
    return found


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("line", [line for line in LINES if line not in UNSPOKEN])
def test_every_instruction_is_assembled_again(line: str, order: str) -> None:
    """What the assembler's methods write for an instruction are the bytes that it was decoded from."""
    raw = LINES[line].encode(order)  # type: ignore[arg-type]

    assert raw == assembled(Insn.decode(raw, order), order)  # type: ignore[arg-type]


def test_some_thousand_words(peer: str) -> None:
    """LLVM takes many of them, and means the same by them."""
    told = insns.run(5000, 7, peer)

    assert told.words == 5000
    assert told.known > 2000
    assert told.taken > 1000
    assert told.alike > 400


@pytest.mark.parametrize(
    ("table", "key", "wrong"),
    [("_ALU", 0x00, "-="), ("_COMPARISONS", 0x60, ">="), ("_ATOMICS", 0xA1, "{off}"), ("_SIZES", None, ("u16",) * 4)],
)
def test_a_fault_is_found(
    table: str, key: int | None, wrong: object, peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that means something else is not LLVM's."""
    if key is None:
        monkeypatch.setattr(disasm, table, wrong)
    else:
        monkeypatch.setitem(getattr(disasm, table), key, wrong)
    with pytest.raises(AssertionError):
        insns.run(5000, 7, peer)


@pytest.mark.parametrize(
    ("our", "their"),
    [
        ("(61) r1 = *(u32 *)(r2 -8)", "w1 = *(u32 *)(r2 - 8)"),
        ("(db) r0 = atomic64_cmpxchg((u64 *)(r1 +8), r0, r2)", "r0 = cmpxchg_64(r1 + 8, r0, r2)"),
        ("(c3) r2 = atomic_xchg((u32 *)(r1 +8), r2)", "w2 = xchg32_32(r1 + 8, w2)"),
        ("(16) if w1 == 0xfffffff9 goto pc+8", "if w1 == -7 goto +8"),
        ("(06) gotol pc-7", "gotol -7"),
        ("(85) call bpf_map_lookup_elem#1", "call 1"),
        ("(18) r1 = 0xffffffffffffffff", "r1 = -1 ll"),
    ],
)
def test_common_ground(our: str, their: str) -> None:
    """Spelling is no difference."""
    assert llvm.ours(our) == llvm.theirs(their)


@pytest.mark.parametrize(
    ("our", "their"),
    [
        ("(61) r1 = *(u32 *)(r2 -8)", "w1 = *(u32 *)(r2 + 8)"),
        ("(04) w1 += 7", "r1 += 7"),
        ("(db) r2 = atomic64_xchg((u64 *)(r1 +8), r2)", "w2 = xchg32_32(r1 + 8, w2)"),
        ("(16) if w1 == 0x7 goto pc+8", "if w1 == -7 goto +8"),
    ],
)
def test_what_differs_still_does(our: str, their: str) -> None:
    """Meaning is."""
    assert llvm.ours(our) != llvm.theirs(their)


def test_registers_that_llvm_hides() -> None:
    """The assembler has no name for them."""
    with pytest.raises(ValueError, match="11 is not a valid Reg"):
        assembled(Insn(0xB7, 11), "little")
    assert len(Reg) == 11
