"""
Netlink: messages and attributes as bytes, and a door to the kernel's tables of networking.

A message is a header of 16 bytes (struct nlmsghdr in include/uapi/linux/netlink.h) and a body, in which a structure of
the message's type is followed by attributes: a length, a type, a value, and room up to a multiple of 4 bytes.
What answers is the kernel, but nothing relies on that: a message that is cut short is `Damaged`, never another one.
"""

from __future__ import annotations

import os
import struct
import sys
from errno import EAGAIN, EBADMSG
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import Self

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_TYPE = 0x3FFF  # NLA_TYPE_MASK, without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_REQUEST, _MULTI, _ACK, _INTERRUPTED, _DUMP = 0x01, 0x02, 0x04, 0x10, 0x300  # NLM_F_*
_CAPPED, _WITH_TLVS = 0x100, 0x200  # NLM_F_CAPPED, NLM_F_ACK_TLVS
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_SENTENCE = 1  # NLMSGERR_ATTR_MSG

_NETLINK_ROUTE = 0
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_ROOM = 1 << 17  # the kernel fills 32 KiB, and more where one object takes it
_TRIES = 20  # for a table that changes while it is told


class Damaged(OSError):
    """A message or an attribute says to be longer than what is there; ``told`` says which."""

    def __init__(self, told: str) -> None:
        super().__init__(EBADMSG, os.strerror(EBADMSG))
        self.told = told


class Refused(OSError):
    """The kernel has refused a request; ``told`` is what it says about that, which may be empty."""

    def __init__(self, errno: int, told: str) -> None:
        super().__init__(errno, os.strerror(errno))
        self.told = told


class Message(NamedTuple):
    """One message."""

    type: int
    flags: int
    sequence: int
    port: int
    body: bytes


def messages(data: bytes) -> Iterator[Message]:
    """Yield the messages of a packet; Damaged when one is cut short."""
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise Damaged(f"a header at {at} of {len(data)} bytes")
        length, type_, flags, sequence, port = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            raise Damaged(f"a message of {length} bytes at {at} of {len(data)}")
        yield Message(type_, flags, sequence, port, data[at + _HEADER.size : at + length])
        at += _aligned(length)


def attributes(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the types and values of attributes that begin at an offset; Damaged when one is cut short."""
    at = start
    while at < len(data):
        if len(data) - at < _ATTRIBUTE.size:
            raise Damaged(f"an attribute at {at} of {len(data)} bytes")
        length, type_ = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            raise Damaged(f"an attribute of {length} bytes at {at} of {len(data)}")
        yield type_ & _TYPE, data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)


def table(data: bytes, start: int = 0) -> dict[int, bytes]:
    """Return attributes by their types; of several of a type the last."""
    return dict(attributes(data, start))


def attribute(type_: int, value: bytes) -> bytes:
    """Return an attribute as it stands in a message."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), type_) + value + bytes(-len(value) % 4)


def number(value: bytes | None) -> int | None:
    """Return the number of up to 32 bits that an attribute is, as this machine has it; None where it is absent."""
    return None if value is None else int.from_bytes(value[:4], sys.byteorder)


def text(value: bytes | None) -> str | None:
    """Return the string that an attribute is, up to its null byte; None where it is absent."""
    return None if value is None else value.partition(b"\0")[0].decode(errors="surrogateescape")


def _aligned(length: int) -> int:
    return length + 3 & ~3


def refusal(body: bytes, flags: int) -> Refused | None:
    """Return what the body of an error message says; None where it is an acknowledgement. Damaged when it is cut."""
    if len(body) < 4:
        raise Damaged(f"an error of {len(body)} bytes")
    code = int.from_bytes(body[:4], sys.byteorder, signed=True)
    if code >= 0:
        return None
    if not flags & _WITH_TLVS:
        return Refused(-code, "")
    if len(body) < 4 + _HEADER.size:
        raise Damaged(f"an error of {len(body)} bytes")
    (length, *_) = _HEADER.unpack_from(body, 4)
    return Refused(
        -code, text(table(body, 4 + (_HEADER.size if flags & _CAPPED else _aligned(length))).get(_SENTENCE)) or ""
    )


class Route:
    """An open socket of the kernel's networking (NETLINK_ROUTE), of the network namespace of this thread."""

    __slots__ = ("_sequence", "_socket")

    def __init__(self) -> None:
        import socket  # noqa: PLC0415 - costs 3 ms

        self._socket: socket.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
        self._sequence = 0
        try:
            self._socket.bind((0, 0))
            # The kernel says more about a refusal, and does not send the request back with it.
            self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def dump(self, type_: int, body: bytes) -> list[Message]:
        """Return all that a request for a table is answered with; Refused where the kernel does not answer.

        A table that changed meanwhile is asked for again; Refused with EAGAIN where it changes each time.
        """
        for _ in range(_TRIES):
            found = list(self._answers(self._send(type_, _DUMP, body)))
            if not any(message.flags & _INTERRUPTED for message in found):
                return [message for message in found if message.type != _DONE]
        raise Refused(EAGAIN, f"they have changed each of the {_TRIES} times that they were read")

    def change(self, type_: int, body: bytes) -> None:
        """Have the kernel change something; Refused says why it does not."""
        for _ in self._answers(self._send(type_, _ACK, body)):
            pass

    def _send(self, type_: int, flags: int, body: bytes) -> int:
        self._sequence += 1
        length = _HEADER.size + len(body)
        self._socket.sendto(_HEADER.pack(length, type_, _REQUEST | flags, self._sequence, 0) + body, (0, 0))
        return self._sequence

    def _answers(self, sequence: int) -> Iterator[Message]:
        """Yield the answers to a request, up to the last one."""
        while True:
            for message in messages(self._packet()):
                if message.sequence != sequence:  # of a dump that was left before its end
                    continue
                if message.type == _ERROR or (message.type == _DONE and len(message.body) >= 4):
                    refused = refusal(message.body, message.flags if message.type == _ERROR else 0)
                    if refused:
                        raise refused
                yield message
                if message.type in {_ERROR, _DONE} or not message.flags & _MULTI:
                    return

    def _packet(self) -> bytes:
        """Return the kernel's next packet; what other processes send is not read."""
        while True:
            data, _, flags, sender = self._socket.recvmsg(_ROOM)
            if flags & 0x20:  # MSG_TRUNC
                raise Damaged(f"a packet of more than {_ROOM} bytes")
            if sender[0] == 0:
                return data
