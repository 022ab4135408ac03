"""What measurements of all kinds have in common."""

from __future__ import annotations

import pytest

from bpfctl._sys.fd import Closing
from bpfctl.errors import KernelError
from bpfctl.gauge.gauge import Running


class Action(Closing):
    is_closed = False

    def close(self):
        self.is_closed = True


class Run(Closing):
    def close(self):
        raise KernelError("can't remove event 'x'", 5)


def test_an_action_is_closed_when_its_probes_cannot_be_detached():
    action = Action()

    with pytest.raises(KernelError, match="can't remove event 'x'"):
        Running(action, Run()).close()
    assert action.is_closed
