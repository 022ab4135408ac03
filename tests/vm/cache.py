"""The folder that fetched kernels live in, and the two rules that make it safe to share."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class VMError(Exception):
    """The harness itself cannot go on; the message is one sentence for a person."""


def root() -> Path:
    """Return the cache folder: $BPFCTL_VM_CACHE, else bpfctl-vm in the user's cache."""
    if chosen := os.environ.get("BPFCTL_VM_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "bpfctl-vm"


@contextmanager
def fetching() -> Iterator[None]:
    """Hold the cache against all other fetchers: several things come from one suite, whose state is shared."""
    root().mkdir(parents=True, exist_ok=True)
    with lock(root()):
        yield


@contextmanager
def lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold PATH, which exists, against other users of this cache; shared holders are in nobody's way."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def in_use(path: Path) -> bool:
    """Say whether anybody holds PATH at this moment."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes TARGET in one step, or nothing at all if the body fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield stage
        stage.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def point(link: Path, target: Path) -> None:
    """Make LINK name its sibling TARGET in one step; what it named before goes, unless it is in use."""
    before = link.resolve() if link.is_symlink() else target
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target.name)
    fresh.replace(link)
    if before != target and before.is_dir() and not in_use(before):
        shutil.rmtree(before)
