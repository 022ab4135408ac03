"""What came of a test run, as bpftool shows it (src/prog.c do_run), and for people."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.uapi.enums import ProgType
from bpfctl.views import form
from bpfctl.views.form import Layout, Object
from bpfctl.views.view import Column, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.views.form import Node
    from btf.value import Record, Value

_ROW = 16  # bytes in a line
_XDP = {0: "XDP_ABORTED", 1: "XDP_DROP", 2: "XDP_PASS", 3: "XDP_TX", 4: "XDP_REDIRECT"}
_TC = {
    0xFFFFFFFF: "TC_ACT_UNSPEC",
    0: "TC_ACT_OK",
    1: "TC_ACT_RECLASSIFY",
    2: "TC_ACT_SHOT",
    3: "TC_ACT_PIPE",
    4: "TC_ACT_STOLEN",
    5: "TC_ACT_QUEUED",
    6: "TC_ACT_REPEAT",
    7: "TC_ACT_REDIRECT",
    8: "TC_ACT_TRAP",
}
_SK = {0: "SK_DROP", 1: "SK_PASS"}
_LWT = {0: "BPF_OK", 2: "BPF_DROP", 7: "BPF_REDIRECT", 128: "BPF_LWT_REROUTE"}
# Kernel: enum xdp_action, enum sk_action and enum bpf_ret_code in include/uapi/linux/bpf.h, TC_ACT_OK and its kin in
# include/uapi/linux/pkt_cls.h.
_RETURNS: dict[ProgType | int, dict[int, str]] = {
    ProgType.XDP: _XDP,
    ProgType.SCHED_CLS: _TC,
    ProgType.SCHED_ACT: _TC,
    ProgType.SK_LOOKUP: _SK,
    ProgType.LWT_IN: _LWT,
    ProgType.LWT_OUT: _LWT,
    ProgType.LWT_XMIT: _LWT,
    # 0 is BPF_OK, but of kernels before 6.1 that the program has returned anything else (commit 91350fe15221, "bpf,
    # flow_dissector: Introduce BPF_FLOW_DISSECTOR_CONTINUE retcode", Linux 6.1).
    ProgType.FLOW_DISSECTOR: {2: "BPF_DROP", 129: "BPF_FLOW_DISSECTOR_CONTINUE"},
}


class Bytes(NamedTuple):
    """What a run has given back: the data or the context."""

    before: bytes
    after: bytes
    shown: bool  # whether it was asked for here
    file: str | None  # where it has been written


class Outcome(NamedTuple):
    """A run, as far as it is told of."""

    type: ProgType | int
    retval: int
    duration: int
    repeat: int
    data: Bytes | None
    ctx: Bytes | None
    error: str  # why something could not be written; empty when all is well


def stream(run: Outcome) -> Stream:
    """Return all voices of a run."""
    return Stream(
        head={},
        title="",
        items="",
        json=lambda depth, spell: _json(run, Layout(depth, spell)),
        plain=lambda: _plain(run),
        document=None,
        columns=lambda: _columns(run),
        rows=lambda: iter((run,)),
        empty="",
    )


def _shown(run: Outcome) -> Iterator[tuple[str, bytes]]:
    for name, part in (("data_out", run.data), ("ctx_out", run.ctx)):
        if part and part.shown and part.after:
            yield name, part.after


def _json(run: Outcome, layout: Layout) -> Iterator[bytes]:
    members: list[tuple[str, Node]] = [(name, [str(byte) for byte in raw]) for name, raw in _shown(run)]
    members += [("retval", str(run.retval)), ("duration", str(run.duration))]
    if run.error:
        members.append(("error", layout.spell(run.error)))
    yield form.text(Object(tuple(members)), layout).encode()


def _plain(run: Outcome) -> Iterator[bytes]:
    for _, raw in _shown(run):
        yield "".join(_hex(raw)).encode()
    average = " (average)" if run.repeat > 1 else ""
    yield f"Return value: {run.retval}, duration{average}: {run.duration}ns\n".encode()


def _hex(raw: bytes) -> Iterator[str]:
    """Yield lines of bytes, also as text (hex_print)."""
    for at in range(0, len(raw), _ROW):
        row = raw[at : at + _ROW]
        digits = "".join(f"{part.hex()} " if len(part) == 2 else part.hex() for part in _pairs(row))
        text = _text(row)
        yield f"{at:07x}\t{digits:<40}| {text[:8]}{' ' if len(text) > 7 else ''}{text[8:]}\n"


def _pairs(row: bytes) -> Iterator[bytes]:
    return (row[at : at + 2] for at in range(0, len(row), 2))


def _text(row: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)


def _columns(run: Outcome) -> tuple[Column, ...]:
    """Return a column for each line that people see."""
    meaning = _RETURNS.get(run.type, {}).get(run.retval)
    took = f"{run.duration} ns" + (f" on average of {run.repeat} runs" if run.repeat > 1 else "")
    return (
        Column("returned", _always(f"{run.retval} {meaning}" if meaning else str(run.retval)), tone="name"),
        Column("took", _always(took)),
        *_data_columns(run),
        *_ctx_columns(run),
    )


def _data_columns(run: Outcome) -> Iterator[Column]:
    from bpfctl.kernel import context  # noqa: PLC0415 - only a terminal shows members

    part = run.data
    if part is None or not part.after:
        return
    if run.type is ProgType.FLOW_DISSECTOR:
        yield _head("flow keys", part, f"{len(part.after)} bytes")
        yield from _members(context.structure(context.FLOW_KEYS, part.after), None)
        return
    yield _head("data out", part, _compared(part))
    if part.shown:
        yield from _dump(part)


def _ctx_columns(run: Outcome) -> Iterator[Column]:
    from bpfctl.kernel import context  # noqa: PLC0415 - only a terminal shows members

    part = run.ctx
    if part is None or not part.after:
        return
    yield _head("context out", part, _compared(part))
    found = context.decode(run.type, part.after)
    if found is not None:
        yield from _members(found, context.decode(run.type, part.before), every=part.shown)
    elif part.shown:
        yield from _dump(part)


def _head(title: str, part: Bytes, told: str) -> Column:
    return Column(title, _always(f"{told}, written to {part.file}" if part.file else told))


def _dump(part: Bytes) -> Iterator[Column]:
    """Yield lines of bytes; those that are not as before stand out, if all bytes are where they were."""
    alike = len(part.before) == len(part.after)
    for at in range(0, len(part.after), _ROW):
        row = part.after[at : at + _ROW]
        line = f"{at:04x}  {' '.join(pair.hex() for pair in _pairs(row)):<39}  {_text(row)}"
        yield Column("", _always(line), tone="symbol" if alike and row != part.before[at : at + _ROW] else "")


def _members(after: Record | None, before: Record | None, *, every: bool = True) -> Iterator[Column]:
    """Yield the members that are not 0, or no longer, of which those that are not as before stand out."""
    from bpfctl.views import value as values  # noqa: PLC0415 - only a terminal shows members
    from btf.value import Record  # noqa: PLC0415

    olds = [old for _, old in before.fields] if before else []
    for (name, value), old in zip_longest(after.fields if after else (), olds):
        changed = before is not None and value != old
        if isinstance(value, Record):
            yield from _members(value, old if isinstance(old, Record) else None, every=every)
        elif changed or (every and _is_something(value)):
            yield Column("", _always(f"{name} = {values.plain(value)}"), tone="symbol" if changed else "")


def _is_something(value: Value) -> bool:
    return any(map(_is_something, value)) if isinstance(value, list) else bool(value)


def _compared(part: Bytes) -> str:
    size = f"{len(part.after)} bytes"
    if len(part.before) != len(part.after):
        return f"{size}, before {len(part.before)}"
    changed = sum(a != b for a, b in zip(part.before, part.after, strict=True))
    return f"{size}, {changed} of them changed" if changed else f"{size}, unchanged"


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value
