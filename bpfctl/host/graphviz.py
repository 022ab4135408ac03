"""Graphs in DOT, drawn by Graphviz's dot where it is installed."""

from __future__ import annotations

import shutil
import subprocess

from bpfctl.errors import ToolError


def svg(graph: str) -> bytes:
    """Return the drawing of a graph as SVG; ToolError when there is no dot, or when it fails."""
    dot = shutil.which("dot")
    if dot is None:
        raise ToolError("can't draw the graph: there is no Graphviz (apt install graphviz, or take the text)")
    try:
        done = subprocess.run([dot, "-Tsvg"], input=graph.encode(errors="replace"), capture_output=True, check=False)
    except OSError as error:
        raise ToolError(f"can't start {dot}: {error.strerror}") from None
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().split("\n")[-1]
        raise ToolError(f"Graphviz's dot ended with exit code {done.returncode}: {said or 'it said nothing'}")
    return done.stdout
