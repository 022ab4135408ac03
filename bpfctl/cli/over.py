"""Commands that look at one process are over when it is."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from errno import EINVAL, ENOENT, ENOSYS
from typing import TYPE_CHECKING

from bpfctl.errors import KernelError, NotFound

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator


@contextmanager
def over_with(pid: int | None) -> Iterator[Callable[[], bool]]:
    """Have whoever waits for a signal to stop get one when a process ends; what is yielded tells whether it has.

    NotFound where there is no such process. None is no process, and before Linux 5.3 the end of one is not noticed.
    """
    watched = _opened(pid) if pid is not None else None
    if watched is None:
        yield lambda: False
        return
    import threading

    with ExitStack() as held:
        held.callback(os.close, watched)
        stop, stopped = os.pipe()
        held.callback(os.close, stop)
        has_ended = threading.Event()

        def watch() -> None:
            if watched in (fd for fd, _ in _poll(watched, stop)):
                has_ended.set()
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

        watcher = threading.Thread(target=watch, daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        watcher.start()  # with that mask: signals are for the thread that waits for them
        held.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before | {signal.SIGTERM})  # it waits for who asks for it
        held.callback(_drop, has_ended)
        held.callback(watcher.join)
        held.callback(os.close, stopped)
        yield has_ended.is_set


def _opened(pid: int) -> int | None:
    if not pid:  # CPUs that have nothing to do, which never ends
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotFound(f"there is no process {pid}") from None
    except OSError as error:
        if error.errno == ENOSYS:
            return None
        if error.errno in (EINVAL, ENOENT):  # the latter since Linux 6.16
            raise NotFound(f"{pid} is a thread, and no process") from None
        raise KernelError(f"can't watch process {pid}", error.errno or 0) from None


def _poll(*fds: int) -> list[tuple[int, int]]:
    import select

    asked = select.poll()
    for fd in fds:
        asked.register(fd, select.POLLIN)
    return asked.poll()


def _drop(has_ended: threading.Event) -> None:
    """Take our own signal back, where nobody has waited for it any more."""
    if has_ended.is_set():
        signal.sigtimedwait({signal.SIGTERM}, 0)
