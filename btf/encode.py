"""Python values -> bytes of a BTF type: the way back from `btf.value`.

An `Encoder` takes what `btf.value.decode` gives, and what that becomes in JSON, so that a value that was shown can be
written again:

======================  =====================================================================
C type                  Python value
======================  =====================================================================
integer                 an int in its range, or a string of digits (decimal, 0x, 0o, 0b)
``_Bool``               a bool, 0 or 1
``char``                a string of one character, or the number of one
bitfield, 128 bit       an int in its range, or its bits as a string (``"0x7"``)
enum                    the name of a member, or a number
pointer                 an int, or a string (``"0xffff888000000000"``)
float, double           a number, also as a string: ``"1e9"``, ``"-inf"``, ``"nan"``
``char[]``              a string that leaves room for its NUL; or a list
other array             a list with as many items; for items of one byte also bytes
struct, union           a dict or `Record`; members of members without name as in C
section of variables    ``{".data": [{"a": 1}, {"b": 2}]}``, or a dict of variables
======================  =====================================================================

Members that are not given are zero, or stay as they are where there was a value. What is given twice, in the members
of a union, must be the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from btf._encode_one import error
from btf._encode_plan import Writers, member, written
from btf.errors import BTFError
from btf.value import _Compiler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf._encode_plan import Plan, Words
    from btf.read import BTF


class Encoder:
    """Writes values of one type; raises BTFError when made for a type that has no values.

    ``words`` reads strings where a number or bytes are wanted, such as addresses.
    """

    __slots__ = ("_plan", "size")

    def __init__(self, btf: BTF, type_id: int, words: Words | None = None) -> None:
        reads = _Compiler(btf)
        read = reads.plan(type_id)
        #: The bytes that a value takes.
        self.size = read.size
        self._plan = Writers(btf, reads, words).plan(type_id)

    @property
    def what(self) -> str:
        """The type in words, such as ``enum task_state``."""
        return self._plan.what

    @property
    def text(self) -> bool:
        """Whether values are text."""
        return self._plan.text

    @property
    def listed(self) -> bool:
        """Whether values are lists."""
        return self._plan.items is not None

    def __call__(self, value: Any, old: bytes = b"") -> bytes:
        """Return the bytes of a value; BTFError says what in it does not fit, and where.

        Members that are not given are those of ``old``, or zero.
        """
        return written(self._plan.write, 0, value, "", old.ljust(self.size, b"\0"))

    def patch(self, old: bytes, path: str, value: Any) -> bytes:
        """Return ``old`` with one part changed: ``pid``, ``list[3].next``. BTFError when there is no such part."""
        part = self._part(path)
        return written(part.plan.write, part.offset, value, part.path, old.ljust(self.size, b"\0"))

    def holds_text(self, path: str) -> bool:
        """Whether a part is text; BTFError when there is no such part."""
        return self._part(path).plan.text

    def _part(self, path: str) -> _Part:
        plan, offset, seen = self._plan, 0, ""
        for step in _steps(path):
            at, plan = _step(plan, step, seen)
            offset += at
            seen += f"[{step}]" if isinstance(step, int) else f".{step}" if seen else step
        return _Part(seen, offset, plan)


def encode(btf: BTF, type_id: int, value: Any) -> bytes:
    """Encode one value; raises BTFError for a type without values and for a value that does not fit."""
    return Encoder(btf, type_id)(value)


class _Part(NamedTuple):
    """A part of a value: where it lies, and how it is written."""

    path: str
    offset: int
    plan: Plan


def _steps(path: str) -> Iterator[str | int]:
    """Split ``a.b[3].c``; BTFError when it is no path."""
    for name in path.split("."):
        name, *indices = name.split("[")  # noqa: PLW2901 - what is left of it
        if name:
            yield name
        if not (name or indices) or not all(index[-1:] == "]" and _is_digits(index[:-1]) for index in indices):
            raise BTFError(f"'{path}' is no path to a member, such as a.b[3].c")
        yield from (int(index[:-1]) for index in indices)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _step(plan: Plan, step: str | int, seen: str) -> tuple[int, Plan]:
    if isinstance(step, str):
        return member(plan, step, seen)
    if plan.items is None:
        raise error(seen, f"{plan.what} is no array")
    number, apart, item = plan.items
    if step >= number:
        raise error(seen, f"{plan.what} has no item {step}")
    return step * apart, item
