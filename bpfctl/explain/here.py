"""Whether the running kernel has what a word means, as far as that is quickly asked."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.explain import meaning
from bpfctl.explain.meaning import Meaning
from bpfctl.feature import attach_types, attached, helpers, kfuncs, loading, map_types, more, prog_types, report, rights
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, YES, Answer
from bpfctl.feature.memory import Memory
from bpfctl.feature.survey import Survey
from bpfctl.feature.ways import Asker
from bpfctl.host.boot_cache import BootCache
from bpfctl.uapi.enums import MapType, ProgType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bpfctl.feature.answer import Rights
    from bpfctl.feature.ways import Probe

#: The tables of probes, by kind of thing, under the names that `bpfctl.feature.report` gives them.
_TABLES: Mapping[str, tuple[str, Sequence[Probe]]] = {
    meaning.ATTACH: ("attach_types", attach_types.ATTACH_TYPES),
    meaning.LINK: ("link_types", attach_types.LINK_TYPES),
    meaning.MAP_FLAG: ("map_flags", more.MAP_FLAGS),
    meaning.PROGRAM_FLAG: ("program_flags", loading.PROGRAM_FLAGS),
}


class Explained(NamedTuple):
    """A meaning, and what the running kernel says of it; ``here`` is None where nobody has asked, or can tell.

    ``callers`` are the programs that may call a function, ``untold`` those of which that cannot be told, and why.
    """

    meaning: Meaning
    here: Answer | None = None
    callers: tuple[str, ...] = ()
    untold: Mapping[str, str] = {}
    ask: str = ""  # the command that tells what would be too much here


class _Types(dict[ProgType, Answer]):
    """Which types of programs there are, each asked for when it is looked up."""

    def __init__(self, of: Rights) -> None:
        super().__init__()
        self._rights = of

    def __missing__(self, kind: ProgType) -> Answer:
        self[kind] = prog_types.on_kernel(prog_types.PROBES[kind], self._rights)
        return self[kind]


class Here:
    """The running kernel, as this thread may see it."""

    def __init__(self) -> None:
        self._rights = rights.present()
        self._memory = Memory(BootCache("features"))
        self._asker = Asker(self._rights, _Types(self._rights), self._memory)

    def explained(self, one: Meaning) -> Explained:
        """Return a meaning with its release, and whether the kernel has it."""
        if one.kind == meaning.HELPER:
            return self._helper(one, Helper(one.number or 0))
        since, answer = self._type(one)
        return Explained(one._replace(since=one.since or since), answer)

    def kfuncs(self, name: str) -> Iterator[Explained]:
        """Yield the functions of this name that the kernel lets programs call."""
        vmlinux = self._asker.vmlinux
        if vmlinux is None:
            return
        for found in kfuncs.named(name, self._every()):
            where = f" of the module {found.module}" if found.module else ""
            text = f"A function of the kernel{where} that programs may call; any release may change or remove it."
            yield Explained(
                Meaning(meaning.KFUNC, name, name, text, gpl_only=True, prototype=kfuncs.prototype(found, vmlinux)),
                found.answer,
                found.programs,
                found.unknown,
            )

    def save(self) -> None:
        """Keep the answers that last until the next boot."""
        self._memory.save()

    def _type(self, one: Meaning) -> tuple[str, Answer | None]:
        """Return since when there is something that is no function, and whether it is there."""
        if one.kind == meaning.PROGRAM:
            kind = ProgType(one.number or 0)
            answer = report.tracing(self._asker) if kind == ProgType.TRACING else self._asker.types[kind]
            return prog_types.PROBES[kind].since, answer
        if one.kind == meaning.MAP:
            probe = map_types.PROBES[MapType(one.number or 0)]
            return probe.since, map_types.on_kernel(probe, self._rights)
        group, table = _TABLES.get(one.kind, ("", ()))
        found = next((probe for probe in table if probe.name == one.name), None)
        if found is None:
            return "", None
        return found.since, self._memory.answer(group, found.name, partial(found.ask, self._asker))

    def _every(self) -> Asker:
        """Return what asks, when it knows of all types of programs whether they are there."""
        for kind in prog_types.PROBES:
            self._asker.types[kind]
        return self._asker

    def _helper(self, one: Meaning, helper: Helper) -> Explained:
        """Load a program of each kind that calls the helper."""
        if helper in helpers.NOISY:
            return Explained(one, ask="bpfctl feature probe full (the kernel's log will have a warning of it)")
        answers: dict[str, Answer] = {}
        with ExitStack() as held:
            for shape in attached.shapes(self._every(), held):
                if isinstance(shape.how, Answer):
                    answers[shape.word] = shape.how
                else:
                    found = helpers.load_all(shape.type, [helper], self._rights, Survey(), **shape.how)
                    answers[shape.word] = found[helper]
        callers = tuple(word for word, answer in answers.items() if answer.can == YES)
        untold = {word: answer.why for word, answer in answers.items() if answer.can == UNKNOWN}
        if callers:
            return Explained(one, AVAILABLE, callers, untold)
        if helpers.NO_SUCH_NUMBER in answers.values():
            return Explained(one, helpers.NO_SUCH_NUMBER)
        if untold:
            return Explained(one, Answer(UNKNOWN, "; ".join(dict.fromkeys(untold.values()))))
        return Explained(one, Answer(NO, "no programs may call it"))
