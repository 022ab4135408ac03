"""What the runs of a program cost, as bpftool's src/prog.c profile_print_readings_json and _plain tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.attach.profile import Reading, Value


def json(reading: Reading) -> list[dict[str, Any]]:
    """Return an object for each metric."""
    return [
        {
            "metric": value.metric.name,
            "run_cnt": reading.run_cnt,
            "value": value.counter,
            "enabled": value.enabled,
            "running": value.running,
        }
        for value in reading.values
    ]


def plain(reading: Reading) -> Iterator[str]:
    """Yield the lines."""
    yield ""
    yield f"{reading.run_cnt:18} {'run_cnt':<20}"
    base = {value.metric.name: value.counter for value in reading.values} | {"run_cnt": reading.run_cnt}
    for value in reading.values:
        metric = value.metric
        line = f"{value.counter:18} {metric.name:<20}"
        by = base.get(metric.per, 0)
        line += f"# {value.counter * metric.times / by:8.2f} {metric.comment:<30}" if by > 0 else " " * 41
        yield line + _shared(value)


def _shared(value: Value) -> str:
    """Tell how much of the time was counted, where other events had the counters for the rest."""
    return f"({value.running * 100 / value.enabled:4.2f}%)" if value.enabled > value.running else ""
