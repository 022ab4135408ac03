"""Names as people write them, of symbols as linkers have them: known ones, another demangler's, and an enemy's."""

from __future__ import annotations

import re
import subprocess
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.symbols import demangle, rust
from bpfctl.symbols.demangle import Demangler
from tests.soon import soon

V0 = {
    "_RNvC6_123foo3bar": "123foo::bar",
    "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y": ("utf8_idents::საჭმელად_გემრიელი_სადილი"),
    "_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_": "cc::spawn::{closure#0}::{closure#0}",
    "_RNCINkXs25_NgCsbmNqQUJIY6D_4core5sliceINyB9_4IterhENuNgNoBb_4iter8iterator8Iterator9rpositionNCNgNpB9_6memchr"
    "7memrchrs_0E0Bb_": (
        "<core::slice::Iter<u8> as core::iter::iterator::Iterator>::rposition::"
        "<core::slice::memchr::memrchr::{closure#1}>::{closure#0}"
    ),
    "_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_3std": (
        "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>"
    ),
    "_RNvMC0INtC8arrayvec8ArrayVechKj7b_E3new": "<arrayvec::ArrayVec<u8, 123>>::new",
    "_RMCs4fqI2P2rA04_13const_genericINtB0_8UnsignedKhb_E": "<const_generic::Unsigned<11>>",
    "_RMCs4fqI2P2rA04_13const_genericINtB0_6SignedKsn98_E": "<const_generic::Signed<-152>>",
    "_RMCs4fqI2P2rA04_13const_genericINtB0_4BoolKb1_E": "<const_generic::Bool<true>>",
    "_RMCs4fqI2P2rA04_13const_genericINtB0_4CharKc2202_E": "<const_generic::Char<'∂'>>",
    "_RMC1aFG_UKCRL0_hEu": "<for<'a> unsafe extern \"C\" fn(&'a u8)>",
    "_RNvC1a1f.llvm.1234": "a::f",
    "_RNvC1a1f.cold": "a::f.cold",
}

LEGACY = {
    "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE": "core::fmt::Formatter::pad",
    "_ZN3foo17h05af221e174051e9E.llvm.9D1C9369": "foo",
    "_ZN4test1a2bc17h05af221e174051e9E.cold": "test::a::bc.cold",
    "_ZN12test$BP$test4foob17h05af221e174051e9E": "test*test::foob",
    "_ZN28_$u7b$$u7b$closure$u7d$$u7d$17h05af221e174051e9E": "{{closure}}",
    "_ZN13test$u20$test4foob17h05af221e174051e9E": "test test::foob",
}

CXX = {
    "_ZNSt6vectorIiSaIiEE9push_backERKi": "std::vector<int, std::allocator<int> >::push_back(int const&)",
    "_Z3addii": "add(int, int)",
    "_Z3addii.constprop.0": "add(int, int).constprop.0",
    "_ZN12_GLOBAL__N_16hiddenEv": "(anonymous namespace)::hidden()",
    "_ZNK5ShapecvbEv": "Shape::operator bool() const",
    "_ZZN1A1fEvENKUlvE_clEv": "A::f()::{lambda()#1}::operator()() const",
}

AS_THEY_ARE = [
    "main",
    "main.main",
    "_start",
    "_Z",
    "_ZN",
    "_ZZZ",
    "_R",
    "_RNv",
    "_Rust",
    "_RNvC6_123foo3ba",
    "_RNvC1a1fB",
    "_RB_",
    "_RNvB_1a",
    "_R0NvC1a1f",
    "_ZN3foo17h05af221e174051e9",
    "_ZN4foo17h05af221e174051e9E",
    "_Z3fo\x1b[31mo",
    "_Z\n3add",
    "_Zédith",
    "",
]


@pytest.fixture
def readable():
    with Demangler() as demangler:
        yield demangler


@pytest.mark.parametrize(("symbol", "name"), [*V0.items(), *LEGACY.items()])
def test_rust(symbol, name):
    assert name == rust.plain(symbol)


def test_rust_as_binutils_has_it():
    """But for hashes of crates and types of numbers, and what is behind a dot."""
    kept = [symbol for symbol in (*V0, *LEGACY) if "." not in symbol]
    done = subprocess.run(["c++filt", *kept], capture_output=True, text=True, check=True)
    theirs = [
        re.sub(r"(?<=\w)\[[0-9a-f]+\]|::h[0-9a-f]{16}$|: (u8|i16|usize|bool|char)\b", "", line)
        for line in done.stdout.replace(r"\u{2202}", "∂").splitlines()
    ]

    assert [rust.plain(symbol) for symbol in kept] == theirs


@pytest.mark.parametrize(("symbol", "name"), [*CXX.items(), *V0.items(), *LEGACY.items()])
def test_all(readable, symbol, name):
    assert name == readable(symbol)


@pytest.mark.parametrize("symbol", AS_THEY_ARE)
def test_what_is_no_name(readable, symbol):
    assert symbol == readable(symbol)


def test_batch(readable, monkeypatch):
    """Names are asked for together, more than fit into one request."""
    monkeypatch.setattr(demangle, "_BATCH", 200)
    symbols = [f"_Z{len(str(at)) + 4}name{at}v" for at in range(100)] + ["main", "_Z", *V0]
    readable.expect(symbols)

    assert [f"name{at}()" for at in range(100)] == [readable(symbol) for symbol in symbols[:100]]
    assert readable("_Z") == "_Z"


def test_bomb(readable):
    """A short name of which the demangler would make gigabytes stays as it is, those beside it do not."""
    bomb = "_Z1f1AIiiE" + "".join(f"S_IS{place}_S{place}_E" for place in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    nested = "_Z1fI" + "1AI" * 300 + "i" + "E" * 300 + "Evv"
    with soon():
        readable.expect(["_Z3addii", bomb, nested, "_Z3subii"])

        assert readable("_Z3addii") == "add(int, int)"
        assert readable("_Z3subii") == "sub(int, int)"
        assert readable(bomb) == "f"
        assert readable._faults == 2
        assert len(readable(nested)) <= 4096


def test_process_that_ends(readable):
    """Where the other process ends, another is started; and when that has happened often, names stay."""
    for count in range(demangle._MOST_FAULTS):
        assert readable(f"_Z3addi{'i' * count}").startswith("add(int")
        readable._process.kill()
        readable._process.wait()
        assert readable(f"_Z3subi{'i' * count}") == "sub"

    assert readable("_Z3mulii") == "mul"


def test_system_without_the_library(monkeypatch, tmp_path):
    """Simple names are read all the same, and the others stay."""
    broken = tmp_path / "other.py"
    broken.write_text("raise SystemExit(1)\n")
    monkeypatch.setattr(demangle, "_demangler", lambda: [str(broken)])
    with Demangler() as readable:
        assert readable("_ZN3net6Server5serveEv") == "net::Server::serve"
        assert readable("_ZNSt6vectorIiSaIiEE9push_backERKi") == "_ZNSt6vectorIiSaIiEE9push_backERKi"
        assert readable("_RNvC1a1f") == "a::f"


@given(st.text("_RNvCsBIMXYTKpuEGLDFAS0123456789abhij", max_size=60))
def test_rust_of_an_enemy(text):
    """There is a name or none, and it is short."""
    with soon():
        assert len(rust.plain(f"_R{text}")) <= 4096 + len(text)


def test_rust_that_repeats_itself():
    """Each part repeats the one before twice, which would be longer than all memory."""
    text, part = "INvC1a1f", "u"
    for _ in range(60):
        here = len(text)
        text += f"T{part}{part}E"
        part = f"B{_base62(here)}"
    with soon():
        assert rust.plain(f"_R{text}E") == ""


def test_deep_rust():
    with soon():
        assert rust.plain("_RM" + "C0" + "R" * 100_000 + "u") == ""
        assert rust.plain("_R" + "Nv" * 100_000) == ""


def _base62(value):
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if not value:
        return "_"
    value -= 1
    found = digits[value % 62]
    while value := value // 62:
        found = digits[value % 62] + found
    return f"{found}_"


def test_letters_that_are_not_ascii():
    """Each is put in among those that are there, and a name may be repeated a thousand times."""
    name = ("é" * 100).encode("punycode").decode()
    assert rust.plain(f"_RCu{len(name)}_{name}") == "é" * 100

    name = ("é" * 1000).encode("punycode").decode()
    assert rust.plain(f"_RCu{len(name)}_{name}") == ""


def test_interrupted(readable, monkeypatch):
    """What the other process had not told by then is not taken for the answer to what is asked next."""
    assert readable("_Z3mulii") == "mul(int, int)"
    pipes, back = demangle._pipes, readable._process.stdout

    def read():
        monkeypatch.setattr(demangle, "_pipes", pipes)
        back.readline()
        raise KeyboardInterrupt

    monkeypatch.setattr(demangle, "_pipes", lambda process: (process.stdin, SimpleNamespace(readline=read)))
    with pytest.raises(KeyboardInterrupt):
        readable.expect(["_Z3addii", "_Z3subii"])

    assert readable("_Z3divii") == "div(int, int)"
