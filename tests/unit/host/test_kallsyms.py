"""Symbols by address, from files such as the kernel writes."""

from __future__ import annotations

import pytest

from bpfctl.host.kallsyms import Symbol, Symbols

TEXT = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81001000 t __pfx_vfs_read
ffffffff81001010 T vfs_read
ffffffffc0200000 t ext4_open\t[ext4]
ffffffffc0300000 t bpf_prog_6deef7357e7b4530\t[bpf]
"""


@pytest.fixture
def kallsyms(tmp_path):
    file = tmp_path / "kallsyms"
    file.write_text(TEXT)
    return file


def test_find(kallsyms):
    """The first of several names counts; modules are named; nothing is at zero or between symbols."""
    symbols = Symbols(str(kallsyms))

    assert symbols.readable
    assert symbols.find(0xFFFFFFFF81000000) == Symbol("_stext", None)
    assert symbols.find(0xFFFFFFFFC0200000) == Symbol("ext4_open", "ext4")
    assert symbols.find(0xFFFFFFFFC0300000) == Symbol("bpf_prog_6deef7357e7b4530", "bpf")
    assert symbols.find(0xFFFFFFFF81001018) is None
    assert symbols.find(0) is None


def test_many_look_ups(kallsyms):
    """Those who ask often get the same answers from a dictionary."""
    symbols = Symbols(str(kallsyms))
    addresses = [0xFFFFFFFF81000000, 0xFFFFFFFF81001014, 0xFFFFFFFFC0300000, 0, 1, 0xFFFFFFFFFFFFFFFF]

    few = [symbols.find(address) for address in addresses]
    many = [symbols.find(address) for _ in range(100) for address in addresses]

    assert (
        few
        == [Symbol("_stext", None), Symbol("vfs_read", None), Symbol("bpf_prog_6deef7357e7b4530", "bpf")] + [None] * 3
    )
    assert many == few * 100


def test_a_function_that_begins_with_a_landing_instruction(kallsyms):
    """Four bytes behind a symbol is still that symbol; before it is another matter."""
    symbols = Symbols(str(kallsyms))

    assert symbols.find(0xFFFFFFFF81001014) == Symbol("vfs_read", None)
    assert symbols.find(0xFFFFFFFF8100100C) is None


def test_exact_addresses_and_names(kallsyms):
    """What begins there and nothing else; a name that only begins or ends so is another one."""
    symbols = Symbols(str(kallsyms))

    assert symbols.at(0xFFFFFFFF81001010) == Symbol("vfs_read", None)
    assert symbols.at(0xFFFFFFFF81001014) is None
    assert symbols.address("vfs_read") == 0xFFFFFFFF81001010
    assert symbols.address("_stext") == 0xFFFFFFFF81000000
    assert symbols.address("fixed_percpu_data") is None
    assert symbols.address("vfs_rea") is None
    assert symbols.address("read") is None


def test_all_places_of_a_name(kallsyms):
    """Those in modules too; addresses that are the same are one place."""
    kallsyms.write_text(f"{TEXT}ffffffffc0300010 d vfs_read\t[odd]\nffffffff81001010 W vfs_read\n")
    symbols = Symbols(str(kallsyms))

    assert symbols.places("vfs_read") == {0xFFFFFFFF81001010, 0xFFFFFFFFC0300010}
    assert symbols.places("ext4_open") == {0xFFFFFFFFC0200000}
    assert symbols.places("fixed_percpu_data") == {0}
    assert symbols.places("read") == symbols.places("\udcff") == set()
    assert not symbols.has("\udcff")
    assert (symbols.address("\udcff"), symbols.addresses("\udcff")) == (None, [])


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_last_line(tmp_path, end):
    file = tmp_path / "kallsyms"
    file.write_text(TEXT + "ffffffffc0400000 T last" + end)
    symbols = Symbols(str(file))

    assert symbols.has("last")
    assert symbols.address("last") == 0xFFFFFFFFC0400000
    assert symbols.addresses("last") == [0xFFFFFFFFC0400000]
    assert [symbols.at(0xFFFFFFFFC0400000) for _ in range(100)] == [Symbol("last", None)] * 100


def test_addresses_that_are_kept_from_us(kallsyms):
    """kernel.kptr_restrict shows zeros to those without CAP_SYSLOG."""
    kallsyms.write_text("".join("0" * 16 + line[16:] + "\n" for line in TEXT.splitlines()))
    symbols = Symbols(str(kallsyms))

    assert not symbols.readable
    assert symbols.find(0) is None


def test_no_file(tmp_path):
    """Without /proc nothing can be found."""
    assert not Symbols(str(tmp_path / "kallsyms")).readable


def test_it_is_read_once_and_only_when_asked(kallsyms):
    """A list without probes never reads it."""
    symbols = Symbols(str(kallsyms))
    assert symbols.find(0xFFFFFFFF81001010)
    kallsyms.unlink()
    assert symbols.find(0xFFFFFFFF81001010)


def test_a_name_that_is_no_text(kallsyms):
    """Whoever loads a module chooses its symbols."""
    kallsyms.write_bytes(b"ffffffff81000000 t \xff\x1b[31m\t[m\xffd]\n")

    assert Symbols(str(kallsyms)).find(0xFFFFFFFF81000000) == Symbol("\udcff\x1b[31m", "m\udcffd")


def test_names_that_are_no_text(kallsyms):
    """Objects may ask for any."""
    kallsyms.write_bytes(kallsyms.read_bytes() + b"ffffffff81002000 T odd\xff\n")
    symbols = Symbols(str(kallsyms))

    assert symbols.has("odd\udcff")
    assert symbols.address("odd\udcff") == 0xFFFFFFFF81002000
    assert symbols.addresses("odd\udcff") == [0xFFFFFFFF81002000]
    assert symbols.addresses("odd\udcff", "mod\udcff") == []
    assert not symbols.has("\udcff")
