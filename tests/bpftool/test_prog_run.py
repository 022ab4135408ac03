"""bpfctl prog run beside bpftool's: what comes back, files, stdin and stdout, and what is refused."""

from __future__ import annotations

import os
import re
import struct

import pytest

from tests.bpftool import peer
from tests.kernel.runnable import NEW, PACKET, Runnable, sk_buff, xdp_md

NEWEST = peer.bpftools()[0]
pytestmark = pytest.mark.skipif(
    peer.version(NEWEST) < peer.CURRENT, reason=f"needs bpftool {peer.CURRENT} to compare with (BPFCTL_BPFTOOL=FILE)"
)
VOICES = [pytest.param(["-j"], id="json"), pytest.param(["-p"], id="indented"), pytest.param([], id="plain")]
DURATION = re.compile(rb'(?<="duration":)( ?)\d+|(?<=duration)( \(average\))?: \d+(?=ns\n)')
REFUSED = re.compile(
    rb"(?<=^Error: failed to run program: )(?P<answer>[^(\n]*[^(\n ])(?: \(.+\))?$|\AHint: .*\n", re.MULTILINE
)


@pytest.fixture(scope="module")
def programs():
    made = Runnable()
    assert set(made.refused) <= NEW, made.refused
    yield made
    made.close()


@pytest.fixture
def files(tmp_path):
    """Files to be given, by name; what is written lies beside them."""
    given = {
        "packet": PACKET,
        "empty": b"",
        "short": bytes(13),
        "block": bytes(256),
        "large": bytes(range(256)) * 12,
        "huge": bytes(1 << 20),
        "skb": sk_buff(mark=41, cb=7),
        "skb_with_length": sk_buff(length=99),
        "xdp_md": xdp_md(len(PACKET)),
        "xdp_md_of_a_queue": xdp_md(len(PACKET), queue=1, ifindex=1),
        "xdp_md_too_long": xdp_md(len(PACKET)) + b"\1",
        "args": struct.pack("=2Q", 40, 2),
        "arg": struct.pack("=Q", 40),
        "lookup": struct.pack("=QII", 0, 2, 6) + bytes(60),
    }
    for name, raw in given.items():
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "folder").mkdir()
    return tmp_path


def without_duration(text):
    """Nothing but the time is left to chance."""
    return DURATION.sub(lambda match: (match[1] or match[2] or b"") + b"T", text)


def told(answer):
    """The answer without durations, and without why the kernel refused, which is the row of differences.md."""
    stderr = REFUSED.sub(lambda match: match["answer"] or b"", answer.stderr)
    return answer._replace(stdout=without_duration(answer.stdout), stderr=stderr)


def both(files, words, stdin=None):
    """Run the same words with bpftool and ours; return both answers and all files that either has written."""
    before = set(files.iterdir())
    answers = []
    for tool in lambda *w, **k: peer.run(NEWEST, *w, **k), peer.inside:
        source = os.open(files / stdin, os.O_RDONLY) if stdin else None
        here = os.open(".", os.O_RDONLY)
        os.chdir(files)
        try:
            answer = told(tool(*words, stdin=source))
        finally:
            os.fchdir(here)
            os.close(here)
            if source is not None:
                os.close(source)
        written = {path.name: (path.read_bytes(), path.stat().st_mode) for path in set(files.iterdir()) - before}
        for name in written:
            (files / name).unlink()
        answers.append((answer, written))
    return answers


RUNS = [
    ("xdp", "data_in packet"),
    ("xdp", "data_in packet data_out -"),
    ("xdp", "data_in packet data_out out"),
    ("xdp", "data_in packet data_out - data_size_out 100 repeat 1"),
    ("xdp", "data_in packet data_out - ctx_in xdp_md ctx_out -"),
    ("xdp", "ctx_in xdp_md ctx_out context data_in packet data_out out"),
    ("xdp", "ctx_in xdp_md_of_a_queue ctx_out - data_in packet data_out -"),
    ("xdp", "ctx_in xdp_md_too_long data_in packet"),
    ("xdp", "ctx_in arg data_in packet"),
    ("xdp", "ctx_in args data_in packet ctx_size_out 8"),
    ("xdp", "data_i packet data_o - ctx_i xdp_md ctx_o - data_s 0x100 ctx_s 0100 r 1"),
    ("xdp", "data_in block data_out -"),
    ("xdp", "data_in large data_out -"),
    ("xdp", "data_in huge data_out -"),
    ("xdp", "data_in packet data_out out data_in large data_out other"),
    ("xdp", "repeat 1"),
    ("tc", "data_in packet data_out - ctx_in skb ctx_out -"),
    ("tc", "data_in packet data_out - ctx_in skb ctx_out - repeat 10"),
    ("tc", "data_in packet data_out out ctx_in skb ctx_out context ctx_size_out 184"),
    ("tc", "data_in packet ctx_in skb ctx_size_out 100"),
    ("tc", "data_in packet ctx_in skb_with_length"),
    ("tc", "data_in packet data_size_out 10 data_out out"),
    ("tc", "data_in packet data_out - data_size_out 0 repeat 0"),
    ("tc", "data_in packet repeat 1000"),
    ("tc", "data_in short"),
    ("tc", "data_in empty data_out -"),
    ("tc", "ctx_in skb ctx_out -"),
    ("tc", "data_in packet ctx_in empty"),
    ("tc", "data_in packet data_size_out 4294967295"),
    ("socket_filter", "data_in packet data_out -"),
    ("cgroup_skb", "data_in packet data_out -"),
    ("lwt_in", "data_in packet data_out -"),
    ("flow_dissector", "data_in packet data_out -"),
    ("flow_dissector", "data_in packet data_out - repeat 5"),
    ("sk_lookup", "ctx_in lookup ctx_out -"),
    ("sk_lookup", "data_in packet"),
    ("kprobe", "repeat 1"),
    ("kprobe", "data_in packet"),
    ("raw_tracepoint", "repeat 1"),
    ("raw_tracepoint", "data_in packet repeat 0"),
    ("raw_tracepoint", "ctx_in args ctx_out - repeat 0"),
    ("raw_tracepoint", "repeat 0"),
]


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize(("name", "words"), RUNS)
def test_the_same_words(programs, files, voice, name, words):
    """The same values, files and exit codes."""
    theirs, mine = both(files, [*voice, "prog", "run", "id", programs.id(name), *words.split()])

    assert theirs == mine
