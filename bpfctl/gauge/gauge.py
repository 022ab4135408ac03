"""An action at work, and what it has gathered until now."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from bpfctl._sys.fd import Closing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bpfctl.errors import BpfctlError
    from bpfctl.probe.action import Action
    from bpfctl.probe.session import Probing
    from bpfctl.probe.source import ProbePoint
    from bpfctl.views.view import Board

A = TypeVar("A", bound="Action")
R = TypeVar("R")


class Running(Closing, Generic[A]):
    """An action at some points, until it is closed."""

    def __init__(self, action: A, run: Probing) -> None:
        self._action = action
        self.run = run
        self._begin = time.monotonic()

    @property
    def points(self) -> Sequence[ProbePoint]:
        """The points that are probed."""
        return [point for point in self.run.wanted.points if point not in self.run.left_out]

    @property
    def left_out(self) -> Mapping[ProbePoint, BpfctlError]:
        """Of the points that a pattern means those that the kernel refuses, and why."""
        return self.run.left_out

    @property
    def seconds(self) -> float:
        """For how long it has been at work."""
        return time.monotonic() - self._begin

    def lost(self) -> int:
        """Return how many hits, or calls, there was no room for."""
        return self._action.lost()

    def missed(self) -> int:
        """Return how many hits the kernel has kept from the programs."""
        return self.run.missed()

    def stop(self) -> None:
        """Detach; what was gathered can still be read."""
        self.run.stop()

    def close(self) -> None:
        """Detach, and give all back."""
        with self._action:
            self.run.close()


class Gauge(Running[A], Generic[A, R]):
    """What is gathered in the kernel, and read from there again and again."""

    #: How a round is shown.
    board: ClassVar[Board[Any]]
    #: What the rows of a round are called in JSON.
    items: ClassVar[str]

    @abstractmethod
    def round(self, top: int | None = None) -> R:
        """Return what was gathered until now, of its rows the ``top`` largest."""

    def records(self, top: int | None = None) -> list[dict[str, Any]]:
        """Return the rows as ``-j`` has them: dictionaries of the fields, and what was gathered of them."""
        rows: list[dict[str, Any]] = self.board.json(self.round(top))[self.items]
        return rows
