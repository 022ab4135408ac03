"""What reading from ring buffers and from perf event buffers has in common: waiting, iterating, decoding, closing.

A reader takes a batch of records at a time and hands them out one by one. Whoever closes it while somebody else waits
for records wakes them; descriptors and mappings go when the last one has left.
"""

from __future__ import annotations

import os
import select
import time
from abc import abstractmethod
from collections import deque
from contextlib import ExitStack, contextmanager
from errno import EACCES, EBADMSG, EPERM
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bpfctl._sys.fd import FD, Closing
from bpfctl._sys.ring import MOST
from bpfctl.errors import KernelError, UsageError
from bpfctl.kernel.map import Map
from bpfctl.kernel.refusal import hint

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Iterator

    from bpfctl.kernel.map import MapInfo
    from btf.read import BTF
    from btf.value import Value

Record = TypeVar("Record")

_ENOUGH = 1 << 16  # records that read() returns at most, unless told otherwise
# Python runs the handler of a signal that comes right before a wait only after it, so no wait is longer.
_HEARTBEAT = 1.0
_BUSY = 0.001  # seconds until a record may be complete that a program has reserved


class _ClosedError(ValueError):
    """The reader was closed."""


class Reader(Closing, Generic[Record]):
    """An open buffer of records; iterate over it, ``read()`` it, or ``async for``; close it with ``with``."""

    #: Seconds after which to look by ourselves, where the kernel wakes nobody; None where it does.
    _period: float | None = None

    def __init__(self) -> None:
        self._lock = RLock()
        self._users = 0
        self._closed = False
        self._waiting: deque[Record] = deque()
        self._sleepers: set[Callable[[], None]] = set()
        self._wake = FD(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        try:
            self._epoll = select.epoll()
            self._epoll.register(self._wake.fileno(), select.EPOLLIN)
        except BaseException:
            self._wake.close()
            raise

    @abstractmethod
    def _take(self, most: int) -> list[Record]:
        """Return the next records that are complete."""

    @abstractmethod
    def _free(self) -> None:
        """Give back what the reader of this kind holds; may be called before all of it is there."""

    def _is_there(self) -> bool:
        """Return whether there is something to take, as far as that is known without asking the kernel."""
        return bool(self._waiting)

    def read(self, limit: int = _ENOUGH) -> list[Record]:
        """Return the records that are there now, oldest first, up to a limit; none that is left behind is consumed.

        KernelError EBADMSG when what stands in the buffer contradicts itself; ValueError once it is closed.
        """
        found: list[Record] = []
        with self._in_use():
            while self._waiting and len(found) < limit:
                found.append(self._waiting.popleft())
            while len(found) < limit:
                batch = self._take(min(MOST, limit - len(found)))
                if not batch:
                    break
                found += batch
        return found

    def poll(self, timeout: float | None = None) -> bool:
        """Wait until there is something to read: for so many seconds at most, None for ever; return whether there is.

        It returns at once, with False, when somebody closes the reader. What is announced may still be in the making.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._in_use():
            while not self._closed:
                if self._is_there():
                    return True
                left = None if end is None else max(end - time.monotonic(), 0)
                came = self._epoll.poll(min(step for step in (left, self._period, _HEARTBEAT) if step is not None))
                if came and self._period is None:
                    return not self._closed
                if left == 0:
                    return self._is_there()
        return False

    def __iter__(self) -> Iterator[Record]:
        """Yield each record, and wait for more until the reader is closed."""
        waiting = self._waiting
        for batch in self.batches():
            waiting.extend(batch)
            while waiting:
                yield waiting.popleft()

    def batches(self, *, limit: int | None = None, seconds: float | None = None) -> Iterator[list[Record]]:
        """Yield records as they come, many at once, and an empty list each time before it waits for more.

        It ends when the reader is closed, and after so many records or seconds.
        """
        end = None if seconds is None else time.monotonic() + seconds
        announced = False
        while limit is None or limit > 0:
            try:
                batch = self.read(MOST if limit is None else min(MOST, limit))
            except _ClosedError:
                return
            if batch or not announced:
                yield batch
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            if batch:
                limit = None if limit is None else limit - len(batch)
                announced = False
            elif announced:  # a record that is still in the making
                announced = False
                time.sleep(_BUSY)
            else:
                try:
                    announced = self.poll(left)
                except _ClosedError:
                    return

    async def __aiter__(self) -> AsyncIterator[Record]:
        """Yield each record, and let other tasks run while there are none, until the reader is closed."""
        import asyncio  # noqa: PLC0415 - takes longer to load than all else here

        loop, waiting, announced = asyncio.get_running_loop(), self._waiting, False
        while True:
            while waiting:
                yield waiting.popleft()
            if self._closed:
                return
            try:
                waiting.extend(self._batch())
                if waiting or announced:
                    await asyncio.sleep(0 if waiting else _BUSY)  # others have their turn however fast records come
                    announced = False
                else:
                    announced = await self._announced(loop)
            except _ClosedError:
                return

    async def _announced(self, loop: AbstractEventLoop) -> bool:
        """Wait until there may be something to read, and return whether the kernel has said so."""
        import asyncio  # noqa: PLC0415 - as above

        came = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(came.set)

        with self._in_use():
            descriptor = self._epoll.fileno()
            self._sleepers.add(wake)
            loop.add_reader(descriptor, came.set)
            try:
                async with asyncio.timeout(self._period):
                    await came.wait()
            except TimeoutError:
                return False
            finally:
                loop.remove_reader(descriptor)
                self._sleepers.discard(wake)
        return self._period is None

    def _batch(self) -> list[Record]:
        with self._in_use():
            return self._take(MOST)

    def fileno(self) -> int:
        """Return a descriptor that is readable when there may be something to read, for an event loop of yours."""
        return self._epoll.fileno()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Keep descriptors and mappings until this is left, even if somebody closes the reader; ValueError if closed.

        Only the copying itself holds the lock: it is short, and who waits must not keep others from closing.
        """
        with self._lock:
            if self._closed:
                raise _ClosedError("the reader is closed")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                last = self._closed and not self._users
            if last:
                self._release()

    def close(self) -> None:
        """Close the reader; a second call does nothing. Another thread or task that waits for records wakes up."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle = not self._users
            os.eventfd_write(self._wake.fileno(), 1)
            for wake in list(self._sleepers):
                wake()
        if idle:
            self._release()

    def _release(self) -> None:
        self._waiting.clear()
        try:
            self._free()
        finally:
            self._epoll.close()
            self._wake.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed


def raw(record: bytes) -> bytes:
    """Return a record as it is: what decodes it where no type is named."""
    return record


def decoder(type_: str | None, info: MapInfo, btf: BTF | None) -> Callable[[bytes], Value | bytes]:
    """Return what makes records of bytes: values of a type of this name, or the bytes themselves for None.

    What is too short for a value stays bytes: a buffer may hold records of several types.
    """
    if type_ is None:
        return raw
    from bpfctl.kernel import record_type  # noqa: PLC0415 - raw records need no types

    read = record_type.find(type_, info, btf)
    size = read.size
    return lambda record: read(record) if len(record) >= size else record


def opened(map_: Map | int, kind: Any, noun: str) -> tuple[Map, MapInfo]:
    """Return a map of one type, which the caller closes: that with an id, or the same as another handle.

    UsageError for a map of another type.
    """
    with ExitStack() as opening:
        ours = opening.enter_context(Map.by_id(map_) if isinstance(map_, int) else Map(FD(os.dup(map_.fileno()))))
        info = ours.info()
        if info.type is not kind:
            raise UsageError(f"map {info.id} is no {noun}")
        opening.pop_all()
    return ours, info


def writable(map_: Map, info: MapInfo) -> Map:
    """Return the same map open for writing, and close the one that was not; by its id, which takes more rights."""
    if map_.is_writable():
        return map_
    with map_:
        return Map.by_id(info.id, write=True)


def refused(tried: str, error: OSError) -> KernelError:
    """Return the error of a buffer that the kernel does not let us have, or that makes no sense."""
    number = error.errno or 0
    if number == EBADMSG:
        return KernelError(tried, number, hint="positions or lengths in the buffer contradict each other")
    return KernelError(tried, number, hint=hint(number, "CAP_PERFMON") if number in (EPERM, EACCES) else "")
