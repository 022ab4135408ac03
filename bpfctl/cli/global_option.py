"""The options of all commands, as help and completion tell of them; `bpfctl.cli.options` reads them."""

from __future__ import annotations

from typing import NamedTuple


class GlobalOption(NamedTuple):
    """An option that may stand anywhere on the line."""

    names: tuple[str, ...]
    short: str  # what TAB says
    more: str = ""
    metavar: str = ""

    @property
    def text(self) -> str:
        """What help says."""
        return f"{self.short[0].upper()}{self.short[1:]}{self.more}."


GLOBAL = (
    GlobalOption(("-j", "--json"), "write JSON", ", as bpftool does"),
    GlobalOption(("-p", "--pretty"), "write JSON with line breaks"),
    GlobalOption(("--plain",), "write plain text, also on a terminal", ", as bpftool does"),
    GlobalOption(
        ("--color",),
        "when there are colours: on a terminal (auto), always, never",
        "; always also makes tables in a pipe",
        "WHEN",
    ),
    GlobalOption(("--no-pager",), "write what is longer than the screen without a pager"),
    GlobalOption(("--extra",), "add to JSON what bpftool leaves out"),
    GlobalOption(("-f", "--bpffs"), "show where objects are pinned"),
    GlobalOption(
        ("--owners",),
        "how to find the processes that hold an object",
        ": in /proc (proc), by a BPF iterator (iter), whichever is quicker (auto), or not at all (none)",
        "HOW",
    ),
    GlobalOption(("--no-owners",), "do not look up which processes hold an object"),
    GlobalOption(("-n", "--nomount"), "mount no BPF file system to pin an object in"),
    GlobalOption(("-B", "--base-btf"), "a file with the types that split BTF builds on", "", "FILE"),
    GlobalOption(
        ("-d", "--debug"), "tell each system call and its answer", "; of a program that is refused, all of the log"
    ),
    GlobalOption(("-h", "--help"), "show help", ", also of a command"),
    GlobalOption(("-V", "--version"), "show the version"),
)
