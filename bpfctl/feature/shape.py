"""How a program wants to be loaded, and whether the running kernel loads the smallest program of that shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import programs
from bpfctl.feature import prog_types
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer, Rights, complaint, refused
from bpfctl.uapi.enums import AttachType, ProgType
from btf import types

if TYPE_CHECKING:
    from bpfctl.feature.types import Place, Types
    from bpfctl.spec import ObjectSpec, ProgramSpec

_SLEEPABLE, _FRAGS = 1 << 4, 1 << 5  # BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS
_RETURNS_0 = prog_types.RETURN_0
#: What the verifier says of a program that is all right but for what it returns, or takes no part in.
_FAR_ENOUGH = ("At program exit the register R0", "R0 !read_ok", "!read_ok", "type=scalar expected")
#: The names that the kernel's BTF has for what these programs attach to.
_PREFIXES = {
    AttachType.TRACE_RAW_TP: "btf_trace_",
    AttachType.LSM_MAC: "bpf_lsm_",
    AttachType.LSM_CGROUP: "bpf_lsm_",
    AttachType.TRACE_ITER: "bpf_iter_",
}


class Shape(NamedTuple):
    """What a load says besides the instructions; ``target`` is a type of the kernel."""

    type: int
    attach_type: int = 0
    flags: int = 0
    target: Place | None = None
    license: bytes = b"GPL"


class Refusal(NamedTuple):
    """The kernel's answer to a load; errno 0 if it took the program."""

    errno: int
    log: str


def of(program: ProgramSpec, spec: ObjectSpec, found: Types | None) -> Shape | Answer:
    """Return how a program wants to be loaded; an answer when it cannot be, or nobody can tell how."""
    flags = _SLEEPABLE * program.sleepable | _FRAGS * program.frags
    license_ = spec.license.encode(errors="surrogateescape")[:127]
    shape = Shape(program.type or 0, program.attach_type or 0, flags, license=license_)
    if program.type == ProgType.STRUCT_OPS:
        return _of_struct_ops(program, spec, found, shape)
    if not program.attach_btf:
        return shape
    if program.type == ProgType.EXT:
        return Answer(UNKNOWN, "the program that it replaces is known when it is loaded")
    if not program.target:
        return Answer(UNKNOWN, "the function that it attaches to is known when it is loaded")
    if found is None:
        return Answer(UNKNOWN, "the kernel does not tell its types")
    name = _PREFIXES.get(AttachType(shape.attach_type), "") + program.target.partition(":")[2 * (":" in program.target)]
    kind = types.Typedef if program.attach_type == AttachType.TRACE_RAW_TP else types.Func
    place = found.find(name, kind)
    if place is None:
        return Answer(NO, f"the kernel's types have no {name}")
    return shape._replace(target=place)


def _of_struct_ops(program: ProgramSpec, spec: ObjectSpec, found: Types | None, shape: Shape) -> Shape | Answer:
    if found is None:
        return Answer(UNKNOWN, "the kernel does not tell its types")
    for map_ in spec.maps:
        member = next((name for name, function in map_.functions if function == program.name), None)
        if member is None:
            continue
        place = found.find(map_.struct.partition("___")[0], types.Struct)
        struct = place.btf.type(place.type_id) if place is not None else None
        if not isinstance(struct, types.Struct):
            return Answer(NO, f"the kernel's types have no struct {map_.struct}")
        at = next((at for at, one in enumerate(struct.members) if one.name == member), None)
        if at is None:
            return Answer(NO, f"struct {struct.name} has no member {member}")
        return shape._replace(attach_type=at, target=place)
    return Answer(NO, "no map refers to it")


def load(shape: Shape, code: bytes, *, fd_array: bytes | None = None, module_fd: int = 0) -> Refusal:
    """Try to load code of a shape; ``module_fd`` is the BTF of the module that the target is in."""
    try:
        programs.load(
            shape.type,
            code,
            license=shape.license,
            expected_attach_type=shape.attach_type,
            prog_flags=shape.flags,
            kern_version=prog_types.kernel_version(shape.type),
            attach_btf_id=shape.target.type_id if shape.target is not None else 0,
            attach_fd=module_fd,
            fd_array=fd_array,
            log_level=1,
        ).fd.close()
    except programs.LoadError as error:
        return Refusal(error.errno or 0, error.log)
    return Refusal(0, "")


def answer(shape: Shape, rights: Rights, *, module_fd: int = 0) -> Answer:
    """Return whether the smallest program of a shape is taken."""
    got = load(shape, _RETURNS_0, module_fd=module_fd)
    if not got.errno or any(words in got.log for words in _FAR_ENOUGH):
        return AVAILABLE
    said = complaint(got.log)
    return Answer(NO, said[:200]) if said else refused(got.errno, rights)
