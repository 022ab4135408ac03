"""Records of event buffers: as bpftool's event_pipe shows them (src/map_perf_ring.c), and our own way."""

from __future__ import annotations

import time
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.kernel.perf_buffer import HEAD, LOSS, LOST, SAMPLE
from bpfctl.views import value as values
from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.perf_buffer import PerfRecord
    from btf.value import Value

_HEADER = Struct("=IHH")  # struct perf_event_header: type, misc, size
_SECOND = 10**9
_ROW = 16  # bytes in a line


def rows(data: bytes) -> Iterator[str]:
    """Yield bytes in hexadecimal, 16 in a line with a gap in the middle (src/main.c fprint_hex)."""
    for at in range(0, len(data), _ROW):
        yield "  ".join(data[half : min(half + 8, at + _ROW)].hex(" ") for half in (at, at + 8) if half < len(data))


def _pipe_json(record: PerfRecord) -> dict[str, Any]:
    kind = _HEADER.unpack_from(record.raw)[0]
    members: dict[str, Any] = {"type": kind, "cpu": record.cpu, "index": record.key}
    if kind == SAMPLE:
        _, _, _, stamp, size = HEAD.unpack_from(record.raw)
        members |= {"timestamp": stamp, "data": list(record.raw[HEAD.size : HEAD.size + size])}
    elif kind == LOST:
        id_, count = LOSS.unpack_from(record.raw)
        members["lost"] = {"id": id_, "count": count}
    return members


def _pipe_plain(record: PerfRecord) -> Iterator[str]:
    kind, _, length = _HEADER.unpack_from(record.raw)
    if kind == SAMPLE:
        _, _, _, stamp, size = HEAD.unpack_from(record.raw)
        yield f"== @{stamp // _SECOND}.{stamp % _SECOND:09} CPU: {record.cpu} index: {record.key} ====="
        yield from rows(record.raw[HEAD.size : HEAD.size + size])
        if not size:
            yield ""
    elif kind == LOST:
        yield f"lost {LOSS.unpack_from(record.raw)[1]} events"
    else:
        yield f"unknown event type={kind} size={length}"


class Event(NamedTuple):
    """A record with what is known of it, or what became of records that are not there; times are nanoseconds.

    Exactly one of ``data``, ``lost`` and ``missed`` is not None.
    """

    time: int  # since the epoch: of the record where it has one, else of its reading
    cpu: int | None  # None: ring buffers do not tell
    data: bytes | Value | None  # bytes, or a value of the type that was asked for
    lost: int | None = None  # records that found the buffer full
    missed: int | None = None  # bytes of records that were overwritten before we had copied them


def _json(event: Event) -> dict[str, Any]:
    members: dict[str, Any] = {"time": event.time}
    if event.cpu is not None:
        members["cpu"] = event.cpu
    if event.lost is not None:
        return members | {"lost": event.lost}
    if event.missed is not None:
        return members | {"missed_bytes": event.missed}
    if isinstance(event.data, bytes):
        return members | {"size": len(event.data), "data": event.data.hex()}
    assert event.data is not None  # noqa: S101 - one of the three is there
    return members | {"value": values.json(event.data)}


def _plain(event: Event) -> Iterator[str]:
    seconds, rest = divmod(event.time, _SECOND)
    head = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.localtime(seconds))}.{rest:09}"
    if event.cpu is not None:
        head += f"  cpu {event.cpu}"
    first, *more = _body(event)
    yield f"{head}  {first}"
    for line in more:
        yield f"\t{line}"


def _body(event: Event) -> tuple[str, ...]:
    if event.lost is not None:
        return (f"lost {event.lost} records: the buffer was full",)
    if event.missed is not None:
        return (f"missed {event.missed} bytes of records: overwritten before they were copied",)
    if isinstance(event.data, bytes):
        return (f"{len(event.data)} bytes", *_dump(event.data))
    assert event.data is not None  # noqa: S101 - one of the three is there
    return (values.plain(event.data),)


def _dump(data: bytes) -> Iterator[str]:
    """Yield lines of bytes in hexadecimal, and as text what can be printed."""
    for at, line in enumerate(rows(data)):
        part = data[at * _ROW : (at + 1) * _ROW]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{line:<48}  |{text}|"


def _clock(event: Event) -> str:
    seconds, rest = divmod(event.time, _SECOND)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest // 1000:06}"


def _none(_: object) -> dict[str, Any]:
    return {}


PIPE: View[PerfRecord] = View("events", json=_pipe_json, plain=_pipe_plain, columns=(), extra=_none)

EVENTS: View[Event] = View(
    "records",
    json=_json,
    plain=_plain,
    columns=(
        Column("time", _clock, tone="quiet"),
        Column("cpu", lambda event: None if event.cpu is None else f"cpu {event.cpu}", tone="handle"),
        Column("record", _body),
    ),
    extra=_none,
)
