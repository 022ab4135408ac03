"""Exit codes of commands that bpftool has not: what went wrong, as docs/commands.md tells it."""

from __future__ import annotations

from errno import E2BIG, EACCES, ENOENT, EPERM

import pytest

from bpfctl import errors
from bpfctl.cli.table import OBJECTS, OURS
from tests.bpftool import peer

COMMANDS = sorted((object_, word) for object_, words in OURS.items() for word in words)


@pytest.mark.parametrize("object_", sorted(OURS))
def test_the_words_are_those_of_commands(object_):
    assert OURS[object_] <= {command.word for command in OBJECTS[object_] if command.run}


@pytest.mark.parametrize("object_", ["probe", "plugin", "events"])
def test_all_of_an_object_of_ours_is_ours(object_):
    assert OURS[object_] == {command.word for command in OBJECTS[object_] if command.run}


@pytest.mark.parametrize(("object_", "word"), COMMANDS)
def test_a_wrong_word(object_, word):
    answer = peer.inside(object_, *word.split(), "--no-such-option")

    assert (answer.rc, answer.stdout) == (2, b"")
    assert answer.stderr.startswith(b"Error: unrecognized option '--no-such-option'")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("btf find", 2),
        ("btf diff", 2),
        ("events id", 2),
        ("map copy id 1", 2),
        ("map stat nonsense", 2),
        ("plugin list nonsense", 2),
        ("plugin nonsense", 2),
        ("probe nonsense", 2),
        ("probe count nonsense", 2),
        ("prog diff id 1", 2),
        ("btf check nowhere.o", 3),
        ("btf diff nowhere nowhere", 3),
        ("btf diff id 4294967295", 3),
        ("events pinned /nonexistent", 3),
        ("feature check nowhere.o", 3),
        ("feature diff nowhere.json", 3),
        ("map diff id 4294967295 nowhere.json", 3),
        ("map stat name no_such_map", 3),
        ("probe count nokind:target", 3),
        ("prog diff tag 0011223344556677 id 1", 3),
        ("prog top id 4294967295", 3),
        ("btf check damaged.o", 255),
        ("btf diff damaged.o", 255),
        ("probe count uprobe:./foreign:main", 255),
        ("probe show usdt:./foreign:a:b", 255),
        ("feature check damaged.o", 255),
        ("feature diff damaged.o", 255),
        # What bpftool has answers as it does.
        ("map show id 4294967295", 255),
        ("map nonsense", 255),
        ("prog show --no-such-option", 255),
        ("btf dump file nowhere", 254),
    ],
)
def test_what_went_wrong(line, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The head of an ELF file for BPF that ends where its sections should begin.
    (tmp_path / "damaged.o").write_bytes(
        bytes.fromhex("7f454c46020101000000000000000000 0100f700 01000000") + b"\xff" * 40
    )

    # A file for a machine of its own kind, which no kernel here runs: EM_PARISC.
    (tmp_path / "foreign").write_bytes(bytes.fromhex("7f454c46010201000000000000000000 0002000f00000001") + bytes(36))

    answer = peer.inside(*line.split())

    assert answer.rc == code, answer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("", exit_code=234), 2),
        (errors.Ambiguous(), 2),
        (errors.NotFound(), 3),
        (errors.KernelError("", ENOENT, exit_code=errors.status(ENOENT)), 3),
        (errors.KernelError("", EPERM), 4),
        (errors.KernelError("", EACCES, exit_code=errors.status(EACCES)), 4),
        (errors.VerifierError("", EPERM, ""), 4),
        (errors.NotPermitted(), 4),
        (errors.NotSupported(), 5),
        (errors.KernelError("", E2BIG, exit_code=errors.status(E2BIG)), 255),
        (errors.VerifierError("", EACCES, "R0 !read_ok"), 255),
        (errors.ObjectError("", exit_code=195), 255),
        (errors.SavedError(), 255),
        (errors.Partial("", 7), 255),
        (errors.Nothing(1), 1),
    ],
)
def test_the_rule(error, code):
    assert errors.own_status(error) == code
