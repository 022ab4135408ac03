"""Text from outside made harmless: names come from the kernel, from processes, from whoever loaded an object."""

from __future__ import annotations


def safe(text: str) -> str:
    r"""Return text in which nothing acts on a terminal: what cannot be printed is spelled as \xNN, \uNNNN."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _spelled(ord(char)) for char in text)


def safe_line(line: str) -> str:
    """Make one line of plain text harmless; the tabs that begin it are ours."""
    body = line.lstrip("\t")
    return line if body.isprintable() else "\t" * (len(line) - len(body)) + safe(body)


def safe_tabs(line: str) -> str:
    """Make one line harmless in which tabs may stand anywhere."""
    return "\t".join(map(safe, line.split("\t")))


def _spelled(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python carries it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
