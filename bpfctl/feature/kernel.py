"""Asks the kernel, or a network device, all that bpftool asks, section by section."""

from __future__ import annotations

import os
from errno import ENODEV, ENOSYS
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import calls, programs
from bpfctl.errors import KernelError
from bpfctl.feature import helpers, limits, map_types, prog_types, rights
from bpfctl.feature.answer import AVAILABLE, MISSING, Answer
from bpfctl.uapi.enums import MapType, ProgType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.feature.answer import Rights
    from bpfctl.feature.survey import Survey
    from bpfctl.uapi.helpers import Helper

_OFFLOADED_TYPES = (ProgType.SCHED_CLS, ProgType.XDP)
_OFFLOADED_MAPS = (MapType.HASH, MapType.ARRAY)


class Device(NamedTuple):
    """A network device whose hardware is asked instead of the kernel."""

    name: str
    ifindex: int
    vendor: int


class Prober:
    """Asks in bpftool's order; what was found about program types decides which helpers are asked for."""

    def __init__(self, device: Device | None = None, *, full: bool = False, unprivileged: bool = False) -> None:
        self._device = device
        self._full = full
        self._unprivileged = unprivileged
        self._rights = rights.present()._replace(on_purpose=unprivileged)
        #: What prog_types() has found.
        self.types: dict[ProgType, Answer] = {}
        self._absent: frozenset[Helper] = frozenset()

    @property
    def rights(self) -> Rights:
        """What the answers are for."""
        return self._rights

    def syscall(self) -> Answer:
        """Return whether there is bpf(2)."""
        try:
            programs.load(ProgType.UNSPEC, b"").fd.close()
        except OSError as error:
            return MISSING if error.errno == ENOSYS else AVAILABLE
        return AVAILABLE

    def prog_types(self) -> dict[ProgType, Answer]:
        """Return which types of programs there are."""
        calls.raise_memlock()
        if self._device:
            self.types = {
                kind: prog_types.on_device(kind, self._device.ifindex, self._rights) for kind in _OFFLOADED_TYPES
            }
        else:
            self.types = {kind: prog_types.on_kernel(probe, self._rights) for kind, probe in prog_types.PROBES.items()}
        return self.types

    def map_types(self) -> dict[MapType, Answer]:
        """Return which types of maps there are."""
        if self._device:
            return {kind: map_types.on_device(kind, self._device.ifindex, self._rights) for kind in _OFFLOADED_MAPS}
        return {kind: map_types.on_kernel(probe, self._rights) for kind, probe in map_types.PROBES.items()}

    @cached_property
    def survey(self) -> Survey:
        """What many helpers at once tell of types of programs; prog_types() comes first."""
        return helpers.survey_all(self.types, full=self._full)

    def helpers(self) -> Iterator[tuple[ProgType, dict[Helper, Answer]]]:
        """Yield the helpers of each program type; prog_types() comes first."""
        for kind in self.types:
            yield kind, self.helpers_of(kind)

    def helpers_of(self, kind: ProgType) -> dict[Helper, Answer]:
        """Return the helpers of one program type; prog_types() comes first."""
        answer = self.types[kind]
        if self._device:
            index, vendor = self._device.ifindex, self._device.vendor
            return helpers.on_device(kind, answer, index, self._rights, vendor, full=self._full)
        found = helpers.on_kernel(
            kind,
            answer,
            self._rights,
            full=self._full,
            unprivileged=self._unprivileged,
            survey=self.survey,
            absent=self._absent,
        )
        self._absent = self._absent or frozenset(name for name, one in found.items() if one is helpers.NO_SUCH_NUMBER)
        return found

    def limits(self) -> dict[str, Answer]:
        """Return what programs may look like."""
        index = self._device.ifindex if self._device else 0
        return {probe.name: limits.probe(probe, index, self._rights) for probe in limits.PROBES}


def device(name: str) -> Device:
    """Find a network device; KernelError where there is none of that name."""
    import socket  # noqa: PLC0415 - it costs as much as a thousand probes

    try:
        index = socket.if_nametoindex(name)
    except OSError as error:
        raise KernelError(f"unrecognized netdevice '{name}'", error.errno or ENODEV) from None
    return Device(name, index, _vendor(name))


def _vendor(name: str) -> int:
    try:
        with open(f"/sys/class/net/{os.path.basename(name)}/device/vendor", encoding="utf-8") as file:
            return int(file.read(), 0)
    except (OSError, ValueError):
        return -1
