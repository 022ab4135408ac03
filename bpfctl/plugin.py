"""The public plugin interface, version 1: what a source of events may use, and nothing else of bpfctl.

A plugin is an ordinary package with an entry point in the group ``bpfctl.plugins``; the entry point's name is the
kind of probe, its value a class that meets `Source`.

- A source yields `ProbePoint`, and `Group` for those that a user wants: what one program serves, and how to attach it.
- `Field` and the functions that make them say what can be read at a point, and with which instructions.
- `attach_tracepoint`, `attach_raw_tracepoint` attach a program; each returns something with ``close()``.
- `Tracefs` has the files of tracefs, wherever it is mounted.
"""

from bpfctl._sys.fd import Closing
from bpfctl.asm.insn import R0, R1, R2, R3, R10, Reg
from bpfctl.attach.perf_event import tracepoint as attach_tracepoint
from bpfctl.attach.raw_tracepoint import attach as attach_raw_tracepoint
from bpfctl.errors import KernelError, NotFound, NotSupported, UsageError
from bpfctl.kernel.prog import Program
from bpfctl.kernel.tracefs import Tracefs
from bpfctl.probe.code import CTX, OUT, POINT, Code
from bpfctl.probe.field import Blob, Bytes, Field, Integer, Text, copied, in_context, memory, number, string
from bpfctl.probe.pattern import chosen
from bpfctl.probe.session import known
from bpfctl.probe.source import API, Group, ProbePoint, Source
from bpfctl.uapi.enums import AttachType, MapType, ProgType
from bpfctl.uapi.helpers import Helper

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
    "AttachType",
    "Blob",
    "Bytes",
    "Closing",
    "Code",
    "Field",
    "Group",
    "Helper",
    "Integer",
    "KernelError",
    "MapType",
    "NotFound",
    "NotSupported",
    "ProbePoint",
    "ProgType",
    "Program",
    "Reg",
    "Source",
    "Text",
    "Tracefs",
    "UsageError",
    "attach_raw_tracepoint",
    "attach_tracepoint",
    "chosen",
    "copied",
    "in_context",
    "known",
    "memory",
    "number",
    "string",
]
