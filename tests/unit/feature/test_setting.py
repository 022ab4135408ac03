"""Settings of a kernel's build: what a variable of a program can hold of them."""

from __future__ import annotations

import pytest

from bpfctl.elf.read import read
from bpfctl.feature.answer import NO, UNKNOWN, YES
from bpfctl.feature.setting import Settings
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
    assert settings.answer(Extern("LINUX_SOMETHING", "kconfig", weak=False), SPEC.btf).can == NO
    assert settings.answer(Extern("LINUX_KERNEL_VERSION", "kconfig", weak=False), SPEC.btf).can == YES
    assert Settings(lambda: None, "6.1").answer(EXTERNS["CONFIG_INT"], SPEC.btf).can == UNKNOWN


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
    assert Settings(dict, release).number("LINUX_KERNEL_VERSION") == number


def test_numbers():
    settings = Settings(lambda: {"CONFIG_A": "m", "CONFIG_B": "0x20", "CONFIG_C": '"text"'}, "")

    assert [settings.number(f"CONFIG_{letter}") for letter in "ABCD"] == [2, 32, None, None]
