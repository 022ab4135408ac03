"""BTF, the type format of the Linux kernel and of BPF programs: bytes in, types out.

::

    vmlinux = BTF.from_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
    task = vmlinux.find("task_struct", types.Struct)
    vmlinux.size_of(task.id)

The names below are imported when they are first used; the modules can be imported one by one.
"""

from __future__ import annotations

TYPE_CHECKING = False  # without importing typing, see btf.read

if TYPE_CHECKING:
    from btf.encode import Encoder
    from btf.errors import BTFError
    from btf.read import BTF, enum_values
    from btf.value import Decoder, decode
    from btf.write import Builder

__all__ = ["BTF", "BTFError", "Builder", "Decoder", "Encoder", "decode", "enum_values"]

_HOMES = {
    "BTF": "btf.read",
    "BTFError": "btf.errors",
    "Builder": "btf.write",
    "Decoder": "btf.value",
    "Encoder": "btf.encode",
    "decode": "btf.value",
    "enum_values": "btf.read",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only for who uses the short names

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
