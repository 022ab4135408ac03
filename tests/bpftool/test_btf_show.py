"""`btf show` agrees with pahole, which prints the same from the same types."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bpfctl.views import layout as view
from btf import types
from btf.read import BTF

VMLINUX = Path("/sys/kernel/btf/vmlinux")
LEAST = 3000  # structs of a kernel
AT_ONCE = 500  # whose names fit in a command
#: What pahole adds up and we do too; it guesses alignments, and we do not.
TOTALS = {
    "size",
    "cachelines",
    "members",
    "sum members",
    "holes",
    "sum holes",
    "sum bitfield members",
    "bit holes",
    "sum bit holes",
    "padding",
    "bit_padding",
    "last cacheline",
}


@pytest.fixture(scope="module")
def vmlinux():
    return BTF.from_bytes(VMLINUX.read_bytes())


def facts(text):
    """What a text says of each struct: its members, holes and cache lines in their order, and its totals."""
    found, now = {}, None
    for line in text.splitlines():
        comment = re.search(r"/\* (.*) \*/$", line)
        if head := re.match(r"struct (\w+) \{", line):
            now = found.setdefault(head[1], ([], {}))
        elif numbers := re.match(r"\s*(.*?)\s*/\* +(\d+)(?:: *(\d+))? +(\d+) \*/$", line):
            name = re.search(
                r"\(?\*?(\w*)(?:\[\d*\])*(?:\)(?:\(.*\)|(?:\[\d*\])+))?(?::\d+)?(?: __attribute__\(.*\))?;$", numbers[1]
            )
            now[0].append((name[1], int(numbers[2]), int(numbers[3] or 0), int(numbers[4])))
        elif comment and (" hole, " in comment[1] or comment[1].startswith("---")):
            now[0].append(comment[1])
        elif comment and line.startswith("\t/* ") and ": " in comment[1]:
            pairs = (pair.split(": ") for pair in comment[1].split(", "))
            now[1].update({name: value.split()[0] for name, value in pairs if name in TOTALS})
    return found


def candidates(btf):
    """Structs whose name means nothing else, and that pahole does not go into by way of a pointer."""
    names = {}
    for one in btf:
        names.setdefault(one.name, []).append(one)
    for name, (first, *others) in names.items():
        if name and not others and isinstance(first, types.Struct) and not any(odd(btf, first)):
            yield first


def odd(btf, of):
    for member in of.members:
        to = btf.type(member.type_id)
        if isinstance(to, types.Pointer):
            to = btf.type(to.type_id)
            yield isinstance(to, types.Struct | types.Union) and not to.name
        elif isinstance(to, types.Struct | types.Union) and not to.name:
            yield from odd(btf, to)


def test_every_struct(vmlinux):
    """Names, offsets, sizes, bit fields, holes, cache lines and totals of all structs are pahole's."""
    every = list(candidates(vmlinux))
    assert len(every) > LEAST

    for some in (every[at : at + AT_ONCE] for at in range(0, len(every), AT_ONCE)):
        words = ["pahole", "-F", "btf", "-C", ",".join(of.name for of in some), VMLINUX]
        theirs = facts(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        ours = facts("\n".join(line for of in some for line in view.lines(view.Shown("", vmlinux, of.id))))

        assert theirs.keys() == ours.keys()
        for name, (members, totals) in ours.items():
            assert members == theirs[name][0], name
            assert totals == theirs[name][1], name
