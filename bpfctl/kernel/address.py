"""Addresses as people write them, and as programs keep them in keys and values: in network order."""

from __future__ import annotations


def address(word: str, size: int) -> bytes | None:
    """Return an address of this size in network order: IPv4, MAC or IPv6; None when the word is none."""
    if size == 6:
        parts = word.replace("-", ":").split(":")
        try:
            data = bytes.fromhex("".join(parts))
        except ValueError:
            return None
        return data if len(parts) == 6 and all(len(part) == 2 for part in parts) and len(data) == 6 else None
    if size not in (4, 16) or (":" if size == 16 else ".") not in word:
        return None
    import socket  # noqa: PLC0415 - few words look like addresses

    try:
        return socket.inet_pton(socket.AF_INET6 if size == 16 else socket.AF_INET, word)
    except (OSError, ValueError):
        return None


def network(word: str, size: int) -> tuple[bytes, int] | None:
    """Return an address and how many of its bits count, all where no length is told; None when the word is none."""
    text, slash, length = word.partition("/")
    data = address(text, size)
    if data is None:
        return None
    if not slash:
        return data, size * 8
    if not (length.isascii() and length.isdecimal()) or len(length) > 3 or int(length) > size * 8:
        return None
    return data, int(length)
