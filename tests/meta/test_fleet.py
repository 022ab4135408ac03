"""The playbook of the documentation does what it says, with Ansible as it is installed and this machine as a host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpfctl.feature import saved
from bpfctl.feature.answer import YES
from tests.build.compiled import compiled
from tests.build.reports import report

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "docs" / "examples" / "fleet.yml"


@pytest.fixture
def play(tmp_path):
    """Run the playbook, whose files are all in one folder; what it says, and whether it succeeds."""
    command = tmp_path / "bpfctl"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m bpfctl "$@"\n')
    command.chmod(0o755)
    (tmp_path / "prog.o").write_bytes(compiled("maps"))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "bpfctl": str(command),
        "facts": str(tmp_path / "facts.d"),
        "objects": [str(tmp_path / "prog.o")],
        "reports": str(tmp_path / "reports"),
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }

    def run(*words):
        ansible = [sys.executable, "-m", "ansible", "playbook", "-i", "web1,", "-e", json.dumps(variables), *words]
        done = subprocess.run([*ansible, PLAYBOOK], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_reports_are_collected_and_checked(play, tmp_path):
    rc, text = play()
    told = saved.read((tmp_path / "reports" / "web1.json").read_bytes())

    assert rc == 0, text
    assert f"{tmp_path}/prog.o on web1: 20 met" in text
    assert (told.full, told.feature("program_types", "socket_filter").can) == (True, YES)
    assert told.fact("kernel") == os.uname().release
    types = Path("/sys/kernel/btf/vmlinux")
    assert not types.exists() or (tmp_path / "reports" / "web1.btf").read_bytes() == types.read_bytes()


def test_what_is_not_met_fails_the_play(play, tmp_path):
    """The check alone, of reports that are there already."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "old.json").write_text(json.dumps(report("hash")))
    (tmp_path / "reports" / "new.json").write_text(json.dumps(report()))
    rc, text = play("--tags", "check")

    assert rc == 2, text
    assert f"not met: {tmp_path}/prog.o: map type hash (hash) by hash on old: the report says no" in text
    assert "not all hosts have what the objects need" in text
