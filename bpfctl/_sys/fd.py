"""What has to be closed, and file descriptors with one owner."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


_MANY = 1 << 20  # as many as a process may have, unless fs.nr_open was changed


class Closing(ABC):
    """What ``with`` closes at its end."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give everything back; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class ManyFiles(Closing):
    """Allows this process as many files as it may allow itself (RLIMIT_NOFILE), until it is closed."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        import resource  # noqa: PLC0415 - few commands hold many

        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        hard = self._before[1]
        for most in (max(hard, _MANY), hard):  # more than the hard limit is for CAP_SYS_RESOURCE
            with suppress(PermissionError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
                return

    def close(self) -> None:
        """Allow as many as before; those that are open stay so."""
        import resource  # noqa: PLC0415 - likewise

        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)


class FD(Closing):
    """A file descriptor that is closed exactly once: by ``close()``, by ``with``, or at last by the collector.

    An FD that the collector has to close is a bug of ours and warns with ResourceWarning.
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """Return the number; raise ValueError once closed."""
        if self._fd < 0:
            raise ValueError("file descriptor is closed")
        return self._fd

    def close(self) -> None:
        """Close it; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def detach(self) -> int:
        """Hand the number over to the caller, who owns it from now on."""
        fd, self._fd = self.fileno(), -1
        return fd

    @property
    def closed(self) -> bool:
        """Whether it was closed or handed over."""
        return self._fd < 0

    def __del__(self) -> None:
        if self._fd >= 0 and not sys.is_finalizing():  # nothing can be imported then, and the process closes it anyway
            import warnings  # noqa: PLC0415 - costs start-up time, and never happens

            warnings.warn(f"unclosed file descriptor {self._fd}", ResourceWarning, source=self, stacklevel=2)
            self.close()

    def __repr__(self) -> str:
        return f"FD({self._fd})"
