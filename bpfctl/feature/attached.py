"""Helpers of programs that attach to a function: bpftool cannot ask for them, as it has none to attach to.

The kernel's BTF has: functions made for tests of tracing, hooks of LSM, iterators, the operations of a TCP congestion
control. An extension attaches to a program, which is loaded for the purpose.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import programs
from bpfctl.feature import helpers, prog_types
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, YES, Answer, of_target, refused
from bpfctl.feature.prog_types import SLEEPABLE
from bpfctl.uapi.enums import AttachType, ProgType
from btf import types as btf_types
from btf.kind import FUNC, STRUCT, TYPEDEF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.feature.survey import Survey
    from bpfctl.feature.ways import Asker
    from bpfctl.uapi.helpers import Helper

_GLOBAL = 1  # BTF_FUNC_GLOBAL: what an extension may replace


class Place(NamedTuple):
    """Where a program attaches; of several targets the first counts that the kernel has and that suits."""

    word: str
    type: ProgType
    attach_type: int
    targets: tuple[str, ...]
    flags: int = 0


class Shape(NamedTuple):
    """How programs of a type, or those at a place, are loaded; an answer where they cannot be."""

    word: str
    type: ProgType
    how: dict[str, Any] | Answer


PLACES = (
    Place("kprobe_sleepable", ProgType.KPROBE, 0, (), SLEEPABLE),
    Place("kprobe_session", ProgType.KPROBE, AttachType.TRACE_KPROBE_SESSION, ()),
    Place(
        "tracing_raw_tp", ProgType.TRACING, AttachType.TRACE_RAW_TP, ("btf_trace_task_rename", "btf_trace_sys_enter")
    ),
    Place("tracing_fentry", ProgType.TRACING, AttachType.TRACE_FENTRY, ("bpf_fentry_test1", "vfs_read")),
    Place("tracing_fexit", ProgType.TRACING, AttachType.TRACE_FEXIT, ("bpf_fentry_test1", "vfs_read")),
    Place("tracing_fmod_ret", ProgType.TRACING, AttachType.MODIFY_RETURN, ("bpf_modify_return_test",)),
    Place("tracing_iter", ProgType.TRACING, AttachType.TRACE_ITER, ("bpf_iter_task",)),
    Place(
        "tracing_fentry_sleepable",
        ProgType.TRACING,
        AttachType.TRACE_FENTRY,
        ("bpf_fentry_test1", "bpf_modify_return_test"),
        SLEEPABLE,
    ),
    Place("tracing_iter_sleepable", ProgType.TRACING, AttachType.TRACE_ITER, ("bpf_iter_task",), SLEEPABLE),
    Place("lsm", ProgType.LSM, AttachType.LSM_MAC, ("bpf_lsm_file_open",)),
    Place("lsm_sleepable", ProgType.LSM, AttachType.LSM_MAC, ("bpf_lsm_file_open",), SLEEPABLE),
    Place("lsm_cgroup", ProgType.LSM, AttachType.LSM_CGROUP, ("bpf_lsm_socket_bind",)),
    # Members that are functions which return a number.
    Place("struct_ops", ProgType.STRUCT_OPS, 0, ("tcp_congestion_ops.ssthresh",)),
    Place("struct_ops_sleepable", ProgType.STRUCT_OPS, 0, ("bpf_dummy_ops.test_sleepable",), SLEEPABLE),
    Place("ext", ProgType.EXT, 0, ()),
)


class _Target(NamedTuple):
    """A target that has proved to suit."""

    btf_id: int
    attach_type: int
    fd: int = 0
    btf_fd: int = 0
    func_info: bytes = b""


def ask(place: Place, asker: Asker, survey: Survey, *, full: bool) -> dict[Helper, Answer]:
    """Load a program for each helper, at the place."""
    wanted = helpers.wanted(full=full)
    with ExitStack() as held:
        how = _how(place, asker, held)
        if isinstance(how, Answer):
            return dict.fromkeys(wanted, how)
        return helpers.load_all(place.type, wanted, asker.rights, survey, **how)


def shapes(asker: Asker, held: ExitStack) -> Iterator[Shape]:
    """Yield how programs of each type that needs no function to attach to are loaded, and those at each place."""
    for kind, answer in asker.types.items():
        if kind not in helpers.ATTACHED and answer.can != NO:
            probe = prog_types.PROBES[kind]
            how = {
                "expected_attach_type": probe.attach_type,
                "prog_flags": probe.flags,
                "kern_version": prog_types.kernel_version(kind),
            }
            yield Shape(kind.name.lower(), kind, how if answer.can == YES else answer)
    for place in PLACES:
        found = _how(place, asker, held)
        if not isinstance(found, Answer) or found.can != NO:
            yield Shape(place.word, place.type, found)


def _how(place: Place, asker: Asker, held: ExitStack) -> dict[str, Any] | Answer:
    """Return how programs at a place are loaded: at the first target that suits."""
    answer = asker.types[place.type]
    if answer.can == NO:
        return Answer(NO, answer.why or "no programs of this type")
    answer = Answer(UNKNOWN, f"it needs {' or '.join(place.targets)} in the kernel's BTF to attach to")
    try:
        for target in _targets(place, asker, held):
            answer = _suits(place, target, asker)
            if answer.can == YES:
                return {
                    "expected_attach_type": target.attach_type,
                    "prog_flags": place.flags,
                    "attach_btf_id": target.btf_id,
                    "attach_fd": target.fd,
                    "btf_fd": target.btf_fd,
                    "func_info": target.func_info,
                }
    except OSError as error:  # there is nothing to attach to
        return refused(error.errno or 0, asker.rights)
    return answer


def _targets(place: Place, asker: Asker, held: ExitStack) -> Iterator[_Target]:
    if place.type == ProgType.EXT:
        yield _replaceable(held)
    elif place.type == ProgType.STRUCT_OPS:
        for target in place.targets:
            struct_name, _, wanted = target.partition(".")
            for found in asker.ids_of((STRUCT,), (struct_name,)):
                record = asker.vmlinux.type(found) if asker.vmlinux else None
                members = record.members if isinstance(record, btf_types.Struct) else ()
                yield from (_Target(found, at) for at, member in enumerate(members) if member.name == wanted)
    elif not place.targets:
        yield _Target(0, place.attach_type)
    else:
        yield from (_Target(found, place.attach_type) for found in asker.ids_of((FUNC, TYPEDEF), place.targets))


def _replaceable(held: ExitStack) -> _Target:
    """Load a program whose only function an extension may replace."""
    from btf.write import Builder  # noqa: PLC0415 - one place of a dozen needs it

    types = Builder()
    context = types.add_ptr(types.add_struct("xdp_md", 24, []))
    function = types.add_func("replaceable", types.add_func_proto(types.add_int("int", 4), [("ctx", context)]), _GLOBAL)
    btf_fd = held.enter_context(programs.btf_load(types.build()).fd).fileno()
    func_info = struct.pack("=II", 0, function)
    loaded = programs.load(ProgType.XDP, prog_types.RETURN_0, btf_fd=btf_fd, func_info=func_info)
    return _Target(function, 0, held.enter_context(loaded.fd).fileno(), btf_fd, func_info)


def _suits(place: Place, target: _Target, asker: Asker) -> Answer:
    """Load a program that calls nothing."""
    try:
        programs.load(
            place.type,
            prog_types.RETURN_0,
            expected_attach_type=target.attach_type,
            prog_flags=place.flags,
            attach_btf_id=target.btf_id,
            attach_fd=target.fd,
            btf_fd=target.btf_fd,
            func_info=target.func_info,
            log_level=1,
        ).fd.close()
    except programs.LoadError as error:
        return of_target(error.errno or 0, error.log, asker.rights)
    return AVAILABLE
