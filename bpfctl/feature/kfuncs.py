"""Kernel functions that programs may call: by name, and which programs may (Documentation/bpf/kfuncs.rst).

Since Linux 6.9 the kernel's BTF marks them (commit 6f3189f38a3e, "bpf: treewide: Annotate BPF kfuncs in BTF"), if it
was built with a pahole that does. Elsewhere the names are looked up that some kernel has had. Which types of programs
may call one is said nowhere: it takes a load for each, of a program that does nothing but call. What the verifier says
of the function itself comes before what it says of the arguments, which are always wrong.
"""

from __future__ import annotations

import struct
import sys
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import programs
from bpfctl.errors import BpfctlError
from bpfctl.feature import attached
from bpfctl.feature.answer import AVAILABLE, MISSING, NO, UNKNOWN, YES, Answer, as_far_as_rights_go, refused
from bpfctl.feature.memory import Memory
from bpfctl.feature.types import of_modules
from bpfctl.feature.ways import Asker
from bpfctl.uapi.enums import ProgType
from btf.kind import DECL_TAG, FUNC
from btf.types import DeclTag, Func

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bpfctl.feature.attached import Shape
    from btf.read import BTF

_MARK = "bpf_kfunc"
_EXIT = bytes.fromhex("9500000000000000")
_PSEUDO_KFUNC_CALL = 2
# Device-bound programs, and who may crash the machine, are out of reach of a probe.
_DEVICE = Answer(UNKNOWN, "it is for programs bound to a network device")
_DESTRUCTIVE = Answer(UNKNOWN, "a capability is missing: CAP_SYS_BOOT")
# The kernel allows a function in its struct_ops alone, such as sched_ext_ops; of those, one is asked with.
_ELSEWHERE = Answer(UNKNOWN, "no program that was asked with may call it; those of other structs of functions might")
#: What the verifier says of a function that a program may not call, and what that means.
_SAID: dict[bytes, Answer] = {
    b" is not allowed": MISSING,
    b"functions are not allowed": MISSING,
    b"program must be sleepable to call": Answer(NO, "it is for programs that may sleep"),
    b"unexpected __bpf_trap()": MISSING,
    b"uses reserved fields": Answer(NO, "the kernel has no such calls"),  # before Linux 5.13
    b"JIT is required for calling": Answer(NO, "the JIT compiler is off"),
    b"JIT does not support calling": Answer(NO, "the JIT compiler does not support it"),
    b"cannot find address for kernel function": Answer(NO, "the kernel was built without it"),
    b"have a valid func_proto": MISSING,
    b"is not a function": MISSING,
    b"is not a kernel function": MISSING,
    b"require device-bound program": _DEVICE,
    b"destructive kfunc calls require": _DESTRUCTIVE,
    b"are allowed for CAP_BPF and CAP_SYS_ADMIN": Answer(UNKNOWN, "a capability is missing: CAP_BPF"),
}
_ANSWERS = tuple(_SAID.values())


class Kfunc(NamedTuple):
    """A function, and what is known of who may call it; ``module`` is empty for the kernel's own."""

    name: str
    module: str
    answer: Answer
    programs: tuple[str, ...] = ()
    unknown: Mapping[str, str] = {}  # the programs of which it cannot be told, and why


class _Place(NamedTuple):
    name: str
    module: str
    type_id: int


def all_of(asker: Asker) -> list[Kfunc]:
    """Return the kfuncs of the kernel and its modules in the order of the alphabet, each with who may call it."""
    if asker.vmlinux is None:
        return [Kfunc("any", "", Answer(UNKNOWN, "it needs the kernel's BTF"))]
    return _asked(asker, *_places(asker.vmlinux))


def named(name: str, asker: Asker) -> list[Kfunc]:
    """Return the kfuncs of one name, which different modules may have; the answers are not remembered."""
    if asker.vmlinux is None:
        return []
    places, marked = _places(asker.vmlinux)
    alone = [place for place in places if place.name == name]
    return _asked(Asker(asker.rights, asker.types, Memory()), alone, marked) if alone else []


def prototype(kfunc: Kfunc, vmlinux: BTF) -> str:
    """Return the declaration of a kfunc in C; empty where its module has gone."""
    from btf.dump_c import declaration  # noqa: PLC0415 - who asks for all of them does without

    for module, types in [("", vmlinux), *of_modules(vmlinux)(kfunc.name)]:
        if module == kfunc.module:
            function = types.find(kfunc.name, Func)
            return declaration(types, function.type_id, kfunc.name) if function is not None else ""
    return ""


def _asked(asker: Asker, places: Sequence[_Place], marked: bool) -> list[Kfunc]:
    found: dict[_Place, dict[str, Answer]] = {place: {} for place in sorted(places)}
    with ExitStack() as held:
        modules = _open({place.module for place in found} - {""}, held)
        for shape in attached.shapes(asker, held):
            for module in ("", *modules):
                of_module = [place for place in found if place.module == module]
                answers = asker.memory.answers(
                    f"kfuncs of {module or 'the kernel'} in programs of type {shape.word}",
                    [f"{place.name} {place.type_id}" for place in of_module],
                    partial(_ask, shape, of_module, asker, modules.get(module, 0)),
                )
                for place, answer in zip(of_module, answers, strict=True):
                    found[place][shape.word] = answer
    return [_kfunc(place, answers, marked=marked) for place, answers in found.items()]


def _places(vmlinux: BTF) -> tuple[list[_Place], bool]:
    """Return the functions that are marked, or else those of the names that are known, and whether they are marked."""
    everywhere = [("", vmlinux), *of_modules(vmlinux)("")]
    marked = [_Place(types.name(id_), module, id_) for module, types in everywhere for id_ in _marked(types)]
    if marked:
        return marked, True
    from bpfctl.feature.kfunc_names import KNOWN  # noqa: PLC0415 - where the kernel does not tell

    return [
        _Place(name, module, id_)
        for module, types in everywhere
        for name in KNOWN
        for id_ in types.ids_named(name)
        if id_ in types.ids and types.kind(id_) == FUNC
    ], False


def _marked(types: BTF) -> Iterator[int]:
    """Yield the functions that this BTF, and not its base, marks; a function may have several marks."""
    marks = (types.type(found) for found in types.ids_named(_MARK) if found in types.ids)
    yield from {mark.type_id: None for mark in marks if isinstance(mark, DeclTag) and types.kind(mark.id) == DECL_TAG}


def _open(names: set[str], held: ExitStack) -> dict[str, int]:
    """Return descriptors of the BTF of modules, where they can be had."""
    from bpfctl.kernel.btf import Btf  # noqa: PLC0415 - most kernels have no kfuncs in modules

    found = {}
    with suppress(BpfctlError):
        for one in Btf.every() if names else ():
            name = one.info().name or ""
            if name in names:
                found[name] = held.enter_context(one).fileno()
            else:
                one.close()
    return found


def _ask(shape: Shape, places: Sequence[_Place], asker: Asker, module_fd: int) -> list[Answer]:
    """Load a program of a shape for each function, which are of one module."""
    if isinstance(shape.how, Answer):
        return [shape.how] * len(places)
    register = _PSEUDO_KFUNC_CALL << 4 if sys.byteorder == "little" else _PSEUDO_KFUNC_CALL
    verdicts = programs.load_each(
        shape.type,
        struct.pack("=BBhi", 0x85, register, bool(module_fd), 0) + _EXIT,
        0,
        [place.type_id for place in places],
        tuple(_SAID),
        fd_array=struct.pack("=ii", 0, module_fd) if module_fd else None,
        **shape.how,
    )
    return [_answer(verdict, shape, asker) for verdict in verdicts]


def _answer(verdict: programs.Verdict, shape: Shape, asker: Asker) -> Answer:
    if verdict.said > 0:
        answer = _ANSWERS[verdict.said - 1]
        # That a device is wanted is said before the type is looked at; these functions are all for XDP.
        answer = MISSING if answer is _DEVICE and shape.type != ProgType.XDP else answer
        return as_far_as_rights_go(answer, asker.rights)
    if verdict.errno == 0 or verdict.said:
        return AVAILABLE
    answer = refused(verdict.errno, asker.rights)
    return answer if answer.can == UNKNOWN else Answer(UNKNOWN, "no such program can be loaded to ask")


def _kfunc(place: _Place, answers: dict[str, Answer], *, marked: bool) -> Kfunc:
    there = tuple(word for word, one in answers.items() if one.can == YES)
    unknown = {word: one.why for word, one in answers.items() if one.can == UNKNOWN}
    if there:
        answer = AVAILABLE
    elif unknown:
        answer = Answer(UNKNOWN, "; ".join(dict.fromkeys(unknown.values())))
    elif marked:
        answer = _ELSEWHERE
    else:
        answer = Answer(NO, next((one.why for one in answers.values() if one.why), "no type of programs may call it"))
    return Kfunc(place.name, place.module, answer, there, unknown)
