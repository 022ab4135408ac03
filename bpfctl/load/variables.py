"""Variables of an object, which can be given other values before it is loaded.

Also constants can, which programs see as such: the verifier leaves out what they make impossible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl import spec as words
from bpfctl.errors import Ambiguous, NotFound, ObjectError
from btf import types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.spec import ObjectSpec

_HOLD = (words.DATA, words.RODATA, words.BSS)


class Variable(NamedTuple):
    """A variable: the map that it is in, where it is there, its bytes, and its type in the object's BTF."""

    name: str
    map: str
    offset: int
    size: int
    type_id: int


def variables(spec: ObjectSpec) -> Iterator[Variable]:
    """Yield the variables of an object, as far as its types tell of them."""
    btf = spec.btf
    if btf is None:
        return
    for one in spec.maps:
        section = btf.type(one.value) if one.made_of in _HOLD and one.value else None
        for placed in section.vars if isinstance(section, types.Datasec) else ():
            var = btf.type(placed.type_id)
            if isinstance(var, types.Var):
                offset = spec.places.get((one.name, var.name), placed.offset)
                yield Variable(var.name, one.name, offset, btf.size_of(var.type_id), var.type_id)


def find(spec: ObjectSpec, name: str) -> Variable:
    """Return the variable of a name; NotFound says what is close, Ambiguous where several files had one."""
    there = list(variables(spec))
    found = [one for one in there if one.name == name]
    if len(found) > 1:
        raise Ambiguous(f"the object has several variables named '{name}'")
    if found:
        return found[0]
    from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes alone

    near = get_close_matches(name, [one.name for one in there], 1)
    raise NotFound(f"the object has no variable '{name}'" + (f", did you mean '{near[0]}'?" if near else ""))


def value(spec: ObjectSpec, variable: Variable) -> bytes:
    """Return what a variable begins with."""
    map_ = next(one for one in spec.maps if one.name == variable.map)
    return map_.contents[variable.offset : variable.offset + variable.size].ljust(variable.size, b"\0")


def with_value(spec: ObjectSpec, variable: Variable, data: bytes) -> ObjectSpec:
    """Return an object in which a variable begins with other bytes; ObjectError where it is out of its section."""
    maps = []
    for one in spec.maps:
        if one.name != variable.map:
            maps.append(one)
            continue
        contents = bytearray(one.contents.ljust(one.value_size, b"\0"))
        if len(data) != variable.size or not 0 <= variable.offset <= len(contents) - len(data):
            raise ObjectError(f"variable {variable.name} is not inside of {one.name}")
        contents[variable.offset : variable.offset + len(data)] = data
        maps.append(one._replace(contents=bytes(contents)))
    return spec._replace(maps=tuple(maps))
