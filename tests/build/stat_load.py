"""A program whose events are known: it makes so many of them, and ends as it is told."""

from __future__ import annotations

from tests.build.called import built

_SOURCE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long each;

static void *asks(void *unused)
{
    for (long i = 0; i < each; i++)
        syscall(SYS_getpid);
    return unused;
}

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int does(const char *what, long count)
{
    if (!strcmp(what, "pages")) {
        volatile char *memory = mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise((void *)memory, count * 4096, 15 /* MADV_NOHUGEPAGE */);
        for (long page = 0; page < count; page++)
            memory[page * 4096] = 1;
    } else if (!strcmp(what, "asks")) {
        each = count;
        asks(NULL);
    } else if (!strcmp(what, "threads")) {
        pthread_t threads[4];
        each = count;
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, asks, NULL);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    } else if (!strcmp(what, "children")) {
        each = count;
        for (int i = 0; i < 3; i++)
            if (!fork()) {
                asks(NULL);
                _exit(0);
            }
        while (wait(NULL) > 0)
            ;
    } else if (!strcmp(what, "moves")) {
        cpu_set_t all, one;
        sched_getaffinity(0, sizeof(all), &all);
        each = count;
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &all)) {
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                sched_setaffinity(0, sizeof(one), &one);
                asks(NULL);
            }
        sched_setaffinity(0, sizeof(all), &all);
    } else if (!strcmp(what, "sleeps")) {
        struct timespec moment = {0, 100000};
        for (long i = 0; i < count; i++)
            nanosleep(&moment, NULL);
    } else if (!strcmp(what, "spins")) { /* so many milliseconds of CPU time */
        long long begin = now(CLOCK_PROCESS_CPUTIME_ID);
        while (now(CLOCK_PROCESS_CPUTIME_ID) < begin + count * 1000000LL)
            ;
    } else if (!strcmp(what, "loops")) {
        for (volatile long i = 0; i < count; i++)
            ;
    } else if (!strcmp(what, "exits")) {
        exit(count);
    } else if (!strcmp(what, "dies")) {
        kill(getpid(), count);
    } else if (!strcmp(what, "waits")) {
        puts("waiting");
        fflush(stdout);
        pause();
    } else {
        return 1;
    }
    return 0;
}

int main(int count, char **words)
{
    char what[64];
    long number;
    for (int at = 1; at + 1 < count; at += 2)
        if (does(words[at], atol(words[at + 1])))
            return 99;
    if (count > 1)
        return 0;
    while (scanf("%63s %ld", what, &number) == 2) {
        does(what, number);
        printf("%ld\n", number);
        fflush(stdout);
    }
    return 0;
}
"""


def load() -> str:
    """Return its path. Words and numbers in pairs are what it does; without them it is asked by `Called`."""
    return str(built("stat-load", _SOURCE, "-static", "-pthread"))
