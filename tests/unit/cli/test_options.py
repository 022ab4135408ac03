"""The global options among the words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.cli.options import Options, split


@pytest.mark.parametrize(
    ("line", "expected", "left"),
    [
        ("", {}, ""),
        ("prog list", {}, "prog list"),
        ("-j prog", {"json": True}, "prog"),
        ("prog show -j", {"json": True}, "prog show"),
        ("-p prog", {"json": True, "pretty": True}, "prog"),
        ("-jf prog", {"json": True, "bpffs": True}, "prog"),
        ("--json --bpffs prog", {"json": True, "bpffs": True}, "prog"),
        ("--js --pre --deb", {"json": True, "pretty": True, "debug": True}, ""),
        ("-B base prog", {"base_btf": "base"}, "prog"),
        ("-Bbase prog", {"base_btf": "base"}, "prog"),
        ("-jBbase prog", {"json": True, "base_btf": "base"}, "prog"),
        ("--base-btf base prog", {"base_btf": "base"}, "prog"),
        ("--base-btf=base prog", {"base_btf": "base"}, "prog"),
        ("--base=base", {"base_btf": "base"}, ""),
        ("--plain --extra --no-owners", {"plain": True, "extra": True, "no_owners": True}, ""),
        ("--color always prog", {"color": "always"}, "prog"),
        ("prog --no-pager list", {"no_pager": True}, "prog list"),
        ("prog list --color=never", {"color": "never"}, "prog list"),
        ("--owners=iter prog --owner x", {"owners": "iter"}, "prog --owner x"),
        ("prog --owners proc", {"owners": "proc"}, "prog"),
        ("-l prog", {}, "prog"),
        # what is no global option stays for the command to judge
        ("prog --type xdp", {}, "prog --type xdp"),
        ("prog --watch -j", {"json": True}, "prog --watch"),
        ("prog -x", {}, "prog -x"),
        ("-jx", {"json": True}, "-jx"),
        ("--json=1", {}, "--json=1"),
        ("--plai", {}, "--plai"),
        ("--ver", {"version": True}, ""),
        ("-", {}, "-"),
        # a value of ours is no cluster of global options
        ("prog --sort -id", {}, "prog --sort -id"),
        ("prog --sort -jited -j", {"json": True}, "prog --sort -jited"),
        ("prog --name -f", {}, "prog --name -f"),
        ("prog --sort=-id", {}, "prog --sort=-id"),
        ("prog --sort", {}, "prog --sort"),
        # an answer of the kernel is a word to explain, and the minus is none of it
        ("explain -EACCES -j", {"json": True}, "explain EACCES"),
        ("-j explain -524", {"json": True}, "explain 524"),
        ("explain -d xdp", {"debug": True}, "explain xdp"),
        ("ex -EACCES", {}, "ex EACCES"),
        ("e -EACCES", {}, "e -EACCES"),
        ("explain -E", {}, "explain -E"),
        # of probes -p is the process
        ("probe count x -p 7", {}, "probe count x -p 7"),
        ("prob count x -p7 -p", {}, "prob count x -p7 -p"),
        ("pro show -p", {"json": True, "pretty": True}, "pro show"),
        ("prog -EACCES", {}, "prog -EACCES"),
        # after -- nothing is an option
        ("prog -- -j --plain", {}, "prog -- -j --plain"),
    ],
)
def test_split(line, expected, left):
    assert split(line.split()) == (Options()._replace(**expected), left.split())


def test_no_such_time_for_colours():
    options, _ = split(["--color", "prog", "list"])

    assert options.mistake == "--color is auto, always or never, not 'prog'"


def test_no_such_way_to_find_owners():
    options, _ = split(["--owners=magic", "prog"])

    assert options.mistake == "--owners is auto, iter, proc or none, not 'magic'"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("-S -k key -i cert", ""),
        ("", ""),
        ("-S", "signing (-S) needs"),
        ("-S -k key", "signing (-S) needs"),
        ("-S -i cert", "signing (-S) needs"),
        ("-k key", "are of use only for signing"),
        ("-i cert", "are of use only for signing"),
    ],
)
def test_signing_takes_a_key_and_a_certificate(line, wanted):
    """Without them it is refused with bpftool's exit code, and so are they without it."""
    options, _ = split(line.split())

    assert wanted in options.mistake
    assert bool(wanted) == bool(options.mistake)
    assert (234 if wanted else 255) == options.mistake_code


def test_one_mistake_is_told():
    assert "signing" in split(["-S", "--color=x"])[0].mistake
    assert "'-B' needs a value" in split(["--color=x", "-B"])[0].mistake


@pytest.mark.parametrize("line", ["--help -S", "--color=x -h"])
def test_help_is_there_for_those_who_err(line):
    options, _ = split(line.split())

    assert (options.help, options.mistake) == (True, "")


@pytest.mark.parametrize("line", ["-B", "--base-btf", "prog -jB", "--private-key"])
def test_a_value_is_missing(line):
    """That is told where it can be told in any voice, and what stood before still holds."""
    options, left = split(line.split())

    assert ("needs a value" in options.mistake) == (line != "--private-key")
    assert options.json == ("j" in line)
    assert left == (["--private-key"] if line == "--private-key" else line.split()[:-1])


@given(st.lists(st.text(st.characters(exclude_characters="-"), max_size=5)))
def test_words_without_a_dash_are_left_alone(words):
    assert split(words) == (Options(), words)


@given(st.lists(st.text("-jpfnlBshx=a", max_size=6)))
def test_nothing_is_invented(arguments):
    """What is left stood there before, in the same order."""
    _, left = split(arguments)

    waiting = iter(arguments)
    assert all(word in waiting for word in left)
