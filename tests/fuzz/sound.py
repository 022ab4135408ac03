"""What fuzzing starts from: small sound BTFs of the unit tests, of clang and of the running kernel."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from btf import elf, kind
from btf.read import BTF
from btf.subset import references, subset
from btf.write import Builder
from tests.build.bpf_object import elf as elf_file
from tests.unit.btf.c_cases import CASES
from tests.unit.btf.test_fuzz import SOUND
from tests.unit.btf.test_fuzz_relo import OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What split BTFs are split off, what others are merged with, and whose facts relocations ask for.
BASE = BTF.from_bytes(SOUND)

_VMLINUX = Path("/sys/kernel/btf/vmlinux")
_SOURCE = Path(__file__).parents[1] / "bpftool" / "core_relo.bpf.c"
_MOST = 40  # types
_STRUCTS = 60


def split() -> bytes:
    """Return a BTF whose types refer to those of BASE."""
    b = Builder(base=BASE)
    b.add_struct("mine", 16, [("theirs", 4), ("p", b.next_id + 1, 64)])
    b.add_ptr(4)
    b.add_typedef("t", b.next_id - 2)
    b.add_func("f", b.add_func_proto(1, [("a", b.next_id - 2), ("b", 6)]), 1)
    b.add_struct("s", 16, [("bits", 1, 0, 3), ("next", 3, 64), ("c", 2, 32)])
    b.add_array(4, 1, 2)
    return b.build()


def seeds(seed: int) -> Iterator[bytes]:
    """Yield blobs and ELF files; which structs of the running kernel, follows from the seed."""
    yield SOUND
    yield split()
    yield OBJECT
    for case in CASES.values():
        yield case.data
    for order in ("little", "big"):
        yield elf_file([(".BTF", 1, 0, SOUND, 0, 0, 0), (".BTF.base", 1, 0, SOUND, 0, 0, 0)], order, 32)
    yield from _by_clang()
    yield from _of_the_kernel(Random(seed))


def _by_clang() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made.o")
        subprocess.run(["clang", "-target", "bpf", "-g", "-O2", "-c", str(_SOURCE), "-o", str(made)], check=True)
        data = made.read_bytes()
    found = elf.sections(data, (".BTF", ".BTF.ext"))
    yield found[".BTF"]
    yield elf_file([(name, 1, 0, contents, 0, 0, 0) for name, contents in found.items()])


def _of_the_kernel(rng: Random) -> Iterator[bytes]:
    if not _VMLINUX.exists():
        return
    vmlinux, left = BTF.from_bytes(_VMLINUX.read_bytes()), _STRUCTS
    for type_id in rng.sample(vmlinux.ids, 20_000):
        if vmlinux.kind(type_id) in (kind.STRUCT, kind.FUNC_PROTO) and _is_small(vmlinux, type_id):
            yield subset(vmlinux, [type_id])
            left -= 1
            if not left:
                return


def _is_small(btf: BTF, type_id: int) -> bool:
    """Tell whether a type needs some others, but not many."""
    needed, waiting = {0}, [type_id]
    while waiting and len(needed) <= _MOST:
        if (one := waiting.pop()) not in needed:
            needed.add(one)
            waiting += references(btf.type(one))
    return 4 < len(needed) <= _MOST
