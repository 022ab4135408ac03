"""Where the kernel, the rights or the file systems are not as one would like them: one clear sentence, or less."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import socket
import struct
import time
from collections import deque
from contextlib import ExitStack

import pytest

from tests.bpftool import peer
from tests.kernel import client, hardship, typeblob
from tests.kernel.place import Place, mount
from tests.kernel.ring_stress import forked

SOCKET_FILTER, XDP, RAW_TRACEPOINT, ARRAY, RDONLY_PROG, ATTACH_XDP = 1, 6, 17, 2, 1 << 7, 37
SIOCSIFFLAGS, SIOCSIFNAME = 0x8914, 0x8923
RETURN_0 = bytes.fromhex("b7000000000000009500000000000000")

NOT_PERMITTED, NO_SUCH_CALL = "Operation not permitted", "Function not implemented"
REFUSALS = [
    pytest.param(hardship.ordinary_user, NOT_PERMITTED, "run it as root", id="ordinary user"),
    pytest.param(hardship.user_namespace, NOT_PERMITTED, "root of a user namespace is not enough", id="user namespace"),
    pytest.param(hardship.forbidden_bpf, NOT_PERMITTED, "a seccomp filter", id="seccomp EPERM"),
    pytest.param(hardship.no_bpf, NO_SUCH_CALL, "a seccomp filter", id="seccomp ENOSYS"),
]
# The command, bpftool's words for what was tried, and whether its JSON has opened an array by then.
LISTS = [
    ("prog show", "can't get next program", True),
    ("map show", "can't get next map", True),
    ("link show", "can't get next link", True),
    ("prog show id 1", "get by id (1)", False),
    ("map show id 1", "get map by id (1)", False),
    ("link show id 1", "failed to get link with ID 1", False),
    ("btf show id 1", "can't get BTF object by id (1)", False),
]


@pytest.fixture(scope="module")
def objects():
    """A program with a map, and a link, all with BTF-less names of this test; the ids by kind."""
    with ExitStack() as stack:

        def keep(fd):
            stack.callback(os.close, fd)
            return fd

        map_fd = keep(client.map_create(ARRAY, 4, 8, 1, name="hard_map"))
        program = keep(client.prog_load(SOCKET_FILTER, RETURN_0, name="hard_prog"))
        client.prog_bind_map(program, map_fd)
        traced = keep(client.prog_load(RAW_TRACEPOINT, RETURN_0, name="hard_traced"))
        link = keep(client.raw_tracepoint_open("task_rename", traced))
        yield {
            "prog": client.id_of("prog", program),
            "map": client.id_of("map", map_fd),
            "link": client.id_of("link", link),
        }


def one_sentence(outcome):
    """Return the only line of stderr."""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("Error: ")
    return outcome.err.removeprefix("Error: ").removesuffix("\n")


@pytest.mark.parametrize(("place", "answer", "advice"), REFUSALS)
@pytest.mark.parametrize("listing", LISTS, ids=[entry[0] for entry in LISTS])
def test_a_refusal_is_one_sentence_with_advice(place, answer, advice, listing):
    """The sentence begins with bpftool's and goes on with what to do; in JSON that is a line on stderr."""
    command, tried, in_array = listing
    words = command.split()
    plain = hardship.bpfctl("--plain", *words, hardship=place)
    compact = hardship.bpfctl("-j", *words, hardship=place)

    sentence = one_sentence(plain)
    assert sentence.startswith(f"{tried}: {answer} (")
    assert advice in sentence
    assert plain.out == b""
    document = {"error": f"{tried}: {answer}"}
    assert json.loads(compact.out) == ([document] if in_array else document)
    assert compact.err.startswith("Hint: ")
    assert compact.err.count("\n") == 1
    assert advice in compact.err

    theirs = hardship.bpftool("-j", *words, hardship=place)
    if theirs is not None:
        assert (compact.code, compact.out) == (theirs.code, theirs.out)
        assert plain.code == theirs.code
    else:
        assert plain.code == compact.code != 0


@pytest.mark.parametrize("place", [hardship.no_proc, hardship.no_sys], ids=["no /proc", "no /sys"])
@pytest.mark.parametrize("kind", ["prog", "map", "link"])
def test_what_is_hidden_is_left_out(objects, place, kind):
    """Without /proc or /sys the list still comes, as bpftool's does; only what lay there is missing."""
    ours = hardship.bpfctl("-j", "-f", "--no-owners", kind, "show", "id", str(objects[kind]), hardship=place)

    assert (ours.code, ours.err) == (0, "")
    assert json.loads(ours.out)["id"] == objects[kind]
    theirs = hardship.bpftool("-j", "-f", kind, "show", "id", str(objects[kind]), hardship=place)
    if theirs is not None:
        assert peer.agrees(json.loads(theirs.out), json.loads(ours.out))


@pytest.mark.parametrize("place", [hardship.no_proc, hardship.no_sys], ids=["no /proc", "no /sys"])
def test_whole_lists_come_without_owners_and_pins(objects, place):
    for kind in ("prog", "map", "link", "btf"):
        ours = hardship.bpfctl("-j", "-f", kind, "show", hardship=place)
        assert (ours.code, ours.err) == (0, "")
        if kind != "btf":
            assert objects[kind] in [row["id"] for row in json.loads(ours.out)]


def renamed(old, new):
    """Rename a network device of this namespace, which must be down for it, and return its index."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        fcntl.ioctl(door, SIOCSIFFLAGS, struct.pack("=16sH14x", old.encode(), 0))
        fcntl.ioctl(door, SIOCSIFNAME, struct.pack("=16s16s", old.encode(), new.encode()))
    return socket.if_nametoindex(new)


def test_names_from_the_kernel_do_nothing():
    """A device's name and the text of a variable may have any character: JSON escapes them, plain text spells them."""
    device, author = 'd\x1b[31m"\x9b', b'\x1b]0;me\x07[bold]"\\\xff'
    blob = typeblob.Blob()
    char = blob.int_("char", 1, typeblob.CHAR)
    text = blob.array(char, blob.int_("int", 4, typeblob.SIGNED), len(author))
    variable = blob.var("bpf_metadata_author", blob.const(text))
    section = blob.datasec(".rodata", len(author), [(variable, 0, len(author))])
    with Place(), ExitStack() as stack:

        def keep(fd):
            stack.callback(os.close, fd)
            return fd

        types = keep(client.btf_load(blob.raw()))
        described = {"btf_fd": types, "btf_value_type_id": section, "map_flags": RDONLY_PROG}
        rodata = keep(client.map_create(ARRAY, 4, len(author), 1, name="hard.rodata", **described))
        client.map_update(rodata, bytes(4), author)
        client.map_freeze(rodata)
        program = keep(client.prog_load(XDP, RETURN_0, name="hard_names"))
        client.prog_bind_map(program, rodata)
        link = keep(client.link_create(program, renamed("lo", device), ATTACH_XDP))
        shown = [("prog", client.id_of("prog", program)), ("link", client.id_of("link", link))]
        for kind, id_ in shown:
            compact, plain = (hardship.bpfctl(voice, kind, "show", "id", str(id_)) for voice in ("-j", "--plain"))
            assert (compact.code, plain.code, compact.err, plain.err) == (0, 0, "", "")
            for out in (compact.out, plain.out):
                assert out.decode().replace("\n", "").replace("\t", "").isprintable()
            row = json.loads(compact.out)
            if kind == "prog":
                # Text with control characters is no text to bpftool, but an array of characters.
                assert row["metadata"]["author"][:5] == ["\x1b", "]", "0", ";", "m"]
                assert b"author" in plain.out
            else:
                assert row["devname"] == device
                assert rb"d\x1b[31m" in plain.out


def test_a_pin_cannot_be_identified_without_proc(objects, tmp_path):
    """The kernel tells the kind of a pinned object only in /proc; bpftool fails there too."""
    bpffs = tmp_path / "bpf"

    def place():
        hardship.no_sys()
        bpffs.mkdir()
        mount("bpf", bpffs)
        fd = client.fd_by_id("map", objects["map"])
        client.obj_pin(fd, str(bpffs / "it"))
        hardship._hide("/proc")

    outcome = hardship.bpfctl("--plain", "map", "show", "pinned", str(bpffs / "it"), hardship=place)

    assert "/proc" in one_sentence(outcome)
    assert outcome.code == 255


def every_row(kind, **surroundings):
    """Return all rows of a kind, as the library gives them."""
    room = importlib.import_module(f"bpfctl.kernel.{kind}")
    return list(room.rows(None, **surroundings))


@pytest.mark.parametrize("kind", ["prog", "map", "link", "btf"])
def test_no_descriptor_leaks(objects, kind):
    """As many lists as there is time for, in process, end with the descriptors they began with."""
    before = sorted(os.listdir("/proc/self/fd"))
    for number in hardship.rounds(10_000, 1.5):
        surroundings = {"pinned": number % 50 == 0} if kind != "btf" else {}
        assert every_row(kind, owners=number % 500 == 0, **surroundings) or kind not in objects

    assert sorted(os.listdir("/proc/self/fd")) == before


def churn():
    """Create programs, a map, a link and BTF as fast as this machine can, and delete them some rounds later."""
    raw = typeblob.Blob()
    raw.int_("churn", 4)
    living = deque()
    while True:
        fds = [
            client.btf_load(raw.raw()),
            client.map_create(ARRAY, 4, 8, 1, name="churn"),
            client.prog_load(SOCKET_FILTER, RETURN_0, name="churn"),
            client.prog_load(RAW_TRACEPOINT, RETURN_0, name="churn"),
        ]
        client.prog_bind_map(fds[2], fds[1])
        fds.append(client.raw_tracepoint_open("task_rename", fds[3]))
        living.append(fds)
        if len(living) > 4:
            for fd in living.popleft():
                os.close(fd)


@pytest.fixture
def churning():
    """Two processes that churn, which is more than this machine's kernel can free meanwhile."""
    with forked(churn), forked(churn):
        yield


def assert_whole(kind, row):
    """Assert that nothing of a row of the churning is missing; return whether it is one."""
    assert row["id"] > 0
    match kind:
        case "prog" if row.get("name") == "churn":
            assert row["type"] in ("socket_filter", "raw_tracepoint")
            assert len(row["tag"].strip("0")) > 8
            assert row["bytes_xlated"] == len(RETURN_0)
            assert row["loaded_at"] > 0
            assert row["bytes_memlock"] > 0
        case "map" if row.get("name") == "churn":
            assert (row["type"], row["bytes_key"], row["bytes_value"], row["max_entries"]) == ("array", 4, 8, 1)
            assert row["bytes_memlock"] > 0
        case "link" if row.get("tp_name") == "task_rename":
            assert row["type"] == "raw_tracepoint"
            assert row["prog_id"] > 0
        case "btf":
            assert row["size"] > 0
        case _:
            return False
    return True


@pytest.mark.usefixtures("churning")
@pytest.mark.parametrize("kind", ["prog", "map", "link", "btf"])
def test_rows_are_whole_while_objects_come_and_go(kind):
    """Up to 1,000 lists in process and some by the command, while others create and delete at full speed."""
    view = importlib.import_module(f"bpfctl.views.{kind}").VIEW
    met = set()

    def look(number):
        surroundings = {"pinned": number % 50 == 0} if kind != "btf" else {}
        rows = every_row(kind, owners=number % 50 == 25, **surroundings)
        documents = [view.json(row) for row in rows]
        met.update(document["id"] for document in documents if assert_whole(kind, document))
        assert [document["id"] for document in documents] == sorted({document["id"] for document in documents})
        assert all(all(view.plain(row)) for row in rows)

    for number in hardship.rounds(1_000, 1.5):
        look(number)
    for _ in hardship.rounds(8, 1, least=2):
        outcome = hardship.bpfctl("-j", "-f", kind, "show")
        assert (outcome.code, outcome.err) == (0, "")
        for document in json.loads(outcome.out):
            assert_whole(kind, document)

    # On one slow processor little happens meanwhile: look until enough has.
    deadline = time.monotonic() + 60
    while len(met - set(client.ids(kind))) < 3:
        assert time.monotonic() < deadline, "nothing comes and goes"
        look(1)
