"""What the arguments of system calls are, by their types in the words of the kernel's source.

Each takes a word of eight bytes, whatever its type has of that.
"""

from __future__ import annotations

from bpfctl.probe.field import Integer

_CHARS = frozenset({"char", "unsigned char", "const char"})
_SHORT = {
    "int": Integer(4, signed=True),
    "pid_t": Integer(4, signed=True),
    "clockid_t": Integer(4, signed=True),
    "key_serial_t": Integer(4, signed=True),
    "mqd_t": Integer(4, signed=True),
    "key_t": Integer(4, signed=True),
    "timer_t": Integer(4, signed=True),
    "rwf_t": Integer(4, signed=True),
    "__s32": Integer(4, signed=True),
    "unsigned int": Integer(4),
    "unsigned": Integer(4),
    "u32": Integer(4),
    "__u32": Integer(4),
    "umode_t": Integer(2),
    "qid_t": Integer(4),
    "uid_t": Integer(4),
    "gid_t": Integer(4),
}
_SIGNED = frozenset({"long", "off_t", "loff_t"})


def syscall_number(type_: str) -> Integer:
    """Return what an argument of this type is as a number."""
    if "*" in type_:
        return Integer(8, hexadecimal=True)
    plain = type_.removeprefix("const ")
    return Integer(4) if plain.startswith("enum ") else _SHORT.get(plain, Integer(8, signed=plain in _SIGNED))


def is_text(type_: str) -> bool:
    """Return whether an argument of this type points to a string."""
    return type_.endswith("*") and type_.removesuffix("*").strip() in _CHARS
