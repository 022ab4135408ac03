"""What a table says of one word."""

from __future__ import annotations

from typing import NamedTuple


class Told(NamedTuple):
    """Since which release there is something, and what it is."""

    since: str
    text: str
