"""bpfctl prog run beside bpftool's: what comes back, files, stdin and stdout, and what is refused."""

from __future__ import annotations

import json
import os
import re
import struct

import pytest

from tests.bpftool import differences, peer
from tests.bpftool.newest import CURRENT, NEWEST, VOICES
from tests.kernel.runnable import PACKET, Runnable, sk_buff, xdp_md

pytestmark = CURRENT
DURATION = re.compile(rb'(?<="duration":)( ?)\d+|(?<=duration)( \(average\))?: \d+(?=ns\n)')
REFUSED = re.compile(
    rb"(?<=^Error: failed to run program: )(?P<answer>[^(\n]*[^(\n ])(?: \(.+\))?$|\AHint: .*\n", re.MULTILINE
)


@pytest.fixture(scope="module")
def programs():
    with Runnable() as made:
        yield made


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
        "skb_too_long": sk_buff().ljust(1000, b"\1"),
        "xdp_md_too_long": xdp_md(len(PACKET)) + b"\1",
        "args": struct.pack("=2Q", 40, 2),
        "arg": struct.pack("=Q", 40),
        "lookup": struct.pack("=QII", 0, 2, 6) + bytes(56),
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


def in_folder(folder, command):
    """Run something there."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(folder)
    try:
        return command()
    finally:
        os.fchdir(here)
        os.close(here)


def both(files, words, stdin=None):
    """Run the same words with bpftool and ours; return both answers and all files that either has written."""
    before = set(files.iterdir())
    answers = []
    for tool in lambda *w, **k: peer.run(NEWEST, *w, **k), peer.inside:
        source = os.open(files / stdin, os.O_RDONLY) if stdin else None
        try:
            answer = told(in_folder(files, lambda tool=tool, source=source: tool(*words, stdin=source)))
        finally:
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
    ("tc", "data_in packet data_out out ctx_in skb ctx_out context ctx_size_out 192"),
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
    ("raw_simple", "repeat 0"),
    ("fentry", "repeat 1"),
    ("fentry", "data_in packet data_out -"),
]


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize(("name", "words"), RUNS)
def test_the_same_words(programs, files, voice, name, words):
    """The same values, files and exit codes."""
    if name in programs.refused:
        pytest.skip(f"the kernel takes no such program: {programs.refused[name]}")
    theirs, mine = both(files, [*voice, "prog", "run", "id", programs.id(name), *words.split()])

    assert theirs == mine


WRONG = [
    "",
    "id",
    "id PROG",
    "id PROG data_in",
    "id PROG repeat",
    "id PROG data packet",
    "id PROG d packet",
    "id PROG data_ packet",
    "id PROG ctx packet",
    "id PROG ctx_ packet",
    "id PROG c packet",
    "id PROG foo packet",
    "id PROG data_in packet foo",
    "id PROG data_in packet repeat",
    "id PROG data_in packet data_o",
    "id PROG data_in packet ctx_s",
    "id PROG data_in packet repeat x",
    "id PROG data_in packet repeat 1x",
    "id PROG data_in packet data_size_out 0x",
    "id PROG data_in packet ctx_size_out 08",
    "id PROG data_in - ctx_in -",
    "id PROG ctx_in - data_in - foo",
    "id PROG data_in - data_in packet ctx_in - repeat x",
    "id PROG data_in not_there",
    "id PROG data_in packet ctx_in not_there",
    "id PROG data_in not/there foo",
    "id 4294967295 data_in not_there",
    "id x data_in packet",
    "foo PROG data_in packet",
    "pinned not_there data_in packet",
    "tag 00 data_in packet",
]


@pytest.mark.parametrize("voice", VOICES)
def test_wrong_words(programs, files, voice):
    for wrong in WRONG:
        words = ["prog", "run", *(programs.id("tc") if word == "PROG" else word for word in wrong.split())]
        theirs, (mine, made) = both(files, [*voice, *words])
        assert theirs == (differences.without_hint(mine), made), wrong
        assert mine.rc == 255, wrong


@pytest.mark.parametrize("voice", VOICES)
def test_stdin(programs, files, voice):
    """A minus is stdin, of either input."""
    for words, source in (("data_in - data_out -", "packet"), ("data_in packet ctx_in - ctx_out -", "skb")):
        theirs, mine = both(files, [*voice, "prog", "run", "id", programs.id("tc"), *words.split()], stdin=source)
        assert theirs == mine
        assert mine[0].rc == 0


@pytest.mark.parametrize("voice", VOICES)
def test_in_a_batch(programs, files, voice):
    """Each run is a command of its own, also where one fails."""
    runs = ["data_in packet data_out -", "data_in packet data_out out", "data_in short", "data_in packet"]
    (files / "batch").write_text("".join(f"prog run id {programs.id('tc')} {words}\n" for words in runs))
    (theirs, their_files), (mine, my_files) = both(files, [*voice, "batch", "file", "batch"])

    assert theirs.stdout == mine.stdout
    assert theirs.rc == mine.rc != 0
    assert their_files == my_files


ONCE = [
    ("raw_tracepoint", "ctx_in args", 42, None),
    ("raw_tracepoint", "repeat 0 ctx_in args", 42, None),
    ("syscall", "ctx_in args ctx_out -", 5, [*struct.pack("=2Q", 40, 80)]),
    ("syscall", "ctx_in args ctx_out - repeat 0", 5, [*struct.pack("=2Q", 40, 80)]),
]


@pytest.mark.parametrize("once", ONCE, ids=[f"{once[0]}-{once[1]}" for once in ONCE])
def test_what_runs_once(programs, files, once):
    """bpftool asks for room and a repetition that the kernel does not grant."""
    name, words, retval, context = once
    if name in programs.refused:
        pytest.skip(f"the kernel has no programs of type {name}")
    (theirs, _), (mine, _) = both(files, ["-j", "prog", "run", "id", programs.id(name), *words.split()])

    assert (theirs.rc, json.loads(theirs.stdout)) == (234, {"error": "failed to run program: Invalid argument"})
    assert (mine.rc, mine.stderr) == (0, b"")
    expected = ({} if context is None else {"ctx_out": context}) | {"retval": retval, "duration": 0}
    assert json.loads(mine.stdout.replace(b":T", b":0")) == expected


def test_why_the_kernel_refuses(programs, files):
    """Behind bpftool's message in plain text, in JSON on stderr."""
    expected = {
        ("kprobe", "repeat 1"): "the kernel has no test run for programs of type kprobe",
        ("tc", "repeat 1"): "programs of type sched_cls run on data, a packet with its Ethernet header",
        ("tc", "data_in short"): "the data has 13 bytes, of which an Ethernet header alone takes 14",
        ("tc", "data_in packet data_size_out 1"): "more came out of it than there was room for",
        (
            "tc",
            "data_in packet ctx_in skb_with_length",
        ): "members of the context that a test run does not take must be 0",
        ("raw_tracepoint", "repeat 1"): (
            "programs of type raw_tracepoint run once, without data, on a context as large as what they read"
        ),
        ("sk_lookup", "data_in packet"): "programs of type sk_lookup run on a context alone, a struct bpf_sk_lookup",
        ("tc", "data_in packet ctx_in skb_too_long"): (
            "the context has something behind the end of the structure that this kernel knows"
        ),
    }
    for (name, words), why in expected.items():
        line = ["prog", "run", "id", programs.id(name), *words.split()]
        theirs, plain, compact = (
            in_folder(files, lambda line=line, tool=tool, voice=voice: tool(*voice, *line))
            for tool, voice in ((lambda *w: peer.run(NEWEST, *w), []), (peer.inside, []), (peer.inside, ["-j"]))
        )
        message = theirs.stderr.decode().rstrip("\n")
        assert message.startswith("Error: failed to run program: ")
        assert plain == (theirs.rc, b"", f"{message} ({why})\n".encode())
        assert json.loads(compact.stdout) == {"error": message.removeprefix("Error: ")}
        assert (compact.rc, compact.stderr) == (theirs.rc, f"Hint: {why}\n".encode())


def test_files_that_cannot_be_written(programs, files):
    """Everything else is told and written; both errors count, in JSON in one valid document."""
    words = f"prog run id {programs.id('tc')} data_in packet data_out no/file ctx_in skb"
    line = words.split()
    missing = "failed to open no/file: No such file or directory"
    for last, errors, rc in (
        ("context", [missing], 255),
        ("folder", [missing, "failed to open folder: Is a directory"], 254),
    ):
        (theirs, their_files), (mine, my_files) = both(files, [*line, "ctx_out", last])
        assert theirs.rc == mine.rc == rc
        assert theirs.stdout == mine.stdout == b"Return value: 42, durationTns\n"
        assert theirs.stderr.decode() == "".join(f"Error: {error}\n" for error in errors)
        assert mine.stderr.decode() == f"Error: {'; '.join(errors)}\n"
        assert their_files == my_files
        (theirs, _), (mine, _) = both(files, ["-j", *line, "ctx_out", last])
        with pytest.raises(json.JSONDecodeError):
            json.loads(theirs.stdout.replace(b":T", b":0"))
        told_ = json.loads(mine.stdout.replace(b":T", b":0"))
        assert (told_["error"], told_["retval"], mine.rc) == ("; ".join(errors), 42, rc)


def test_a_full_disk(programs, files):
    """bpftool does not see that what it wrote went nowhere."""
    line = ["prog", "run", "id", programs.id("tc"), "data_in", "packet", "data_out", "/dev/full"]
    (theirs, _), (mine, _) = both(files, line)

    assert (theirs.rc, theirs.stderr) == (0, b"")
    assert (mine.rc, mine.stderr) == (255, b"Error: failed to write output data/ctx: No space left on device\n")
    assert theirs.stdout == mine.stdout


def test_inputs_that_cannot_be_read(programs, files):
    """bpftool takes what it cannot read for an empty file, and reads as much as memory holds."""
    with (files / "sparse").open("wb") as file:
        file.truncate((16 << 20) + 1)
    line = ["prog", "run", "id", programs.id("tc"), "data_in"]
    (theirs, _), (mine, _) = both(files, [*line, "folder"])
    assert theirs.stderr == b"Error: failed to run program: Invalid argument\n"
    assert mine == (255, b"", b"Error: failed to open folder: Is a directory\n")

    (theirs, _), (mine, _) = both(files, [*line, "/proc/self/mem"])
    assert theirs.stderr == b"Error: failed to run program: Invalid argument\n"
    assert mine == (255, b"", b"Error: failed to read data_in/ctx_in from /proc/self/mem: Input/output error\n")

    (theirs, _), (mine, _) = both(files, [*line, "sparse"])
    assert theirs.stderr.startswith(b"Error: failed to run program: ")  # Invalid argument, since 7.x no memory
    assert mine == (255, b"", b"Error: data_in/ctx_in is too long (max: 16777216)\n")


def test_room_without_data(programs, files):
    """bpftool looks for data where there are none."""
    words = "repeat 0 data_size_out 16 data_out -"
    (theirs, _), (mine, _) = both(files, ["prog", "run", "id", programs.id("raw_simple"), *words.split()])

    assert theirs.rc == -11
    assert mine == (0, b"Return value: 7, durationTns\n", b"")
