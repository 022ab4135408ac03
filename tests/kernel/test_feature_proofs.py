"""Instructions, flags of programs and what else a load may ask for: what the full report says, proven by loads."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys

import pytest

from tests.kernel import client
from tests.kernel.asked import works

SOCKET_FILTER, KPROBE, TRACEPOINT, XDP, RAW_TRACEPOINT, SYSCALL = 1, 2, 5, 6, 17, 31
ARRAY, ARENA, INSN_ARRAY = 2, 33, 34
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
RETURN_1 = bytes.fromhex("b700000001000000 9500000000000000")
SAVE = "b700000000000000 7b0af8ff00000000"  # r0 = 0; *(u64 *)(r10 - 8) = r0
END = "b700000000000000 9500000000000000"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("signed comparisons", f"b700000000000000 c500000001000000 {END}"),
        ("calls of functions in the program", f"8510000001000000 9500000000000000 {END}"),
        ("32-bit comparisons", f"b700000000000000 a600000001000000 {END}"),
        ("atomic add", f"{SAVE} db0af8ff00000000 {END}"),
        ("atomic fetch and add", f"{SAVE} b701000001000000 db1af8ff01000000 {END}"),
        ("atomic exchange", f"{SAVE} b701000001000000 db1af8ffe1000000 {END}"),
        ("atomic compare and exchange", f"{SAVE} b701000001000000 db1af8fff1000000 {END}"),
        ("sign-extending loads", f"{SAVE} 81a1f8ff00000000 {END}"),
        ("sign-extending moves", f"b701000001000000 bf11080000000000 {END}"),
        ("signed division", f"b701000004000000 3701010002000000 {END}"),
        ("unconditional byte swaps", f"b700000001000000 d700000040000000 {END}"),
        ("long jumps", f"b700000000000000 1500010001000000 0600000001000000 b702000001000000 {END}"),
        ("may_goto", f"e500010000000000 b702000001000000 {END}"),
        ("load-acquire", f"{SAVE} dba1f8ff00010000 {END}"),
        ("store-release", f"{SAVE} b701000001000000 db1af8ff10010000 {END}"),
    ],
)
def test_instructions(told, name, code):
    raw = bytes.fromhex(code)
    if sys.byteorder == "big":
        pytest.skip("the instructions are written down for little endian machines")

    assert told["instructions", name] is works(client.prog_load, SOCKET_FILTER, raw)


def _imm64(register, source, low, high=0):
    return struct.pack("=BBhi BBhi", 0x18, source << 4 | register, 0, low, 0, 0, 0, high)


def test_casts_between_address_spaces(told, held):
    """An arena, which is known by the address that it would be mapped at."""

    def load():
        arena = held(client.map_create(ARENA, 0, 0, 1, map_flags=1 << 10, map_extra=1 << 44))
        cast = bytes.fromhex("b702000000000000 bf22010001000000")
        return client.prog_load(SOCKET_FILTER, _imm64(1, 1, arena) + cast + RETURN_0)

    assert told["instructions", "casts between address spaces"] is works(load)


def test_indirect_jumps(told, held):
    """A program that runs, and comes to where the map says that it jumps to."""

    def run():
        table = held(client.map_create(INSN_ARRAY, 4, 16, 2))
        # After the jump: r0 = 1; exit; r0 = 2; exit.
        for at, target in enumerate((4, 6)):
            client.map_update(table, struct.pack("=I", at), struct.pack("=4I", target, 0, 0, 0))
        client.map_freeze(table)
        code = _imm64(1, 2, table, 8) + bytes.fromhex("7911000000000000 0d01000000000000") + RETURN_1
        prog = held(client.prog_load(SOCKET_FILTER, code + bytes.fromhex("b700000002000000 9500000000000000")))
        assert client.run(prog, bytes(64)) == 2

    assert told["instructions", "indirect jumps (gotox)"] is works(run)


@pytest.mark.parametrize(
    ("name", "kind", "flag"),
    [
        ("strict_alignment", SOCKET_FILTER, 1 << 0),
        ("any_alignment", SOCKET_FILTER, 1 << 1),
        ("test_rnd_hi32", SOCKET_FILTER, 1 << 2),
        ("test_state_freq", SOCKET_FILTER, 1 << 3),
        ("xdp_has_frags", XDP, 1 << 5),
        ("test_reg_invariants", SOCKET_FILTER, 1 << 7),
    ],
)
def test_flags_of_programs(told, name, kind, flag):
    assert told["program_flags", name] is works(lambda: client.prog_load(kind, RETURN_0, prog_flags=flag))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("syscall", SYSCALL), ("uprobe.s", KPROBE), ("tp.s", TRACEPOINT), ("raw_tp.s", RAW_TRACEPOINT)],
)
def test_programs_that_may_sleep(told, name, kind):
    assert told["sleepable", name] is works(lambda: client.prog_load(kind, RETURN_0, prog_flags=16))


def test_global_data(told, held):
    """A program that returns what is in its map."""

    def run():
        made = held(client.map_create(ARRAY, 4, 8, 1))
        client.map_update(made, bytes(4), struct.pack("=Q", 7))
        code = _imm64(1, 2, made) + bytes.fromhex("7910000000000000 9500000000000000")
        assert client.run(held(client.prog_load(SOCKET_FILTER, code)), bytes(64)) == 7

    assert told["loading", "global data"] is works(run)


def test_maps_by_their_place_in_an_array(told, held):
    def load():
        made = held(client.map_create(ARRAY, 4, 8, 1))
        return client.prog_load(SOCKET_FILTER, _imm64(1, 5, 0) + RETURN_0, fd_array=struct.pack("=i", made))

    assert told["loading", "maps by their place in an array"] is works(load)


def test_relocations_by_the_kernel(told, held):
    """The program returns the id that the kernel has for a struct, where the program has another one."""
    strings = b"\0int\0f\0task_struct\0pid\x000\0"
    at = {word: strings.index(b"\0" + word + b"\0") + 1 for word in (b"int", b"f", b"task_struct", b"pid", b"0")}
    words = [
        (at[b"int"], 1 << 24, 4, 32),
        (0, 13 << 24, 1),
        (at[b"f"], 12 << 24, 2),
        (at[b"task_struct"], 4 << 24 | 1, 4, at[b"pid"], 1, 0),
    ]
    types = b"".join(struct.pack(f"={len(row)}I", *row) for row in words)
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    target_id = 7  # BPF_CORE_TYPE_ID_TARGET

    def run():
        prog = client.prog_load(
            SOCKET_FILTER,
            bytes.fromhex("b700000004000000 9500000000000000"),
            prog_btf_fd=held(client.btf_load(header + types + strings)),
            func_info_rec_size=8,
            func_info=struct.pack("=II", 0, 3),
            func_info_cnt=1,
            core_relo_cnt=1,
            core_relo_rec_size=16,
            core_relos=struct.pack("=IIII", 0, 4, at[b"0"], target_id),
        )
        assert client.run(held(prog), bytes(64)) > 4

    assert told["loading", "relocations by the kernel (CO-RE)"] is works(run)


def test_one_million_instructions(told):
    """As many as the verifier looks at are enough; it need not see them all, as a jump leads over the most."""
    count = 1_000_000
    far = struct.pack("=BBhi", 5, 0, 0x7FFF, 0)  # goto, as far as one can

    def load():
        code = bytearray(RETURN_0[:8] * (count - 1) + RETURN_0[8:])
        at = 0
        while at + 0x8000 < count:
            code[8 * at : 8 * at + 8] = far
            at += 0x8000
        return client.prog_load(SOCKET_FILTER, bytes(code))

    answer = told["limits", "one million instructions"]
    if not answer:
        assert not works(load)
        return
    # What no jump leads to is refused, so that only what is said of the length tells.
    with pytest.raises(OSError) as error:
        os.close(load())
    assert error.value.strerror != "Argument list too long"
    assert "unreachable insn" in error.value.log


ADD_KEY = {"x86_64": 248, "aarch64": 217}  # the number of add_key(2)
PROCESS_KEYRING = -2


def _signed(tmp_path, code):
    """Make a key, let the kernel trust it for this process, and return a signature of the code (PKCS #7)."""
    key, certificate, plain = (str(tmp_path / name) for name in ("key.pem", "certificate.pem", "code"))
    (tmp_path / "code").write_bytes(code)

    def openssl(*words):
        return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout

    subject = ["-subj", "/CN=a test", "-days", "2", "-addext", "keyUsage=digitalSignature"]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *subject)
    trusted = openssl("x509", "-in", certificate, "-outform", "DER")
    number, libc = ADD_KEY[os.uname().machine], ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, b"asymmetric", b"bpfctl-test", trusted, len(trusted), PROCESS_KEYRING) < 0:
        raise OSError(ctypes.get_errno(), "add_key")
    how = ["-binary", "-noattr", "-nocerts", "-md", "sha256", "-outform", "DER"]
    return openssl("cms", "-sign", "-signer", certificate, "-inkey", key, "-in", plain, *how)


def test_signatures(told, tmp_path):
    """A program that somebody has signed whom the process trusts; another one is refused with the same signature."""

    def load():
        signature = _signed(tmp_path, RETURN_0)
        given = {"signature": signature, "signature_size": len(signature), "keyring_id": PROCESS_KEYRING}
        made = client.prog_load(SOCKET_FILTER, RETURN_0, **given)
        assert not works(lambda: client.prog_load(SOCKET_FILTER, RETURN_1, **given))
        return made

    assert told["loading", "signatures"] is works(load)
