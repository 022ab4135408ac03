"""The program: the one place that turns exceptions into words and an exit code."""

from __future__ import annotations

import os
import sys

from bpfctl.cli import app, options
from bpfctl.cli.session import Session
from bpfctl.errors import BpfctlError
from bpfctl.render.sink import ClosedPipe, Sink

if sys.version_info < (3, 11):  # noqa: UP036 - a zip of this program may meet any Python
    sys.exit("Error: bpfctl needs Python 3.11 or newer")


def _output(sink: Sink, chosen: options.Options):  # type: ignore[no-untyped-def] # noqa: ANN202 - one of three classes
    if chosen.json:
        from bpfctl.render.json import JsonOutput

        return JsonOutput(sink, pretty=chosen.pretty, extra=chosen.extra)
    if not chosen.plain and os.isatty(sink.fd):
        from bpfctl.render.table import TableOutput

        return TableOutput(sink)
    from bpfctl.render.plain import PlainOutput

    return PlainOutput(sink)


def main() -> int:
    """Run the command line of this process; the result is the exit code."""
    sink = Sink(1)
    out = None
    try:
        chosen, words = options.split(sys.argv[1:])
        out = _output(sink, chosen)
        app.run(Session(out, chosen), words)
        out.close()
    except BpfctlError as error:
        out.error(str(error))
        out.close()
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
