"""What a load may be told besides the object."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.uapi.enums import ProgType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bpfctl.kernel.map import Map
    from btf.relo import Target

_DEVICE_BOUND = 1 << 6  # BPF_F_XDP_DEV_BOUND_ONLY in include/uapi/linux/bpf.h


class How(NamedTuple):
    """How an object is loaded, where that is not as a matter of course.

    ``name`` is the object's, after which maps of variables are called. ``maps`` are used in the place of those of these
    names, and stay whose they are. ``ifindex`` is a network device that shall run the programs, ``hints_of`` one that
    tells XDP programs what it knows of packets. ``core`` are types to relocate against. ``said`` is called with the
    name of each program, and all that the verifier writes about it.
    """

    name: str = ""
    maps: Mapping[str, Map] = MappingProxyType({})
    ifindex: int = 0
    hints_of: int = 0
    core: Target | None = None
    said: Callable[[str, str], None] | None = None

    def device(self, type_: int) -> tuple[int, int]:
        """Return the flags and the device with which a program of a type is loaded."""
        if self.hints_of and type_ == ProgType.XDP:
            return _DEVICE_BOUND, self.hints_of
        return 0, self.ifindex


AS_USUAL = How()
