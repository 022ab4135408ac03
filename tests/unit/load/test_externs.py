"""What an object is supplied with, of a kernel whose symbols are made up here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bpfctl.elf.read import read
from bpfctl.errors import NotSupported
from bpfctl.host.kallsyms import Symbols
from bpfctl.load.externs import resolve
from tests.build.compiled import compiled

TEXT = """\
0000000000000000 A no_such_symbol
ffffffff81000000 T _stext
"""


def supplied(text, tmp_path, name="ksym_missing"):
    file = tmp_path / "kallsyms"
    file.write_text(text)
    kernel = SimpleNamespace(symbols=Symbols(str(file)))
    return resolve(read(compiled(name)), kernel).supplies["no_such_symbol"].address


def test_symbols_of_modules(tmp_path):
    """libbpf does not ask where a symbol is; several symbols of a name may be at one place."""
    text = "ffffffff81000000 T _stext\nffffffffc0200000 t no_such_symbol\t[odd]\n"

    assert supplied(text, tmp_path) == 0xFFFFFFFFC0200000
    assert supplied(text + "ffffffffc0200000 d no_such_symbol\n", tmp_path) == 0xFFFFFFFFC0200000


def test_a_symbol_at_zero(tmp_path):
    """That is where variables per CPU begin; where all are at zero they are kept from us."""
    assert supplied(TEXT, tmp_path) == 0
    with pytest.raises(NotSupported, match="tells no address of no_such_symbol"):
        supplied(TEXT.replace("ffffffff81", "0000000000"), tmp_path)


@pytest.mark.parametrize("name", ["ksym_missing", "ksym_weak"])
def test_several_symbols_of_a_name(name, tmp_path):
    """Nobody can tell which one is meant."""
    text = "ffffffff81000000 t no_such_symbol\nffffffff81000010 t no_such_symbol\n"
    with pytest.raises(NotSupported, match="several symbols that are called no_such_symbol"):
        supplied(text, tmp_path, name)


def test_no_symbol(tmp_path):
    """A weak one is zero."""
    assert supplied("ffffffff81000000 T _stext\n", tmp_path, "ksym_weak") == 0
    with pytest.raises(NotSupported, match="tells no address of no_such_symbol"):
        supplied("ffffffff81000000 T _stext\n", tmp_path)
