"""Numbers written by hand agree with those generated from the kernel's BTF."""

from __future__ import annotations

from bpfctl._sys import calls
from bpfctl.uapi.commands import Cmd


def test_commands():
    ours = {name: number for name, number in vars(calls).items() if name.isupper() and name in Cmd.__members__}

    assert ours == {name: int(Cmd[name]) for name in ours}
    assert len(ours) == 38
