"""What ``help`` and ``--help`` tell: of the whole program, of one kind of object, or of a command."""

from __future__ import annotations

import re
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING

from bpfctl.cli import manual, terms, usage
from bpfctl.cli.examples import FIRST
from bpfctl.cli.synopsis import SYNOPSES
from bpfctl.cli.table import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.cli.examples import Example
    from bpfctl.cli.table import Command

_NARROWEST, _WIDEST = 40, 100
_LABELS = 24  # columns that what stands at the left may take
_GLUE = "\N{NO-BREAK SPACE}"
_INNERMOST = re.compile(r"[\[{][^\[\]{}]*[\]}]")


def lines(object_: str | None = None, command: Command | None = None) -> list[str]:
    """Return the help for a command, for a kind of object, or for the whole program."""
    width = min(max(get_terminal_size().columns, _NARROWEST), _WIDEST)
    if object_ and command:
        return list(_of_command(manual.page(object_, command), width))
    return list(_of_object(object_, width) if object_ and OBJECTS[object_] else _of_program(width))


def _of_command(page: manual.Page, width: int) -> Iterator[str]:
    for at, line in enumerate(page.usages):
        yield from _usage("Usage: " if at == 0 else "       ", line, width)
    for paragraph in (page.summary, *page.paragraphs):
        yield from ("", *wrap(paragraph, width))
    yield from _section("Words:", _in_order(page), width)
    yield from _section("Options:", page.options, width)
    yield ""
    yield from wrap("Options that all commands have, such as --json, are told by bpfctl --help.", width)
    if page.rights:
        yield from ("", *wrap(page.rights, width))
    yield from _examples(page.examples)
    if page.others:
        same = " and ".join(f"bpfctl {page.name.split()[0]} {word}" for word in page.others)
        yield from ("", *wrap(f"The same is {same}.", width))


def _of_object(object_: str, width: int) -> Iterator[str]:
    pages = list(manual.pages(object_))
    about = terms.OBJECTS[object_]
    if not pages[0].name.startswith(f"{object_} "):
        yield from _of_command(pages[0], width)
        return
    yield from _usage("Usage: ", f"bpfctl {object_} [COMMAND] [WORDS] [OPTIONS]", width)
    yield from ("", *wrap(about.long or manual.sentence(about.short), width))
    yield from _section("Commands:", map(_named, pages), width)
    kinds = [kind for kind in usage.values(SYNOPSES[pages[0].name]) if usage.definition(kind)]
    yield from _section("Words:", map(manual.term, kinds), width)
    yield from _examples(page.examples[0] for page in pages[:3] if page.examples)
    yield ""
    more = f"bpfctl {object_} COMMAND --help tells of one command, its words and its options, bpfctl --help of the "
    yield from wrap(more + "options that all commands have.", width)


def _of_program(width: int) -> Iterator[str]:
    yield from _usage("Usage: ", "bpfctl [OPTIONS] OBJECT [COMMAND] [WORDS]", width)
    yield ""
    for name in manual.there():
        words = ", ".join(command.word for command in OBJECTS[name] if command.run and command.word)
        yield from _entry(manual.Entry(name, terms.OBJECTS[name].short, words), 14, width)
    yield from _entry(manual.Entry("version", "", "show the version"), 14, width)
    yield ""
    yield from wrap("Words may be cut short: bpfctl p l is bpfctl prog list.", width)
    yield from wrap("bpfctl OBJECT --help and bpfctl OBJECT COMMAND --help tell more.", width)
    yield from _section("Options, anywhere on the line:", manual.global_options(), width)
    yield from _examples(FIRST)


def _in_order(page: manual.Page) -> list[manual.Entry]:
    """Return the words of a command in the order of its usage, and then what these are made of."""

    def place(entry: manual.Entry) -> int:
        found = re.search(rf"(?<!\w){re.escape(entry.name)}(?!\w)", usages)
        return found.start() if found else len(usages)

    usages = " ".join(page.usages)
    return sorted((*page.words, *page.terms), key=place)


def _named(page: manual.Page) -> manual.Entry:
    """Return a line of a list of commands."""
    word = page.name.partition(" ")[2]
    return manual.Entry(", ".join((word, *page.others)), "", page.summary[0].lower() + page.summary[1:-1])


def _usage(title: str, line: str, width: int) -> Iterator[str]:
    """Yield a usage line, broken between its brackets, and within those that are too long themselves."""
    indent = " " * (len(title) + 4)
    glued = _INNERMOST.sub(lambda match: match[0].replace(" ", _GLUE), line)
    yield from (
        piece.replace(_GLUE, " ")
        for piece in wrap(
            glued,
            width,
            initial_indent=title,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _section(title: str, entries: Iterable[manual.Entry], width: int) -> Iterator[str]:
    """Yield entries under a title, aligned; nothing where there are none."""
    there = list(entries)
    if there:
        yield from ("", title)
    labels = [len(entry.name) + 4 for entry in there]
    left = max((label for label in labels if label <= _LABELS), default=_LABELS)
    for entry in there:
        yield from _entry(entry, left, width)


def _entry(entry: manual.Entry, left: int, width: int) -> Iterator[str]:
    """Yield the lines of an entry; a name that is too long has a line of its own."""
    texts = [
        line for text in (entry.stands_for, entry.text) for line in wrap(text, width - left, break_on_hyphens=False)
    ]
    if len(entry.name) + 4 > left:
        yield f"  {entry.name}"
    else:
        yield f"  {entry.name}".ljust(left) + texts.pop(0)
    yield from (" " * left + text for text in texts)


def _examples(examples: Iterable[Example]) -> Iterator[str]:
    """Yield examples, which are never wrapped: they are there to be copied."""
    for at, example in enumerate(examples):
        if at == 0:
            yield from ("", "Examples:")
        yield from (f"  # {example.about}", f"  {example.line}")
