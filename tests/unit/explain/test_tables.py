"""There is a sentence on everything that our tables of the kernel have, and each is of its own."""

from __future__ import annotations

import errno
import re
from collections import Counter

import pytest

from bpfctl.explain import answer, flag, meaning
from bpfctl.explain.attach_type import ATTACH_TYPES
from bpfctl.explain.helper import HELPERS
from bpfctl.explain.link_type import LINK_TYPES
from bpfctl.explain.map_type import MAP_TYPES
from bpfctl.explain.prog_type import PROGRAM_TYPES
from bpfctl.explain.prototype import PROTOTYPES
from bpfctl.feature.loading import PROGRAM_FLAGS
from bpfctl.uapi import flags
from bpfctl.uapi.enums import AttachType, LinkType, MapType, ProgType
from bpfctl.uapi.helpers import Helper


@pytest.mark.parametrize(
    ("table", "known"),
    [
        (PROGRAM_TYPES, set(ProgType) - {ProgType.UNSPEC}),
        (MAP_TYPES, set(MapType) - {MapType.UNSPEC}),
        (LINK_TYPES, set(LinkType) - {LinkType.UNSPEC}),
        (ATTACH_TYPES, set(AttachType)),
        (HELPERS, set(Helper) - {Helper.unspec}),
        (PROTOTYPES, set(Helper) - {Helper.unspec}),
        (flag.MAP_FLAGS, set(flags.MapFlag)),
    ],
    ids=["programs", "maps", "links", "attach types", "helpers", "prototypes", "map flags"],
)
def test_everything_has_a_line(table, known):
    assert set(table) == known


def test_every_other_flag_has_a_line():
    """Each member of each enumeration, those that have two names by both."""
    there = {one.name for _, one in flag.others()}
    kinds = {
        flags.UpdateFlag: "BPF_F_",
        flags.KprobeMultiFlag: "BPF_F_KPROBE_MULTI_",
        flags.UprobeMultiFlag: "BPF_F_UPROBE_MULTI_",
        flags.StackFlag: "BPF_F_",
        flags.WakeupFlag: "BPF_RB_",
        flags.OutputFlag: "BPF_F_",
    }
    wanted = {prefix + name for kind, prefix in kinds.items() for name in kind.__members__}
    short = {f"BPF_F_{name}": f"BPF_{name}" for name in ("ANY", "NOEXIST", "EXIST")}

    assert {short.get(name, name) for name in wanted} == there
    enumerations = {kind for kind in vars(flags).values() if isinstance(kind, type)} - {flags.IntFlag}
    assert {*kinds, flags.MapFlag} == enumerations


def test_flags_of_programs_are_those_that_are_probed():
    unprobed = {"sleepable", "xdp_dev_bound_only"}
    names = {one.name.removeprefix("BPF_F_").lower() for one in flag.PROGRAM_FLAGS}

    assert names == {probe.name for probe in PROGRAM_FLAGS} | unprobed
    assert [one.value for one in flag.PROGRAM_FLAGS] == [1 << bit for bit in range(len(flag.PROGRAM_FLAGS))]


def test_no_sentence_is_used_twice():
    texts = Counter(one.text for one in meaning.entries())

    assert [text for text, times in texts.items() if times > 1] == []


def test_sentences_are_sentences():
    odd = [one.text for one in meaning.entries() if not re.fullmatch(r"[A-Za-z].{12,180}[.]", one.text)]

    assert odd == []


def test_helpers_came_one_after_the_other():
    """A helper gets the next number, so that its release is none before that of the helper before it."""
    releases = [tuple(map(int, HELPERS[helper].since.split("."))) for helper in Helper if helper]

    assert releases == sorted(releases)


def test_prototypes_are_of_their_helpers():
    wrong = [
        helper.name for helper, line in PROTOTYPES.items() if not re.search(rf"[ *]bpf_{helper.name}\(.+\)$", line)
    ]

    assert wrong == []


def test_errors_are_told_with_what_they_mean():
    assert all(number in errno.errorcode or number == answer.ENOTSUPP for number in answer.ANSWERS)
    assert all(cause.call and cause.means for causes in answer.ANSWERS.values() for cause in causes)
    told = Counter((cause.call, cause.means) for causes in answer.ANSWERS.values() for cause in causes)
    assert max(told.values()) == 1
