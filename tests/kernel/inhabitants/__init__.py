"""
What lives in the zoo, one line per inhabitant: its name, how it is made, and what the kernel needs for it.

``needs`` is judged by ``facts.Facts``; ``since`` decides nothing and is for readers of the list of refusals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.zoo import Zoo


class Missing(Exception):
    """The kernel lacks something that an inhabitant needs; the text is the need."""


@dataclass(frozen=True, slots=True)
class Inhabitant:
    """
    One object of the zoo; ``make`` returns its fd, and raises OSError when the kernel refuses.

    ``type`` is the enumerator of the kernel's type, "" for BTF, which has none.
    """

    kind: str
    name: str
    type: str
    make: Callable[[Zoo], int]
    needs: tuple[str, ...] = ()
    since: str = ""

    @property
    def full_name(self) -> str:
        """Kind and name, as other inhabitants and the tests refer to it."""
        return f"{self.kind}:{self.name}"
