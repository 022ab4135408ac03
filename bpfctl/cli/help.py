"""What ``help`` and ``--help`` tell: of the whole program, or of one kind of object."""

from __future__ import annotations

from bpfctl.cli.table import OBJECTS

_OPTIONS = """\
Options, anywhere on the line:
  -j, --json        write JSON as bpftool does; -p, --pretty: with line breaks
      --plain       write plain text as bpftool does, also on a terminal
      --color WHEN  colours: on a terminal (auto), always, which also makes
                    tables in a pipe, or never; NO_COLOR, CLICOLOR_FORCE
      --no-pager    do not show what is longer than the screen in a pager
      --extra       add to JSON what the kernel tells and bpftool leaves out
  -f, --bpffs       show where objects are pinned
      --owners HOW  how to find the processes that hold an object: /proc (proc),
                    a BPF iterator (iter), whichever is quicker (auto)
      --no-owners   do not look up which processes hold an object
  -n, --nomount     mount no BPF file system to pin an object in
  -d, --debug       tell each system call and its answer
  -B, --base-btf F  read the types that split BTF builds on from this file
  -h, --help        show help, also of a command; -V, --version"""

_MORE = """\
  version

Words may be cut short: bpfctl p l is bpfctl prog list.
bpfctl OBJECT help and bpfctl OBJECT COMMAND --help tell more.

  bpfctl prog                                      what is loaded, and by whom
  bpfctl prog show name my_probe                   all about one program
  bpfctl map list --owner 'cilium*' --sort -memlock
  bpfctl link list --watch"""

_HANDLES = {
    "prog": "PROG := { id ID | tag TAG | name NAME | pinned FILE }",
    "map": "MAP := { id ID | name NAME | pinned FILE }",
    "link": "LINK := { id ID | pinned FILE }",
    "btf": "BTF := { id ID }",
    "events": "WORDS := { id ID | name NAME | pinned FILE }",
}


def text(object_: str | None) -> str:
    """Return the help for a kind of object, or for the whole program."""
    return _of_object(object_) if object_ and OBJECTS[object_] else _of_program()


def _of_object(object_: str) -> str:
    there = [command for command in OBJECTS[object_] if command.run]
    alone = not there[0].word
    lines = [f"Usage: bpfctl [OPTIONS] {object_} {'' if alone else '[COMMAND] '}[WORDS]", ""]
    lines += [f"  {command.word:<10} {command.help}" for command in there]
    if object_ in _HANDLES:
        lines += ["", _HANDLES[object_]]
    lines += [
        "",
        f"bpfctl {object_} {'' if alone else 'COMMAND '}--help tells of one command, its words and its own options,",
        "bpfctl --help of the options that all commands have.",
    ]
    return "\n".join(lines)


def _of_program() -> str:
    from textwrap import wrap

    there = {name: [one.word or one.help for one in commands if one.run] for name, commands in OBJECTS.items()}
    lines = ["Usage: bpfctl [OPTIONS] OBJECT [COMMAND] [WORDS]", ""]
    for name, words in there.items():
        if words:
            lines += wrap(", ".join(words), 78, initial_indent=f"  {name:<10} ", subsequent_indent=" " * 13)
    return "\n".join([*lines, _MORE, "", _OPTIONS])
