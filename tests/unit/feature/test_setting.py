"""Settings of a kernel's build: what a variable of a program can hold of them."""

from __future__ import annotations

import pytest

from bpfctl.elf.read import read
from bpfctl.feature.answer import NO, UNKNOWN, YES
from bpfctl.feature.setting import ABSENT, Settings
from bpfctl.spec import Extern
from tests.build.compiled import source

SPEC = read(
    source(
        """
        #include "bpf.h"
        enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
        extern bool CONFIG_BOOL __kconfig;
        extern int CONFIG_INT __kconfig;
        extern char CONFIG_CHAR __kconfig;
        extern enum libbpf_tristate CONFIG_TRISTATE __kconfig;
        extern char CONFIG_TEXT[8] __kconfig;
        SEC("tc") int classify(void *context)
        {
            return CONFIG_BOOL + CONFIG_INT + CONFIG_CHAR + CONFIG_TRISTATE + CONFIG_TEXT[1];
        }
        LICENSE("GPL");
        """
    )
)
EXTERNS = {one.name: one for one in SPEC.externs}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CONFIG_BOOL", {"y": YES, "n": YES, "m": NO, "1": NO, '"text"': NO}),
        ("CONFIG_INT", {"y": NO, "m": NO, "250": YES, "0x10": YES, '"text"': NO}),
        ("CONFIG_CHAR", {"y": YES, "m": YES, "65": YES, '"text"': NO}),
        ("CONFIG_TRISTATE", {"y": YES, "m": YES, "n": YES, '"text"': NO}),
        ("CONFIG_TEXT", {"y": NO, "250": NO, '"text"': YES}),
    ],
)
def test_forms(name, values):
    found = {value: Settings(lambda: {name: value}, "6.1").answer(EXTERNS[name], SPEC.btf).can for value in values}  # noqa: B023 - called at once

    assert found == values


def test_what_is_not_there():
    settings = Settings(lambda: {"CONFIG_OTHER": "y"}, "6.1")

    assert settings.answer(EXTERNS["CONFIG_INT"], SPEC.btf).can == NO
    type_id = EXTERNS["CONFIG_INT"].type_id
    assert settings.answer(EXTERNS["CONFIG_INT"], SPEC.btf) in ABSENT
    assert settings.answer(Extern("LINUX_SOMETHING", "kconfig", weak=False, type_id=type_id), SPEC.btf) in ABSENT
    assert settings.answer(Extern("SOMETHING", "kconfig", weak=False, type_id=type_id), SPEC.btf).can == NO
    assert settings.answer(Extern("SOMETHING", "kconfig", weak=False, type_id=type_id), SPEC.btf) not in ABSENT
    assert Settings(lambda: None, "6.1").answer(EXTERNS["CONFIG_INT"], SPEC.btf).can == UNKNOWN


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CONFIG_BOOL", {"y": b"\1", "n": b"\0"}),
        ("CONFIG_INT", {"250": b"\xfa\0\0\0", "-1": b"\xff" * 4, "010": b"\x08\0\0\0", "0x10": b"\x10\0\0\0"}),
        ("CONFIG_CHAR", {"y": b"y", "m": b"m", "n": b"n", "65": b"A", "-128": b"\x80"}),
        ("CONFIG_TRISTATE", {"y": b"\1\0\0\0", "m": b"\2\0\0\0", "n": b"\0\0\0\0"}),
        ("CONFIG_TEXT", {'"text"': b"text\0", '""': b"\0", '"longer text"': b"longer \0"}),
    ],
)
def test_bytes(name, values):
    """What libbpf writes: of a letter its number, and of text as much as there is room for."""
    found = {value: Settings(lambda: {name: value}, "6.1").value(EXTERNS[name], SPEC.btf) for value in values}  # noqa: B023 - called at once

    assert found == values


def test_what_does_not_fit():
    """Half of a number would be another one; a weak variable is no better."""
    too_much = {"CONFIG_CHAR": ("128", "256"), "CONFIG_INT": ("4294967296", "1.5", ""), "CONFIG_TEXT": ('"', '"open')}
    for name, values in too_much.items():
        for value in values:
            found = Settings(lambda: {name: value}, "").value(EXTERNS[name], SPEC.btf)  # noqa: B023 - called at once

            assert found == (NO, f"its value is {value}, which the variable cannot hold", False)
            assert found not in ABSENT
    version = Extern("LINUX_KERNEL_VERSION", "kconfig", False, EXTERNS["CONFIG_CHAR"].type_id)
    for release in ("6.1.0", ""):
        assert Settings(dict, release).answer(version, SPEC.btf).can == NO
        assert Settings(dict, release).answer(version._replace(name="LINUX_HAS_BPF_COOKIE"), SPEC.btf).can == YES


def test_types_that_no_loader_fills_in():
    other = Extern("CONFIG_INT", "kconfig", True, next(i for i in SPEC.btf.ids if SPEC.btf.name(i) == "classify"))
    found = Settings(lambda: {"CONFIG_INT": "1"}, "6.1").value(other, SPEC.btf)

    assert found == (NO, "loaders fill in no variables of its type", False)


@pytest.mark.parametrize(
    ("release", "number"),
    [
        ("6.18.5", 0x61205),
        ("5.10.0-27-amd64", 0x50A00),
        ("4.19.325-generic", 0x413FF),
        ("7.2.0-rc1", 0x70200),
        ("7.2", None),
        ("", None),
    ],
)
def test_versions(release, number):
    extern = Extern("LINUX_KERNEL_VERSION", "kconfig", False, EXTERNS["CONFIG_INT"].type_id)
    settings = Settings(dict, release)
    found = settings.value(extern, SPEC.btf)

    assert settings.answer(extern, SPEC.btf).can == YES
    assert (found if number else found.can) == (number.to_bytes(4, SPEC.byteorder) if number else UNKNOWN)
