"""What a load may ask for besides the instructions: one line each."""

from __future__ import annotations

import struct
from errno import E2BIG, EFAULT, EOPNOTSUPP
from typing import TYPE_CHECKING

from bpfctl._sys import maps, programs
from bpfctl._sys.ask import ask
from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R9
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer, refused
from bpfctl.feature.facts import LONGEST
from bpfctl.feature.prog_types import RETURN_0, SLEEPABLE
from bpfctl.feature.ways import Probe, answers, first_of, loads
from bpfctl.uapi.commands import Cmd
from bpfctl.uapi.enums import MapType, ProgType
from btf.kind import STRUCT

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.feature.ways import Asker

_GPL = b"GPL\0"
_BAD_ADDRESS = 8  # nothing is mapped there
_INSNS_AT, _LICENSE_AT, _SIGNATURE_AT = 8, 16, 152  # in the attributes of BPF_PROG_LOAD


def _global_data(fd: int) -> programs.Loaded:
    return programs.load(ProgType.SOCKET_FILTER, Program().ld_map_value(R1, fd).mov(R0, 0).exit_().assemble())


def _by_index(fd: int) -> programs.Loaded:
    code = Program().ld_map_idx(R1, 0).mov(R0, 0).exit_().assemble()
    return programs.load(ProgType.SOCKET_FILTER, code, fd_array=struct.pack("=i", fd))


def _refers(load: Callable[[int], programs.Loaded]) -> Callable[[Asker], Answer]:
    """Ask by loading a program that refers to a map."""

    def attempt(asker: Asker) -> Answer:
        try:
            with maps.create(MapType.ARRAY, 4, 8, 1) as made:
                load(made.fileno()).fd.close()
        except OSError as error:
            return refused(error.errno or 0, asker.rights)
        return AVAILABLE

    return attempt


# struct bpf_core_relo of include/uapi/linux/bpf.h: the first instruction has the size (9) of a type.
_TYPE_SIZE = 9
_RELOCATED = "task_struct"


def _relocations(asker: Asker) -> Answer:
    """Ask by a program that would be refused if the kernel did not know its struct for larger than the program does."""
    if not any(asker.ids_of((STRUCT,), (_RELOCATED,))):
        return Answer(UNKNOWN, f"it needs struct {_RELOCATED} in the kernel's BTF")
    from btf.write import Builder  # noqa: PLC0415 - one question needs it

    types = Builder()
    int_ = types.add_int("int", 4)
    function = types.add_func("f", types.add_func_proto(int_, []))
    record = types.add_struct(_RELOCATED, 4, [("pid", int_, 0)])
    relocation = struct.pack("=IIII", 0, record, types.string("0"), _TYPE_SIZE)
    code = Program().mov(R1, 4).jump("jgt", R1, 4, "larger").mov(R0, R9).label("larger").mov(R0, 0).exit_()
    try:
        with programs.btf_load(types.build()).fd as there:
            programs.load(
                ProgType.SOCKET_FILTER,
                code.assemble(),
                btf_fd=there.fileno(),
                func_info=struct.pack("=II", 0, function),
                core_relos=relocation,
            ).fd.close()
    except programs.LoadError as error:
        return refused(error.errno or 0, asker.rights)
    return AVAILABLE


def _signatures(asker: Asker) -> Answer:
    """Ask by a signature that is none: who looks at it refuses it for what it is (Linux commit 349271568303)."""
    tail = struct.pack("=QIi", 0, 64, 0)  # by the keys that the kernel was built with
    attributes = struct.pack("=II", ProgType.SOCKET_FILTER, len(RETURN_0) // 8).ljust(_SIGNATURE_AT, b"\0") + tail
    buffers = {_INSNS_AT: RETURN_0, _LICENSE_AT: _GPL, _SIGNATURE_AT: bytes(64)}
    errno = -ask(Cmd.PROG_LOAD, attributes, buffers)
    answer = refused(errno, asker.rights)
    if errno == EOPNOTSUPP:
        return Answer(NO, "the kernel was built without what verifies signatures (CONFIG_SYSTEM_DATA_VERIFICATION)")
    return AVAILABLE if answer.can == NO and answer.why and errno != E2BIG else answer


def _longest(asker: Asker) -> Answer:
    """Ask by a program that cannot be read: its length is looked at before."""
    attributes = struct.pack("=IIQ", ProgType.SOCKET_FILTER, LONGEST, _BAD_ADDRESS).ljust(48, b"\0")
    if missing := asker.rights.lacks():
        return Answer(UNKNOWN, f"a capability is missing: {', '.join(missing)}")
    return answers(Cmd.PROG_LOAD, attributes, EFAULT, buffers={_LICENSE_AT: _GPL})(asker)


#: Beyond what bpftool asks of the length of programs.
LIMITS = (Probe("one million instructions", "5.2", _longest),)

LOADING = (
    Probe("global data", "5.2", _refers(_global_data)),
    Probe("maps by their place in an array", "5.14", _refers(_by_index)),
    Probe("relocations by the kernel (CO-RE)", "5.17", _relocations),
    Probe("signatures", "6.18", _signatures),
)


def _flag(name: str, since: str, number: int, *kinds: ProgType) -> Probe:
    ways = [loads(RETURN_0, kind, flags=1 << number) for kind in kinds or (ProgType.SOCKET_FILTER,)]
    return Probe(name, since, first_of(*ways))


# BPF_F_XDP_DEV_BOUND_ONLY is not among them: it is of a device.
PROGRAM_FLAGS = (
    _flag("strict_alignment", "4.12", 0),
    _flag("any_alignment", "5.0", 1),
    _flag("test_rnd_hi32", "5.3", 2),
    _flag("test_state_freq", "5.4", 3),
    _flag("xdp_has_frags", "5.18", 5, ProgType.XDP),
    _flag("test_reg_invariants", "6.8", 7),
)

#: Programs that need no function to attach to, and may sleep all the same.
SLEEPING = (
    Probe("syscall", "5.14", loads(RETURN_0, ProgType.SYSCALL, flags=SLEEPABLE)),
    Probe("uprobe.s", "6.0", loads(RETURN_0, ProgType.KPROBE, flags=SLEEPABLE)),
    Probe("tp.s", "7.2", loads(RETURN_0, ProgType.TRACEPOINT, flags=SLEEPABLE)),
    Probe("raw_tp.s", "7.2", loads(RETURN_0, ProgType.RAW_TRACEPOINT, flags=SLEEPABLE)),
)
