"""prog tracelog beside bpftool: the same lines of the trace and of streams, but nothing that acts on a terminal."""

from __future__ import annotations

import errno
import json
import re
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from bpfctl import TraceLog
from tests.bpftool import differences, peer
from tests.kernel import client, talker
from tests.terminal import Terminal

OURS = [sys.executable, "-m", "bpfctl", "--plain"]
PACKET = bytes(64)
# bpftool mounts a tracefs where there is none, and leaves it there: not in our mount namespace.
_THERE = "mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing"
MOUNTED = ["unshare", "-m", "sh", "-c", f'{_THERE} && exec "$0" "$@"']
VOICES = pytest.mark.parametrize("voice", [[], ["-j"], ["-p"]], ids=["plain", "json", "pretty"])
# Who spoke, on which CPU, in which context, and when.
VARYING = re.compile(rb" *[^ ]+-\d+ +\[\d+\] [^ ]+ +\d+\.\d+: ")
PATIENCE = 30
TEXTS = [b"plain words", b"two\nlines", b"a\ttab", "gr\u00fcn \u6f22".encode()]


def say(stack, *texts):
    """Have programs speak, between two words by which their lines are known."""
    for text in (b"the begin", *texts, b"the end"):
        client.run(talker.printer(stack, text), PACKET)


def piped(stack, command, texts, stop=signal.SIGINT):
    """Have programs speak and a command listen, until it was long enough, and nobody else read the trace."""
    wait = 0.4
    while True:
        say(stack, *texts)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=peer.ENVIRONMENT, **pipes)
        try:
            time.sleep(wait)
            process.send_signal(stop)
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
        if b"the end" in out or wait > PATIENCE:
            return process.returncode, out, err
        wait *= 2


def spoken(out):
    """Return what lies between our two words, the last time, without what varies."""
    text = VARYING.sub(b"*", out)
    assert b"the begin" in text, out
    return text.rpartition(b"the begin")[2].partition(b"the end")[0]


@VOICES
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_lines(stack, voice, stop):
    answers = []
    for tool in ([*MOUNTED, peer.bpftools()[0]], OURS):
        rc, out, err = piped(stack, [*tool, *voice, "prog", "tracelog"], TEXTS, stop)
        assert (rc, err) == (0, b"")
        answers.append(spoken(out))
    theirs, ours = answers

    assert theirs == ours
    assert ours.count(b"bpf_trace_printk: ") == len(TEXTS) + 1
    if voice:
        lines = json.loads(out)
        assert all(line.endswith("\n") for line in lines)
        assert any(line.endswith(": gr\u00fcn \u6f22\n") for line in lines)


def test_nothing_acts_on_a_terminal(stack):
    """bpftool writes the bytes of programs as they are; we spell them."""
    hostile = b"\x1b[31mred \x9b1m \r \x07 \xff \xc2\x9b2J"
    say(stack, hostile)
    with Terminal([sys.executable, "-m", "bpfctl", "prog", "tracelog"], env=peer.ENVIRONMENT) as terminal:
        terminal.wait_for(b"the end")
        terminal.press_ctrl_c()

        assert terminal.finish() == 0
    assert rb"\x1b[31mred \x9b1m \x0d \x07 \xff \x9b2J" in terminal.seen
    seen = terminal.seen.replace(b"\r\n", b"").replace(b"^C", b"")
    assert not re.search(rb"[\x00-\x1f\x7f-\xff]", seen.replace(b"\t", b"")), seen

    _, out, _ = piped(stack, [*OURS, "-j", "prog", "tracelog"], [hostile])
    assert "\x1b[31mred \ufffd1m \r \x07 \ufffd \x9b2J\n" in "".join(json.loads(out))


def test_without_a_tracefs(stack):
    """bpftool would mount one, and leave it there; what we open is seen by nobody."""
    say(stack)
    script = 'umount -a -t tracefs; timeout -s INT 10 "$@"; echo code $?; grep -c " tracefs " /proc/mounts; true'
    command = ["unshare", "-m", "sh", "-c", script, "sh", *OURS, "prog", "tracelog"]
    done = subprocess.run(command, capture_output=True, env=peer.ENVIRONMENT, check=False, timeout=PATIENCE)

    assert b"bpf_trace_printk: the end\n" in done.stdout
    assert done.stdout.endswith(b"code 124\n0\n")


def test_it_ends_after_so_many_lines_or_seconds(stack):
    say(stack, b"first", b"second")
    done = peer.ours("-j", "prog", "tracelog", "--seconds", "0.1")
    ours = ["the begin\n", "first\n", "second\n", "the end\n"]
    lines = [line.partition("bpf_trace_printk: ")[2] for line in json.loads(done.stdout)]

    assert (done.rc, [line for line in lines if line in ours][-4:]) == (0, ours)

    say(stack)
    done = peer.ours("prog", "tracelog", "--limit", "1")
    assert (done.rc, done.stdout.count(b"\n")) == (0, 1)
    assert peer.ours("prog", "tracelog", "stdout", "id", "1", "--limit", "1").stderr.startswith(b"Error: --limit and ")


def test_in_python(stack):
    """What is left behind by a limit is there the next time."""
    say(stack, b"one", b"two")
    with TraceLog() as log:
        assert log.poll(PATIENCE)
        first = log.read(1)
        rest = log.read()
        assert not log.poll(0)

    assert len(first) == 1
    assert rest[-1].endswith("bpf_trace_printk: the end\n")


def test_another_reader_is_named(stack):
    say(stack)
    with Terminal([sys.executable, "-m", "bpfctl", "prog", "tracelog"], env=peer.ENVIRONMENT) as first:
        first.wait_for(b"the end")
        done = peer.ours("prog", "tracelog")
        first.press_ctrl_c()
        first.finish()

    assert done.rc == 255
    assert done.stderr.startswith(b"Error: could not open trace pipe: Device or resource busy (")
    assert done.stderr.endswith(b" reads it)\n")


@pytest.fixture
def streaming(stack):
    """What makes programs that have written a text into a stream."""

    def write(text, stream):
        try:
            fd = talker.streamer(stack, text, stream)
        except LookupError as error:
            pytest.skip(str(error))
        answer = client.run(fd)
        if answer == -errno.ENOMEM & 0xFFFF_FFFF:
            pytest.skip("this kernel has no memory for streams: kmalloc_nolock() fails")
        assert answer == 0
        return fd

    return write


@pytest.mark.parametrize(("word", "number"), [("stdout", 1), ("stderr", 2), ("stdo", 1)])
@pytest.mark.parametrize("text", [b"a line\n", b"no line break", "two\nlines\ta tab, gr\u00fcn\n".encode()])
def test_streams(streaming, word, number, text):
    tools = [peer.ours]
    newest = peer.bpftools()[0]
    if peer.version(newest) >= peer.CURRENT:  # older ones know no streams
        tools.append(partial(peer.run, newest))
    for ask in tools:
        fd = streaming(text, number)
        client.run(fd)
        words = ["prog", "tracelog", word, "id", str(client.id_of("prog", fd))]

        assert ask(*words) == ((0, text * 2, b"") if number == 1 else (0, b"", text * 2))
        assert ask(*words) == (0, b"", b"")  # what is read is gone


def test_streams_are_harmless_and_in_json_an_array(streaming):
    fd = streaming(b"\x1b[31m\xff", 2)
    words = ["prog", "tracelog", "stderr", "id", str(client.id_of("prog", fd))]
    assert peer.ours(*words) == (0, b"", rb"\x1b[31m\xff")

    client.run(fd)
    assert peer.ours("-j", *words) == (0, b'["\\u001b[31m\\ufffd"]\n', b"")
    assert peer.ours("-j", *words) == (0, b"[]\n", b"")


def test_a_long_stream(streaming):
    text = b"x" * 200 + b"\n"
    fd = streaming(text, 1)
    ran = 1 + sum(client.run(fd) == 0 for _ in range(300))
    done = peer.ours("prog", "tracelog", "stdout", "id", str(client.id_of("prog", fd)))

    assert ran > 100
    assert done == (0, text * ran, b"")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["foo"], "expected 'stdout' or 'stderr', got: 'foo'?"),
        (["stdout"], "'tracelog' needs at least 2 arguments, 0 found"),
        (["stdout", "id", "4294967295"], "get by id (4294967295): No such file or directory"),
    ],
)
def test_mistakes(words, error):
    assert differences.without_hint(peer.ours("prog", "tracelog", *words)) == (255, b"", f"Error: {error}\n".encode())
    assert json.loads(peer.ours("-j", "prog", "tracelog", *words).stdout) == {"error": error}
    newest = peer.bpftools()[0]
    if peer.version(newest) >= peer.CURRENT:  # older ones know no streams, and show the trace
        assert peer.run(newest, "prog", "tracelog", *words).rc == 255
