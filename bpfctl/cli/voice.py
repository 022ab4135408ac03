"""Which voice speaks: JSON where it is asked for, tables on a terminal or with ``--color always``, else plain text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfctl.cli.options import Options, When
    from bpfctl.render.output import Output
    from bpfctl.render.sink import Sink


def output(sink: Sink, chosen: Options) -> Output:
    """Return the voice for a descriptor."""
    if chosen.json:
        from bpfctl.render.json import JsonOutput

        return JsonOutput(sink, pretty=chosen.pretty, extra=chosen.extra)
    if is_table(sink, chosen):
        from bpfctl.render.terminal import TerminalOutput

        return TerminalOutput(sink, color=color(chosen), pages=not chosen.no_pager)
    from bpfctl.render.plain import PlainOutput

    return PlainOutput(sink)


def is_table(sink: Sink, chosen: Options) -> bool:
    """Return whether tables are drawn there."""
    return not chosen.json and not chosen.plain and (color(chosen) == "always" or os.isatty(sink.fd))


def color(chosen: Options) -> When:
    """Return when there are colours, by the option, else by the environment as no-color.org and clicolors tell it."""
    if chosen.color == "auto" and os.environ.get("CLICOLOR_FORCE") and not os.environ.get("NO_COLOR"):
        return "always"
    return chosen.color
