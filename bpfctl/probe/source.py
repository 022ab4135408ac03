"""What a source of events is to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

# The version of the plugin interface; a plugin says which one it was written for.
API = 1


class ProbePoint(NamedTuple):
    """A place that can be probed: the kind of its source, and what the source calls it."""

    kind: str
    target: str

    def __str__(self) -> str:
        """Return the spec that a user writes, such as ``tracepoint:sched:sched_switch``."""
        return f"{self.kind}:{self.target}"


class Source(Protocol):
    """A kind of event, such as tracepoints. A plugin's entry point names a class that has these members."""

    api: int
    """The version of this interface that the source was written for."""

    kind: str
    """The word before the colon in a spec; also the name of the entry point."""

    summary: str
    """One line that says what fires and when."""

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the places whose target matches a shell-style pattern, in order.

        Raises NotSupported when this machine offers none at all, with the reason.
        """
