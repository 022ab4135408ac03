"""Options that are read without Typer: they mean what Typer would make of them."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.cli import parse, typed
from bpfctl.cli.table import OBJECTS
from bpfctl.errors import UsageError

FUNCTIONS = {
    f"{object_} {command.word}": getattr(
        import_module(f"bpfctl.cli.{command.run.partition(':')[0]}"), command.run.partition(":")[2]
    )
    for object_, commands in OBJECTS.items()
    if object_ != "batch"
    for command in commands
    if command.run
}
VALUES = [
    "",
    "7",
    "-7",
    "0",
    "1.5",
    "a",
    "-",
    "--",
    "a=b",
    "1_000",
    "\u0661",
    "99999999999999999999",
    "1e3",
    ".5",
    " 7",
]


def told(function, found):
    """Return the arguments that are not the defaults."""
    types = {name: type_ for name, (type_, _) in parse.options_of(function).items()}
    return {
        name: value
        for name, value in found.items()
        if value != [] and value != parse.default(function, name, types.get(name))
    }


@given(st.data())
def test_the_same_as_typer(data):
    """Whatever is read is what Typer reads, of every command; what Typer refuses is not read."""
    function = FUNCTIONS[data.draw(st.sampled_from(sorted(FUNCTIONS)))]
    names = [name for _, option in parse.options_of(function).values() for name in option.names]
    word = st.sampled_from([*names, *(f"{name}=" for name in names), "--nothing", *VALUES])
    words = data.draw(st.lists(st.one_of(word, st.builds(str.__add__, word, word)), max_size=4))
    words = [word for word in words if word != "--"]
    found = parse._plain(parse.options_of(function), words)
    if found is not None:
        assert told(function, typed.parse("bpfctl", function, words)) == told(function, found)


@pytest.mark.parametrize("command", sorted(FUNCTIONS))
def test_what_is_plain_is_read(command):
    """Every option of every command is read when it is written plainly, but for pairs of values."""
    function = FUNCTIONS[command]
    for parameter, (type_, option) in parse.options_of(function).items():
        if type_ == tuple[str, int] | None:
            continue
        for name in option.names:
            value = [] if type_ is bool else [str(max(option.low or 0, 7))]
            found = parse._plain({parameter: (type_, option)}, [name, *value, "word"])

            assert ["word"] == found["words"]
            assert told(function, typed.parse("x", function, [name, *value, "word"])) == told(function, found)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--topp", "3"], "unrecognized option '--topp', did you mean '--top'?"),
        (["--top"], "option '--top' requires an argument"),
        (["--top", "0"], "invalid value for '--top': 0 is not in the range x>=1"),
        (["--duration", "soon"], "invalid value for '--duration': 'soon' is no number"),
    ],
)
def test_mistakes(words, sentence):
    """What is wrong with an option is Typer's to say."""
    with pytest.raises(UsageError) as error:
        parse.parse("bpfctl probe count", FUNCTIONS["probe count"], words, 0)

    assert sentence == error.value.sentence


def test_words_that_cannot_be_options():
    """The last words are taken as they are, plain options before them or not."""
    assert {"top": 3, "words": ["a", "--top", "0"]} == parse.parse(
        "x", FUNCTIONS["probe count"], ["--top", "3", "a", "--top", "0"], 2
    )
    assert ["a", "--top"] == parse.parse("x", FUNCTIONS["probe count"], ["-p7", "a", "--top"], 1)["words"]


def test_a_period_that_may_be_left_out():
    """An option that may stand alone takes the next word if that is a number."""
    assert {"watch": 2.0, "words": ["id", "7"]} == parse.parse("x", FUNCTIONS["prog show"], ["--watch", "id", "7"], 0)
    assert {"watch": 5.0, "words": []} == parse.parse("x", FUNCTIONS["prog show"], ["--watch", "5"], 0)
