"""Probes are data: a line for each feature that there is a name for, with the release that brought it."""

from __future__ import annotations

import re

import pytest

from bpfctl.feature import attach_types, commands, instructions, limits, loading, map_types, more, prog_types
from bpfctl.feature.report import TABLES
from bpfctl.uapi.commands import Cmd
from bpfctl.uapi.enums import AttachType, LinkType, MapType, ProgType
from bpfctl.uapi.flags import MapFlag

RELEASE = re.compile(r"\d+\.\d+(\.\d+)?")


def names(table):
    return [probe.name for probe in table]


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        (commands.COMMANDS, {kind.name for kind in Cmd} - {"COMMON_ATTRS"}),  # which is a flag
        (attach_types.ATTACH_TYPES, {kind.name for kind in AttachType}),
        (attach_types.LINK_TYPES, {kind.name for kind in LinkType} - {"UNSPEC"}),
        (more.MAP_FLAGS, {kind.name for kind in MapFlag}),
    ],
)
def test_nothing_is_forgotten(table, kinds):
    """The names are those of the newest kernel's own enumerations."""
    assert {name.upper() for name in names(table)} == kinds


def test_every_type_has_a_line():
    assert set(prog_types.PROBES) == set(ProgType) - {ProgType.UNSPEC}
    assert set(map_types.PROBES) == set(MapType) - {MapType.UNSPEC}


@pytest.mark.parametrize("group", [name for name, _, _ in TABLES])
def test_lines(group):
    """Each has a name of its own and a release; maps that never had batches have none."""
    table = next(probes for name, _, probes in TABLES if name == group)

    assert len(set(names(table))) == len(table)
    assert [probe.name for probe in table if not RELEASE.fullmatch(probe.since) and group != "map_batches"] == []
    assert all(callable(probe.ask) for probe in table)


def test_releases_of_types_and_limits():
    lines = [*prog_types.PROBES.values(), *map_types.PROBES.values(), *limits.PROBES, *loading.LIMITS]

    assert [line for line in lines if not RELEASE.fullmatch(line.since)] == []
    assert len(instructions.INSTRUCTIONS) > 15
