"""The ways in which features beyond bpftool's are asked for, and the line that a table has for each.

No way leaves anything behind: programs and maps are closed at once, and commands that would change something get a
descriptor, an id or a device that cannot exist. What the kernel then complains of tells whether it knows the rest.
"""

from __future__ import annotations

import os
import resource
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import programs
from bpfctl._sys.ask import ask
from bpfctl.errors import BpfctlError
from bpfctl.feature import map_types, prog_types
from bpfctl.feature.answer import AVAILABLE, MISSING, NO, UNKNOWN, YES, Answer, of_target, refused
from bpfctl.uapi.commands import Cmd
from bpfctl.uapi.enums import ProgType
from btf.errors import BTFError
from btf.kind import FUNC, TYPEDEF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bpfctl._sys.fd import FD
    from bpfctl.feature.answer import Rights
    from bpfctl.feature.memory import Memory
    from bpfctl.uapi.enums import MapType
    from btf.read import BTF
    from btf.write import Builder

NOBODY = 0xFFFFFFFF  # no descriptor
NO_ID = 0x7FFFFFFE  # an id or a device that does not exist, the largest that the kernel looks for
_SYSFS = "/sys/kernel"  # there wherever that is mounted


class Asker:
    """What a way of asking may need: rights, what is known of types and from earlier, and the kernel's own types."""

    def __init__(self, rights: Rights, types: dict[ProgType, Answer], memory: Memory) -> None:
        self.rights = rights
        self.types = types
        self.memory = memory
        self._vmlinux: BTF | None = None
        self._ids: dict[str, list[int]] = {}
        self._read = False

    @property
    def vmlinux(self) -> BTF | None:
        """The kernel's types, read when they are needed first; None where it has none."""
        if not self._read:
            from bpfctl.kernel import btf  # noqa: PLC0415 - few questions need it

            self._read = True
            try:
                self._vmlinux = btf.vmlinux()
            except (BpfctlError, BTFError):
                self._vmlinux = None
        return self._vmlinux

    def ids_of(self, kinds: Sequence[int], names: Sequence[str]) -> Iterator[int]:
        """Yield the ids of the types of these kinds and names that the kernel has, in the order of the names."""
        if (types := self.vmlinux) is not None:
            for name in names:
                if name not in self._ids:
                    self._ids[name] = types.ids_named(name)
                yield from (found for found in self._ids[name] if types.kind(found) in kinds)


class Probe(NamedTuple):
    """One feature: since which release there is one, and how it is asked for."""

    name: str
    since: str
    ask: Callable[[Asker], Answer]


def loads(
    code: bytes, kind: ProgType = ProgType.SOCKET_FILTER, attach_type: int = 0, *, flags: int = 0
) -> Callable[[Asker], Answer]:
    """Ask by loading a program."""
    version = prog_types.kernel_version(kind)

    def load(asker: Asker) -> Answer:
        try:
            programs.load(
                kind, code, expected_attach_type=attach_type, prog_flags=flags, kern_version=version
            ).fd.close()
        except programs.LoadError as error:
            return refused(error.errno or 0, asker.rights)
        return AVAILABLE

    return load


def checked(kind: ProgType, attach_type: int) -> Callable[[Asker], Answer]:
    """Ask by loading a program with an attach type that the kernel checks: a nonsensical one must not load too."""
    wanted, nonsense = (loads(prog_types.RETURN_0, kind, number) for number in (attach_type, 9999))

    def load(asker: Asker) -> Answer:
        answer = wanted(asker)
        if answer.can != YES:
            return answer
        other = nonsense(asker)
        return {YES: MISSING, NO: AVAILABLE, UNKNOWN: other}[other.can]

    return load


def makes(kind: MapType, flags: int = 0, *, value: int | None = None) -> Callable[[Asker], Answer]:
    """Ask by making a map; where not even the plain one can be made, its flag is missing as well."""
    probe = map_types.PROBES[kind]
    if value is not None:
        probe = probe._replace(value=value)

    def make(asker: Asker) -> Answer:
        with ExitStack() as held:
            try:
                held.enter_context(map_types.create(probe, held, flags=flags))
            except OSError as error:
                errno = error.errno or 0
                return AVAILABLE if probe.refusal and errno == probe.refusal else refused(errno, asker.rights)
        return AVAILABLE

    return make


def has_type(add: Callable[[Builder], object]) -> Callable[[Asker], Answer]:
    """Ask by loading BTF of an int and of what is added to that."""

    def load(asker: Asker) -> Answer:
        from btf.write import Builder  # noqa: PLC0415 - few questions need it

        types = Builder()
        types.add_int("int", 4)  # type 1
        add(types)
        try:
            programs.btf_load(types.build()).fd.close()
        except programs.LoadError as error:
            return refused(error.errno or 0, asker.rights)
        return AVAILABLE

    return load


def first_of(*ways: Callable[[Asker], Answer]) -> Callable[[Asker], Answer]:
    """Ask in several ways, of which one may do; that it cannot be told says more than that it is missing."""

    def attempt(asker: Asker) -> Answer:
        found = []
        for way in ways:
            found.append(way(asker))
            if found[-1].can == YES:
                return found[-1]
        return next((answer for answer in found if answer.can == UNKNOWN), found[0])

    return attempt


def all_of(*ways: Callable[[Asker], Answer]) -> Callable[[Asker], Answer]:
    """Ask for what takes several things, up to the first that is not there."""

    def attempt(asker: Asker) -> Answer:
        answer = AVAILABLE
        for way in ways:
            answer = way(asker)
            if answer.can != YES:
                break
        return answer

    return attempt


@contextmanager
def _no_descriptors() -> Iterator[None]:
    """Let the process open nothing for a moment: a command that makes something fails when all else is in order."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def without_descriptors(way: Callable[[Asker], Answer]) -> Callable[[Asker], Answer]:
    """Ask for what must not succeed, where it would change something."""

    def attempt(asker: Asker) -> Answer:
        with _no_descriptors():
            return way(asker)

    return attempt


def answers(
    command: int, attributes: bytes, *known: int, buffers: Mapping[int, bytes] | None = None
) -> Callable[[Asker], Answer]:
    """Ask by a command that cannot succeed: who answers with one of these errnos knows what was asked.

    ``buffers`` are pointed to from the attributes, by the offsets there.
    """

    def attempt(asker: Asker) -> Answer:
        rc = ask(command, attributes, buffers)
        return AVAILABLE if rc >= 0 or -rc in known else refused(-rc, asker.rights)

    return attempt


def links(
    kind: ProgType, attach_type: int, *known: int, target: int = NOBODY, more: bytes = b""
) -> Callable[[Asker], Answer]:
    """Ask by linking a program to what cannot exist."""
    probe = prog_types.PROBES[kind]

    def link(asker: Asker) -> Answer:
        try:
            loaded = programs.load(kind, prog_types.RETURN_0, expected_attach_type=attach_type, prog_flags=probe.flags)
        except programs.LoadError as error:
            return refused(error.errno or 0, asker.rights)
        with loaded.fd as program:
            attributes = struct.pack("=IIII", program.fileno(), target, attach_type, 0) + more
            return answers(Cmd.LINK_CREATE, attributes, *known)(asker)

    return link


def with_type(kind: ProgType, way: Callable[[Asker], Answer] | None = None) -> Callable[[Asker], Answer]:
    """Ask for what comes with a type of programs, and perhaps needs more."""

    def both(asker: Asker) -> Answer:
        answer = asker.types[kind]
        if answer.can == NO:
            return Answer(NO, answer.why or f"no programs of type {kind.name.lower()}")
        return answer if way is None or answer.can == UNKNOWN else way(asker)

    return both


def _load_at(asker: Asker, kind: ProgType, attach_type: int, names: Sequence[str], flags: int = 0) -> FD | Answer:
    """Load a program for the first of these functions that suits it; an answer where none does."""
    answer = Answer(UNKNOWN, f"it needs {' or '.join(names)} in the kernel's BTF to attach to")
    for target in asker.ids_of((FUNC, TYPEDEF), names):
        try:
            return programs.load(
                kind,
                prog_types.RETURN_0,
                expected_attach_type=attach_type,
                attach_btf_id=target,
                prog_flags=flags,
                log_level=1,
            ).fd
        except programs.LoadError as error:
            answer = of_target(error.errno or 0, error.log, asker.rights)
    return answer


def targets(kind: ProgType, attach_type: int, *names: str, flags: int = 0) -> Callable[[Asker], Answer]:
    """Ask by loading a program for the first of these functions that suits it."""

    def load(asker: Asker) -> Answer:
        loaded = _load_at(asker, kind, attach_type, names, flags)
        if isinstance(loaded, Answer):
            return loaded
        loaded.close()
        return AVAILABLE

    def unless_missing(asker: Asker) -> Answer:
        # A type that could not be told about may be there for some targets: lockdown forbids fentry, not iterators.
        return load(asker) if asker.types[kind].can != NO else with_type(kind)(asker)

    return unless_missing


def links_there(
    kind: ProgType, attach_type: int, names: Sequence[str], more: bytes, *known: int
) -> Callable[[Asker], Answer]:
    """Ask by linking a program to the function that it was loaded for, as far as to the descriptor of the link."""

    def link(asker: Asker) -> Answer:
        loaded = _load_at(asker, kind, attach_type, names)
        if isinstance(loaded, Answer):
            return loaded
        with loaded as program:
            attributes = struct.pack("=IIII", program.fileno(), 0, attach_type, 0) + more
            return without_descriptors(answers(Cmd.LINK_CREATE, attributes, *known))(asker)

    return link


def exists(path: str) -> Callable[[Asker], Answer]:
    """Ask by looking for a file of sysfs."""

    def look(_asker: Asker) -> Answer:
        try:
            os.stat(path)
        except PermissionError:
            return Answer(UNKNOWN, f"{path} may not be looked at")
        except OSError:
            return MISSING if os.path.isdir(_SYSFS) else Answer(UNKNOWN, "sysfs is not mounted")
        return AVAILABLE

    return look
