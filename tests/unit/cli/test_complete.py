"""What may come next on a command line, and that whatever stands there is no error."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.cli import candidates, complete, parse
from bpfctl.cli.candidates import Candidate
from bpfctl.cli.synopsis import DEFINITIONS, SYNOPSES
from bpfctl.cli.table import OBJECTS
from bpfctl.cli.walk import Synopsis
from tests.build.compiled import compiled

COMMANDS = {
    (object_, command.word): command for object_, commands in OBJECTS.items() for command in commands if command.run
}
#: Values that nobody can know beforehand.
FREE = {"N", "DATA", "NAME", "PREFIX", "COMMAND"}


def offered(*words):
    """Return the words that are offered, without what they are."""
    return [line.partition("\t")[0] for line in complete.lines(words)]


def leaves(text):
    """Return the kinds of values in a synopsis, those of what is defined too."""
    for word in text.replace("...", " ").split():
        if word in DEFINITIONS:
            yield from leaves(DEFINITIONS[word])
        elif word.isupper():
            yield word


def test_every_command_has_a_synopsis():
    """And nothing else has one."""
    assert set(SYNOPSES) == {f"{object_} {word}" for object_, word in COMMANDS}


@pytest.mark.parametrize("name", sorted(SYNOPSES))
def test_what_stands_for_something_is_known(name):
    """Each value of a synopsis is of a kind that is completed, a file, or free."""
    assert set(leaves(SYNOPSES[name])) <= candidates.KINDS.keys() | candidates.FILES | FREE


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_each_definition_is_used(name):
    """A definition without use would be a mistake in a synopsis."""
    assert any(name in text.split() for text in (*SYNOPSES.values(), *DEFINITIONS.values()))


@pytest.mark.parametrize("words", [["--watch"], ["--watch", "5"], ["--watch=5"]])
def test_words_go_on_behind_a_number_that_may_be_left_out(words):
    assert offered("prog", "show", *words, "") == ["id", "tag", "name", "pinned"]
    assert "--watch" not in offered("prog", "show", *words, "--w")


@pytest.mark.parametrize(("object_", "word"), sorted(COMMANDS))
def test_every_command_and_option_is_offered(object_, word):
    """With what it is, as the help has it."""
    module, _, name = COMMANDS[object_, word].run.partition(":")
    function = getattr(import_module(f"bpfctl.cli.{module}"), name, offered)  # batch has none
    line = [object_, word] if word else [object_]

    assert object_ in offered("")
    assert not word or word in offered(object_, "")
    for _, option in parse.options_of(function).values():
        for name in option.names:
            assert f"{name}\t{option.text}" in complete.lines([*line, name])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("pro",), ["prog", "probe"]),
        (("v",), ["version"]),
        (("prog", "h"), ["help"]),
        (("p", "d"), ["dump", "detach", "diff"]),
        (("-j", "-B", "file", "link", "de"), ["detach"]),
        (("prog", "dump", "x", "id", "7", ""), ["file", "opcodes", "linum", "visual"]),
        (("prog", "dump", "j", "id", "7", "linum", ""), []),
        (("prog", "dump", "xlated", "id", "7", "file", ""), [":files"]),
        (("map", "update", "id", "1", "key", "1", "2", ""), ["value", "any", "exist", "noexist"]),
        (("map", "update", "id", "1", "key", "1", "value", "2", "n"), ["noexist"]),
        (("feature", "list_builtins", "m"), ["map_types"]),
        (("feature", "probe", "kernel", "full", "u"), ["unprivileged"]),
        (("batch", "file", ""), [":files"]),
        (("probe", "latency", "--unit", ""), ["ns", "us", "ms", "s"]),
        (("probe", "latency", "--unit=m"), ["--unit=ms"]),
        (("probe", "stat", "--", ""), [":files"]),
        (("probe", "count", "--by", "comm,pi"), ["comm,pid"]),
        (("probe", "count", "--by", "pid,p"), ["pid,probe"]),
        (("--owners", "p"), ["proc"]),
        (("--base-btf", ""), [":files"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("explain", "bpf_ringbuf_r"), ["bpf_ringbuf_reserve", "bpf_ringbuf_reserve_dynptr"]),
        (("explain", "cgroup/connect"), ["cgroup/connect4", "cgroup/connect6", "cgroup/connect_unix"]),
        (("explain", "BPF_F_NO_"), ["BPF_F_NO_PREALLOC", "BPF_F_NO_COMMON_LRU", "BPF_F_NO_USER_CONV"]),
        (("explain", "E2"), ["E2BIG"]),
        (("explain", "xdp", ""), []),
        (("nothing", ""), []),
        (("map", "create", "/x", "type", "hash_"), ["hash_of_maps"]),
        (("prog", "list", "--type", "xd"), ["xdp"]),
        (("cgroup", "tree", "--type", "cgroup_inet4_b"), ["cgroup_inet4_bind"]),
        (("net", "--type", "t"), []),
        (("net", "show", "--type", "t"), ["tc"]),
        (("perf", "list", "--type", "k"), ["kprobe", "kretprobe", "kprobe_multi"]),
        (("net", "attach", "t"), ["tcx_ingress", "tcx_egress"]),
        (("net", "attach", "xdp", "id", "1", "dev", "lo", ""), ["overwrite", "prepend"]),
        (("net", "show", "dev", "l"), ["lo"]),
        (("cgroup", "attach", "/x", "cgroup_s"), ["cgroup_sock_ops", "cgroup_sysctl", "cgroup_setsockopt"]),
        (("cgroup", "show", "/x", ""), ["effective"]),
    ],
)
def test_what_comes_next(words, wanted):
    """By the synopsis, with words that are cut short, and options anywhere."""
    assert wanted == offered(*words)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["prog", "list", "--fields", "na"], ["name"]),
        (["prog", "show", "--fields", "id,ru"], ["id,runs", "id,run_time"]),
        (["prog", "show", "--fields", "id,run_time,ru"], ["id,run_time,runs"]),
        (["prog", "list", "--sort", "-me"], ["-memlock", "-metadata"]),
        (["prog", "list", "--sort=na"], ["--sort=name"]),
        (["map", "list", "--fields", "key"], ["key", "key_type"]),
        (["link", "list", "--sort", "ow"], ["owners"]),
        (["btf", "show", "--sort", "si"], ["size"]),
        (["cgroup", "tree", "--fields", "cg"], ["cgroup"]),
        (["cgroup", "show", "--fields", "cg"], []),
        (["map", "dump", "--fields", ""], []),
        (["net", "list", "--sort", "-d"], ["-device"]),
        (["perf", "show", "--fields", "pid,f"], ["pid,fd"]),
        (["probe", "list", "--fields", ""], ["kind", "target"]),
        (["plugin", "list", "--fields", "su"], ["summary"]),
        (["prog", "top", "--sort", "-tot"], ["-total_runs", "-total_time"]),
        (["--color", "a"], ["auto", "always"]),
        (["--owners", "n"], ["none"]),
    ],
)
def test_columns(words, wanted):
    """In a list behind those that stand there, and behind a minus; a blank of a title is written as _."""
    assert offered(*words) == wanted


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plug"], "list"),
        (["even"], "show the records of a ring buffer or perf event array"),
        (["link", "d"], "detach a link from its target"),
        (["--pla"], "write plain text, also on a terminal"),
        (["prog", "load", "x", "y", "type", "xdp.f"], "xdp"),
    ],
)
def test_what_it_is(words, told):
    """An object is told by its commands."""
    assert [line.partition("\t")[2] for line in complete.lines(words)][:1] == [told]


def test_what_can_be_read_at_a_probe():
    """What is there at every hit, and what the probe that was named has."""
    here = offered("probe", "count", "profile:99", "--by", "")

    assert {"comm", "pid", "probe"} <= {*here}
    assert {*here} > {*offered("probe", "count", "--by", "")}


def test_an_option_once():
    """What was given is not offered again, unless it may be repeated."""
    assert "--top" not in offered("probe", "count", "--top", "3", "--")
    assert "--by" in offered("probe", "count", "--by", "pid", "--")


def test_names_that_would_do_harm(monkeypatch):
    """A name that a shell would read as something else is left out; what it is told of it is one line."""
    there = ["good", "a b", "$(x)", "a;b", "`x`", "a\nb", "\x1b[2J", "'", "no|ne", ""]
    monkeypatch.setitem(candidates.KINDS, "PROG_NAME", lambda _: (Candidate(one, "\x1b[2J a\tb\nc") for one in there))

    assert ["good\t[2J a b c"] == list(complete.lines(["prog", "show", "name", ""]))


@given(
    st.lists(
        st.one_of(st.sampled_from([*OBJECTS, "show", "id", "name", "--by", "--", "-", "-j", "x:", "7"]), st.text())
    )
)
def test_anything(words):
    """Whatever stands there, there are lines or none."""
    assert all(line for line in complete.lines([word for word in words if "\0" not in word]))


def test_a_synopsis_is_followed_all_ways():
    """What was read as one thing may have been another."""
    synopsis = Synopsis("A [ b ] { c D ... | e } [ f ]", {})

    assert ["b", "c", "e"] == [one.word for one in synopsis.after(["x"])]
    assert ["D"] == [one.word for one in synopsis.after(["x", "c"])]
    assert ["D", "f"] == [one.word for one in synopsis.after(["x", "b", "c", "f"])]
    assert [] == synopsis.after(["x", "g"])


def test_what_an_object_has(tmp_path):
    """Its maps as they are called once loaded, its variables; of what is no object there is nothing."""
    (path := tmp_path / "filled.o").write_bytes(compiled("load_data"))
    line = ["prog", "load", str(path), "/sys/fs/bpf/x"]

    assert offered(*line, "map", "name", "filled.") == ["filled.data", "filled.rodata", "filled.bss"]
    assert offered(*line, "--set", "limi") == ["limit="]
    assert offered(*line, "type", "cgroup/bind") == ["cgroup/bind4", "cgroup/bind6"]
    assert offered("prog", "load", "/etc/passwd", "x", "--set", "") == []
