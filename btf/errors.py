"""The one error of this library."""

from __future__ import annotations


class BTFError(ValueError):
    """BTF data is damaged, or does not hold what was asked of it."""
