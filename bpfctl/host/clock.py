"""The wall-clock time of what the kernel stamps with time since boot."""

from __future__ import annotations

import time


def boot_time_ns() -> int:
    """Return the wall-clock time of boot, in nanoseconds since the epoch, as both clocks say now."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
