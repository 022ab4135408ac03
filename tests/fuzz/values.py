"""Fuzzes values: BTF types, bytes and JSON of those types, and the words of bpfctl's command line.

    python -m tests.fuzz.values [INPUTS] [--seed S] [--round R] [--maps]

Inputs come in rounds of one type each, and a round follows from the seed and its number alone. What must hold:

* nothing but BTFError and UsageError is ever raised;
* bytes -> value -> bytes is the identity over the same bytes, and over zeros once padding is gone; so it is through
  JSON;
* what is said in JSON or in words is what is read back.

With ``--maps`` some inputs of each round also go into a map of the kernel and out again, by bpfctl's commands; this
needs root. The first failure ends the run; it is made as small as can be, and printed with the round that found it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.cli import data
from bpfctl.cli.grammar import Words
from bpfctl.errors import BpfctlError
from bpfctl.render.json import dumps
from bpfctl.views import form, typed
from bpfctl.views import value as view
from bpfctl.views.form import Layout
from btf.errors import BTFError
from tests.fuzz import speech
from tests.fuzz.shape import Made, agrees, random_shape, seen, smaller, spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PER_ROUND = 40
_TRIES = 3000  # while a failure is made smaller


class Case(NamedTuple):
    """One input: what is checked, of which type, in which byte order, and with what."""

    check: Callable[[Made, Any], None]
    shape: Any
    order: str
    given: Any

    def run(self) -> None:
        """Check it; any exception is a failure."""
        self.check(Made(self.shape, self.order), self.given)


class Failure(Exception):
    """A case that fails, as small as it could be made, and the exception."""

    def __init__(self, case: Case, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.case = case
        self.add_note(f"{case.check.__name__}, type: {case.shape!r}, {case.order} endian")
        self.add_note(f"input: {case.given!r}")


def check_bytes(made: Made, raw: bytes) -> None:
    """Bytes are read, written, read and written again, also as JSON."""
    try:
        decoder = made.decoder
    except BTFError:
        _refused(made)
        return
    raw = raw[: decoder.size].ljust(decoder.size, b"\0")
    encoder = made.encoder
    value = decoder(raw)
    assert encoder(value, raw) == raw, "over the same bytes"
    try:
        canonical = encoder(value)
    except BTFError as error:
        # NaN and true have many spellings, and other members of a union may share a part of the one that was
        if ("nan" in repr(value) or "True" in repr(value)) and "share their bytes" in str(error):
            return
        raise
    assert seen(decoder(canonical)) == seen(value), "read again"
    assert encoder(decoder(canonical)) == canonical, "over zeros"
    if "nan" in repr(value):
        return  # JSON knows neither the sign nor the payload of what is no number
    text = json.dumps(view.json(value))
    assert encoder(json.loads(text)) == canonical, f"as {text}"


def _refused(made: Made) -> None:
    try:
        _ = made.encoder
    except BTFError:
        return
    raise AssertionError("a type is written that is not read")


def check_shown(made: Made, raw: bytes) -> None:
    """The text that is laid out for all values of a type is that of this one, and JSON has no name twice."""
    try:
        decoder = made.decoder
    except BTFError:
        return
    if not decoder.size:
        return  # no map has such values
    raw = raw[: decoder.size].ljust(decoder.size, b"\0")
    for layout in (Layout(None, dumps), Layout(2, dumps)):
        for json_ in (True, False):
            laid = form.tree(typed.tree(made.btf, made.id, form.VALUE, 0, json=json_), layout, (0, decoder.size))
            shown = b"".join(laid.fill(b"", raw, 1)).decode(errors="surrogateescape")
            assert shown == typed.spelled(decoder(raw), layout, json=json_), f"{shown} is shown"
            if json_:
                json.loads(shown, object_pairs_hook=_without_repetition)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), "a name comes twice"
    return found


def check_said(made: Made, given: tuple[Any, Any]) -> None:
    """What JSON says is read back, and is what remains when it is written once more."""
    said, heard = given
    encoder = made.encoder
    raw = encoder(json.loads(json.dumps(said)))
    found = seen(made.decoder(raw))
    assert agrees(heard, found), f"{said} became {found}"


def check_anything(made: Made, given: tuple[Any, bytes]) -> None:
    """Any JSON is written or refused; what is written reads back equal."""
    value, old = given
    encoder = made.encoder
    try:
        raw = encoder(value, old[: encoder.size])
    except BTFError as error:
        _told(error)
        return
    assert len(raw) == encoder.size, "another size"
    check_bytes(made, raw)


def check_part(made: Made, given: tuple[str, Any, bytes]) -> None:
    """A part is changed, or refused."""
    path, value, old = given
    encoder = made.encoder
    old = old[: encoder.size].ljust(encoder.size, b"\0")
    try:
        raw = encoder.patch(old, path, value)
    except BTFError as error:
        _told(error)
        return
    assert len(raw) == encoder.size, "another size"
    assert encoder.patch(raw, path, value) == raw, "twice is another than once"


def _told(error: BTFError | BpfctlError) -> None:
    sentence = error.sentence if isinstance(error, BpfctlError) else str(error)
    assert sentence, "nothing is said"


def check_words(made: Made, given: tuple[list[str], speech.Asked]) -> None:
    """Words are the bytes of a key or value, or are refused with a sentence."""
    words, asked = given
    wanted = asked.form(made)
    left = Words(words)
    try:
        found = data.parse(left, wanted, asked.old(wanted))
    except BpfctlError as error:
        _told(error)
        return
    assert len(found.parts) == max(wanted.cpus, 1), "another number of CPUs"
    assert {len(part) for part in found.parts} == {wanted.size}, "another size"
    taken = words[: len(words) - len(left)]
    assert taken or not wanted.size, "nothing was taken"
    again = ["hex", *(f"{byte:x}" for byte in found.parts[0])]
    assert data.parse(Words(again), wanted).parts[0] == found.parts[0], "spelled as bytes"


def check_meant(made: Made, given: tuple[list[str], speech.Asked, bytes]) -> None:
    """Words whose bytes are known become these bytes."""
    words, asked, expected = given
    assert data.parse(Words(words), asked.form(made)).parts[0] == expected, f"{words}"


def cases(rng: Random) -> Iterator[Case]:
    """Yield the inputs of a round."""
    order = rng.choice(("little", "big"))
    shape = random_shape(rng)
    size = Made(shape, order).size
    for _ in range(PER_ROUND // 8):
        yield Case(check_bytes, shape, order, speech.some_bytes(rng, size))
        yield Case(check_bytes, shape, order, rng.randbytes(size))
        if order == sys.byteorder:  # types of maps always are
            yield Case(check_shown, shape, order, speech.some_bytes(rng, size))
        yield Case(check_said, shape, order, spoken(rng, shape, order))
        said = spoken(rng, shape, order)[0]
        yield Case(check_anything, shape, order, (speech.damaged(rng, said), rng.randbytes(rng.choice((0, size)))))
        path = speech.path(rng, said)
        yield Case(check_part, shape, order, (path, speech.anything(rng), speech.some_bytes(rng, size)))
        yield Case(check_words, shape, order, (speech.words(rng, said), speech.asked(rng)))
        yield Case(check_words, shape, order, (speech.words(rng, said), speech.asked(rng)))
        yield Case(check_meant, shape, order, speech.meant(rng))


class Round:
    """Runs the inputs of one round, each of which has the same type."""

    def __init__(self, rng: Random) -> None:
        self.cases = list(cases(rng))
        first = self.cases[0]
        self.made = Made(first.shape, first.order)

    def run(self) -> int:
        """Return how many inputs there were; Failure when one is wrong."""
        for case in self.cases:
            try:
                case.check(self.made, case.given)
            except Exception as error:
                raise _smallest(Failure(case, error)) from error
        return len(self.cases)


def _smallest(failure: Failure) -> Failure:
    """Return a failure that is as small as can be found."""
    tries = 0
    found = True
    while found:
        found = False
        for case in _smaller(failure.case):
            tries += 1
            if tries > _TRIES:
                return failure
            try:
                case.run()
            except Exception as error:  # noqa: BLE001 - that is what we look for
                failure, found = Failure(case, error), True
                break
    return failure


def _smaller(case: Case) -> Iterator[Case]:
    if case.check is not check_said:  # what is said must stay what the type means
        yield from (case._replace(shape=shape) for shape in smaller(case.shape))
        yield from (case._replace(given=given) for given in speech.smaller(case.given))
    if case.order == "big":
        yield case._replace(order="little")


def run(inputs: int, seed: int, first: int = 0, maps: Any = None) -> int:
    """Run so many inputs, or a few more; Failure, or what a map fails with, tells the round in a note."""
    done, number = 0, first
    while done < inputs:
        try:
            round_ = Round(Random(f"{seed}/{number}"))
            done += round_.run()
            if maps is not None:
                done += maps.run(Random(f"{seed}/{number}/maps"))
        except Exception as error:
            error.add_note(f"--seed {seed} --round {number}")
            raise
        number += 1
    return done


def main() -> None:
    """Run, and say how many inputs there were and how fast."""
    parser = argparse.ArgumentParser(description="Fuzz the values of BTF types and the words that stand for them.")
    parser.add_argument("inputs", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--round", type=int, default=0, help="the first round")
    parser.add_argument("--maps", action="store_true", help="write some into maps of the kernel")
    chosen = parser.parse_args()
    start = time.monotonic()
    maps = None
    if chosen.maps:
        from tests.fuzz.maps import Maps

        maps = Maps()
    try:
        done = run(chosen.inputs, chosen.seed, chosen.round, maps)
    except Failure as failure:
        raise SystemExit("\n".join([str(failure), *failure.__notes__])) from None
    seconds = time.monotonic() - start
    told = f", {maps.told()}" if maps else ""
    print(f"{done} inputs of seed {chosen.seed}, none wrong, {done / seconds:.0f} a second{told}")


if __name__ == "__main__":
    main()
