"""bpfctl prog dump jited beside bpftool's with LLVM, and beside objdump."""

from __future__ import annotations

import ctypes
import io
import json
import os
import re
import stat
import struct
import subprocess
import sys
import threading
from functools import cache

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0
from bpfctl.kernel import jited
from tests.bpftool import peer
from tests.bpftool.coded import SOCKET_FILTER, Coded
from tests.bpftool.newest import VOICES
from tests.kernel import client

ZOO = [f"prog:{name}" for name in ("xdp", "tp_btf", "with_subprograms", "not_gpl")]
TWICE, FLEETING = client.own("twice"), client.own("brief")
MACHINE = os.uname().machine
OBJDUMP = {"x86_64": "i386:x86-64", "aarch64": "aarch64"}


@cache
def with_llvm():
    """Return a bpftool that is built with LLVM; Debian's are built without a disassembler."""
    for tool in peer.bpftools():
        if re.search(rb"\bllvm\b", peer.run(tool, "version").stdout):
            return tool
    return None


needs_llvm = pytest.mark.skipif(
    not with_llvm(), reason="needs a bpftool with LLVM, which Debian has not, to compare with (BPFCTL_BPFTOOL=FILE)"
)
x86 = pytest.mark.skipif(MACHINE != "x86_64", reason="compares words with LLVM's for x86-64")


@pytest.fixture(scope="module")
def coded():
    made = Coded()
    yield made
    made.close()


def dump(*words):
    return peer.inside("prog", "dump", "jited", *map(str, words))


def answers(tmp_path, voice, ids):
    """Return the two answers about programs, and about the last one also without opcodes and numbers of lines."""
    commands = [["prog", "dump", "jited", "id", str(id_), "opcodes", "linum"] for id_ in ids]
    commands.append(["prog", "dump", "jited", "id", str(ids[-1])])
    line = [*voice, *peer.batch(tmp_path / "batch", commands)]
    theirs, mine = peer.run(with_llvm(), *line), peer.inside(*line)
    assert (mine.rc, mine.stderr) == (0, b"")
    return theirs.stdout.decode(), mine.stdout.decode()


@x86
@needs_llvm
def test_plain(coded, tmp_path):
    """The same bytes, but that symbols are ours, and that LLVM takes a prefix for an instruction."""
    theirs, mine = answers(tmp_path, [], list(coded.ids().values()))
    mine = re.sub(r"(?m)^( *[0-9a-f]+:\t.*) <\S+>$", r"\1", mine)
    mine = re.sub(r"(?m)^ *([0-9a-f]+):\tlock (.*\n(?:\tf0 )?)", prefixed, mine)

    assert theirs == mine


@x86
@needs_llvm
def test_the_zoo(zoo, tmp_path):
    """Programs of other types, by their ids and pins; calls through a table of programs or of the kernel too."""
    handles = [["id", str(id_)] for id_ in zoo.ids("prog")]
    handles += [["pinned", str(path)] for path, name in zoo.pins.items() if name.startswith("prog:")]
    line = peer.batch(
        tmp_path / "batch", [["prog", "dump", "jited", *handle, "opcodes", "linum"] for handle in handles]
    )
    theirs, mine = peer.run(with_llvm(), *line).stdout.decode(), peer.inside(*line).stdout.decode()

    assert theirs == re.sub(r"(?m)^( *[0-9a-f]+:\t.*) <\S+>$", r"\1", mine)
    assert mine.count("bpf_prog_") > len(handles)


def prefixed(found):
    """Return the first line of an instruction with a prefix as LLVM has it."""
    at, rest = int(found[1], 16), found[2].removesuffix("\tf0 ")
    opcode = "\tf0 \n" if rest != found[2] else ""
    return f"{at:4x}:\tlock\n{opcode}{at + 1:4x}:\t{rest}" + ("\t" if opcode else "")


@x86
@needs_llvm
@pytest.mark.parametrize("voice", VOICES[:2])
def test_json(coded, tmp_path, voice):
    """The same bytes, but that an operand is whole where bpftool cuts it at each comma and bracket."""
    names = [name for name in coded.ids() if name not in ("memory", "atomics")] if voice == ["-j"] else ["with_lines"]
    theirs, mine = answers(tmp_path, voice, [coded.ids()[name] for name in names])

    assert theirs == re.sub(r'"([^"(]*)\((%[^")]*)\)"', cut, mine)


def cut(found):
    """Return a memory operand as bpftool cuts it."""
    return ",".join(f'"{part}"' for part in [found[1], *found[2].split(",")] if part)


@x86
@needs_llvm
def test_json_of_prefixes(coded):
    """Prefix and instruction are one."""
    words = ["-j", "prog", "dump", "jited", "id", str(coded.ids()["atomics"]), "opcodes"]
    (theirs,), (mine,) = (
        json.loads(tool(*words).stdout) for tool in (lambda *w: peer.run(with_llvm(), *w), peer.inside)
    )
    told = theirs.pop("insns")
    joined = []
    for insn in told:
        if joined and joined[-1]["operation"] == "lock":
            lock = joined.pop()
            insn |= {"pc": lock["pc"], "operation": f"lock {insn['operation']}"}
            insn["opcodes"] = lock["opcodes"] + insn["opcodes"]
        joined.append(insn)
    insns = mine.pop("insns")
    for insn in insns:
        insn["operands"] = [part for operand in insn["operands"] for part in re.split("[(),]", operand or "") if part]

    assert theirs == mine
    assert [insn | {"operands": [part for part in insn["operands"] if part]} for insn in joined] == insns
    assert sum(insn["operation"].startswith("lock ") for insn in insns) > 10


def objdump(file, start):
    """Return what binutils say of machine code: where each instruction is, its bytes, and its words."""
    kind = ["-m", OBJDUMP[MACHINE], *(["-M", "suffix"] if MACHINE == "x86_64" else [])]
    command = ["objdump", "-D", "-w", "-z", "-b", "binary", *kind, f"--adjust-vma={start:#x}", file]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2,8} )+) *\t(.*)$", text, re.MULTILINE)
    order = -1 if MACHINE == "aarch64" else 1  # an instruction is told as a number there
    return [(int(at, 16) - start, bytes.fromhex(raw)[::order].hex(), words) for at, raw, words in found]


def machine(id_):
    """Return the address and the bytes of each function, as the kernel tells them (struct bpf_prog_info)."""
    fd = client.fd_by_id("prog", id_)
    try:
        first = client.info(fd)
        size, functions = struct.unpack_from("=I", first, 16)[0], struct.unpack_from("=I", first, 108)[0]
        code, starts, lengths = (ctypes.create_string_buffer(n) for n in (size, 8 * functions, 4 * functions))
        asked = ctypes.create_string_buffer(512)
        struct.pack_into("=I4xQ", asked, 16, size, ctypes.addressof(code))
        struct.pack_into("=IIQQ", asked, 104, functions, functions, *map(ctypes.addressof, (starts, lengths)))
        client.bpf("obj_get_info_by_fd", client.INFO, bpf_fd=fd, info_len=len(first), info=asked)
    finally:
        os.close(fd)
    rest = io.BytesIO(code.raw)
    both = zip(struct.unpack(f"={functions}Q", starts), struct.unpack(f"={functions}I", lengths), strict=True)
    return [(start, rest.read(length)) for start, length in both]


def test_objdump(coded, tmp_path):
    """The kernel's functions and bytes, and in them the same instructions at the same places."""
    seen = set()
    for id_ in coded.ids().values():
        told = json.loads(peer.inside("-j", "prog", "dump", "jited", "id", str(id_), "opcodes").stdout)
        for (start, code), function in zip(machine(id_), told, strict=True):
            (tmp_path / "code").write_bytes(code)
            theirs = objdump(tmp_path / "code", start)
            mine = [
                (int(insn["pc"], 16), "".join(byte[2:] for byte in insn["opcodes"]), words(insn))
                for insn in function["insns"]
            ]

            assert code == bytes.fromhex("".join(raw for _, raw, _ in mine))
            assert [insn[:2] for insn in theirs] == [insn[:2] for insn in mine]
            seen |= {(spelled(a[2]), spelled(b[2])) for a, b in zip(theirs, mine, strict=True)}

    assert [pair for pair in sorted(seen) if pair[0] != pair[1]] == []
    assert len(seen) > 100


def words(insn):
    return f"{insn['operation']} {','.join(filter(None, insn['operands']))}"


def spelled(text):
    """Return an instruction in words that do not depend on who has spelled it.

    Numbers are in any base, with or without a sign. On x86 binutils have sizes where LLVM has none, spell an
    address's index in full, and tell a REX prefix that changes nothing; on arm64 they have other names for two
    conditions, and no # before what is jumped to.
    """
    text = re.sub(r"\s+", " ", re.sub(r"\s*(//|#[^\d-]).*", "", text)).strip()
    text = re.sub(r"^rex |(?<=bswap|leave)[lq]\b|(?<=jmp)q\b", "", text.replace(",1)", ")"))
    text = text.replace("0x0(%rax,%rax)", "(%rax,%rax)").replace("b.cc ", "b.lo ").replace("b.cs ", "b.hs ")
    mnemonic, _, operands = text.partition(" ")
    size = {"b": 8, "l": 32}.get(mnemonic[-1:], 64) if "%" in operands else 32 if operands.startswith("w") else 64

    def number(found):
        value = int(found[2], 0)
        return str(value % (1 << size) if found[1] and value < 0 else value)

    operands = re.sub(r"([$#]?)(-?\b(?:0x[0-9a-f]+|\d+))\b", number, operands)
    return f"{mnemonic} {operands.replace(', ', ',')}"


@needs_llvm
def test_a_file(coded, tmp_path):
    """The same bytes, all functions one after the other, for the owner alone; JSON is null."""
    id_ = coded.ids()["with_lines"]
    files = [tmp_path / "theirs", tmp_path / "mine"]
    lines = [["-j", "prog", "dump", "j", "i", str(id_), "f", str(file)] for file in files]
    theirs, mine = peer.run(with_llvm(), *lines[0]), peer.inside(*lines[1])

    assert theirs == mine
    assert json.loads(mine.stdout) is None
    assert files[0].read_bytes() == files[1].read_bytes() == b"".join(code for _, code in machine(id_))
    assert stat.S_IMODE(files[1].stat().st_mode) == stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_without_capstone(coded, tmp_path, monkeypatch):
    """The bytes can be had, everything else says what is missing and how to get it; JSON has bpftool's sentence."""
    monkeypatch.setitem(sys.modules, "capstone", None)
    id_ = coded.ids()["branches"]
    ((_, code),) = machine(id_)

    assert dump("id", id_, "file", tmp_path / "raw") == (0, b"", b"")
    assert (tmp_path / "raw").read_bytes() == code
    sentence = "it needs capstone: pip install 'bpfctl[jited]'; 'file FILE' writes the bytes without it"
    assert dump("id", id_, "opcodes") == (255, b"", f"Error: No JIT disassembly support ({sentence})\n".encode())
    answer = peer.inside("-j", "prog", "dump", "jited", "id", str(id_))
    assert (answer.rc, answer.stdout) == (255, b'{"error":"No JIT disassembly support"}\n')
    assert b"pip install 'bpfctl[jited]'" in answer.stderr
    for tool in peer.bpftools():
        if tool != with_llvm() and peer.version(tool) >= peer.CURRENT:
            assert peer.run(tool, "-j", "prog", "dump", "jited", "id", str(id_)) == answer._replace(stderr=b"")


def test_symbols(coded):
    """Calls have the names of helpers and subprograms behind them; in JSON only if one asks for more."""
    words = ["prog", "dump", "jited", "id", str(coded.ids()["with_lines"])]
    plain = peer.inside(*words).stdout.decode()
    told = json.loads(peer.inside("-j", "--extra", *words).stdout)
    called = {insn["symbol"]: insn for function in told for insn in function["insns"] if "symbol" in insn}
    subprograms = {function["name"] for function in told[1:]}

    assert {"bpf_prog", "htab_map_update_elem", "bpf_user_rnd_u32"} <= {
        name if not name.startswith("bpf_prog_") else "bpf_prog" for name in called
    }
    assert subprograms <= called.keys()
    for name in called:
        assert f" <{name}>\n" in plain
    assert b'"symbol"' not in peer.inside("-j", *words).stdout


@pytest.mark.parametrize("voice", VOICES)
def test_several_programs(voice):
    """Of one name, of which each says which one it is, by bpftool's head."""
    made = [Coded(only=("branches",)) for _ in range(2)]
    try:
        mine = peer.inside(*voice, "prog", "dump", "jited", "name", "branches").stdout.decode()
        for word in ("file", "visual", "file x"):
            refused = ["prog", "dump", "jited", "name", "branches", *word.split()]
            assert peer.inside(*refused).rc == 255
        ids = [made_.ids()["branches"] for made_ in made]
        if voice:
            heads = {found["id"]: found for found in json.loads(mine)}
            alone = json.loads(peer.inside(*voice, "prog", "dump", "jited", "id", str(ids[0])).stdout)
            assert set(heads) >= set(ids)
            assert heads[ids[0]]["insns"] == alone
        else:
            alone = peer.inside("prog", "dump", "jited", "id", str(ids[0])).stdout.decode()
            assert re.search(rf"(?m)^{ids[0]}: socket_filter  name branches  tag [0-9a-f]{{16}}  gpl\n", mine)
            assert alone in mine
    finally:
        for each in made:
            each.close()


@x86
@needs_llvm
@pytest.mark.parametrize("voice", VOICES)
def test_several_programs_beside_bpftool(voice):
    """What stands around the code of each is the same."""
    made = [client.prog_load(SOCKET_FILTER, Program().mov(R0, 7).exit_().assemble(), name=TWICE) for _ in "12"]
    try:
        words = [*voice, "prog", "dump", "jited", "name", TWICE]
        theirs, mine = peer.run(with_llvm(), *words), peer.inside(*words)
    finally:
        for fd in made:
            os.close(fd)
    told = re.sub(r" <\S+>\n", "\n", mine.stdout.decode())

    assert theirs.stdout.decode() == re.sub(r'"([^"(]*)\((%[^")]*)\)"', cut, told)
    assert told.count(TWICE) == 4


def test_programs_come_and_go():
    """What has vanished since it was found is left out; what is shown is whole."""
    code = Program().mov(R0, 7).exit_().assemble()
    ended = threading.Event()

    def churn():
        while not ended.is_set():
            os.close(client.prog_load(SOCKET_FILTER, code, name=FLEETING))

    stays = client.prog_load(SOCKET_FILTER, code, name=FLEETING)
    churner = threading.Thread(target=churn)
    churner.start()
    try:
        id_ = client.id_of("prog", stays)
        for _ in range(5):
            answer = peer.inside("-j", "prog", "dump", "jited", "name", FLEETING)
            told = json.loads(answer.stdout)
            assert (answer.rc, answer.stderr) == (0, b"")
            assert "insns" in told[0]
        assert peer.inside("-j", "prog", "dump", "jited", "id", str(id_)).rc == 0
    finally:
        ended.set()
        churner.join()
        os.close(stays)


WRONG = {
    "jited id ID file": "expected file path",
    "jited id ID file /tmp opcodes": "'file' is not compatible with 'opcodes', 'visual', or 'linum'",
    "jited id 4294967295": "get by id (4294967295): No such file or directory",
    "jited id ID visual": "'visual' shows xlated code, not jited",
    "jited id ID file /nonexistent/x": "can't open file /nonexistent/x: No such file or directory",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong(coded, words):
    """bpftool's sentences, but for a word that it ignores."""
    line = ["prog", "dump", *words.replace("ID", str(coded.ids()["memory"])).split()]
    mine = peer.inside("-j", *line)
    assert (mine.rc, json.loads(mine.stdout)) == (255, {"error": mine_error(words)})
    if with_llvm():
        theirs = peer.run(with_llvm(), "-j", *line)
        assert (theirs.rc, theirs.stdout) == (mine.rc, mine.stdout)


def mine_error(words):
    return "'visual' is not compatible with JSON output" if words.endswith("visual") else WRONG[words]


def test_visual(coded):
    """bpftool ignores the word."""
    assert dump("id", coded.ids()["branches"], "visual") == (
        255,
        b"",
        b"Error: 'visual' shows xlated code, not jited\n",
    )


def test_hidden_addresses(coded, tmp_path):
    """Those without CAP_SYSLOG do not see machine code, and are told so, unless the kernel tells everybody."""
    words = ["prog", "dump", "jited", "id", str(coded.ids()["branches"]), "file", str(tmp_path / "code")]
    bounded = ["setpriv", "--bounding-set", "-syslog", "--inh-caps", "-syslog", sys.executable, "-m", "bpfctl"]
    done = subprocess.run([*bounded, *words], capture_output=True, env=peer.ENVIRONMENT, check=False)
    if done.returncode == 0:
        pytest.skip("this kernel tells addresses to everybody (kernel.perf_event_paranoid)")

    assert (done.returncode, done.stdout) == (255, b"")
    assert done.stderr.startswith(
        b"Error: error retrieving jit dump: no instructions returned or kernel.kptr_restrict set? ("
    )
    assert b"CAP_SYSLOG" in done.stderr
    assert not (tmp_path / "code").exists()


def test_code_of_a_device(coded, tmp_path, monkeypatch):
    """What runs on a network device is in its own language; the bytes can be had."""
    read = jited.read
    monkeypatch.setattr(jited, "read", lambda program: read(program)._replace(offloaded=True))
    id_ = coded.ids()["branches"]

    assert dump("id", id_, "file", tmp_path / "code").rc == 0
    assert dump("id", id_) == (
        255,
        b"",
        b"Error: the machine code is that of a network device: 'file FILE' writes it\n",
    )
