"""What came of a test run, as bpftool shows it (src/prog.c do_run), and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.uapi.enums import ProgType
from bpfctl.views import form
from bpfctl.views.form import Layout, Object
from bpfctl.views.view import Column, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.views.form import Node

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
    ProgType.FLOW_DISSECTOR: {0: "BPF_OK", 2: "BPF_DROP", 129: "BPF_FLOW_DISSECTOR_CONTINUE"},
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
        *_bytes_columns("data out", run.data),
        *_bytes_columns("context out", run.ctx),
    )


def _bytes_columns(title: str, part: Bytes | None) -> Iterator[Column]:
    if part is None or not part.after:
        return
    told = f"{len(part.after)} bytes, {_compared(part)}"
    yield Column(title, _always(f"{told}, written to {part.file}" if part.file else told))
    if part.shown:
        for at in range(0, len(part.after), _ROW):
            row = part.after[at : at + _ROW]
            line = f"{at:04x}  {' '.join(pair.hex() for pair in _pairs(row)):<39}  {_text(row)}"
            yield Column("", _always(line), tone="" if row == part.before[at : at + _ROW] else "symbol")


def _compared(part: Bytes) -> str:
    before, after = part.before, part.after
    changed = sum(a != b for a, b in zip(before, after, strict=False))
    told = [f"{changed} changed"] if changed else []
    if len(before) != len(after):
        told.append(f"{len(before)} before")
    return ", ".join(told) or "unchanged"


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value
