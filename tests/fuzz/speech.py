"""What may be said of values: JSON that is nearly right, paths, bytes at their edges, and words of the command line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.cli.data import Form
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from btf.encode import Encoder
    from tests.fuzz.shape import Made

_ODD = (
    None, True, False, 0, 1, -1, 7, 255, 256, -129, 1 << 31, 1 << 32, -(1 << 63), 1 << 64, 1 << 200, 10**400,
    0.0, -0.0, 0.5, 1e308, 1e-320, float("inf"), float("-inf"), float("nan"),
    "", "a", "abc", "inf", "nan", "-1", "0x", "0x7", "0b1", "0o7", "1_000", "٣", "RUNNING", "\0", "a\0b", "\ud800", "é",
    "10.0.0.1", "fe80::1", "aa:bb:cc:dd:ee:ff", "1" * 5000, "x" * 300,
    [], [0], [1, 2, 3], {}, {"": 1}, {"": {}}, {"x": 1}, [[]], [{}], {"": []},
)  # fmt: skip
_WORDS = (
    "hex", "h", "he", "str", "cpu", "key", "value", "any", "noexist", "exist", "k",
    "0", "1", "255", "256", "-1", "0x1f",
    "012", "08", "0x", "0b11", "ff", "a", "zz", "", " ", "1_0", "٣", "-", "--", "0x-1", "+1", "1.5", "9" * 120, "1e5",
    "10.0.0.1", "10.0.0.0/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::", "fe80::1/64", "fe80::1%eth0", "1:2",
    "aa:bb:cc:dd:ee:ff", "aa-bb-cc-dd-ee-ff", "true", "RUNNING", "inf", "eth0", "\ud800", "é", "a\0b", "[", "{", '"',
    "[1,2,3,4]", '["0x1","0x2"]', '["1", -1]', "[true]", "[]", "[[],[]]", "{}", '{"x":1}', '"10.0.0.1"', '"a"', '""',
    "[1e5]",
    "[NaN]", "[" * 3000, "1" * 5000, ".", ".=", ".x", ".x=1", ".[0]=1", ".[0]",
    ".a..b=1", "..=", ".a[", ".a[x]=1", ".=1",
)  # fmt: skip
_SIZES = (0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 20)


def some_bytes(rng: Random, size: int) -> bytes:
    """Return bytes of which many are at an edge."""
    choices = (0, 0, 0, 1, 0x7F, 0x80, 0xFF, 0x41, 0x20, 0x7E)
    return bytes(rng.choice(choices) for _ in range(size))


def anything(rng: Random, depth: int = 2) -> Any:
    """Return any value that JSON or Python may hold."""
    sort = rng.random()
    if depth and sort < 0.2:
        return [anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    if depth and sort < 0.3:
        return {rng.choice(("", "x", "m", 1, None)): anything(rng, depth - 1) for _ in range(rng.randrange(3))}
    if sort < 0.35:
        return rng.randbytes(rng.choice(_SIZES))
    if sort < 0.5:
        return rng.getrandbits(rng.choice((8, 16, 32, 64, 128))) * rng.choice((1, -1))
    return rng.choice(_ODD)


def damaged(rng: Random, said: Any) -> Any:
    """Return a value in which something may be wrong."""
    if rng.random() < 0.15:
        return anything(rng)
    if isinstance(said, dict):
        found = {name: damaged(rng, item) for name, item in said.items()}
        if rng.random() < 0.1:
            found[rng.choice(("", "x", *said))] = anything(rng)
        if found and rng.random() < 0.1:
            del found[rng.choice(list(found))]
        return found
    if isinstance(said, list):
        found_items = [damaged(rng, item) for item in said]
        return found_items + [anything(rng)] * (rng.random() < 0.1)
    return said


def path(rng: Random, said: Any) -> str:
    """Return a path of a value, or something like one."""
    text, at = "", said
    while rng.random() < 0.9:
        if isinstance(at, dict) and at:
            name = rng.choice(list(at))
            text, at = f"{text}.{name}" if text else name, at[name]
        elif isinstance(at, list) and at:
            number = rng.randrange(len(at))
            text, at = f"{text}[{number}]", at[number]
        else:
            break
    if rng.random() < 0.15:
        text += rng.choice(
            ("", ".", "[", "]", "[0]", "[-1]", "[99999999999999999999]", ".x", "[٣]", "..", "[1][2]", "\0")
        )
    return text


class Asked(NamedTuple):
    """What words are to become."""

    name: str
    size: int  # -1: that of the type
    typed: bool
    prefix: bool
    cpus: int
    before: bytes | None = None  # the first bytes of what is there; None when nothing is

    def form(self, made: Made) -> Form:
        """Return the form of a key or value."""
        encoder = _encoder(made) if self.typed or self.size < 0 else None
        size = encoder.size if encoder else max(self.size, 0)
        return Form(self.name, size, lambda: encoder, self.prefix and size > 4, self.cpus)

    def old(self, form: Form) -> Callable[[], bytes | None]:
        """Return what tells the bytes that are there now."""
        room = form.size if not form.cpus else (form.size + 7 & ~7) * form.cpus
        before = self.before
        return lambda: None if before is None else before[:room].ljust(room, b"\0")


def _encoder(made: Made) -> Encoder | None:
    try:
        return made.encoder
    except BTFError:
        return None


def asked(rng: Random) -> Asked:
    """Return what words may be wanted for."""
    typed = rng.random() < 0.6
    size = -1 if typed else rng.choice(_SIZES)
    cpus = rng.choice((0, 0, 0, 1, 2, 3))
    before = rng.choice((None, b"", b"\xff" * 64))
    return Asked(rng.choice(("key", "value")), size, typed, rng.random() < 0.2, cpus, before)


def words(rng: Random, said: Any) -> list[str]:
    """Return words that may mean something."""
    found: list[str] = []
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 5, 9, 17))):
        match rng.randrange(8):
            case 0:
                found.append(str(rng.randrange(300)))
            case 1:
                found.append(json.dumps(damaged(rng, said) if _is_json(said) else said, default=str))
            case 2:
                value = json.dumps(anything(rng, 1), default=str, skipkeys=True)
                found.append(f".{path(rng, said)}={value}")
            case 3:
                found += ["cpu", rng.choice(("0", "1", "2", "7", "x"))]
            case _:
                found.append(rng.choice(_WORDS))
    return found


def _is_json(said: Any) -> bool:
    return isinstance(said, dict | list)


def meant(rng: Random) -> tuple[list[str], Asked, bytes]:
    """Return words, what they are wanted for, and the bytes that they mean."""
    size = rng.choice((1, 2, 4, 8, 16))
    number = rng.choice((0, 1, 127, 128, 255, (1 << size * 8) - 1, rng.getrandbits(size * 8)))
    raw = (number % (1 << size * 8)).to_bytes(size, sys.byteorder)
    form = Asked("value", size, typed=False, prefix=False, cpus=0)
    match rng.randrange(6):
        case 0:
            return [rng.choice((hex, str))(number % (1 << size * 8))], form, raw
        case 1:
            less = number % (1 << size * 8 - 1) + 1
            return [str(-less)], form, (-less).to_bytes(size, sys.byteorder, signed=True)
        case 2:
            return [str(byte) for byte in raw], form, raw
        case 3:
            return ["hex", *(f"{byte:02x}" for byte in raw)], form, raw
        case 4:
            return [json.dumps([rng.choice((byte, hex(byte))) for byte in raw])], form, raw
    length = rng.randrange(33)
    octets = rng.randbytes(4)
    spelled = f"{'.'.join(map(str, octets))}/{length}"
    return [spelled], form._replace(size=8, prefix=True), length.to_bytes(4, sys.byteorder) + octets


def smaller(given: Any) -> Iterator[Any]:
    """Yield inputs that are a little simpler."""
    match given:
        case bytes():
            if given.strip(b"\0"):
                yield bytes(len(given))
            if given:
                yield given[: len(given) // 2]
                yield given[:-1]
            for at, byte in enumerate(given):
                for less in {0, 1, byte & 0x7F} if byte > 1 else {0} if byte else ():
                    if less != byte:
                        yield given[:at] + bytes([less]) + given[at + 1 :]
        case Asked():
            yield from (given._replace(cpus=fewer) for fewer in range(given.cpus))
            if given.before:
                yield given._replace(before=b"")
        case tuple():
            for at, item in enumerate(given):
                yield from ((*given[:at], less, *given[at + 1 :]) for less in smaller(item))
        case list():
            for at, item in enumerate(given):
                yield given[:at] + given[at + 1 :]
                yield from ([*given[:at], less, *given[at + 1 :]] for less in smaller(item))
        case dict():
            for name, item in given.items():
                yield {key: other for key, other in given.items() if key != name}
                yield from ({**given, name: less} for less in smaller(item))
        case str() if len(given) > 1:
            yield given[: len(given) // 2]
            yield given[1:]
            yield given[:-1]
