"""What tests of latencies share: a program whose calls are known, and calls that are timed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bpfctl.probe import calls
from bpfctl.probe.actions.latency import Latency
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from bpfctl.probe.where import parse
from tests.build.called import TALK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.probe.actions.timed import Timed

#: Functions that sleep, call themselves, each other, leave by longjmp(3), never return, or end their thread.
CALLS = (
    TALK
    + r"""
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#define KEPT __attribute__((noinline, noclone))
static jmp_buf place;
KEPT long nap(long us) { usleep(us); return us / 1000; }
KEPT long itself(long left)
{
    long below = left ? itself(left - 1) : -1;
    __asm__ volatile("");
    return below + 1;
}
KEPT long outer(long us) { nap(100); return nap(us) + 1; }
KEPT long leaves(long otherwise)
{
    if (otherwise) longjmp(place, 1);
    __asm__ volatile("");
    return 0;
}
KEPT void *ends(void *argument) { pthread_exit(argument); }
KEPT void *stays(void *argument) { for (;;) pause(); return argument; }
static void *recurs(void *argument)
{
    for (int number = 0; number < 100; number++) itself(number % 20);
    return argument;
}
static void threads(long count)
{
    pthread_t made[64];
    for (long at = 0; at < count; at++) pthread_create(&made[at], NULL, recurs, NULL);
    for (long at = 0; at < count; at++) pthread_join(made[at], NULL);
}
static void thread(void *(*function)(void *), int wait)
{
    pthread_t made;
    pthread_create(&made, NULL, function, NULL);
    if (wait) pthread_join(made, NULL);
    else pthread_detach(made);
}
void does(const char *what, long count)
{
    if (!strcmp(what, "deep")) itself(count);
    else if (!strcmp(what, "threads")) threads(count);
    else for (long number = 0; number < count; number++) {
        if (!strcmp(what, "nap")) nap(1000);
        if (!strcmp(what, "slow")) nap(20000);
        if (!strcmp(what, "itself")) itself(10);
        if (!strcmp(what, "outer")) outer(3000);
        if (!strcmp(what, "leaves") && !setjmp(place)) leaves(1);
        if (!strcmp(what, "returns")) leaves(0);
        if (!strcmp(what, "ends")) thread(ends, 1);
        if (!strcmp(what, "stays")) thread(stays, 0);
    }
}
"""
)


@contextmanager
def timed(
    *specs: str,
    to: Sequence[str] = (),
    make: Any = Latency,
    by: Sequence[str] = (),
    where: str | None = None,
    way: str = "",
    **more: Any,
) -> Iterator[tuple[Timed, Probing]]:
    """Have calls timed, or with ``to`` what is between probes, until the block ends."""
    sources = Sources()
    wanted = Wanted(sources.resolve(specs), parse(where) if where else None, way)
    what = calls.timing(sources, wanted, to, by or more.get("fields", ()))
    action = make(what.calls, **({"by": by} if by else {}), at_end=what.at_end, nested=what.nested, **more)
    with action, Probing(sources, what.wanted, action) as run:
        yield action, run
