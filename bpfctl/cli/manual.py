"""All that is told of commands: what help, man pages and the reference are made of."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.cli import app, terms, usage
from bpfctl.cli.examples import EXAMPLES, Example
from bpfctl.cli.global_option import GLOBAL
from bpfctl.cli.parse import default, options_of
from bpfctl.cli.rights import rights_of
from bpfctl.cli.synopsis import DEFINITIONS, SYNOPSES
from bpfctl.cli.table import OBJECTS, OURS, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.cli.opt import Option


#: What the whole is, for those who have not met it yet.
ABOUT = (
    (
        "bpfctl shows and manages what the Linux kernel runs of eBPF: programs, maps, links and types; it counts, "
        "traces and times what the kernel and processes do; and it tells what a kernel can do."
    ),
    (
        "Its words, JSON and plain text are those of bpftool, so that scripts run unchanged. On a terminal lists are "
        "tables. Words may be cut short: the first entry of the list of commands that a word begins is meant, so that "
        "bpfctl p l is bpfctl prog list."
    ),
)


class Entry(NamedTuple):
    """A word or an option, what it stands for if that can be told in signs, and what it is."""

    name: str
    stands_for: str
    text: str


class Page(NamedTuple):
    """A command."""

    name: str
    others: tuple[str, ...]  # words that are the same command
    usages: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]
    words: tuple[Entry, ...]  # of this command alone
    terms: tuple[Entry, ...]  # of others too
    options: tuple[Entry, ...]
    rights: str
    examples: tuple[Example, ...]
    is_ours: bool  # bpftool has no such command


def page(object_: str, command: Command) -> Page:
    """Return what there is to tell of a command."""
    name = f"{object_} {command.word}"
    same = [one.word for one in OBJECTS[object_] if (one.run, one.help) == (command.run, command.help)]
    words = terms.WORDS.get(name, {})
    told = {kind for label in words for kind in label.split()}
    function = None if object_ == "batch" else app.function(command)
    return Page(
        name.rstrip(),
        tuple(word for word in same if word != command.word),
        tuple(usage.lines(object_, command.word)),
        sentence(command.help),
        _paragraphs(function),
        tuple(Entry(label, "", text) for label, text in words.items()),
        tuple(term(kind) for kind in usage.values(SYNOPSES[name]) if kind not in told and kind in terms.TERMS),
        tuple(_options(function)) if function else (),
        _rights(object_, command.word),
        EXAMPLES.get(f"{object_} {same[0]}", ()),
        command.word in OURS.get(object_, ()),
    )


def pages(object_: str) -> Iterator[Page]:
    """Yield what there is to tell of an object's commands, each once."""
    told: set[tuple[str, str]] = set()
    for command in OBJECTS[object_]:
        if command.run and (command.run, command.help) not in told:
            told.add((command.run, command.help))
            yield page(object_, command)


def there() -> list[str]:
    """Return the objects that have commands."""
    return [name for name, commands in OBJECTS.items() if any(command.run for command in commands)]


def term(kind: str) -> Entry:
    """Return what is told of something that stands for something else."""
    return Entry(kind, usage.definition(kind) if kind in DEFINITIONS else "", terms.TERMS[kind])


def global_options() -> Iterator[Entry]:
    """Yield the options of all commands."""
    for option in GLOBAL:
        yield Entry(_label(option.names, option.metavar), "", option.text)


def sentence(text: str) -> str:
    """Return words of the table of commands as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def _rights(object_: str, command: str) -> str:
    """Return the capabilities that a command takes, as a sentence without the marks of Markdown."""
    told = rights_of(object_, command).replace("`", "").replace("'", "")
    return f"Capabilities: {told}." if told else ""


def _paragraphs(function: Callable[..., None] | None) -> tuple[str, ...]:
    """Return what a command's docstring tells behind its first line, which is for readers of the code."""
    _, *rest = (inspect.getdoc(function) or "").split("\n\n")
    return tuple(" ".join(paragraph.split()) for paragraph in rest)


def _options(function: Callable[..., None]) -> Iterator[Entry]:
    for name, (type_, option) in options_of(function).items():
        label = _label(sorted(option.names, key=len), option.metavar or "")
        yield Entry(label, "", _with_default(option, default(function, name, type_)))


def _with_default(option: Option, value: Any) -> str:
    """Return what is said of an option, and what is meant without it where that is told nowhere."""
    if value is None or value is False or value == "" or "(" in option.text:
        return option.text
    return f"{option.text.removesuffix('.')} ({value:g})." if isinstance(value, float) else option.text


def _label(names: tuple[str, ...] | list[str], metavar: str) -> str:
    return f"{', '.join(names)} {metavar}".rstrip()
