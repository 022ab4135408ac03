"""Symbols that are looked up once in a boot, and by whom the kernel shows them to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpfctl.host import lasting_symbols
from bpfctl.host.boot_cache import BootCache
from bpfctl.host.kallsyms import Symbol
from bpfctl.host.lasting_symbols import LastingSymbols
from tests.unit.host.test_kallsyms import TEXT

if TYPE_CHECKING:
    from pathlib import Path

VFS_READ, TEXT_START, MODULE, PROGRAM = 0xFFFFFFFF81001010, 0xFFFFFFFF81000000, 0xFFFFFFFFC0200000, 0xFFFFFFFFC0300000
OTHERS = "ffffffff80000000 T other\nffffffff80000010 T last\n"


@pytest.fixture
def kallsyms(tmp_path: Path) -> Path:
    """A file whose symbols have been looked up once, and that has only others now."""
    file = tmp_path / "kallsyms"
    file.write_text(TEXT)
    symbols = make(file)
    assert symbols.at(VFS_READ) == Symbol("vfs_read", None)
    assert symbols.at(TEXT_START) == Symbol("_stext", None)
    assert symbols.at(MODULE) == Symbol("ext4_open", "ext4")
    assert symbols.at(PROGRAM) == Symbol("bpf_prog_6deef7357e7b4530", "bpf")
    assert symbols.address("_text") == TEXT_START
    assert symbols.address("none") is None
    symbols.save()
    file.write_text(OTHERS)
    return file


def make(file: Path) -> LastingSymbols:
    return LastingSymbols(BootCache("symbols", str(file.parent / "bpfctl")), str(file))


def test_what_was_looked_up(kallsyms: Path) -> None:
    symbols = make(kallsyms)

    assert symbols.at(VFS_READ) == Symbol("vfs_read", None)
    assert symbols.at(TEXT_START) == Symbol("_stext", None)
    assert symbols.address("_text") == TEXT_START


def test_what_comes_and_goes_is_looked_up_each_time(kallsyms: Path) -> None:
    symbols = make(kallsyms)

    assert symbols.at(MODULE) is None
    assert symbols.at(PROGRAM) is None
    assert symbols.address("none") is None
    assert symbols.address("vfs_read") is None  # nobody has asked for that before
    assert symbols.address("other") == 0xFFFFFFFF80000000


def test_more_is_added(kallsyms: Path) -> None:
    symbols = make(kallsyms)
    assert symbols.at(0xFFFFFFFF80000000) == Symbol("other", None)
    symbols.save()
    kallsyms.write_text(TEXT)
    again = make(kallsyms)

    assert again.at(0xFFFFFFFF80000000) == Symbol("other", None)
    assert again.at(VFS_READ) == Symbol("vfs_read", None)


def test_addresses_that_are_kept_from_us_now(kallsyms: Path) -> None:
    """What was shown before is not shown then, nor forgotten."""
    kallsyms.write_text("".join("0" * 16 + line[16:] + "\n" for line in (TEXT * 100).splitlines()))
    symbols = make(kallsyms)
    assert (symbols.at(VFS_READ), symbols.address("_text")) == (None, None)
    symbols.save()
    kallsyms.write_text(OTHERS)

    assert make(kallsyms).at(VFS_READ) == Symbol("vfs_read", None)


def test_no_file(kallsyms: Path) -> None:
    kallsyms.unlink()

    assert make(kallsyms).at(VFS_READ) is None


def test_another_boot(kallsyms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting_symbols, "boot_id", lambda: "another")

    assert make(kallsyms).at(VFS_READ) is None


def test_without_a_cache(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(TEXT)
    symbols = LastingSymbols(None, str(file))
    assert symbols.at(VFS_READ) == Symbol("vfs_read", None)
    symbols.save()

    assert [path.name for path in tmp_path.iterdir()] == ["kallsyms"]


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        [1, 2],
        [[], []],
        [[[VFS_READ, 7]], {}],
        [[["vfs_read", "vfs_read"]], {}],
        [[[VFS_READ]], {}],
        [[[[], "vfs_read"]], {}],
        [[], {"_text": "high"}],
        {"vfs_read": VFS_READ},
    ],
)
def test_nonsense(kallsyms: Path, content: object) -> None:
    BootCache("symbols", str(kallsyms.parent / "bpfctl")).write(make(kallsyms)._key, content)
    symbols = make(kallsyms)

    assert (symbols.at(VFS_READ), symbols.address("_text")) == (None, None)
