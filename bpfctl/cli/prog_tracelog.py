"""bpfctl prog tracelog, as bpftool's (src/tracelog.c, and src/prog.c do_tracelog_any)."""

from __future__ import annotations

from bpfctl.cli import grammar, opt
from bpfctl.errors import UsageError


def tracelog(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    limit: opt.Lines = None,
    seconds: opt.Seconds = None,
) -> None:
    """Show what programs write with bpf_printk(), or what is in a stream of one.

    Without words it is what all programs write, until Ctrl-C; it is taken from others who would read it.
    """
    left = grammar.Words(words)
    if left:
        if limit is not None or seconds is not None:
            raise UsageError("--limit and --seconds are for the kernel's trace, not for the streams of a program")
        _stream(ctx, left)
        return
    from bpfctl.cli.stop import stopping
    from bpfctl.kernel.trace_log import TraceLog

    if ctx.obj.depth and limit is None and seconds is None:
        raise UsageError("prog tracelog has no end, so it is no command for a batch")
    with stopping() as stop, TraceLog() as log:
        stop.closes(log)
        ctx.obj.out.log(log.batches(limit=limit, seconds=seconds))


def _stream(ctx: opt.Context, words: grammar.Words) -> None:
    from bpfctl.kernel.prog import Program
    from bpfctl.kernel.trace_log import STREAMS, stream

    name = words.keyword(*STREAMS)
    if name is None:
        raise UsageError(f"expected 'stdout' or 'stderr', got: '{words.next('the stream')}'?")
    words.at_least(2, "tracelog")
    which = grammar.prog(words)
    words.end()
    out = ctx.obj.out
    if name == "stderr" and not ctx.obj.options.json:
        from bpfctl.render.plain import PlainOutput
        from bpfctl.render.sink import Sink

        out.sink.flush()
        out = PlainOutput(Sink(2))
    with Program.one(which) as program:
        out.log(stream(program, STREAMS[name]))
