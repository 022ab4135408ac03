"""What features look like: bpftool's two answers, and the three of tables and reports."""

from __future__ import annotations

import pytest

from bpfctl.feature.answer import (
    AVAILABLE,
    CAP_BPF,
    CAP_SYS_ADMIN,
    MISSING,
    NO,
    UNKNOWN,
    YES,
    Answer,
    Rights,
    of_target,
    refused,
)
from bpfctl.feature.kfuncs import Kfunc
from bpfctl.feature.report import Feature, Group
from bpfctl.feature.surroundings import Fact
from bpfctl.feature.system import System
from bpfctl.uapi.enums import ProgType
from bpfctl.uapi.helpers import Helper
from bpfctl.views import feature, feature_report
from bpfctl.views.feature_macros import Header

FORBIDDEN = Answer(UNKNOWN, "kernel lockdown forbids it (integrity)")
TYPES = {ProgType.XDP: AVAILABLE, ProgType.LSM: FORBIDDEN, ProgType.LIRC_MODE2: MISSING, ProgType.KPROBE: AVAILABLE}
HELPERS = {
    ProgType.XDP: {Helper.map_lookup_elem: AVAILABLE, Helper.redirect: AVAILABLE, Helper.probe_read: MISSING},
    ProgType.LSM: dict.fromkeys((Helper.map_lookup_elem, Helper.redirect, Helper.probe_read), FORBIDDEN),
    ProgType.LIRC_MODE2: dict.fromkeys((Helper.map_lookup_elem, Helper.redirect, Helper.probe_read), MISSING),
    ProgType.KPROBE: {Helper.map_lookup_elem: AVAILABLE, Helper.redirect: MISSING, Helper.probe_read: FORBIDDEN},
}


def cells(section, row):
    return [column.get(row) for column in section.columns]


def test_bpftool_has_two_words():
    section = feature.prog_types(TYPES, lambda _: "5.7")

    assert section.json() == {
        "have_xdp_prog_type": True,
        "have_lsm_prog_type": False,
        "have_lirc_mode2_prog_type": False,
        "have_kprobe_prog_type": True,
    }
    assert list(section.plain())[2] == "eBPF program_type lsm is NOT available"


def test_tables_have_three():
    section = feature.prog_types(TYPES, lambda _: "5.7")

    assert [cells(section, row) for row in section.rows] == [
        ["xdp", "available", "5.7", None],
        ["lsm", "cannot be told", "5.7", FORBIDDEN.why],
        ["lirc_mode2", "not available", "5.7", None],
        ["kprobe", "available", "5.7", None],
    ]


def test_tables_tell_helpers_by_name_and_leave_out_types_that_are_not_there():
    section = feature.helpers(HELPERS, TYPES)

    assert [cells(section, row) for row in section.rows] == [
        ["bpf_map_lookup_elem", ("all",), ()],
        ["bpf_redirect", ("xdp",), ()],
        ["bpf_probe_read", ("none",), ("kprobe",)],
    ]


def test_plain_text_says_why_there_are_no_helpers():
    none = {kind: dict.fromkeys(answers, MISSING) for kind, answers in HELPERS.items()}
    lines = list(feature.helpers(none, TYPES).plain())

    assert lines[1:5] == [
        "eBPF helpers supported for program type xdp:",
        "\tCould not determine which helpers are available",
        "eBPF helpers supported for program type lsm:",
        "\tProgram type not supported",
    ]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"bpf_jit_enable": 2}, "JIT compiler is enabled with debugging traces in kernel logs"),
        ({"bpf_jit_enable": -1}, "Unable to retrieve JIT-compiler status"),
        ({"bpf_jit_harden": 9}, "JIT hardening status has unknown value 9"),
        ({"unprivileged_bpf_disabled": 1}, "bpf() syscall restricted to privileged users (without recovery)"),
    ],
)
def test_sentences_about_settings(settings, sentence):
    assert list(feature.system(System(settings, None)).plain()) == ["Scanning system configuration...", sentence, ""]


def test_settings_in_a_table():
    """What cannot be read is no number, and what is not set no empty cell."""
    section = feature.system(System({"a_limit": -1, "a_switch": 0}, {"CONFIG_A": "y", "CONFIG_B": None}))

    assert [[column.get(row) for column in section.columns] for row in section.rows] == [
        ["a_limit", "unreadable"],
        ["a_switch", "0"],
        ["CONFIG_A", "y"],
        ["CONFIG_B", "not set"],
    ]


def test_macros():
    header = Header("MY_")

    assert list(header.system(System(None, {"CONFIG_HZ": None})))[1] == "/* MY_CONFIG_HZ is not set */"
    assert list(header.system(System(None, None))) == ["/*** Misc kernel config items ***/", ""]
    assert list(header.prog_types(TYPES))[1:3] == ["#define MY_HAVE_XDP_PROG_TYPE", "#define MY_NO_HAVE_LSM_PROG_TYPE"]
    assert "#define MY_BPF__PROG_TYPE_xdp__HELPER_bpf_redirect 1" in list(header.helpers(HELPERS))


def test_a_report_tells_all():
    section = feature_report.group(
        Group(
            "types",
            "Types",
            [Feature("xdp", "4.8", AVAILABLE), Feature("lsm", "", FORBIDDEN), Feature("x", "", MISSING)],
        )
    )

    assert section.json() == [
        {"name": "xdp", "available": True, "since": "4.8"},
        {"name": "lsm", "available": None, "reason": FORBIDDEN.why},
        {"name": "x", "available": False},
    ]
    assert list(section.plain()) == [
        "Types",
        "\txdp: available; Linux 4.8",
        f"\tlsm: cannot be told ({FORBIDDEN.why})",
        "\tx: not available",
    ]


def test_a_report_tells_why_of_helpers():
    section = feature_report.helpers([(kind.name.lower(), answers) for kind, answers in HELPERS.items()])

    assert section.json()[3] == {
        "program_type": "kprobe",
        "available": ["bpf_map_lookup_elem"],
        "not_available": ["bpf_redirect"],
        "cannot_be_told": ["bpf_probe_read"],
        "reasons": [FORBIDDEN.why],
    }
    assert f"\tlsm: cannot be told of any ({FORBIDDEN.why})" in list(section.plain())


ROOT = Rights(1 << CAP_SYS_ADMIN, 2, "")
POLICY = "forbidden although no capability is missing: by kernel lockdown or a security policy"


@pytest.mark.parametrize(
    ("errno", "rights", "can", "why"),
    [
        (22, ROOT, NO, ""),
        (95, ROOT, NO, "Operation not supported"),
        (22, Rights(0, 0, "", on_purpose=True), NO, ""),
        (
            22,
            Rights(1 << CAP_BPF, 0, ""),
            UNKNOWN,
            "a capability is missing: CAP_NET_ADMIN, CAP_PERFMON; the kernel may say no for that",
        ),
        (12, ROOT, UNKNOWN, "a limit is reached: no memory for it"),
        (24, ROOT, UNKNOWN, "a limit is reached: this process has as many descriptors as it may (ulimit -n)"),
        (23, ROOT, UNKNOWN, "a limit is reached: the system has as many open files as it may (fs.file-max)"),
        (11, ROOT, UNKNOWN, "Resource temporarily unavailable: it may be told another time"),
        (16, ROOT, UNKNOWN, "Device or resource busy: it may be told another time"),
        (1, ROOT, UNKNOWN, POLICY),
        (
            1,
            ROOT._replace(memory_is_limited=True),
            UNKNOWN,
            f"{POLICY}, or RLIMIT_MEMLOCK is used up, before Linux 5.11",
        ),
        (1, ROOT._replace(lockdown="integrity"), UNKNOWN, "kernel lockdown forbids it (integrity)"),
        (1, Rights(1 << CAP_BPF, 2, ""), UNKNOWN, "a capability is missing: CAP_NET_ADMIN, CAP_PERFMON"),
        (
            1,
            Rights(1 << CAP_BPF, 0, ""),
            UNKNOWN,
            "a capability is missing: CAP_NET_ADMIN, CAP_PERFMON; or a limit is reached: RLIMIT_MEMLOCK",
        ),
        (
            1,
            Rights(0, 2, "none"),
            UNKNOWN,
            "a capability is missing: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON; kernel.unprivileged_bpf_disabled is 2",
        ),
    ],
)
def test_what_an_errno_tells(errno, rights, can, why):
    assert refused(errno, rights) == Answer(can, why)


def test_what_a_target_that_does_not_suit_tells():
    statistics = "processed 0 insns (limit 1000000) max_states_per_insn 0\n"

    assert of_target(22, statistics, ROOT).can == NO
    assert of_target(22, f"f is not sleepable\n{statistics}", ROOT) == Answer(
        UNKNOWN, "the target does not suit: f is not sleepable"
    )
    assert of_target(1, "", ROOT).can == UNKNOWN
    assert AVAILABLE.can == YES


def rows(section):
    """Return the cells of each row, without the titles."""
    return [cells(section, row) for row in section.rows]


def test_types_that_have_the_same_helpers_share_a_row():
    """What all have is told once, and what cannot be told stands where helpers would."""
    some, more = (Helper.map_lookup_elem,), (Helper.map_lookup_elem, Helper.redirect)
    every = (*more, Helper.probe_read)

    def told(names):
        return {helper: AVAILABLE if helper in names else MISSING for helper in every}

    found = [("xdp", told(more)), ("lsm", dict.fromkeys(every, FORBIDDEN)), ("sched_cls", told(more))]
    found += [("sk_msg", told(some)), ("lirc_mode2", told(()))]

    assert rows(feature_report.helpers(found)) == [
        [("all that have any",), 1, ("bpf_map_lookup_elem",)],
        [("xdp", "sched_cls"), 2, ("bpf_redirect",)],
        [("lsm",), None, (f"cannot be told: {FORBIDDEN.why}",)],
        [("sk_msg",), 1, ("no others",)],
        [("lirc_mode2",), None, ("none",)],
    ]


def test_functions_that_the_same_programs_may_call_share_a_row():
    silent = {"lsm": FORBIDDEN.why}
    everybody, tracers = ("xdp", "sched_cls", "syscall", "tracing_iter"), ("syscall",)
    found = [
        Kfunc("bpf_iter_num_new", "", AVAILABLE, everybody, silent),
        Kfunc("bpf_iter_num_next", "", AVAILABLE, everybody, silent),
        Kfunc("bpf_cpumask_create", "", AVAILABLE, tracers, silent),
        Kfunc("bpf_ct_release", "nf_conntrack", AVAILABLE, everybody[:3], silent),
        Kfunc("bpf_put_file", "", FORBIDDEN, (), silent),
    ]
    section = feature_report.kfuncs(found)

    assert rows(section) == [
        [("all",), ("bpf_iter_num_new", "bpf_iter_num_next")],
        [("all but tracing_iter",), ("bpf_ct_release [nf_conntrack]",)],
        [("syscall",), ("bpf_cpumask_create",)],
        [(f"cannot be told ({FORBIDDEN.why})",), ("bpf_put_file",)],
        [("lsm",), (f"cannot be told: {FORBIDDEN.why}",)],
    ]
    assert section.json()[3] == {
        "name": "bpf_ct_release",
        "available": True,
        "module": "nf_conntrack",
        "program_types": ["xdp", "sched_cls", "syscall"],
        "cannot_be_told": ["lsm"],
    }
    assert [*section.plain()][4] == "\tbpf_ct_release [nf_conntrack]: available: xdp sched_cls syscall"


def test_what_cannot_be_told_of_the_surroundings_has_a_reason():
    """An option that is not set is an answer."""
    facts = [
        Fact("page size", "4096"),
        Fact("lockdown", None, "securityfs is not mounted"),
        Fact("CONFIG_NETKIT", None),
    ]

    assert feature_report.surroundings(facts).json() == {"page size": "4096", "lockdown": None, "CONFIG_NETKIT": None}
    assert feature_report.reasons(facts).json() == {"lockdown": "securityfs is not mounted"}
    assert list(feature_report.surroundings(facts).plain())[1:] == [
        "\tpage size: 4096",
        "\tlockdown: cannot be told (securityfs is not mounted)",
        "\tCONFIG_NETKIT: not set",
    ]


def test_types_of_maps_with_the_same_batches_share_a_row():
    found = [
        Feature(f"{map_} {batch}", "5.6", AVAILABLE) for map_ in ("hash", "lru_hash") for batch in ("lookup", "update")
    ]
    found += [Feature("array lookup", "5.6", AVAILABLE), Feature("array update", "5.6", FORBIDDEN)]
    found += [Feature("queue lookup", "", MISSING), Feature("queue update", "", MISSING)]
    section = feature_report.group(Group("map_batches", "Batches on maps", found))

    assert rows(section) == [
        [("hash", "lru_hash"), ("lookup", "update")],
        [("array",), ("lookup", f"update cannot be told ({FORBIDDEN.why})")],
        [("queue",), ("none",)],
    ]
    assert len(section.json()) == 8
