"""Commands that wait until all that is to be counted is set up: how they are started, stopped, and end."""

from __future__ import annotations

import os
import signal

import pytest

from bpfctl.errors import CannotStart
from bpfctl.probe.workload import Workload
from tests.build.stat_load import load


@pytest.fixture
def scripts(tmp_path):
    """Make files that are no programs, and one that needs a shell."""
    (tmp_path / "text").write_text("exit 7\n")
    (tmp_path / "script").write_text("exit 8\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "lost").write_text("#!/nonexistent/interpreter\n")
    (tmp_path / "lost").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "code"), [("nosuch", 127), ("", 127), ("text", 126), (".", 126), ("lost", 127), ("text/x", 126)]
)
def test_a_command_that_cannot_be_run(scripts, name, code):
    path = str(scripts / name) if name else ""
    with Workload([path]) as workload, pytest.raises(CannotStart, match="can't run ") as caught:
        workload.start()

    assert caught.value.exit_code == code


def test_a_script_without_its_first_line(scripts):
    with Workload([str(scripts / "script")]) as workload:
        workload.start()
        workload.wait()

    assert workload.ended.exit_code == 8


def test_ctrl_c_that_ends_a_command_before_anybody_waits():
    """It is for the command, not for us once that is over."""
    with Workload(["true"]) as workload:
        workload.start()
        os.waitid(os.P_PID, workload.pid, os.WEXITED | os.WNOWAIT)
        os.kill(os.getpid(), signal.SIGINT)
        assert workload.wait()

    assert workload.ended.exit_code == 0
    assert workload.ended.is_stopped


def test_a_command_that_is_never_run(tmp_path):
    with Workload(["touch", str(tmp_path / "made")]) as workload:
        pass

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(workload.pid, 0)


def test_signals_are_handed_on():
    """Those that somebody sends to us alone."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with Workload([load(), "spins", "20", "waits", "1"], stdout=os.open(os.devnull, os.O_WRONLY)) as workload:
        os.close(workload._stdout)
        workload.start()
        assert not workload.wait(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
        workload.wait()

    assert workload.ended.exit_code == 143
    assert workload.ended.is_stopped
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
