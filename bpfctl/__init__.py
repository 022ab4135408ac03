"""bpfctl: see and manage eBPF on a live Linux kernel.

::

    import bpfctl

    for program in bpfctl.programs():
        print(program.id, program.name, program.info.run_cnt)

    with bpfctl.Map.by_id(7) as map:
        for key, value in map.items():
            print(key, value)

``programs()``, ``maps()``, ``links()`` and ``btfs()`` yield rows: facts about each object with its surroundings, as
long as it exists when its turn comes. ``Program``, ``Map``, ``Link`` and ``Btf`` are open handles, to be closed with
``with`` or ``close()``; so are ``RingBuffer`` and ``PerfBuffer``, which yield what programs send. Errors are in
``bpfctl.errors``; all of them are ``BpfctlError``. ``session()`` has probes counted, traced and put into histograms.

Names are looked up when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs every start of the program milliseconds
if TYPE_CHECKING:
    from typing import Any

    from bpfctl.errors import (
        Ambiguous,
        BpfctlError,
        DoesNotFit,
        KernelError,
        NotFound,
        NotSupported,
        Partial,
        PluginError,
        SavedError,
        Unfinished,
        UsageError,
        VerifierError,
    )
    from bpfctl.gauge.session import Session
    from bpfctl.gauge.session import Session as session  # noqa: N813 - a function to those who call it
    from bpfctl.kernel.btf import Btf, BtfInfo, BtfRow
    from bpfctl.kernel.btf import rows as btfs
    from bpfctl.kernel.link import Link, LinkInfo, LinkRow
    from bpfctl.kernel.link import rows as links
    from bpfctl.kernel.map import Map, MapInfo, MapRow
    from bpfctl.kernel.map import rows as maps
    from bpfctl.kernel.mapping import TypedMap
    from bpfctl.kernel.owner import Owner
    from bpfctl.kernel.per_cpu import PerCPU
    from bpfctl.kernel.perf_buffer import PerfBuffer, Sample
    from bpfctl.kernel.prog import Program, ProgramInfo, ProgramRow
    from bpfctl.kernel.prog import rows as programs
    from bpfctl.kernel.restore import restore
    from bpfctl.kernel.ring_buffer import RingBuffer
    from bpfctl.kernel.run import RunResult
    from bpfctl.kernel.select import Select
    from bpfctl.kernel.trace_log import TraceLog
    from bpfctl.kernel.usage import Statistics, Usage
    from bpfctl.load.object import Loaded
    from bpfctl.uapi.enums import AttachType, LinkType, MapType, ProgType

_WHERE = {
    "Ambiguous": "errors",
    "AttachType": "uapi.enums",
    "BpfctlError": "errors",
    "Btf": "kernel.btf",
    "BtfInfo": "kernel.btf",
    "BtfRow": "kernel.btf",
    "DoesNotFit": "errors",
    "KernelError": "errors",
    "Link": "kernel.link",
    "LinkInfo": "kernel.link",
    "LinkRow": "kernel.link",
    "LinkType": "uapi.enums",
    "Loaded": "load.object",
    "Map": "kernel.map",
    "MapInfo": "kernel.map",
    "MapRow": "kernel.map",
    "MapType": "uapi.enums",
    "NotFound": "errors",
    "NotSupported": "errors",
    "Owner": "kernel.owner",
    "Partial": "errors",
    "PerCPU": "kernel.per_cpu",
    "PerfBuffer": "kernel.perf_buffer",
    "PluginError": "errors",
    "ProgType": "uapi.enums",
    "Program": "kernel.prog",
    "ProgramInfo": "kernel.prog",
    "ProgramRow": "kernel.prog",
    "RingBuffer": "kernel.ring_buffer",
    "RunResult": "kernel.run",
    "Sample": "kernel.perf_buffer",
    "SavedError": "errors",
    "Select": "kernel.select",
    "Session": "gauge.session",
    "Statistics": "kernel.usage",
    "TraceLog": "kernel.trace_log",
    "TypedMap": "kernel.mapping",
    "Unfinished": "errors",
    "Usage": "kernel.usage",
    "UsageError": "errors",
    "VerifierError": "errors",
    "btfs": "kernel.btf",
    "links": "kernel.link",
    "maps": "kernel.map",
    "programs": "kernel.prog",
    "restore": "kernel.restore",
    "session": "gauge.session",
}

#: What some are called where they are.
_THERE = {"btfs": "rows", "links": "rows", "maps": "rows", "programs": "rows", "session": "Session"}

__all__ = [
    "Ambiguous",
    "AttachType",
    "BpfctlError",
    "Btf",
    "BtfInfo",
    "BtfRow",
    "DoesNotFit",
    "KernelError",
    "Link",
    "LinkInfo",
    "LinkRow",
    "LinkType",
    "Loaded",
    "Map",
    "MapInfo",
    "MapRow",
    "MapType",
    "NotFound",
    "NotSupported",
    "Owner",
    "Partial",
    "PerCPU",
    "PerfBuffer",
    "PluginError",
    "ProgType",
    "Program",
    "ProgramInfo",
    "ProgramRow",
    "RingBuffer",
    "RunResult",
    "Sample",
    "SavedError",
    "Select",
    "Session",
    "Statistics",
    "TraceLog",
    "TypedMap",
    "Unfinished",
    "Usage",
    "UsageError",
    "VerifierError",
    "btfs",
    "links",
    "maps",
    "programs",
    "restore",
    "session",
]


def __getattr__(name: str) -> Any:
    room = _WHERE.get(name)
    if room is None:
        raise AttributeError(f"module 'bpfctl' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415 - nothing is loaded before it is used

    module = import_module(f"bpfctl.{room}")
    value = getattr(module, _THERE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
