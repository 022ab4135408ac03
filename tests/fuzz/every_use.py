"""Everything that the BTF library does with bytes from an enemy: nothing but BTFError may come of it.

Texts that are written in C too (`btf._fast`) are written in both languages, and must be the same.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

from btf import _loops, check, dump_raw, elf, find, place
from btf.classes import source
from btf.codec import Codec, plain
from btf.declare import declare
from btf.dedup import dedup
from btf.diff import diff
from btf.distill import distill, relocate
from btf.dump_c import declaration, header
from btf.encode import Encoder
from btf.errors import BTFError
from btf.ext import CoreRelo
from btf.layout import layout
from btf.merge import merge
from btf.prototype import prototype
from btf.read import BTF, enum_values
from btf.relo import Resolver, Target
from btf.sanitize import Feature, sanitize
from btf.subset import subset
from btf.value import Decoder
from btf.write import Builder
from tests.fuzz.sound import BASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ACCESSES = ("0", "0:0", "0:1", "0:1:0", "1:0:2:1", "")
_KINDS = range(14)
_PATHS = ("", "x", "[1]", "x.y", "next[0]")
_LARGEST = 1 << 12  # a value of more bytes is not read
_SOME = 3  # of a long list
LAST = 1 << 16  # the chance of the last types


def exercise(data: bytes, chance: int | None = None) -> None:
    """Use the library on a blob, which may be an ELF file; a blob without first string is split off BASE.

    A blob is read, all its types are made, and then it is used in one of four ways, so that more inputs have their
    turn; ``chance`` chooses, by default that of its bytes. ELF files are used in every way.
    """
    if chance is None:
        chance = crc32(data)
    if data.startswith(elf.MAGIC):
        _use_object(data, chance)
        return
    with _in_python():
        _tried(enum_values, data, "e")
        btf = _read(data)
        if btf is not None:
            some = _some(btf, chance)
            _make(btf)
            said = WAYS[chance % len(WAYS)](btf, some)
    again = _read(data)
    assert (again is None) == (btf is None)
    if again is not None and said is not None:
        assert said == _dump(again, some)


@contextmanager
def _in_python() -> Iterator[None]:
    fast, _loops.fast = _loops.fast, None
    try:
        yield
    finally:
        _loops.fast = fast


def _read(data: bytes) -> BTF | None:
    for base in (None, BASE):
        with suppress(BTFError):
            return BTF.from_bytes(data, base)
    return None


def _tried(use: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return what comes of it; None when that is BTFError."""
    try:
        return use(*args, **options)
    except BTFError:
        return None


def _some(btf: BTF, chance: int) -> Sequence[int]:
    """Return the ids of which everything is asked: the last ones or others, and one that does not exist."""
    first = -_SOME if chance & LAST else (chance >> 17) % max(len(btf), 1)
    return (*btf.ids[first:][:_SOME], btf.ids.stop)


def _make(btf: BTF) -> None:
    _tried(list, btf)
    names = {""}
    for type_id in (-1, 0, *btf.ids, btf.ids.stop):
        name = _tried(btf.name, type_id)
        names.add(name or "")
        for use in (btf.kind, btf.type, btf.resolve, btf.size_of):
            _tried(use, type_id)
    for name in names:
        _tried(btf.find_all, name)


def _dump(btf: BTF, some: Sequence[int]) -> list[Any]:
    """Return all that is written about a BTF, None where nothing can be."""
    texts = [_tried(_text, header, btf, sort=sort) for sort in (True, False)]
    texts += [_tried(_text, dump, btf) for dump in (dump_raw.text, dump_raw.json)]
    for type_id in some:
        texts += _tried(_text, header, btf, roots=[type_id]), _tried(declaration, btf, type_id, "x")
    return texts


def _text(dump: Callable[..., Iterator[str]], btf: BTF, **options: Any) -> bytes:
    return "".join(dump(btf, **options)).encode(errors="surrogateescape")


def _ask(btf: BTF, some: Sequence[int]) -> None:
    for type_id in some:
        for use in (prototype, source, declare, layout, partial(layout, expand=True)):
            _tried(use, btf, type_id)
    wanted = frozenset(some)
    for question in (find.Wanted(name=len), find.Wanted(embeds=wanted), find.Wanted(points_to=wanted)):
        _tried(lambda question=question: list(find.search(btf, question)))
    _tried(lambda: list(diff(btf, BASE)))
    _tried(lambda: list(diff(BASE, btf)))
    resolver, other = Resolver(btf, Target(BASE)), Resolver(BASE, Target(btf))
    for kind in _KINDS:
        _resolved(resolver, CoreRelo(0, some[kind % len(some)], _ACCESSES[(kind + len(btf)) % len(_ACCESSES)], kind))
        _resolved(other, CoreRelo(0, 4, "0:1", kind))


def _decode(btf: BTF, some: Sequence[int]) -> None:
    for type_id in some:
        _values(btf, type_id)


def _values(btf: BTF, type_id: int) -> None:
    decoder, encoder = _tried(Decoder, btf, type_id), _tried(Encoder, btf, type_id)
    codec = _tried(Codec, btf, type_id)
    if decoder is None:
        return
    place.what(btf, type_id)
    for path in _PATHS:
        where = _tried(place.find, btf, type_id, path)
        if where is not None:
            _tried(lambda where=where: list(islice(place.members(btf, where), _SOME)))
    if decoder.size > _LARGEST:
        return
    for data in (bytes(decoder.size), b"a" * decoder.size):
        value = _tried(decoder, data)
        if codec is not None:
            _tried(codec.decode, data)
        if value is not None and encoder is not None:
            _tried(encoder, value)
            _tried(encoder, _tried(plain, value), data)


def _write(btf: BTF, some: Sequence[int]) -> None:
    for type_id in some:
        _tried(subset, btf, [type_id])
    for result, base in (
        (_tried(dedup, btf), btf.base),
        (_tried(merge, [btf, BASE]), None),
        (_tried(merge, [BASE, btf], BASE), BASE),
    ):
        if result is not None:  # what is written can be read
            list(BTF.from_bytes(result.data, base))
    for features in ((), frozenset(Feature) - {Feature.DATASEC}):
        _tried(sanitize, btf, features)
    builder = Builder(byteorder=btf.byteorder, base=btf.base, strings=btf.strings)
    for of in _tried(list, btf) or ():
        _tried(builder.add_type, of)
    _tried(lambda: BTF.from_bytes(builder.build(), btf.base))
    small = _tried(distill, btf)
    if small is not None:
        _tried(relocate, BTF.from_bytes(small.data, BTF.from_bytes(small.base)), BASE)
    _tried(relocate, btf, BASE)


#: The remainder of a chance chooses one.
WAYS = (_dump, _ask, _decode, _write)


def _resolved(resolver: Resolver, relo: CoreRelo) -> None:
    result = resolver.resolve(relo)
    assert (result.value is None) == (result.poison or result.error is not None)


def _use_object(data: bytes, chance: int) -> None:
    image = _tried(elf.read, data)
    _tried(elf.read, data, BASE)
    program = _tried(check.Object, data)
    if program is not None:
        program.check(Target(BASE))
        program.check(Target(image.btf))
    if image is None:
        return
    _make(image.btf)
    for way in WAYS:
        way(image.btf, _some(image.btf, chance))
    if image.ext is None:
        return
    for target in (Target(BASE), Target(image.btf)):
        resolver = Resolver(image.btf, target)
        for relos in image.ext.core_relos.values():
            for relo in relos[:_SOME]:
                _resolved(resolver, relo)
