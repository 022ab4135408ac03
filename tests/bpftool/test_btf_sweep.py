"""All that the BTF library writes against bpftool, by `tests.bpftool.btf_sweep`; over all modules it takes hours."""

from __future__ import annotations

import pytest

from btf import kind
from btf.errors import BTFError
from btf.write import Builder
from tests.bpftool import blobs, btf_sweep
from tests.bpftool.newest import CURRENT
from tests.unit.btf.test_fuzz import SOUND
from tests.vm import kernels

pytestmark = CURRENT
MODULES = 3


def check(kernel, modules=0):
    """Assert that no blob of a kernel differs; return how many there were."""
    chosen = btf_sweep.sampled(kernel, modules, seed=1)
    verdicts = list(btf_sweep.sweep(chosen, btf_sweep.FORMS, jobs=2))
    assert [] == [(verdict.name, verdict.differences) for verdict in verdicts if verdict.differences]
    return sum(verdict.compared > 0 for verdict in verdicts)


def test_running_kernel():
    """Types of the kernel, of its modules and of what is loaded, in every form; compilers take the header."""
    running = blobs.running()
    if running is None:
        pytest.skip("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")

    assert check(running, MODULES)


@pytest.mark.parametrize("name", ["5.10", "newest"])
def test_kernel_of_a_guest(name):
    """The oldest kernel and the newest one, whose modules have BTF too."""
    kernel = blobs.cached(name, kernels.fetch(kernels.TABLE[name]))

    modules = MODULES if name == "newest" else 0

    assert check(kernel, modules) == 1 + modules


def test_differences_are_told(monkeypatch, tmp_path):
    """A line that is not bpftool's, a blob that one of the two refuses, and types that come back as others."""
    path = tmp_path / "vmlinux"
    path.write_bytes(SOUND)
    kernel = blobs.Kernel("case", SOUND, (blobs.Source("vmlinux", path),))
    (raw,), (_, pretty) = btf_sweep.DUMPS["raw"], btf_sweep.DUMPS["json"]
    monkeypatch.setitem(btf_sweep.DUMPS, "raw", (raw._replace(ours=lambda _: ["[1] INT\n"]),))
    monkeypatch.setitem(btf_sweep.DUMPS, "json", (pretty._replace(ours=refuse),))
    monkeypatch.setattr(btf_sweep, "Builder", Forgetful)

    (verdict,) = btf_sweep.sweep(kernel, ("c", "unsorted", "raw", "json", "roundtrip"))

    assert verdict.compared == 5
    assert [
        "raw: line 1: b'[1] INT', bpftool b\"[1] INT 'u32' size=4 bits_offset=0 nr_bits=32 encoding=(none)\"",
        "-p: only bpftool takes it",
        "round trip: other bytes, other types",
    ] == list(verdict.differences)


def refuse(_btf):
    raise BTFError("refused")


class Forgetful(Builder):
    def add_float(self, name, _size):
        return super().add_float(name, 4)


def test_strings_that_stand_twice():
    """Objects that no compiler made may have such; a kernel's BTF has every string once."""
    b = Builder(strings=b"\0a\0a\0")
    b.add_words((b.string("a"), kind.FLOAT << 24, 4))
    b.add_words((b.string("a") + 2, kind.FLOAT << 24, 8))

    assert btf_sweep.round_trip(b.build(), None) == "other bytes, the same types: some strings stand twice"
    assert btf_sweep.round_trip(SOUND, None).startswith("strings in the ")


def test_main_tells_how_many_differ(capsys):
    """The last line has the sum, and the exit code is 0 when nothing differs."""
    assert btf_sweep.main(["--kernel", "running", "--forms", "raw", "--sample", "1", "--jobs", "1"]) == 0

    assert capsys.readouterr().out.splitlines()[-1].endswith(" 0 blobs differ")
