"""The public plugin interface, version 1: what a source of events may use, and nothing else of bpfctl.

A plugin is an ordinary package with an entry point in the group ``bpfctl.plugins``; the entry point's name is the
kind of probe, its value a class that meets `Source`.

- A source yields `ProbePoint`, and `Group` for those that a user wants: what one program serves, and how to attach it.
- `Field` and the functions that make them say what can be read at a point, and with which instructions.
- `attach_tracepoint`, `attach_raw_tracepoint` attach a program; each returns something with ``close()``.
- `PerfEvent` is an event of perf_event_open(2); `attach_perf_event` attaches a program to it on each of its CPUs.
  `pmu` tells the units of this machine, `KernelSymbols` the addresses of the kernel's functions and variables.
- `Tracefs` has the files of tracefs, wherever it is mounted.
"""

from bpfctl._sys.fd import Closing
from bpfctl.asm.insn import R0, R1, R2, R3, R10, Reg
from bpfctl.attach.cookie import has_cookies
from bpfctl.attach.kprobe import Place as KprobePlace
from bpfctl.attach.kprobe import attach as attach_kprobe
from bpfctl.attach.kprobe import attach_multi as attach_kprobe_multi
from bpfctl.attach.perf_event import Event as PerfEvent
from bpfctl.attach.perf_event import event_hint as perf_hint
from bpfctl.attach.perf_event import everywhere as attach_perf_event
from bpfctl.attach.perf_event import tracepoint as attach_tracepoint
from bpfctl.attach.raw_tracepoint import attach as attach_raw_tracepoint
from bpfctl.attach.tracing import attach as attach_tracing
from bpfctl.attach.uprobe import Place as UprobePlace
from bpfctl.attach.uprobe import is_probeable
from bpfctl.elf.binary import Binary
from bpfctl.elf.cxx import plain as cxx_name
from bpfctl.elf.function import Function
from bpfctl.errors import BpfctlError, KernelError, NotFound, NotSupported, UsageError
from bpfctl.host import pmu
from bpfctl.host.cpus import online as online_cpus
from bpfctl.host.kallsyms import Symbols as KernelSymbols
from bpfctl.kernel.map import Map
from bpfctl.kernel.prog import Program
from bpfctl.kernel.tracefs import Tracefs
from bpfctl.probe.code import CTX, OUT, POINT, Code
from bpfctl.probe.field import (
    Blob,
    Bytes,
    Field,
    Integer,
    Opaque,
    Text,
    copied,
    extend,
    in_context,
    memory,
    number,
    string,
)
from bpfctl.probe.in_process import process_groups
from bpfctl.probe.pattern import chosen
from bpfctl.probe.registers import (
    Registers,
    argument_fields,
    argument_strings,
    registers,
    returned_fields,
    user_memory,
    word,
)
from bpfctl.probe.session import known
from bpfctl.probe.source import API, Group, Located, ProbePoint, Source
from bpfctl.probe.typed import Argument, first, reach, whole
from bpfctl.probe.types import kernel_types, types_of
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from bpfctl.uapi.helpers import Helper
from bpfctl.uapi.perf import Cache, CacheOp, CacheResult, Hardware, PerfType, Software

__all__ = [
    "API",
    "CTX",
    "OUT",
    "POINT",
    "R0",
    "R1",
    "R2",
    "R3",
    "R10",
    "Argument",
    "AttachType",
    "Binary",
    "Blob",
    "BpfctlError",
    "Bytes",
    "Cache",
    "CacheOp",
    "CacheResult",
    "Closing",
    "Code",
    "Field",
    "Function",
    "Group",
    "Hardware",
    "Helper",
    "Integer",
    "KernelError",
    "KernelSymbols",
    "KprobePlace",
    "Located",
    "Map",
    "MapType",
    "NotFound",
    "NotSupported",
    "Opaque",
    "PerfEvent",
    "PerfType",
    "ProbePoint",
    "ProgType",
    "Program",
    "Reg",
    "Registers",
    "Software",
    "Source",
    "Text",
    "Tracefs",
    "UprobePlace",
    "UsageError",
    "argument_fields",
    "argument_strings",
    "attach_kprobe",
    "attach_kprobe_multi",
    "attach_perf_event",
    "attach_raw_tracepoint",
    "attach_tracepoint",
    "attach_tracing",
    "chosen",
    "copied",
    "cxx_name",
    "extend",
    "first",
    "has_cookies",
    "in_context",
    "is_probeable",
    "kernel_types",
    "known",
    "memory",
    "number",
    "online_cpus",
    "perf_hint",
    "pmu",
    "process_groups",
    "reach",
    "registers",
    "returned_fields",
    "string",
    "types_of",
    "user_memory",
    "whole",
    "word",
]
