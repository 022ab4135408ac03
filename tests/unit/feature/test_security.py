"""Who may refuse what bpf(2) asks for, and what is known of them where files do not tell."""

from __future__ import annotations

import pytest

from bpfctl._sys import task
from bpfctl.feature import security
from bpfctl.feature.security import Told


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Stands where securityfs does."""
    monkeypatch.setattr(security, "_FOLDER", str(tmp_path))
    return tmp_path


@pytest.fixture
def active(monkeypatch):
    """What the system call answers; an OSError is raised."""

    def answer(found):
        def ask():
            if isinstance(found, OSError):
                raise found
            return found

        monkeypatch.setattr(task, "security_modules", ask)

    return answer


def test_files_come_first(folder, active):
    active([100])
    (folder / "lsm").write_text("lockdown,yama,bpf\n")
    (folder / "lockdown").write_text("none [integrity] confidentiality\n")

    assert security.modules() == Told("lockdown,yama,bpf")
    assert security.lockdown() == Told("integrity")


def test_without_securityfs_the_kernel_is_asked(active):
    """It names the modules by numbers, and not the mode of lockdown."""
    active([108, 100, 104, 999])

    assert security.modules() == Told("lockdown,capability,apparmor,999")
    assert security.lockdown() == Told(None, "securityfs is not mounted")


def test_there_is_no_lockdown_without_its_module(active):
    active([100, 101])

    assert security.lockdown() == Told("none")


def test_where_nothing_tells(active):
    active(OSError(38, "Function not implemented"))

    assert security.modules() == Told(None, "securityfs is not mounted")
    assert security.judges() == Told(None, "securityfs is not mounted")


def test_judges(active, monkeypatch):
    monkeypatch.setattr(security, "_programs", lambda: 2)
    active([100, 105, 108, 109, 110])

    assert security.judges() == Told("lockdown bpf (2 programs at its hooks)")
    active([100, 105])
    assert security.judges() == Told("none")
