"""The trace of -d: each system call on a line of stderr, with its attributes, its answer and what came back."""

from __future__ import annotations

import errno
import os

from bpfctl._sys import calls
from bpfctl.render.plain import complain
from bpfctl.render.text import safe
from bpfctl.uapi.enums import AttachType, MapType, ProgType

_ENUMS = {
    "prog_type": ("BPF_PROG_TYPE_", ProgType),
    "map_type": ("BPF_MAP_TYPE_", MapType),
    "attach_type": ("BPF_", AttachType),
    "expected_attach_type": ("BPF_", AttachType),
}


def begin() -> None:
    """Show every system call from now on."""
    calls.set_trace(lambda *call: complain(line(*call)))


def line(call: str, given: dict[str, object], answer: int, got: dict[str, object]) -> str:
    """Return a call in one line, harmless on a terminal."""
    attributes = _members(given)
    text = f"bpf({call}, {attributes})" if call.startswith("BPF_") else f"{call}({attributes})"
    if answer < 0:
        name = errno.errorcode.get(-answer, str(-answer))
        text += f" = -1 {name} ({os.strerror(-answer)})"
    else:
        text += f" = {answer}"
    return f"{text} {_members(got)}" if got else text


def _members(members: dict[str, object]) -> str:
    return "{" + ", ".join(f"{name}={_value(name, value)}" for name, value in members.items()) + "}"


def _value(name: str, value: object) -> str:
    if not isinstance(value, int):
        return '"' + safe(str(value)).replace('"', '\\"') + '"'
    prefix, enum = _ENUMS.get(name, ("", None))
    if enum is not None and value in enum.__members__.values():
        return prefix + enum(value).name
    # Addresses are larger than any count; bits are read in hexadecimal.
    return hex(value) if value >= 1 << 32 or name.endswith("flags") or name == "request" else str(value)
