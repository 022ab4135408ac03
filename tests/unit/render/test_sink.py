"""Output leaves piece by piece, however the voices hold it together."""

from __future__ import annotations

import os

import pytest

from bpfctl.render.json import JsonOutput
from bpfctl.render.sink import Sink
from bpfctl.views.view import Stream
from tests.memory import Memory

PIECE = b'"' + b"x" * 50_000 + b'"'


@pytest.mark.parametrize("listing", [False, True])
def test_a_stream_never_gathers(listing):
    """A dump's memory does not depend on its length: what came before has left when a piece is asked for."""
    sink = Memory()
    waiting = []

    def pieces(_depth, _spell):
        for number in range(20):
            waiting.append(number * len(PIECE) - len(sink.text))
            yield PIECE

    out = JsonOutput(sink, pretty=False)
    stream = Stream({}, "", "elements", pieces, lambda: iter(()), None, list, lambda: iter(()), "")
    out.stream([stream], listing=listing)
    out.close()

    assert max(waiting) < 2 * len(PIECE)
    assert sink.text.count("x") == 20 * (len(PIECE) - 2)


def test_what_is_held_together_stays_here_until_it_is_released():
    sink = Memory()
    sink.hold()
    sink.hold()
    sink.write_bytes(PIECE * 3)
    sink.release()
    held = sink.text
    sink.release()

    assert (held, len(sink.text)) == ("", 3 * len(PIECE))


def test_an_interruption_comes_before_what_is_left_is_written():
    """The program closes the document first, and flushes then."""
    sink = Memory()
    sink.hold()
    sink.write_bytes(PIECE * 3)
    with pytest.raises(KeyboardInterrupt):
        _interrupted(sink)

    assert sink.text == ""
    sink.flush()
    assert len(sink.text) == 3 * len(PIECE)


def test_a_c_library_without_pwritev2(monkeypatch):
    """musl before 1.2.5: Python has the flag for it no more than the call."""
    monkeypatch.delattr(os, "RWF_NOWAIT")
    reads, writes = os.pipe()
    try:
        sink = Sink(writes)
        sink.write("text")
        sink.flush()

        assert os.read(reads, 10) == b"text"
    finally:
        os.close(reads)
        os.close(writes)


def _interrupted(sink):
    sink.interrupt()  # while something is held, nothing happens
    assert sink.text == ""
    sink.release()
