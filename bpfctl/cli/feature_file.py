"""Files that are named on the command line of a feature command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.errors import KernelError, SavedError

if TYPE_CHECKING:
    from bpfctl.feature.saved import Saved


def content(path: str) -> bytes:
    """Read a file; KernelError when that fails."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise KernelError(f"can't read {path}", error.errno or 0) from None


def report(path: str) -> Saved:
    """Read a saved report; a SavedError names its path."""
    from bpfctl.feature import saved

    try:
        return saved.read(content(path))
    except SavedError as error:
        raise SavedError(f"{path} cannot be used: {error}") from None
