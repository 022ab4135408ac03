"""Static probes of processes: what is counted and shown is what a small program has really passed."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from pathlib import Path

import pytest

from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.sources import Sources
from tests.build.called import NOTES, TALK, built, called
from tests.kernel import command
from tests.kernel.probing import named, probing, read, until, with_all, without_cookies, without_multi

PROBES = (
    TALK
    + NOTES
    + r"""
__attribute__((section(".probes"), used)) unsigned short guard;
int table[4] __attribute__((used)) = {10, -11, 12, -13};
long words[3] __attribute__((used)) = {1, 2, 0x1112131415161718};

#ifdef __x86_64__
#define ONE "-4@$-1"
#define TWO(number) NOTE("0", "made", "twice", "8@%%rax", "a"(number))
static void forms(void)
{
    long stack;
    __asm__ volatile("mov %%rsp, %0" : "=r"(stack) : : "memory");
    NOTE("0", "made", "forms", FORMS, "a"(0x1122334455668081), "b"(table + 1), "c"(2L), "D"(stack));
}
#else
#define ONE "-4@-1"
#define TWO(number) do { \
    register long nine __asm__("x9") = number; \
    NOTE("0", "made", "twice", "8@x9", "r"(nine)); \
} while (0)
static void forms(void)
{
    register long stack __asm__("x5");
    __asm__ volatile("mov %0, sp" : "=r"(stack) : : "memory");
    register long number __asm__("x0") = 0x1122334455668081;
    register int *second __asm__("x1") = table + 1;
    register long two __asm__("x2") = 2;
    register long one_less __asm__("x3") = 0x12345678ffffffff;
    register long page __asm__("x4") = (long)table & ~0xfffL;
    register long *longs __asm__("x6") = words;
    register long last __asm__("x28") = 28;
    NOTE("0", "made", "forms", FORMS, "r"(stack), "r"(number), "r"(second), "r"(two), "r"(one_less), "r"(page),
        "r"(longs), "r"(last));
}
#endif
__attribute__((noinline)) static void plain(long number, const char *text, short small)
{
    volatile long kept = 3 * number;
    NOTE("0", "made", "plain", "-8@%[number] 8@%[text] -2@%[small] -8@%[kept]",
        [number] "nor"(number), [text] "nor"(text), [small] "r"(small), [kept] "m"(kept));
}
void does(const char *what, long count)
{
    for (long number = 0; number < count; number++) {
        if (!strcmp(what, "plain")) plain(-number, "some text", -number);
        if (!strcmp(what, "forms")) forms();
        if (!strcmp(what, "bare")) NOTE("0", "other", "bare", "", "i"(0));
        if (!strcmp(what, "one")) NOTE("0", "made", "twice", ONE, "i"(0));
        if (!strcmp(what, "two")) TWO(number);
        if (!strcmp(what, "guarded") && guard) NOTE("guard", "made", "guarded", "", "i"(0));
        if (!strcmp(what, "tell")) NOTE("0", "made", "tell", "2@%w[guard]", [guard] "r"((int)guard));
    }
}
"""
)

#: Operands, and what they are where rax is 0x1122334455668081, rbx points to the second of four numbers, and rcx is 2.
X86 = {
    "8@%rax": 0x1122334455668081,
    "4@%eax": 0x55668081,
    "-4@%eax": 0x55668081,
    "2@%ax": 0x8081,
    "-2@%ax": 0x8081 - 0x10000,
    "1@%al": 0x81,
    "-1@%al": 0x81 - 0x100,
    "1@%ah": 0x80,
    "-4@$-1": -1,
    "4@$-1": 0xFFFFFFFF,
    "8@$0x123456789abc": 0x123456789ABC,
    "-4@(%rbx)": -11,
    "-4@-4(%rbx)": 10,
    "-4@(%rbx,%rcx,4)": -13,
    "-4@-8(%rbx,%rcx,4)": -11,
    "-4@table+4(%rip)": -11,
    "-4@table(%rip)": 10,
    "-4@table(,%rcx,4)": 12,
    "4@%xmm0": None,
    "8f@%rax": None,
    "-4@%fs:16": None,
}
#: The same in x0, x1, and x2; w3 is -1, x4 points to the page of the numbers, x6 to longer ones, and x28 is 28.
ARM64 = {
    "8@x0": 0x1122334455668081,
    "4@w0": 0x55668081,
    "-4@w0": 0x55668081,
    "2@w0": 0x8081,
    "-2@w0": 0x8081 - 0x10000,
    "1@w0": 0x81,
    "-1@w0": 0x81 - 0x100,
    "8@x28": 28,
    "8@xzr": 0,
    "-4@5": 5,
    "-4@-1": -1,
    "4@-1": 0xFFFFFFFF,
    "8@0x123456789abc": 0x123456789ABC,
    "-4@[x1]": -11,
    "-4@[x1, 4]": 12,
    "-4@[x1, -4]": 10,
    "-4@[x1, #8]": -13,
    "2@[x1, x2]": 0xFFFF,
    "-4@[x1, x2, lsl 2]": -13,
    "8@[x6, x2, lsl 3]": 0x1112131415161718,
    "-4@[x1, w2, uxtw 2]": -13,
    "-4@[x1, w3, sxtw 2]": 10,
    "-4@[x4, #:lo12:table]": 10,
    "-4@[x4, #:lo12:table+4]": -11,
    "4@s0": None,
    "8f@d0": None,
    "8@[w1]": None,
}
#: Known operands of this machine, one that cannot be read, the end of its stack, a copy of that, and ONE and TWO.
FORMS, UNREADABLE, STACK, COPY, TWICE = {
    "x86_64": (X86, "4@%xmm0", "8@%rsp", "8@%rdi", ["-4@$-1", "8@%rax"]),
    "aarch64": (ARM64, "4@s0", "8@sp", "8@x5", ["-4@-1", "8@x9"]),
}[platform.machine()]
OPERANDS = [*FORMS, STACK, COPY]


@pytest.fixture(scope="module")
def path():
    text = " ".join(OPERANDS).replace("%", "%%")
    return built("probes", PROBES, f'-DFORMS="{text}"')


@pytest.fixture
def process(path):
    with called(path) as process:
        yield process


LADDER = pytest.mark.parametrize("lack", [with_all, without_multi, without_cookies])


@LADDER
def test_counts_are_exact(path, process, monkeypatch, lack):
    """By each step of the ladder; a probe at two places is one, also where a program for each reads it."""
    lack(monkeypatch)
    by_probe, by_value = Count(), Count(("probe", "arg0"))
    with (
        probing(by_probe, f"usdt:{path}:made:*", f"usdt:{path}:bare"),
        probing(by_value, f"usdt:{path}:made:twice"),
    ):
        process.does("plain", 100)
        process.does("bare", 7)
        process.does("one", 3)
        process.does("two", 2)

        assert {row.values[0]: row.hits for row in by_probe.rows() if row.hits} == {
            f"usdt:{path}:made:plain": 100,
            f"usdt:{path}:other:bare": 7,
            f"usdt:{path}:made:twice": 5,
        }
        name = f"usdt:{path}:made:twice"
        assert {row.values: row.hits for row in by_value.rows()} == {(name, -1): 3, (name, 0): 1, (name, 1): 1}


def test_arguments(path, process):
    hits = Trace()
    with probing(hits, f"usdt:{path}:made:plain") as run, hits.reader() as reader:
        process.does("plain", 3)
        run.stop()
        rows = named(read(hits, reader, 3))

    assert [row["args.arg0"] for row in rows] == [0, -1, -2]
    assert [row["args.arg2"] for row in rows] == [0, -1, -2]
    assert [row["args.arg3"] for row in rows] == [0, -3, -6]
    assert {(row["pid"], row["comm"]) for row in rows} == {(process.pid, "probes")}


def test_strings_that_arguments_point_to(path, process):
    counts = Count(("str1",))
    with probing(counts, f"usdt:{path}:made:plain", where="args.str1 == 'some text' && args.arg0 < -3"):
        process.does("plain", 10)

        assert [(row.values, row.hits) for row in counts.rows()] == [(("some text",), 6)]


def test_every_form_of_operand(path, process):
    hits = Trace()
    with probing(hits, f"usdt:{path}:made:forms") as run, hits.reader() as reader:
        process.does("forms", 1)
        run.stop()
        (row,) = named(read(hits, reader, 1))

    values = (value for name, value in row.items() if name.startswith("args."))
    told = dict(zip(OPERANDS, values, strict=True))
    assert {form: told[form] for form in FORMS} == FORMS
    assert told[STACK] == told[COPY] > 0


def test_what_cannot_be_read_is_refused_only_where_it_is_asked_for(path):
    number = OPERANDS.index(UNREADABLE)
    with (
        pytest.raises(UsageError, match=f"--where: arg{number} is no number"),
        probing(Count(), f"usdt:{path}:made:forms", where=f"arg{number} == 1"),
    ):
        pass


@LADDER
def test_semaphores_go_up_and_back(path, process, monkeypatch, lack):
    """The kernel adds one for a place, however many listen there, and takes it away with the last of them."""
    lack(monkeypatch)
    counts, told = Count(), Count(("arg0",))
    with probing(told, f"usdt:{path}:tell"):
        process.does("tell")
        with probing(counts, f"usdt:{path}:guarded") as run:
            process.does("guarded", 5)
            process.does("tell", 10)
            with probing(Count(), f"usdt:{path}:guarded"):
                process.does("tell", 100)
            process.does("tell", 1000)
            with called(path) as later:
                later.does("guarded", 4)
            run.stop()
            process.does("guarded", 50)
            process.does("tell", 10000)
            assert [row.hits for row in counts.rows()] == [9]

        assert {row.values[0]: row.hits for row in told.rows()} == {0: 10001, 1: 1110}


def test_a_killed_bpfctl_leaves_no_semaphore_up(path, process):
    told = Count(("arg0",))

    def asked():
        """Return what the program finds in its semaphore."""
        before = {row.values[0]: row.hits for row in told.rows()}
        process.does("tell")
        return next(row.values[0] for row in told.rows() if row.hits > before.get(row.values[0], 0))

    with probing(told, f"usdt:{path}:tell"):
        with command.running("probe", "count", f"usdt:{path}:guarded") as counting:
            assert until(lambda: asked() == 1)
            counting.kill()
        assert until(lambda: asked() == 0)


PYTHON = Path("/usr/bin/python3").resolve()  # Debian's has static probes


def test_the_probes_of_python():
    """Of a process that runs already, which asks by semaphores whether anybody listens."""
    audits, collections = Count(("str0",)), Count(("arg0",))
    code = """
import gc, sys
gc.disable()
for line in sys.stdin:
    for number in range(20):
        sys.audit("bpfctl.asked")
        gc.collect(number % 2)
"""
    with subprocess.Popen([PYTHON, "-I", "-S", "-c", code], stdin=subprocess.PIPE, text=True) as process:
        # it may still import something, which collects and audits too
        ours = f"pid == {process.pid} &&"
        with (
            probing(audits, f"usdt:{PYTHON}:python:audit", where=f"{ours} str0 == 'bpfctl.asked'"),
            probing(collections, f"usdt:{PYTHON}:gc__start", where=f"{ours} arg0 == 1"),
        ):
            process.communicate("go\n")

            assert [(row.values, row.hits) for row in collections.rows()] == [((1,), 10)]
            assert [(row.values, row.hits) for row in audits.rows()] == [(("bpfctl.asked",), 20)]


@pytest.mark.parametrize(
    ("spec", "kind", "why"),
    [
        ("usdt:{}:made:plane", NotFound, "there is no probe of {} named 'made:plane', did you mean 'made:plain'?"),
        ("usdt:{}:plane", NotFound, "there is no probe of {} named 'plane', did you mean 'plain'?"),
        ("usdt:{}:other:p*", NotFound, "no probe of {} matches 'other:p*'"),
        ("usdt:plain", UsageError, "'usdt:plain' should be usdt:FILE:PROVIDER:NAME"),
        ("usdt:c:made:plain", NotFound, "libc.so.6 has no static probes"),
    ],
)
def test_mistakes(path, spec, kind, why):
    with pytest.raises(kind, match=re.escape(why.format(path))):
        Sources().resolve([spec.format(path)])


def test_the_list_and_a_field_that_is_not_there(path):
    told = command.run("probe", "list", f"usdt:{path}:made:*").stdout

    names = ("forms", "guarded", "plain", "tell", "twice")
    assert told.split() == [f"usdt:{path}:made:{name}" for name in names]
    with (
        pytest.raises(NotFound, match="plain has no field 'arg7'"),
        probing(Count(("arg7",)), f"usdt:{path}:made:plain"),
    ):
        pass


def test_show_tells_where_it_is(path):
    specs = [f"usdt:{path}:{name}" for name in ("guarded", "twice", "plain")]
    guarded, twice, plain = json.loads(command.run("-j", "probe", "show", *specs).stdout)
    told = subprocess.run(["readelf", "-nW", path], capture_output=True, text=True, check=True).stdout
    addresses = {
        match[1]: tuple(int(number, 16) for number in match.groups()[1:])
        for match in re.finditer(r"Name: (\w+)\s+Location: (\w+), Base: \w+, Semaphore: (\w+)", told)
    }

    (place,) = guarded["locations"]
    assert (place["address"], place["semaphore"]) == addresses["guarded"]
    assert [place["arguments"] for place in twice["locations"]] == TWICE
    assert twice["locations"][-1]["address"] == addresses["twice"][0]
    assert "sp" in plain["locations"][0]["arguments"]  # the last one, wherever the compiler has it on the stack


def test_rounds_leave_nothing(path):
    for _ in range(30):
        with probing(Count(("arg0",)), f"usdt:{path}:made:twice", f"usdt:{path}:made:plain"):
            pass
