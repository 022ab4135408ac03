"""Which voice speaks: JSON where it is asked for, tables on a terminal, else plain text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfctl.cli.options import Options
    from bpfctl.render.output import Output
    from bpfctl.render.sink import Sink


def output(sink: Sink, chosen: Options) -> Output:
    """Return the voice for a descriptor."""
    if chosen.json:
        from bpfctl.render.json import JsonOutput

        return JsonOutput(sink, pretty=chosen.pretty, extra=chosen.extra)
    if is_table(sink, chosen):
        from bpfctl.render.table import TableOutput

        return TableOutput(sink)
    from bpfctl.render.plain import PlainOutput

    return PlainOutput(sink)


def is_table(sink: Sink, chosen: Options) -> bool:
    """Return whether tables are drawn there."""
    return not chosen.json and not chosen.plain and os.isatty(sink.fd)
