"""The global options: bpftool's, which may stand anywhere among the words as GNU getopt allows, and a few of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Options(NamedTuple):
    """What the global options say."""

    help: bool = False
    version: bool = False
    json: bool = False
    pretty: bool = False
    debug: bool = False
    bpffs: bool = False
    mapcompat: bool = False
    nomount: bool = False
    use_loader: bool = False
    sign: bool = False
    private_key: str | None = None
    certificate: str | None = None
    base_btf: str | None = None
    plain: bool = False
    extra: bool = False
    no_owners: bool = False


_SHORT = {
    "h": "help",
    "V": "version",
    "j": "json",
    "p": "pretty",
    "d": "debug",
    "f": "bpffs",
    "m": "mapcompat",
    "n": "nomount",
    "L": "use_loader",
    "S": "sign",
    "k": "private_key",
    "i": "certificate",
    "B": "base_btf",
}
_TAKES_VALUE = {"private_key", "certificate", "base_btf"}
_LONG = ("help", "version", "json", "pretty", "debug", "bpffs", "mapcompat", "nomount", "use-loader", "sign", "base-btf")
_OURS = ("plain", "extra", "no-owners")
# bpftool once had this option and still accepts it.
_IGNORED = "l"


def split(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Return the global options, and what is left in its order: words and options of commands.

    Raises UsageError when an option lacks its value.
    """
    found: dict[str, str | bool] = {}
    left: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            left.append(argument)
            left.extend(waiting)
        elif argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            option = _long(name)
            if option is None or (equals and option not in _TAKES_VALUE):
                left.append(argument)
            elif option in _TAKES_VALUE:
                found[option] = value if equals else _next(waiting, argument)
            else:
                found[option] = True
        elif len(argument) > 1 and argument[0] == "-" and all(c in _SHORT or c in _IGNORED for c in _flags(argument)):
            for at, letter in enumerate(argument[1:], 2):
                option = _SHORT.get(letter)
                if option in _TAKES_VALUE:
                    found[option] = argument[at:] or _next(waiting, f"-{letter}")
                    break
                if option:
                    found[option] = True
        else:
            left.append(argument)
    if found.get("pretty"):
        found["json"] = True
    return Options()._replace(**found), left  # type: ignore[arg-type]


def _flags(argument: str) -> str:
    """Return the letters of a cluster such as -jp, up to the one that takes a value."""
    letters = argument[1:]
    for at, letter in enumerate(letters):
        if _SHORT.get(letter) in _TAKES_VALUE:
            return letters[: at + 1]
    return letters


def _long(name: str) -> str | None:
    """Return the option that a long name means; one of bpftool's may be cut short where it stays unique."""
    matches = [option for option in _LONG if option.startswith(name)] if name else []
    if name in _LONG or name in _OURS:
        matches = [name]
    return matches[0].replace("-", "_") if len(matches) == 1 else None


def _next(waiting: object, argument: str) -> str:
    try:
        return next(waiting)  # type: ignore[call-overload, no-any-return]
    except StopIteration:
        raise UsageError(f"option '{argument}' needs a value") from None
