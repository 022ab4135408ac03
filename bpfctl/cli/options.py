"""The global options: bpftool's, which may stand anywhere among the words as GNU getopt allows, and a few of ours."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli.table import object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    from bpfctl.kernel.owner import How

    When = Literal["auto", "always", "never"]


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
    owners: How = "auto"
    color: When = "auto"
    no_pager: bool = False
    mistake: str = ""  # what is wrong with the options themselves; found where app.run() can tell it in any voice
    mistake_code: int = 255


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
_TAKES_VALUE = {"private_key", "certificate", "base_btf", "owners", "color"}
_LONG = (
    "help", "version", "json", "pretty", "debug", "bpffs", "mapcompat", "nomount", "use-loader", "sign", "base-btf",
)  # fmt: skip
_OURS = ("plain", "extra", "no-owners", "owners", "color", "no-pager")
#: What the values of options of ours are, and the first is meant without the option.
VALUES = {"owners": ("auto", "iter", "proc", "none"), "color": ("auto", "always", "never")}
# Options of commands whose value may begin with a minus, as in --sort -id: it is not a cluster of ours then.
_LEAVES_VALUE = ("--type", "--name", "--owner", "--sort")
# Of this object -p is the process, as everybody who traces writes it, and not bpftool's --pretty.
_PROBE, _PROCESS = "probe", "-p"
# Of this object -EPERM and -1 are words: that is how the kernel answers.
_EXPLAIN = "explain"
# bpftool once had this option, and scripts for it may have it still.
_IGNORED = "l"


def split(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Return the global options, and what is left in its order: words and options of commands.

    A mistake, such as an option without its value, is told in Options.mistake; what follows it is not read.
    """
    found: dict[str, str | bool | int] = {}
    left: list[str] = []
    waiting = iter(arguments)
    try:
        _read(waiting, found, left)
    except _LacksValue as option:
        found["mistake"] = f"option '{option}' needs a value"
    if found.get("pretty"):
        found["json"] = True
    if "mistake" not in found and not found.get("help"):
        _check_signing(found)
        _check_values(found)
    return Options()._replace(**found), left  # type: ignore[arg-type]


def _check_signing(found: dict[str, str | bool | int]) -> None:
    """Tell of options for signing that lack each other; bpftool answers so with -EINVAL."""
    if found.get("sign") and not ("private_key" in found and "certificate" in found):
        found["mistake"] = "signing (-S) needs a private key (-k FILE) and a certificate (-i FILE)"
    elif not found.get("sign") and ("private_key" in found or "certificate" in found):
        found["mistake"] = "a private key (-k) and a certificate (-i) are of use only for signing (-S)"
    if "mistake" in found:
        found["mistake_code"] = 234


def _check_values(found: dict[str, str | bool | int]) -> None:
    """Tell of a value that an option cannot have."""
    for option, values in VALUES.items():
        if found.get(option, values[0]) not in values and "mistake" not in found:
            from difflib import get_close_matches

            close = get_close_matches(str(found[option]), values, 1)
            meant = f", did you mean '{close[0]}'?" if close else ""
            found["mistake"] = f"--{option} is {', '.join(values[:-1])} or {values[-1]}, not '{found[option]}'{meant}"


class _LacksValue(Exception):
    """An option stands last that needs a value."""


def _read(waiting: Iterator[str], found: dict[str, str | bool | int], left: list[str]) -> None:
    for argument in waiting:
        if argument == "--":
            left.append(argument)
            left.extend(waiting)
        elif argument.startswith("--"):
            if not _take_long(argument, waiting, found):
                left.append(argument)
                if argument in _LEAVES_VALUE:
                    left.extend(islice(waiting, 1))
        elif argument[:2] == _PROCESS and (argument[2:] or "0").isdecimal() and _is_of(_PROBE, left):
            left.append(argument)
        elif len(left) == 1 and _is_answer(argument) and _is_of(_EXPLAIN, left):
            left.append(argument[1:])
        elif len(argument) > 1 and argument[0] == "-" and all(c in _SHORT or c in _IGNORED for c in _flags(argument)):
            _take_cluster(argument, waiting, found)
        else:
            if argument.startswith("-"):  # the letters before one that nobody knows count all the same
                _take_cluster(argument[: 1 + _known(argument[1:])], waiting, found)
            left.append(argument)


def _is_of(object_: str, left: Sequence[str]) -> bool:
    """Return whether the words so far are of this object, whose word may be cut short."""
    return bool(left) and object_of(left[0]) == object_


def _is_answer(argument: str) -> bool:
    """Return whether this is an errno behind a minus."""
    name = argument[1:]
    return argument[:1] == "-" and (name.isdecimal() or (len(name) > 1 and name[0] == "E" and name.isupper()))


def _take_long(argument: str, waiting: Iterator[str], found: dict[str, str | bool | int]) -> bool:
    """Take a long option, with its value if it has one; False for one that is not global."""
    name, equals, value = argument[2:].partition("=")
    option = _long(name)
    if option is None or (equals and option not in _TAKES_VALUE):
        return False
    if option in _TAKES_VALUE:
        found[option] = value if equals else _next(waiting, argument)
    else:
        found[option] = True
    return True


def _take_cluster(argument: str, waiting: Iterator[str], found: dict[str, str | bool | int]) -> None:
    for at, letter in enumerate(argument[1:], 2):
        option = _SHORT.get(letter)
        if option in _TAKES_VALUE:
            found[option] = argument[at:] or _next(waiting, f"-{letter}")
            break
        if option:
            found[option] = True


def _known(letters: str) -> int:
    """Return how many letters at the start are options without a value."""
    known = {letter for letter, option in _SHORT.items() if option not in _TAKES_VALUE}
    return next((at for at, letter in enumerate(letters) if letter not in known), len(letters))


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


def _next(waiting: Iterator[str], argument: str) -> str:
    for value in waiting:
        return value
    raise _LacksValue(argument)
