"""Kernels known by a report and by types."""

from __future__ import annotations

import pytest

from bpfctl.elf.read import read
from bpfctl.feature import need as needed
from bpfctl.feature import saved
from bpfctl.feature.answer import UNKNOWN, YES
from bpfctl.feature.check import MET, NOT_MET, OPEN, check
from bpfctl.feature.elsewhere import Elsewhere
from bpfctl.feature.need import Need
from bpfctl.feature.types import Types
from bpfctl.uapi.helpers import Helper
from btf.read import BTF
from btf.write import Builder
from tests.build.compiled import compiled
from tests.build.reports import report

LOCK, UNLOCK = "bpf_rcu_read_lock", "bpf_rcu_read_unlock"


def types(*functions):
    """A kernel's types with functions that take and return nothing."""
    b = Builder()
    b.add_int("int", 4)
    for name in functions:
        b.add_func(name, b.add_func_proto(0, []))
    return Types(BTF.from_bytes(b.build()))


def callers(name, *programs, unknown=()):
    """What a report says of a kfunc."""
    available = None if unknown else bool(programs)
    row = {"name": name, "available": available, "program_types": [*programs], "cannot_be_told": [*unknown]}
    return row | ({"reason": "nobody may ask"} if unknown else {})


def kfunc(rows, known):
    """What becomes of the calls of a kfunc by a classifier: status and reason."""
    kernel = Elsewhere(saved.of(report(kfuncs=rows)), known)
    (found,) = [
        one
        for one in check(compiled("kfunc"), kernel)
        if one.need.kind == needed.KFUNC and one.need.name == LOCK and one.need.of
    ]
    return found.status, found.reason


def test_a_kfunc_wants_its_types_and_a_caller():
    known = types(LOCK, UNLOCK)

    assert kfunc([callers(LOCK, "xdp", "sched_cls")], known) == (MET, "")
    assert kfunc([callers(LOCK, "xdp")], known) == (NOT_MET, "the report says that such programs may not call it")
    assert kfunc([callers(LOCK, unknown=["sched_cls"])], known) == (OPEN, "nobody may ask")
    assert kfunc([], known) == (OPEN, "the report does not tell which programs may call it")


def test_a_kfunc_without_types():
    """That it may be called says nothing of its prototype; that it may not be says enough."""
    assert kfunc([callers(LOCK, "sched_cls")], None) == (OPEN, "the kernel does not tell its types")
    assert kfunc([callers(LOCK, "xdp")], None)[0] == NOT_MET
    assert kfunc([], None) == (OPEN, "the kernel does not tell its types")


def test_a_kfunc_of_a_module():
    """Its types are not those of the kernel itself, but the report knows it."""
    assert kfunc([callers(LOCK, "sched_cls")], types(UNLOCK)) == (
        OPEN,
        "it is in a module, whose types are not at hand",
    )
    assert kfunc([], types(UNLOCK)) == (NOT_MET, f"the kernel's types have no function {LOCK}")


@pytest.mark.parametrize(("struct", "answer"), [("tcp_congestion_ops", YES), ("sched_ext_ops", UNKNOWN)])
def test_kfuncs_of_structs_of_functions(struct, answer):
    """The report is of one struct; others have kfuncs of their own."""
    spec = read(compiled("struct_ops"))
    spec = spec._replace(maps=tuple(one._replace(struct=struct) if one.struct else one for one in spec.maps), btf=None)
    need = Need(needed.KFUNC, LOCK, (), "struct_ops", program=spec.programs[0])
    kernel = Elsewhere(saved.of(report(kfuncs=[callers(LOCK, "struct_ops")])), types(LOCK))

    assert kernel.ask(need, spec).can == answer


@pytest.mark.parametrize(("helper", "answer"), [(Helper.copy_from_user, UNKNOWN), (Helper.loop, YES)])
def test_helpers_of_programs_that_may_sleep(helper, answer):
    """A list for programs that do not sleep does not deny what only the others may."""
    spec = read(compiled("uprobe_sleepable"))
    need = Need(needed.HELPER, helper.name, (), "kprobe", helper, spec.programs[0])
    kernel = Elsewhere(saved.of(report("bpf_copy_from_user")))

    assert kernel.ask(need, spec).can == answer


def test_packets_of_several_buffers():
    """A report that tells of the flag settles it."""
    flags = [{"name": "xdp_has_frags", "available": False}]
    answers = [
        check(compiled("xdp_frags"), Elsewhere(saved.of(report() | {"program_flags": rows}))) for rows in ([], flags)
    ]

    assert [one.status for answer in answers for one in answer if one.need.kind == needed.TARGET] == [OPEN, NOT_MET]
