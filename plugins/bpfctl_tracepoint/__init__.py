"""tracepoint:CATEGORY:NAME fires where the kernel's authors have put a static event."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bpfctl.plugin import API, NotSupported, ProbePoint, tracefs

if TYPE_CHECKING:
    from collections.abc import Iterator


class TracepointSource:
    """The static events that tracefs lists."""

    api = API
    kind = "tracepoint"
    summary = "static events in the kernel, by CATEGORY:NAME"

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the tracepoints whose ``CATEGORY:NAME`` matches; NotSupported without a tracefs."""
        events = tracefs.tracepoints()
        if events is None:
            raise NotSupported(
                "tracepoints cannot be listed: no tracefs is mounted (mount -t tracefs tracefs /sys/kernel/tracing)"
            )
        for category, name in events:
            target = f"{category}:{name}"
            if fnmatchcase(target, pattern):
                yield ProbePoint(self.kind, target)
