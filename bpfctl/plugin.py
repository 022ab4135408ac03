"""The public plugin interface, version 1: what a source of events may use, and nothing else of bpfctl.

A plugin is an ordinary package with an entry point in the group ``bpfctl.plugins``; the entry point's name is the
kind of probe, its value a class that meets `Source`.

- A source yields `ProbePoint`, and `Group` for those that a user wants: what one program serves, and how to attach it.
- `Field` and the functions that make them say what can be read at a point, and with which instructions.
- `attach_tracepoint`, `attach_raw_tracepoint` attach a program; each returns something with ``close()``.
- `PerfEvent` is an event of perf_event_open(2); `attach_perf_event` attaches a program to it on each of its CPUs,
  `attach_perf_event_in` in the threads of a process; `PerfCounter` is what the kernel counts without a program.
  `pmu` tells the units of this machine, `KernelSymbols` the addresses of the kernel's functions and variables.
- `Tracefs` has the files of tracefs, wherever it is mounted.

Names are looked up when they are first used, so that a source costs what it needs and no more.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's own costs every start of the program milliseconds
if TYPE_CHECKING:
    from typing import Any

    from bpfctl._sys.fd import Closing
    from bpfctl.asm.insn import R0, R1, R2, R3, R10, Reg
    from bpfctl.attach.cookie import has_cookies
    from bpfctl.attach.counter import Counter as PerfCounter
    from bpfctl.attach.kprobe import Place as KprobePlace
    from bpfctl.attach.kprobe import attach as attach_kprobe
    from bpfctl.attach.kprobe import attach_multi as attach_kprobe_multi
    from bpfctl.attach.kprobe import attach_tracefs as attach_kprobe_tracefs
    from bpfctl.attach.perf_event import Event as PerfEvent
    from bpfctl.attach.perf_event import event_hint as perf_hint
    from bpfctl.attach.perf_event import everywhere as attach_perf_event
    from bpfctl.attach.perf_event import in_process as attach_perf_event_in
    from bpfctl.attach.perf_event import tracepoint as attach_tracepoint
    from bpfctl.attach.raw_tracepoint import attach as attach_raw_tracepoint
    from bpfctl.attach.tracing import attach as attach_tracing
    from bpfctl.attach.uprobe import Place as UprobePlace
    from bpfctl.attach.uprobe import is_probeable
    from bpfctl.elf.binary import Binary
    from bpfctl.elf.cxx import plain as cxx_name
    from bpfctl.elf.function import Function
    from bpfctl.errors import BpfctlError, KernelError, NotFound, NotPermitted, NotSupported, ObjectError, UsageError
    from bpfctl.host import pmu
    from bpfctl.host.cpus import online as online_cpus
    from bpfctl.host.kallsyms import Symbols as KernelSymbols
    from bpfctl.host.process import Process
    from bpfctl.kernel.debugfs import protected_functions
    from bpfctl.kernel.map import Map
    from bpfctl.kernel.prog import Program
    from bpfctl.kernel.tracefs import Tracefs
    from bpfctl.probe.called import called_with, field_of, fields_of, returned
    from bpfctl.probe.code import CTX, OUT, POINT, Code
    from bpfctl.probe.field import (
        Blob,
        Bytes,
        Field,
        Integer,
        Numbers,
        Opaque,
        Text,
        copied,
        extend,
        in_context,
        memory,
        number,
        string,
    )
    from bpfctl.probe.in_process import process_files, process_groups
    from bpfctl.probe.pattern import chosen, is_pattern
    from bpfctl.probe.registers import (
        Registers,
        argument_fields,
        argument_strings,
        call_frame,
        call_origin,
        one_call,
        registers,
        returned_fields,
        user_memory,
        word,
    )
    from bpfctl.probe.source import (
        API,
        Countable,
        Group,
        InSessions,
        Located,
        Paired,
        PerProcess,
        ProbePoint,
        Source,
    )
    from bpfctl.probe.sources import known
    from bpfctl.probe.syscall import is_text, syscall_number
    from bpfctl.probe.typed import Argument, first, reach, whole
    from bpfctl.probe.types import kernel_types, module_btf, module_types, types_of
    from bpfctl.uapi.enums import AttachType, MapType, ProgType
    from bpfctl.uapi.helpers import Helper
    from bpfctl.uapi.perf import Cache, CacheOp, CacheResult, Hardware, PerfType, Software

_WHERE = {
    "API": "probe.source:API",
    "Argument": "probe.typed:Argument",
    "AttachType": "uapi.enums:AttachType",
    "Binary": "elf.binary:Binary",
    "Blob": "probe.field:Blob",
    "BpfctlError": "errors:BpfctlError",
    "Bytes": "probe.field:Bytes",
    "CTX": "probe.code:CTX",
    "Cache": "uapi.perf:Cache",
    "CacheOp": "uapi.perf:CacheOp",
    "CacheResult": "uapi.perf:CacheResult",
    "Closing": "_sys.fd:Closing",
    "Code": "probe.code:Code",
    "Countable": "probe.source:Countable",
    "Field": "probe.field:Field",
    "Function": "elf.function:Function",
    "Group": "probe.source:Group",
    "Hardware": "uapi.perf:Hardware",
    "Helper": "uapi.helpers:Helper",
    "InSessions": "probe.source:InSessions",
    "Integer": "probe.field:Integer",
    "KernelError": "errors:KernelError",
    "KernelSymbols": "host.kallsyms:Symbols",
    "KprobePlace": "attach.kprobe:Place",
    "Located": "probe.source:Located",
    "Map": "kernel.map:Map",
    "MapType": "uapi.enums:MapType",
    "NotFound": "errors:NotFound",
    "NotPermitted": "errors:NotPermitted",
    "NotSupported": "errors:NotSupported",
    "Numbers": "probe.field:Numbers",
    "OUT": "probe.code:OUT",
    "ObjectError": "errors:ObjectError",
    "Opaque": "probe.field:Opaque",
    "POINT": "probe.code:POINT",
    "PerfCounter": "attach.counter:Counter",
    "PerfEvent": "attach.perf_event:Event",
    "Paired": "probe.source:Paired",
    "PerProcess": "probe.source:PerProcess",
    "PerfType": "uapi.perf:PerfType",
    "Process": "host.process:Process",
    "ProbePoint": "probe.source:ProbePoint",
    "ProgType": "uapi.enums:ProgType",
    "Program": "kernel.prog:Program",
    "R0": "asm.insn:R0",
    "R1": "asm.insn:R1",
    "R10": "asm.insn:R10",
    "R2": "asm.insn:R2",
    "R3": "asm.insn:R3",
    "Reg": "asm.insn:Reg",
    "Registers": "probe.registers:Registers",
    "Software": "uapi.perf:Software",
    "Source": "probe.source:Source",
    "Text": "probe.field:Text",
    "Tracefs": "kernel.tracefs:Tracefs",
    "UprobePlace": "attach.uprobe:Place",
    "UsageError": "errors:UsageError",
    "argument_fields": "probe.registers:argument_fields",
    "argument_strings": "probe.registers:argument_strings",
    "attach_kprobe": "attach.kprobe:attach",
    "attach_kprobe_multi": "attach.kprobe:attach_multi",
    "attach_kprobe_tracefs": "attach.kprobe:attach_tracefs",
    "attach_perf_event": "attach.perf_event:everywhere",
    "attach_perf_event_in": "attach.perf_event:in_process",
    "attach_raw_tracepoint": "attach.raw_tracepoint:attach",
    "attach_tracepoint": "attach.perf_event:tracepoint",
    "attach_tracing": "attach.tracing:attach",
    "call_frame": "probe.registers:call_frame",
    "call_origin": "probe.registers:call_origin",
    "called_with": "probe.called:called_with",
    "field_of": "probe.called:field_of",
    "fields_of": "probe.called:fields_of",
    "returned": "probe.called:returned",
    "chosen": "probe.pattern:chosen",
    "copied": "probe.field:copied",
    "cxx_name": "elf.cxx:plain",
    "extend": "probe.field:extend",
    "first": "probe.typed:first",
    "has_cookies": "attach.cookie:has_cookies",
    "in_context": "probe.field:in_context",
    "is_pattern": "probe.pattern:is_pattern",
    "is_probeable": "attach.uprobe:is_probeable",
    "is_text": "probe.syscall:is_text",
    "kernel_types": "probe.types:kernel_types",
    "known": "probe.sources:known",
    "memory": "probe.field:memory",
    "module_btf": "probe.types:module_btf",
    "module_types": "probe.types:module_types",
    "number": "probe.field:number",
    "one_call": "probe.registers:one_call",
    "online_cpus": "host.cpus:online",
    "perf_hint": "attach.perf_event:event_hint",
    "pmu": "host.pmu",
    "process_files": "probe.in_process:process_files",
    "process_groups": "probe.in_process:process_groups",
    "protected_functions": "kernel.debugfs:protected_functions",
    "reach": "probe.typed:reach",
    "registers": "probe.registers:registers",
    "returned_fields": "probe.registers:returned_fields",
    "string": "probe.field:string",
    "syscall_number": "probe.syscall:syscall_number",
    "types_of": "probe.types:types_of",
    "user_memory": "probe.registers:user_memory",
    "whole": "probe.typed:whole",
    "word": "probe.registers:word",
}

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
    "Countable",
    "Field",
    "Function",
    "Group",
    "Hardware",
    "Helper",
    "InSessions",
    "Integer",
    "KernelError",
    "KernelSymbols",
    "KprobePlace",
    "Located",
    "Map",
    "MapType",
    "NotFound",
    "NotPermitted",
    "NotSupported",
    "Numbers",
    "ObjectError",
    "Opaque",
    "Paired",
    "PerProcess",
    "PerfCounter",
    "PerfEvent",
    "PerfType",
    "ProbePoint",
    "Process",
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
    "attach_kprobe_tracefs",
    "attach_perf_event",
    "attach_perf_event_in",
    "attach_raw_tracepoint",
    "attach_tracepoint",
    "attach_tracing",
    "call_frame",
    "call_origin",
    "called_with",
    "chosen",
    "copied",
    "cxx_name",
    "extend",
    "field_of",
    "fields_of",
    "first",
    "has_cookies",
    "in_context",
    "is_pattern",
    "is_probeable",
    "is_text",
    "kernel_types",
    "known",
    "memory",
    "module_btf",
    "module_types",
    "number",
    "one_call",
    "online_cpus",
    "perf_hint",
    "pmu",
    "process_files",
    "process_groups",
    "protected_functions",
    "reach",
    "registers",
    "returned",
    "returned_fields",
    "string",
    "syscall_number",
    "types_of",
    "user_memory",
    "whole",
    "word",
]


def __getattr__(name: str) -> Any:
    place = _WHERE.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = place.partition(":")
    found = import_module(f"bpfctl.{module}")
    value = globals()[name] = getattr(found, attribute) if attribute else found
    return value
