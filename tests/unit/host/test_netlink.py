"""Netlink messages, also those that no kernel sends."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.host import netlink, rtnetlink


def message(type_, body, flags=0, sequence=1):
    return struct.pack("=IHHII", 16 + len(body), type_, flags, sequence, 0) + body + bytes(-len(body) % 4)


def xdp(**settings):
    kinds = {"mode": 2, "prog": 4, "drv": 5, "skb": 6, "hw": 7}
    values = (
        netlink.attribute(kinds[name], bytes([value]) if name == "mode" else struct.pack("=I", value))
        for name, value in settings.items()
    )
    return netlink.attribute(43, b"".join(values))


def test_messages():
    """Each stands at a multiple of four bytes."""
    first, second = netlink.messages(message(16, b"abcde") + message(3, b"", 2, 7))

    assert first == (16, 0, 1, 0, b"abcde")
    assert second == (3, 2, 7, 0, b"")


@pytest.mark.parametrize("cut", [b"", message(16, b"abcd"), message(16, b"abcd")[:-1], message(16, b"abcd")[:15]])
def test_messages_cut_short(cut):
    """What is whole comes first, and a header that lies about its length is no message."""
    data = message(16, b"abcd") + cut
    if len(cut) in (0, 20):
        assert len(list(netlink.messages(data))) == (2 if cut else 1)
    else:
        with pytest.raises(netlink.Damaged):
            list(netlink.messages(data))
    with pytest.raises(netlink.Damaged):
        list(netlink.messages(struct.pack("=IHHII", 15, 1, 0, 0, 0)))


def test_attributes():
    """Bits above the type are flags; the last of a type counts; some are strings, some are numbers."""
    data = (
        netlink.attribute(3 | 1 << 15, b"lo\0rest") + netlink.attribute(4, b"\7") + netlink.attribute(4, b"\1\0\0\0\2")
    )
    found = netlink.table(data)

    assert netlink.text(found[3]) == "lo"
    assert netlink.number(found[4]) == struct.unpack("=I", b"\1\0\0\0")[0]
    assert (netlink.text(None), netlink.number(None)) == (None, None)
    for cut in (data[:1], data[:3], data[:5], data[:-4]):
        with pytest.raises(netlink.Damaged):
            netlink.table(cut)


def test_refusals():
    """An error of 0 is an acknowledgement; the kernel's sentence stands behind the request, or behind its header."""
    request = message(19, bytes(16))
    sentence = netlink.attribute(1, b"XDP program already attached\0")
    code = struct.pack("=i", -16)

    assert netlink.refusal(struct.pack("=i", 0) + request, 0) is None
    for flags, body in ((0x200, code + request + sentence), (0x300, code + request[:16] + sentence)):
        refused = netlink.refusal(body, flags)
        assert (refused.errno, refused.told) == (16, "XDP program already attached")
    assert netlink.refusal(code + request, 0).told == ""
    for body in (b"", code + request[:8], code + request + sentence[:-4]):
        with pytest.raises(netlink.Damaged):
            netlink.refusal(body, 0x200)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"mode": 0, "prog": 3}, None),
        ({"mode": 2, "prog": 3, "skb": 3}, rtnetlink.Xdp(2, 3, 3, None, None)),
        ({"mode": 4, "skb": 3, "drv": 4, "hw": 5}, rtnetlink.Xdp(4, None, 3, 4, 5)),
    ],
)
def test_devices(settings, expected):
    """A device has a name, and programs in some modes."""
    body = struct.pack("=BxHiII", 0, 1, 7, 0, 0) + netlink.attribute(3, b"eth\x1b\xff\0") + xdp(**settings)

    assert rtnetlink.device(body) == (7, "eth\x1b\udcff", expected)


def test_filters():
    """Those that are programs, classic ones too; with the programs that act on what they find."""
    head = struct.pack("=B3xiIII", 0, 7, 1, 0, 0)
    kind = netlink.attribute(1, b"bpf\0")
    acting = netlink.attribute(1, b"bpf\0") + netlink.attribute(
        2, netlink.attribute(6, b"a\0") + netlink.attribute(9, b"\5\0\0\0")
    )
    other = netlink.attribute(1, b"gact\0") + netlink.attribute(2, b"")
    acts = netlink.attribute(1, netlink.attribute(2, acting) + netlink.attribute(1, other))
    id_ = struct.unpack("=I", b"\5\0\0\0")[0]

    assert rtnetlink.filter_(head + kind) is None
    assert rtnetlink.filter_(head + netlink.attribute(1, b"u32\0") + netlink.attribute(2, b"")) is None
    assert rtnetlink.filter_(head + kind + netlink.attribute(2, b"")) == (None, None, None)
    assert rtnetlink.filter_(head + kind + netlink.attribute(2, acts)).actions == (("a", id_),)
    assert rtnetlink.handle(head + netlink.attribute(1, b"htb\0")) == (7, "htb", 1)
    assert rtnetlink.handle(head).kind == "unknown"


_DECODERS = (rtnetlink.device, rtnetlink.handle, rtnetlink.filter_)
_NESTED = st.recursive(
    st.binary(max_size=12),
    lambda inner: st.lists(
        st.tuples(st.integers(0, 12) | st.integers(0, 0xFFFF), inner | st.just(b"bpf\0")), max_size=4
    ).map(lambda pairs: b"".join(netlink.attribute(kind, value) for kind, value in pairs)),
    max_leaves=12,
)


def _is_read_or_damaged(decode, *arguments):
    try:
        decode(*arguments)
    except netlink.Damaged as error:
        return bool(error.told)
    return True


@given(st.binary(max_size=200), st.sampled_from([0, 0x200, 0x300]))
def test_any_bytes(data, flags):
    """They are messages, or damaged."""
    assert _is_read_or_damaged(lambda: list(netlink.messages(data)))
    assert _is_read_or_damaged(netlink.table, data)
    assert _is_read_or_damaged(netlink.refusal, data, flags)


@given(st.binary(min_size=20, max_size=20), _NESTED, st.integers(0, 40), st.sampled_from(_DECODERS))
def test_any_attributes(head, attributes, cut, decode):
    """What has attributes in attributes, whole or cut short, is decoded or damaged."""
    body = head[: 16 if decode is rtnetlink.device else 20]
    body += netlink.attribute(43, attributes) + netlink.attribute(1, b"bpf\0") + netlink.attribute(2, attributes)

    assert _is_read_or_damaged(decode, body)
    assert _is_read_or_damaged(decode, body[: max(len(body) - cut, 0)])


class Wire:
    """Stands for a socket whose other end says what a test wants."""

    def __init__(self, *packets):
        self.packets = list(packets)
        self.sent = []

    def __call__(self, *_):
        return self

    def bind(self, _):
        pass

    def setsockopt(self, *_):
        pass

    def sendto(self, data, _):
        self.sent.append(data)

    def recvmsg(self, _):
        packet = self.packets.pop(0)
        data, flags, sender = packet if isinstance(packet, tuple) else (packet, 0, 0)
        return data, [], flags, (sender, 0)

    def close(self):
        self.packets = None


MULTI, INTERRUPTED, DONE, ERROR = 2, 0x10, 3, 2


def wired(monkeypatch, *packets):
    wire = Wire(*packets)
    monkeypatch.setattr(socket, "socket", wire)
    return wire, netlink.Route()


def test_a_table_in_several_packets(monkeypatch):
    """Its end is a message; what is of another request, or not from the kernel, is not read."""
    wire, route = wired(
        monkeypatch,
        message(16, b"late", MULTI, 9),
        (message(16, b"lies", MULTI), 0, 4711),
        message(16, b"one!", MULTI) + message(16, b"two!", MULTI),
        message(16, b"last", MULTI) + message(DONE, bytes(4), MULTI),
    )
    found = route.dump(18, b"body")
    route.close()

    assert [each.body for each in found] == [b"one!", b"two!", b"last"]
    assert wire.sent == [struct.pack("=IHHII", 20, 18, 0x301, 1, 0) + b"body"]


def test_a_table_that_changes_is_asked_for_again(monkeypatch):
    """But not for ever; and what may be half of it is no answer."""
    changing = [message(16, b"old!", MULTI | INTERRUPTED, n) + message(DONE, bytes(4), MULTI, n) for n in range(1, 99)]
    _, route = wired(monkeypatch, changing[0], message(16, b"new!", MULTI, 2) + message(DONE, bytes(4), MULTI, 2))
    assert [each.body for each in route.dump(18, b"")] == [b"new!"]

    wire, route = wired(monkeypatch, *changing)
    with pytest.raises(netlink.Refused, match="temporarily unavailable"):
        route.dump(18, b"")
    assert len(wire.sent) == 20


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (message(ERROR, struct.pack("=i", -1)), errno.EPERM),
        (message(16, b"one!", MULTI) + message(DONE, struct.pack("=i", -19), MULTI), errno.ENODEV),
        ((message(16, b"one!", MULTI), 0x20, 0), errno.EBADMSG),
        (message(16, b"one!", MULTI)[:-2], errno.EBADMSG),
    ],
)
def test_what_fails(monkeypatch, packet, code):
    """A refusal, also at the end of a table, and what is cut short, are errors with a number."""
    _, route = wired(monkeypatch, packet)
    with pytest.raises(OSError, match=re.escape(os.strerror(code))) as failed:
        route.dump(18, b"")
    assert failed.value.errno == code


def test_a_change(monkeypatch):
    """It is acknowledged, or refused in the kernel's words."""
    _, route = wired(monkeypatch, message(ERROR, bytes(4) + bytes(16)))
    route.change(19, b"")
    words = struct.pack("=i", -16) + message(19, b"") + netlink.attribute(1, b"busy\0")
    _, route = wired(monkeypatch, message(ERROR, words, 0x200))
    with pytest.raises(netlink.Refused) as refused:
        route.change(19, b"")
    assert (refused.value.errno, refused.value.told) == (errno.EBUSY, "busy")
