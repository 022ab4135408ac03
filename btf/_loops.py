"""The C twins of the loops over all types (btf/_fast.c), if there are any.

BTF_PURE in the environment has everything done in Python, which says the same and takes longer.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # without importing typing, see btf.read
if TYPE_CHECKING:
    from types import ModuleType

fast: ModuleType | None = None
if not os.environ.get("BTF_PURE"):
    try:
        from btf import _fast
    except ImportError:  # a copy of the sources that nobody has built
        pass
    else:
        fast = _fast
