"""Where programs on functions find arguments and what is returned."""

from __future__ import annotations

import pytest
from bpfctl_kprobe import KprobeSource
from bpfctl_kprobe.prototype import Prototype
from bpfctl_kprobe.trampoline import FexitSource

from bpfctl.asm.disasm import text
from bpfctl.asm.insn import R0
from bpfctl.errors import NotFound
from bpfctl.probe.code import Code
from bpfctl.probe.source import ProbePoint
from btf.read import BTF
from btf.write import Builder

POINT = ProbePoint("fexit", "function")


@pytest.fixture
def source(monkeypatch):
    b = Builder()
    number = b.add_int("int", 4)
    pair = b.add_struct("pair", 16, [("a", b.add_int("long", 8)), ("b", number, 64)])
    small = b.add_struct("small", 3, [])
    proto = b.add_func_proto(number, [("one", number), ("two", pair), ("", small), ("four", b.add_ptr(pair))])
    btf = BTF.from_bytes(b.build())
    monkeypatch.setattr(FexitSource, "_known", lambda *_: Prototype("", btf, 0, btf.type(proto)))
    return FexitSource()


def loads(argument):
    code = Code()
    argument.load(code, R0)
    return text(code.insns()[0]).partition(") ")[2]


def test_a_pattern_that_matches_nothing_with_types(monkeypatch):
    monkeypatch.setattr(KprobeSource, "resolve", lambda *_: [POINT, POINT._replace(target="other")])
    monkeypatch.setattr(FexitSource, "_prototype", lambda *_: None)

    with pytest.raises(NotFound, match=r"^fexit:f\*: no types tell of any of these functions: kprobe may do$"):
        FexitSource().resolve("f*")


def test_structures_have_as_many_slots_as_they_need(source):
    assert {one.name: loads(one) for one in source._arguments(POINT)} == {
        "one": "r0 = *(u64 *)(r6 +0)",
        "two": "r0 = *(u64 *)(r6 +8)",
        "arg2": "r0 = *(u64 *)(r6 +24)",
        "four": "r0 = *(u64 *)(r6 +32)",
        "retval": "r0 = *(u64 *)(r6 +40)",
    }
