"""bpfctl.host.sysctl: settings of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.host import sysctl

if TYPE_CHECKING:
    from pathlib import Path


def test_a_number(tmp_path: Path) -> None:
    (tmp_path / "net" / "core").mkdir(parents=True)
    (tmp_path / "net" / "core" / "bpf_jit_enable").write_text("2\n")
    (tmp_path / "net" / "core" / "words").write_text("fq_codel\n")

    assert sysctl.number("net.core.bpf_jit_enable", str(tmp_path)) == 2
    assert sysctl.number("net.core.words", str(tmp_path)) is None
    assert sysctl.number("net.core.none", str(tmp_path)) is None
    assert isinstance(sysctl.number("kernel.pid_max"), int)
