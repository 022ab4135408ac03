"""Whether the running kernel has what a word means, as far as that is quickly asked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.explain import meaning
from bpfctl.feature import attach_types, loading, map_types, more, prog_types, rights
from bpfctl.feature.memory import Memory
from bpfctl.feature.ways import Asker
from bpfctl.host.boot_cache import BootCache
from bpfctl.uapi.enums import MapType, ProgType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bpfctl.explain.meaning import Meaning
    from bpfctl.feature.answer import Answer, Rights
    from bpfctl.feature.ways import Probe

#: The tables of probes, by kind of thing, under the names that `bpfctl.feature.report` gives them.
_TABLES: Mapping[str, tuple[str, Sequence[Probe]]] = {
    meaning.ATTACH: ("attach_types", attach_types.ATTACH_TYPES),
    meaning.LINK: ("link_types", attach_types.LINK_TYPES),
    meaning.MAP_FLAG: ("map_flags", more.MAP_FLAGS),
    meaning.PROGRAM_FLAG: ("program_flags", loading.PROGRAM_FLAGS),
}


class Explained(NamedTuple):
    """A meaning, and what the running kernel says of it; ``ask`` is the command that tells where nobody has asked."""

    meaning: Meaning
    here: Answer | None = None
    ask: str = ""


class _Types(dict[ProgType, "Answer"]):
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
        """Return a meaning with its release, and whether the kernel has it as far as that is quickly asked."""
        since, answer = self._of(one)
        return Explained(one._replace(since=one.since or since), answer, "")

    def save(self) -> None:
        """Keep the answers that last until the next boot."""
        self._memory.save()

    def _of(self, one: Meaning) -> tuple[str, Answer | None]:
        if one.kind == meaning.PROGRAM:
            kind = ProgType(one.number or 0)
            return prog_types.PROBES[kind].since, self._asker.types[kind]
        if one.kind == meaning.MAP:
            probe = map_types.PROBES[MapType(one.number or 0)]
            return probe.since, map_types.on_kernel(probe, self._rights)
        group, table = _TABLES.get(one.kind, ("", ()))
        found = next((probe for probe in table if probe.name == one.name), None)
        if found is None:
            return "", None
        return found.since, self._memory.answer(group, found.name, partial(found.ask, self._asker))
