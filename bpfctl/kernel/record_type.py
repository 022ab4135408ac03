"""Which type is meant by a name that somebody gives for the records of an event buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.errors import KernelError, NotFound, UsageError
from bpfctl.kernel import btf as objects
from btf import types
from btf.errors import BTFError
from btf.value import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.map import MapInfo
    from btf.read import BTF

_WORDS: dict[str, tuple[Any, ...]] = {
    "struct": (types.Struct,),
    "union": (types.Union,),
    "enum": (types.Enum, types.Enum64),
}
_KINDS: tuple[Any, ...] = (types.Struct, types.Union, types.Typedef, types.Enum, types.Enum64, types.Int)


def find(name: str, info: MapInfo, given: BTF | None = None) -> Decoder:
    """Return what decodes records of a type such as ``event`` or ``struct event``.

    It is looked for in the types that are given; without them in those of the map, of the programs that use it, and
    of the kernel. NotFound when nobody has it, UsageError when it is a type that has no values.
    """
    word, _, rest = name.partition(" ")
    kinds = _WORDS.get(word, _KINDS)
    bare = rest.strip() if word in _WORDS else name
    for btf in (given,) if given is not None else _places(info):
        found = next((type_ for kind in kinds if (type_ := btf.find(bare, kind))), None)
        if found is None:
            continue
        try:
            return Decoder(btf, found.id)
        except BTFError as error:
            raise UsageError(f"type '{name}' has no values: {error}") from None
    everywhere = f"of map {info.id}, of the programs that use it, or of the kernel"
    where = "that are given" if given is not None else everywhere
    raise NotFound(f"no type '{name}' among the types {where}")


def _places(info: MapInfo) -> Iterator[BTF]:
    """Yield types, those nearest to the map first; what may not be read or is damaged is not there."""
    seen = set()
    for id_ in _ids(info):
        if id_ and id_ not in seen:
            seen.add(id_)
            try:
                yield objects.load(id_)
            except (BTFError, KernelError):
                continue
    try:
        yield objects.vmlinux()
    except (BTFError, KernelError):
        return


def _ids(info: MapInfo) -> Iterator[int | None]:
    """Yield the ids of the BTF of the map and of the programs that use it."""
    from bpfctl.kernel.prog import Program  # noqa: PLC0415 - mostly the map itself tells

    yield info.btf_id
    for program in Program.every():
        with program:
            try:
                facts = program.info()
            except KernelError:  # its offload device is gone
                continue
        if info.id in facts.map_ids:
            yield facts.btf_id
