"""Which instructions of a BPF object can be reached, once CO-RE relocations have given some of them their values.

A program asks whether a member exists before it uses it; on a kernel without the member, the answer is
the constant 0, and the verifier never gets to the instruction that nobody could fill in. Here constants
are followed as far as that needs: in registers, through moves, arithmetic and jumps, and from functions
to those that they call. What a program has put into memory is not known.

Instructions: the kernel's ``Documentation/bpf/standardization/instruction-set.rst``; relocations of calls:
``Documentation/bpf/llvm_reloc.rst``.
"""

from __future__ import annotations

from struct import Struct, iter_unpack
from typing import TYPE_CHECKING, NamedTuple

from btf import elf
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Literal

    #: A place in an object: the name of a section, and the number of an instruction.
    Place = tuple[str, int]
    State = tuple[int | None, ...]
    _Tables = list[tuple[str, elf.Header]]

_REGISTERS = 11
_ALL, _LOW = (1 << 64) - 1, (1 << 32) - 1
_LD, _LDX, _ST, _STX, _ALU, _JMP, _JMP32, _ALU64 = range(8)
_WIDE = 0x18  # BPF_LD | BPF_IMM | BPF_DW: takes two slots
_ATOMIC, _FETCH = 0xC0, 1
_MEM = 0x60
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_CALL, _EXIT, _JA = 0x8, 0x9, 0x0
_GOTOX = 0x0D  # BPF_JMP | BPF_JA | BPF_X: goes where a register says, which is read from a jump table
_PSEUDO_CALL = 1
_MOV = 0xB
_SYMTAB, _REL = 2, 9
_SECTION, _FUNCTION = 3, 2  # types of symbols
_TEXT = ".text"
_JUMP_TABLES = ".jumptables"  # each entry says how many bytes into its section an instruction lies

_ARITHMETIC: dict[int, Callable[[int, int, int], int]] = {
    0x0: lambda a, b, _: a + b,
    0x1: lambda a, b, _: a - b,
    0x2: lambda a, b, _: a * b,
    0x4: lambda a, b, _: a | b,
    0x5: lambda a, b, _: a & b,
    0x6: lambda a, b, bits: a << b % bits,
    0x7: lambda a, b, bits: a >> b % bits,
    0xA: lambda a, b, _: a ^ b,
    _MOV: lambda _, b, __: b,
    0xC: lambda a, b, bits: _signed(a, bits) >> b % bits,
}
_COMPARE: dict[int, Callable[[int, int, int], bool]] = {
    0x1: lambda a, b, _: a == b,
    0x2: lambda a, b, _: a > b,
    0x3: lambda a, b, _: a >= b,
    0x4: lambda a, b, _: a & b != 0,
    0x5: lambda a, b, _: a != b,
    0x6: lambda a, b, bits: _signed(a, bits) > _signed(b, bits),
    0x7: lambda a, b, bits: _signed(a, bits) >= _signed(b, bits),
    0xA: lambda a, b, _: a < b,
    0xB: lambda a, b, _: a <= b,
    0xC: lambda a, b, bits: _signed(a, bits) < _signed(b, bits),
    0xD: lambda a, b, bits: _signed(a, bits) <= _signed(b, bits),
}


def _signed(value: int, bits: int) -> int:
    sign = 1 << bits - 1
    return (value ^ sign) - sign


class Insn(NamedTuple):
    """One slot of eight bytes."""

    code: int
    dst: int
    src: int
    off: int
    imm: int

    @property
    def moves(self) -> bool:
        """Whether this loads from memory or stores into it."""
        return self.code & 7 in (1, _ST, _STX)

    @property
    def calls(self) -> bool:
        """Whether this calls another function of the program."""
        return self.code == _JMP | _CALL << 4 and self.src == _PSEUDO_CALL


class _Symbol(NamedTuple):
    """A symbol (the System V ABI's ``Elf64_Sym``)."""

    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


class Code(NamedTuple):
    """The instructions of an object by section, which calls go where, and where something begins to run.

    ``addresses`` are instructions that a loader puts an address into, ``targets`` the numbers of those in jump tables.
    """

    insns: dict[str, list[Insn]]
    calls: dict[Place, Place]
    entries: tuple[Place, ...]
    addresses: frozenset[Place] = frozenset()
    byteorder: Literal["little", "big"] = "little"
    targets: frozenset[int] = frozenset()

    def reached(
        self, values: Mapping[Place, int], unknown: Iterable[Place] = (), memory: Mapping[int, bytes] | None = None
    ) -> set[Place]:
        """Return what is reached when relocations have put ``values`` in, and what is ``unknown`` could be anything.

        ``memory`` is what never changes, by its address.
        """
        return _Run(self, values, frozenset(unknown) | self.addresses - values.keys(), memory or {}).run()


def read(data: bytes, names: Iterable[str], functions: dict[str, list[int]]) -> Code:
    """Return the code of some sections of an ELF file; ``functions`` has the bytes at which functions start in each.

    Everything that starts in another section than ``.text`` is a program, and so is there what nothing refers to.
    Raises BTFError when the file is damaged.
    """
    wanted = {*names, *functions}
    sign = "<" if data[5:6] == b"\1" else ">"
    tables = elf.headers(data)
    insns = {name: _instructions(elf.contents(data, head), sign) for name, head in tables if name in wanted}
    calls, addresses = _calls(data, tables, sign, insns)
    starts = [(name, at // 8) for name, places in functions.items() if name in insns for at in places]
    called = set(calls.values())
    entries = [place for place in starts if place[0] != _TEXT or place not in called]
    bare = [(name, 0) for name in insns if name not in functions]
    targets = _targets(data, tables, sign)
    return Code(insns, calls, (*entries, *bare), addresses, "little" if sign == "<" else "big", targets)


def _instructions(code: bytes, sign: str) -> list[Insn]:
    if len(code) % 8:
        raise BTFError(f"{len(code)} bytes of code are not a number of instructions")
    found = []
    for code_, registers, off, imm in iter_unpack(f"{sign}BBhi", code):
        low, high = registers & 15, registers >> 4
        found.append(Insn(code_, *((low, high) if sign == "<" else (high, low)), off, imm))
    return found


def _calls(
    data: bytes, tables: _Tables, sign: str, insns: dict[str, list[Insn]]
) -> tuple[dict[Place, Place], frozenset[Place]]:
    """Return where calls and addresses of functions lead to, within a section and where a linker has yet to finish.

    What it has to put any other address into comes second.
    """
    calls: dict[Place, Place] = {}
    addresses: set[Place] = set()
    for name, rows in insns.items():
        for at, insn in enumerate(rows):
            if insn.calls:
                calls[name, at] = name, at + 1 + insn.imm
    for name, at, symbol in _relocated(data, tables, sign, insns):
        insn = insns[name][at]
        to = tables[symbol.section][0] if symbol.section < len(tables) else ""
        if insn.code == _WIDE:
            addresses.add((name, at))
        inside = symbol.info & 15 == _SECTION  # then the instruction says how far into the section
        if to not in insns:
            calls.pop((name, at), None)
        elif insn.calls:
            calls[name, at] = to, symbol.value // 8 + (insn.imm + 1 if inside else 0)
        elif insn.code == _WIDE and (inside or symbol.info & 15 == _FUNCTION):
            calls[name, at] = to, symbol.value // 8 + (insn.imm // 8 if inside else 0)
    return calls, frozenset(addresses)


def _targets(data: bytes, tables: _Tables, sign: str) -> frozenset[int]:
    """Return where jump tables lead to; a table is not told from the next one, nor the section that it is for."""
    table = next((elf.contents(data, head) for name, head in tables if name == _JUMP_TABLES), b"")
    return frozenset(at // 8 for (at,) in iter_unpack(f"{sign}Q", table[: len(table) // 8 * 8]))


def _relocated(
    data: bytes, tables: _Tables, sign: str, insns: dict[str, list[Insn]]
) -> Iterator[tuple[str, int, _Symbol]]:
    """Yield the instructions that a linker finishes, and the symbol for that."""
    form, entry = Struct(f"{sign}IBBHQQ"), Struct(f"{sign}QQ")
    symbols = next((elf.contents(data, head) for _, head in tables if head.type == _SYMTAB), b"")
    table = [_Symbol(*row) for row in form.iter_unpack(symbols[: len(symbols) // form.size * form.size])]
    for _, head in tables:
        name = tables[head.info][0] if head.info < len(tables) else ""
        if head.type != _REL or name not in insns:
            continue
        rows = elf.contents(data, head)
        for offset, info in entry.iter_unpack(rows[: len(rows) // entry.size * entry.size]):
            if offset // 8 >= len(insns[name]) or info >> 32 >= len(table):
                raise BTFError(f"a relocation of section {name} is out of range")
            yield name, offset // 8, table[info >> 32]


class _Run:
    """Follows constants until nothing new comes."""

    def __init__(
        self, code: Code, values: Mapping[Place, int], unknown: frozenset[Place], memory: Mapping[int, bytes]
    ) -> None:
        self._code = code
        self._values = values
        self._unknown = unknown
        self._memory = memory
        self._states: dict[Place, State] = {}
        self._todo: list[Place] = []
        self._followed: set[str] = set()  # sections of which jump tables were followed

    def run(self) -> set[Place]:
        """Return the instructions that are reached."""
        for place in self._code.entries:
            self._come(place, (None,) * _REGISTERS)
        while self._todo:
            self._step(self._todo.pop())
        return set(self._states)

    def _come(self, place: Place, state: State) -> None:
        """Note with which registers an instruction is reached: a constant is one only if it is the same each time."""
        name, at = place
        if not 0 <= at < len(self._code.insns[name]):
            return
        before = self._states.get(place)
        if before is not None:
            state = tuple([one if one == other else None for one, other in zip(before, state, strict=True)])
        if state != before:
            self._states[place] = state
            self._todo.append(place)

    def _step(self, place: Place) -> None:
        (name, at), state = place, self._states[place]
        insn = self._code.insns[name][at]
        if place in self._code.calls:
            self._come(self._code.calls[place], (None,) * _REGISTERS)
        kind = insn.code & 7
        if kind in (_JMP, _JMP32):
            ways = self._tabled(name, at) if insn.code == _GOTOX else self._jump(insn, state)
            for off, registers in ways:
                self._come((name, at + 1 + off), registers)
            return
        after = list(state)
        if kind in (_ALU, _ALU64):
            self._set(after, insn.dst, self._computed(insn, state, place))
        elif insn.code == _WIDE:
            self._set(after, insn.dst, self._loaded(name, at))
            self._come((name, at + 2), tuple(after))
            return
        elif kind == _STX:
            if insn.code & 0xE0 == _ATOMIC and insn.imm & _FETCH:
                self._set(after, insn.src, None)
                self._set(after, 0, None)
        elif kind != _ST:
            self._set(after, insn.dst if kind != _LD else 0, self._read(insn, state))
        self._come((name, at + 1), tuple(after))

    def _set(self, registers: list[int | None], number: int, value: int | None) -> None:
        if number < _REGISTERS:
            registers[number] = value

    def _loaded(self, name: str, at: int) -> int | None:
        """Return the constant of an instruction of two slots; an address is none."""
        rows = self._code.insns[name]
        if rows[at].src or (name, at) in self._unknown or at + 1 >= len(rows):
            return None
        low, high = rows[at].imm & _LOW, rows[at + 1].imm & _LOW
        value = self._values.get((name, at))
        return (low | high << 32) if value is None else value & _ALL

    def _read(self, insn: Insn, state: State) -> int | None:
        """Return what a load brings from memory that never changes."""
        base = state[insn.src] if insn.src < _REGISTERS else None
        if insn.code & 7 != _LDX or base is None or insn.code & 0xE0 != _MEM:
            return None
        for start, data in self._memory.items():
            at, size = base + insn.off - start, _SIZES[insn.code & 0x18]
            if 0 <= at <= len(data) - size:
                return int.from_bytes(data[at : at + size], self._code.byteorder)
        return None

    def _operand(self, insn: Insn, state: State, place: Place | None = None) -> int | None:
        if insn.code & 8:
            return state[insn.src] if insn.src < _REGISTERS else None
        value = self._values.get(place) if place is not None else None
        return (insn.imm if value is None else value) & _ALL

    def _computed(self, insn: Insn, state: State, place: Place) -> int | None:
        if place in self._unknown:
            return None
        operation, bits = insn.code >> 4, 64 if insn.code & 7 == _ALU64 else 32
        mask = (1 << bits) - 1
        compute, other = _ARITHMETIC.get(operation), self._operand(insn, state, place)
        mine = 0 if operation == _MOV else state[insn.dst] if insn.dst < _REGISTERS else None
        # an offset stands for another width, or a sign
        if compute is None or other is None or mine is None or insn.off:
            return None
        return compute(mine & mask, other & mask, bits) & mask

    def _tabled(self, name: str, at: int) -> list[tuple[int, State]]:
        """Return how far jump tables lead from here: once in a section is enough, as nothing is known there."""
        if name in self._followed:
            return []
        self._followed.add(name)
        return [(target - at - 1, (None,) * _REGISTERS) for target in self._code.targets]

    def _jump(self, insn: Insn, state: State) -> list[tuple[int, State]]:
        """Return how far it goes on, and with which registers."""
        operation, bits = insn.code >> 4, 64 if insn.code & 7 == _JMP else 32
        if operation == _EXIT:
            return []
        if operation == _CALL:
            return [(0, (None,) * 6 + state[6:])]
        if operation == _JA:
            return [(insn.off if bits == 64 else insn.imm, state)]
        mask = (1 << bits) - 1
        compare, other = _COMPARE.get(operation), self._operand(insn, state)
        mine = state[insn.dst] if insn.dst < _REGISTERS else None
        if compare is None or other is None or mine is None:
            return [(0, state), (insn.off, state)]
        return [(insn.off if compare(mine & mask, other & mask, bits) else 0, state)]
