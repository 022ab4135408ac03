"""bpfctl.kernel.compare: differences that are put aside."""

from __future__ import annotations

import resource
import tempfile

import pytest

from bpfctl.errors import KernelError
from bpfctl.kernel import compare
from bpfctl.kernel.compare import Kept


@pytest.fixture
def kept(monkeypatch):
    monkeypatch.setattr(compare, "_IN_MEMORY", 8)
    found = Kept()
    yield found
    found.close()


def test_what_is_put_aside_comes_back(kept):
    chunks = [([b"a", b"b"], [b"1" * 1000, b"2" * 1000]), ([b"c"], [b"3"])]
    for keys, values in chunks:
        kept.put(keys, values)

    assert [(chunk.keys, chunk.values, chunk.entries) for chunk in kept] == [
        (b"".join(keys), b"".join(values), len(keys)) for keys, values in chunks
    ]


def test_no_room_for_it(kept):
    """It is the error of a file, also when that is closed with what it could not write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(KernelError, match="temporary file: File too large"):
            kept.put([b"a"], [bytes(1000)])
        kept.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_folder_for_it(kept, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    with pytest.raises(KernelError, match="temporary file: No such file or directory"):
        kept.put([b"a"], [bytes(1000)])
