"""Lists of what is at network devices."""

from __future__ import annotations

import pytest

from bpfctl.cli import lists, net


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no programs see the packets of this network namespace"),
        (["dev", "lo"], "no programs see the packets of this device"),
    ],
)
def test_what_has_no_programs(monkeypatch, words, told):
    """Other devices may have some."""
    shown = []
    monkeypatch.setattr(lists, "show", lambda _session, view, *_: shown.append(view.empty))

    class Context:
        obj = None

    net.show(Context(), words)

    assert shown == [told]
