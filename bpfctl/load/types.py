"""
An object's types in the form that a kernel takes.

A compiler leaves sections without a size, and describes what the kernel has to supply in ways that no kernel takes
for a description (kernel/bpf/btf.c). Each type stays at its id, and each string at its offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl._sys import programs
from bpfctl.errors import ObjectError
from btf import sanitize, types
from btf.read import BTF
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfctl._sys.fd import FD
    from bpfctl.spec import ObjectSpec

_KSYMS, _KCONFIG = ".ksyms", ".kconfig"
_GLOBAL_VARIABLE = 1  # BTF_VAR_GLOBAL_ALLOCATED
_STATIC = 0  # BTF_FUNC_STATIC


def load(spec: ObjectSpec, settings: Mapping[str, int]) -> FD | None:
    """Put the types of an object into the kernel, with the offsets of its settings; None if it takes them in no form.

    A kernel says no more than that it refuses them, so what it may not know is given up bit by bit, the newest first.
    """
    if spec.btf is None:
        return None
    whole = described(spec, spec.btf, settings)
    btf = BTF.from_bytes(whole)
    for blob in (whole, *_older(btf)):
        try:
            return programs.btf_load(blob).fd
        except OSError:
            continue
    return None


def _older(btf: BTF) -> Iterator[bytes]:
    for version in sorted(set(sanitize.SINCE.values()), reverse=True):
        yield sanitize.sanitize(btf, [known for known, since in sanitize.SINCE.items() if since < version])


def described(spec: ObjectSpec, btf: BTF, settings: Mapping[str, int]) -> bytes:
    """Return the types of an object with whole sections, and nothing in the place of what the kernel supplies."""
    gone, ours = _outside(btf)
    hidden = {one.name for one in spec.functions if one.is_hidden}
    builder = Builder(byteorder=btf.byteorder, strings=btf.strings)
    for type_id in btf.ids:
        of = btf.type(type_id)
        if type_id in gone or (isinstance(of, types.DeclTag) and of.type_id in gone):
            builder.add_struct("", 0, [])
        elif isinstance(of, types.Datasec):
            builder.add_type(_whole(spec, btf, of, settings))
        elif isinstance(of, types.Var) and type_id in ours:
            builder.add_type(of._replace(linkage=_GLOBAL_VARIABLE))
        elif isinstance(of, types.Func) and of.name in hidden:
            builder.add_type(of._replace(linkage=_STATIC))
        else:
            builder.add_type(of)
    return builder.build()


def _outside(btf: BTF) -> tuple[set[int], set[int]]:
    """Return the ids of what the kernel supplies, and of the variables that a loader fills in."""
    symbols, settings = (btf.find(name, types.Datasec) for name in (_KSYMS, _KCONFIG))
    gone = {symbols.id, *(var.type_id for var in symbols.vars)} if symbols is not None else set[int]()
    return gone, {var.type_id for var in settings.vars} if settings is not None else set[int]()


def _whole(spec: ObjectSpec, btf: BTF, of: types.Datasec, settings: Mapping[str, int]) -> types.Datasec:
    """Return a section with its size, and its variables at their places in that order."""
    if of.name == _KCONFIG:
        absent = [name for var in of.vars if (name := btf.name(var.type_id)) not in settings]
        if absent:
            raise ObjectError(f"no symbol of the object is its setting {absent[0]}")
        placed = [
            var._replace(offset=settings[btf.name(var.type_id)], size=btf.size_of(var.type_id)) for var in of.vars
        ]
    else:
        known = spec.places
        placed = [var._replace(offset=known.get((of.name, btf.name(var.type_id)), var.offset)) for var in of.vars]
    size = next((map_.value_size for map_ in spec.maps if map_.made_of and map_.name == of.name), of.size)
    end = max((var.offset + var.size for var in placed), default=0)
    return of._replace(size=max(size, end), vars=tuple(sorted(placed, key=lambda var: var.offset)))
