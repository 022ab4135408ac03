"""Sources of perf events: software and hardware counters, units that sysfs names, breakpoints, and timers.

Each kind has a module with its class; `source` has what all of them share.
"""
