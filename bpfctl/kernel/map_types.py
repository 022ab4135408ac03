"""What a map's keys and values are, as the BTF tells that came with the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.kernel import btf as objects
from btf.errors import BTFError
from btf.value import Decoder

if TYPE_CHECKING:
    from bpfctl.kernel.map import MapInfo
    from btf.read import BTF


class Types(NamedTuple):
    """The types of keys and values by their ids; a key without type has the id 0."""

    btf: BTF
    key: int
    value: int


def types(info: MapInfo) -> Types | None:
    """Return the types of a map; None where it has none, or damaged ones, or such that have no values.

    The values of struct_ops maps have types of the kernel. KernelError when the types cannot be asked for.
    """
    if info.btf_vmlinux_value_type_id:
        found = Types(objects.vmlinux(), 0, info.btf_vmlinux_value_type_id)
    elif info.btf_value_type_id and info.btf_id:
        found = Types(objects.load(info.btf_id), info.btf_key_type_id or 0, info.btf_value_type_id)
    else:
        return None
    try:
        fits = Decoder(found.btf, found.value).size <= info.value_size
        if found.key:
            fits = fits and Decoder(found.btf, found.key).size <= info.key_size
    except BTFError:
        return None
    return found if fits else None
