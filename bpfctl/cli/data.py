"""The language of DATA: the words behind ``key`` and ``value``, and the bytes that they stand for.

bpftool has one form, ``[hex] BYTES``, which needs a word for each byte. Ours begin where that would be an error: with
a word that is no number, or a number that stands alone where several bytes are wanted::

    42, -5, 0x2a              an integer as wide as the key or value (2, 4, 8 or 16 bytes)
    RUNNING, eth0, true       a word of the type that the map's BTF tells: an enumerator, text, ...
    str TEXT                  text, with zeros behind it
    10.0.0.1, fe80::1         an address, in network order; 10.0.0.0/8 in tries; aa:bb:cc:dd:ee:ff
    {...}, [...], "..."       JSON by the names of BTF, or a list of bytes where there are no types
    .pid=7 .list[1].next=0    parts of a value, of which the rest stays
    cpu N DATA                what one CPU has, of values that each has its own of; the others stay
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.cli.grammar import unsigned
from bpfctl.errors import UsageError
from bpfctl.kernel.address import address
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from bpfctl.cli.grammar import Words
    from btf.encode import Encoder

    #: Returns the bytes that are there now, None when there are none.
    Old: TypeAlias = Callable[[], bytes | None] | None

# What may follow DATA in a command, so that it ends a form of unknown length.
AFTER = ("key", "value", "any", "noexist", "exist")
_WIDTHS = (2, 4, 8, 16)


class Form(NamedTuple):
    """What DATA has to become."""

    name: str  # "key" or "value"
    size: int  # bytes
    types: Callable[[], Encoder | None] = lambda: None  # what the map's BTF tells of it, which costs time
    prefix: bool = False  # a key of a trie: 4 bytes of prefix length before the address
    cpus: int = 0  # how many CPUs have a value of their own; 0: there is one for all

    @property
    def encoder(self) -> Encoder | None:
        """The type, if it is known."""
        return self.types()


class Data(NamedTuple):
    """The bytes of a key or value, one for each CPU; ``changed`` when they rest on what was there."""

    parts: tuple[bytes, ...]
    changed: bool = False

    def packed(self) -> bytes:
        """Return what the kernel takes: the values of CPUs in slots of a multiple of 8 bytes."""
        if len(self.parts) == 1:
            return self.parts[0]
        return b"".join(part.ljust(len(part) + 7 & ~7, b"\0") for part in self.parts)


def parse(words: Words, form: Form, old: Old = None) -> Data:
    """Take the words of DATA; UsageError tells in bpftool's words, or in those of the type, what is wrong.

    ``old`` tells what is there now, for forms that change only a part of it.
    """
    if form.cpus and words.peek() == "cpu":
        return _by_cpu(words, form, old)
    if words.peek()[:1] == ".":
        return _parts(words, form, old)
    if words.peek()[:1] == "[" and form.cpus:
        return _list_by_cpu(words.next("JSON"), form)
    return Data((_whole(words, form),) * max(form.cpus, 1))


def _whole(words: Words, form: Form) -> bytes:
    first = words.peek()
    if words.keyword("hex"):
        return _bytes(words, form, is_hex=True)
    if first == "str" and len(words) > 1:
        words.next("str")
        return _text(words.next("the text"), form)
    if first[:1] in ("{", "[", '"'):
        return _from_json(words.next("JSON"), form)
    if _alone(words) and form.size > 0:
        single = _single(first, form)
        if single is not None:
            words.next("the word")
            return single
    return _bytes(words, form, is_hex=False)


def _alone(words: Words) -> bool:
    """Tell whether one word stands alone, before the end or before what is no DATA."""
    second = words.peek(1)
    return bool(words.peek()) and (not second or second == "cpu" or any(after.startswith(second) for after in AFTER))


def _bytes(words: Words, form: Form, *, is_hex: bool) -> bytes:
    """Take a word for each byte."""
    data = bytearray()
    while words and len(data) < form.size:
        word = words.next("a byte")
        byte = unsigned(f"0x{word.lower().removeprefix('0x')}" if is_hex else word)
        if byte is None:
            raise UsageError(f"error parsing byte: {word}")
        if byte > 0xFF:
            raise UsageError(f"error parsing byte: {word} is more than 255")
        data.append(byte)
    if len(data) != form.size:
        raise UsageError(f"{form.name} expected {form.size} bytes got {len(data)}")
    return bytes(data)


def _single(word: str, form: Form) -> bytes | None:
    """Return the bytes of one word for a whole key or value; None when it is none, or may be one of its bytes."""
    address = _address(word, form)
    if address is not None:
        return address
    if form.encoder and form.encoder.text:
        return _text(word, form)
    number = _integer(word)
    if form.size == 1 and number is not None and number >= 0:
        return bytes([number]) if number <= 0xFF else None
    if form.encoder and not form.encoder.listed and not _is_record(form.encoder):
        return _encoded(form, form.encoder, word)
    if number is None or (form.size not in _WIDTHS and form.size != 1):
        return None
    low, high = -(1 << form.size * 8 - 1), (1 << form.size * 8) - 1
    if not low <= number <= high:
        raise UsageError(f"{form.name}: {word} is out of the range of {form.size} bytes ({low} to {high})")
    return (number & high).to_bytes(form.size, sys.byteorder)


def _is_record(encoder: Encoder) -> bool:
    return encoder.what.startswith(("struct", "union", "section", "variable"))


def _integer(word: str) -> int | None:
    number = unsigned(word.removeprefix("-"))
    return -number if number is not None and word[0] == "-" else number


def _address(word: str, form: Form) -> bytes | None:
    """Read an address or, in tries, a network; None when the word is none."""
    if not form.prefix:
        return address(word, form.size)
    text, slash, length = word.partition("/")
    data = address(text, form.size - 4)
    if data is None:
        return None
    bits = unsigned(length) if slash else len(data) * 8
    if bits is None or bits > len(data) * 8:
        raise UsageError(f"{form.name}: '{word}' has no prefix length of 0 to {len(data) * 8}")
    return bits.to_bytes(4, sys.byteorder) + data


def _text(text: str, form: Form) -> bytes:
    if form.encoder and form.encoder.text:
        return _encoded(form, form.encoder, text)
    try:
        data = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # JSON can spell it
        raise UsageError(f"{form.name}: the text has half a character") from None
    if len(data) > form.size:
        raise UsageError(f"{form.name}: text of {len(data)} bytes does not fit into {form.size}")
    return data.ljust(form.size, b"\0")


def _encoded(form: Form, encoder: Encoder, value: Any, old: bytes = b"") -> bytes:
    try:
        return encoder(value, old)
    except BTFError as error:
        raise UsageError(_about(form, error)) from None


def _about(form: Form, error: BTFError) -> str:
    return f"{form.name}: {error}"


def _load(text: str, form: Form) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{form.name}: this is no JSON: {error}") from None


def _from_json(text: str, form: Form) -> bytes:
    return _value(_load(text, form), form)


def _value(value: Any, form: Form) -> bytes:
    """Return the bytes of a JSON value; where there are no types, of a list of bytes, a number or a word."""
    if form.encoder:
        address = _address(value, form) if isinstance(value, str) else None
        return address if address is not None else _encoded(form, form.encoder, value)
    if isinstance(value, list):
        data = [unsigned(item) if isinstance(item, str) else item for item in value]
        told = [item for item in data if type(item) is int and 0 <= item <= 0xFF]
        if len(data) != form.size or len(told) != len(data):
            raise UsageError(f"{form.name}: without types a list is one of {form.size} bytes")
        return bytes(told)
    if isinstance(value, str):
        single = _single(value, form) if value else None
        return single if single is not None else _text(value, form)
    if type(value) is int:
        single = _single(hex(value), form)
        if single is None:
            raise UsageError(f"{form.name}: {value} is no number of {form.size} bytes")
        return single
    raise UsageError(f"{form.name}: the map has no types, so that names mean nothing")


def _parts(words: Words, form: Form, old: Old) -> Data:
    """Take parts of a value, and keep the rest of what is there; of a key, there is nothing to keep."""
    parts: list[tuple[str, str]] = []
    while words.peek()[:1] == ".":
        name, equals, text = words.next("a part")[1:].partition("=")
        if not equals:
            raise UsageError(f"{form.name}: what is .{name} to be? (.{name}=VALUE)")
        parts.append((name, text))
    if form.encoder is None:
        raise UsageError(f"{form.name}: the map has no types, so that .{parts[0][0]} means nothing")
    before = old() if old else bytes(form.size * max(form.cpus, 1))
    if before is None:
        raise UsageError(f"there is no value whose rest could stay when .{parts[0][0]} is set: give it whole")
    told = tuple(_patched(form, form.encoder, was, parts) for was in _by_slot(before, form))
    return Data(told, changed=old is not None)


def _patched(form: Form, encoder: Encoder, old: bytes, parts: list[tuple[str, str]]) -> bytes:
    try:
        for name, text in parts:
            old = encoder.patch(old, name, text if encoder.holds_text(name) else _word(text))
    except BTFError as error:
        raise UsageError(_about(form, error)) from None
    return old


def _word(text: str) -> Any:
    """Return what a word says as JSON, or else the word."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _by_slot(packed: bytes, form: Form) -> list[bytes]:
    """Take the values of CPUs out of their slots."""
    if not form.cpus:
        return [packed]
    step = len(packed) // form.cpus
    return [packed[cpu * step : cpu * step + form.size] for cpu in range(form.cpus)]


def _by_cpu(words: Words, form: Form, old: Old) -> Data:
    """Take what some CPUs have; the others keep theirs, or get zeros where there was nothing."""
    before = old() if old else None
    values = [bytes(form.size)] * form.cpus if before is None else _by_slot(before, form)
    while words.peek() == "cpu":
        words.next("cpu")
        word = words.next("the number of the CPU")
        cpu = unsigned(word)
        if cpu is None or cpu >= form.cpus:
            raise UsageError(f"there is no CPU {word}: they are 0 to {form.cpus - 1}")
        if not words:
            raise UsageError(f"{form.name} expected {form.size} bytes got 0")
        one, was = form._replace(cpus=0), values[cpu]
        parts = words.peek()[:1] == "."
        values[cpu] = _parts(words, one, partial(bytes, was)).parts[0] if parts else _whole(words, one)
    return Data(tuple(values), changed=before is not None)


def _list_by_cpu(text: str, form: Form) -> Data:
    values = _load(text, form)
    if len(values) != form.cpus:
        raise UsageError(f"{form.name}: a list has one item for each of {form.cpus} CPUs, not {len(values)}")
    one = form._replace(cpus=0)
    return Data(tuple(_value(value, one) for value in values))
