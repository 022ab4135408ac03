"""Graphs drawn by the real dot, and what is said where there is none or where it fails."""

from __future__ import annotations

import pytest

from bpfctl.errors import ToolError
from bpfctl.host import graphviz


def test_a_graph_is_drawn():
    drawn = graphviz.svg('digraph { a [label="<b>"]; a -> b; }')

    assert drawn.startswith(b"<?xml")
    assert b"&lt;b&gt;" in drawn
    assert drawn.rstrip().endswith(b"</svg>")


def test_what_is_no_graph():
    with pytest.raises(ToolError, match=r"ended with exit code 1: .*syntax error"):
        graphviz.svg("digraph {")


def test_no_graphviz(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolError, match="apt install graphviz"):
        graphviz.svg("digraph {}")


@pytest.fixture
def dot(monkeypatch, tmp_path):
    """Have another program be found as Graphviz's."""

    def put(text):
        fake = tmp_path / "dot"
        fake.write_text(text)
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def test_a_dot_that_does_nothing(dot):
    dot("#!/bin/sh\nexit 3\n")

    with pytest.raises(ToolError, match="exit code 3: it said nothing"):
        graphviz.svg("digraph {}")


def test_a_dot_that_does_not_start(dot):
    dot("#!/nowhere/to/be/found\n")

    with pytest.raises(ToolError, match=r"can't start .*: No such file"):
        graphviz.svg("digraph {}")
