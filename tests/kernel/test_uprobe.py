"""Functions of processes: what is counted and shown is what a small program has really called."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from contextlib import suppress

import pytest

from bpfctl.attach.uprobe import is_probeable
from bpfctl.elf.binary import Binary
from bpfctl.elf.image import EM_AARCH64
from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from tests.build.called import TALK, built, called
from tests.kernel import command
from tests.kernel.facts import Facts
from tests.kernel.probing import named, probing, read, with_all, without_cookies, without_multi

CALLS = (
    TALK
    + r"""
#define KEPT __attribute__((noinline, noclone))
KEPT long first(long a, const char *b, unsigned c, long d, long e, long f, long g, long h)
{
    __asm__ volatile("");
    return a + c + d + e + f + g + h + (b != 0);
}
KEPT int second(int a) { __asm__ volatile(""); return -a; }
KEPT const char *third(const char *a) { __asm__ volatile(""); return a + 1; }
KEPT int step(int a) { __asm__ volatile("nop; .globl inside; inside: nop"); return a; }
#ifdef __x86_64__
__asm__(".globl refused; .type refused, @function; refused: lock addl $0, (%rsp); ret; .size refused, . - refused");
__asm__(".globl wide; .type wide, @function; wide: mov $1, %eax; ret; .size wide, . - wide");
#else
__asm__(".globl refused; .type refused, %function; refused: ldxr x0, [sp]; ret; .size refused, . - refused");
__asm__(".globl wide; .type wide, %function; wide: mov x0, 1; ret; .size wide, . - wide");
#endif
void does(const char *what, long count)
{
    for (long number = 0; number < count; number++) {
        if (!strcmp(what, "first")) first(number, "hello", 7, -1, 0x1234567890, 5, 6, 0x7654321);
        if (!strcmp(what, "second")) second(number);
        if (!strcmp(what, "third")) third("xreturned");
        if (!strcmp(what, "step")) step(number);
    }
}
"""
)


MACHINE = platform.machine()
#: The arguments that are in registers, behind the first three.
ARGUMENTS = (2**64 - 1, 0x1234567890, 5, 6, 0x7654321)[: {"x86_64": 3, "aarch64": 5}[MACHINE]]


@pytest.fixture(scope="module")
def path():
    return built("calls", CALLS)


@pytest.fixture
def process(path):
    with called(path) as process:
        yield process


LACKS = [with_all, without_multi, without_cookies]


def way(lack):
    """Return how functions of processes are attached to where this kernel lacks something besides."""
    has = Facts("").has
    at_most = 0 if has("func:bpf_uprobe_multi_link_attach") else 1 if has("func:bpf_get_attach_cookie_trace") else 2
    return ("multi-uprobe link", "perf events", "perf event")[max(at_most, LACKS.index(lack))]


@pytest.mark.parametrize("lack", LACKS)
def test_counts_are_exact(path, process, monkeypatch, lack):
    """By each step of the ladder, of three functions at once."""
    ways = [way(lack)] if way(lack) != "perf event" else ["perf event"] * 3
    lack(monkeypatch)
    counts = Count()
    specs = [f"uprobe:{path}:{name}" for name in ("first", "second", "third")]
    with probing(counts, *specs) as run:
        process.does("first", 1000)
        process.does("third", 10)
        process.does("second", 100)
        run.stop()
        process.does("first", 5)

        assert {row.values[0]: row.hits for row in counts.rows()} == dict(zip(specs, (1000, 100, 10), strict=True))
        assert [program.group.way for program in run.made] == ways


def test_arguments(path, process):
    hits = Trace()
    with probing(hits, f"uprobe:{path}:first") as run, hits.reader() as reader:
        process.does("first", 3)
        run.stop()
        found = read(hits, reader, 3)

    rows = named(found)
    assert [row["args.arg0"] for row in rows] == [0, 1, 2]
    assert {(row["pid"], row["comm"], row["args.arg2"]) for row in rows} == {(process.pid, "calls", 7)}
    names = [name for name in rows[0] if name.startswith("args.")]
    assert {tuple(row[name] for name in names[3:]) for row in rows} == {ARGUMENTS}
    assert names == [f"args.arg{number}" for number in range(3 + len(ARGUMENTS))]


def test_strings_that_arguments_point_to(path, process):
    counts = Count(("str1", "arg2"))
    with probing(counts, f"uprobe:{path}:first", where="args.arg0 >= 3 && args.str1 == 'hello'"):
        process.does("first", 10)

        assert [(row.values, row.hits) for row in counts.rows()] == [(("hello", 7), 7)]


def test_what_functions_return(path, process):
    numbers, strings = Count(("retval",)), Count(("retstr",))
    with (
        probing(numbers, f"uretprobe:{path}:second", where="args.retval & 0xffffffff != 0"),
        probing(strings, f"uretprobe:{path}:third"),
    ):
        process.does("second", 3)
        process.does("third", 4)

        assert {row.values[0] & 0xFFFFFFFF: row.hits for row in numbers.rows()} == {2**32 - 1: 1, 2**32 - 2: 1}
        assert {row.values: row.hits for row in strings.rows()} == {("returned",): 4}


def test_both_ends_of_functions_by_a_pattern(path, process):
    counts = Count()
    with probing(counts, f"uprobe:{path}:[ft]*ir*", f"uretprobe:{path}:[ft]*ir*"):
        process.does("first", 2)
        process.does("third", 3)

        assert {row.values[0].replace(str(path), ""): row.hits for row in counts.rows()} == {
            "uprobe::first": 2,
            "uprobe::third": 3,
            "uretprobe::first": 2,
            "uretprobe::third": 3,
        }


def test_offsets_and_addresses(path, process):
    told = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    symbols = {name: int(at, 16) for at, _, name in (line.split() for line in told.splitlines() if line[:1] != " ")}
    distance = symbols["inside"] - symbols["step"]
    counts = Count()
    with probing(counts, f"uprobe:{path}:step+{distance}", f"uprobe:{path}:{symbols['first']:#x}"):
        process.does("step", 6)
        process.does("first", 2)

        assert {row.values[0]: row.hits for row in counts.rows()} == {
            f"uprobe:{path}:step+{distance:#x}": 6,
            f"uprobe:{path}:{symbols['first']:#x}": 2,
        }


def test_show_tells_where_it_is(path):
    told = command.run("probe", "show", f"uprobe:{path}:first").stdout
    symbols = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    address = re.search(r"^0*(\w+) T first$", symbols, re.MULTILINE)[1]

    assert f"    at file {path}, address 0x{address}, offset 0x{address}\n" in told
    assert told.endswith(f"    can be attached: as {way(with_all).removesuffix('s')}\n")


def test_a_library_by_its_short_name(process):
    counts = Count()
    with probing(counts, "uprobe:c:puts", "uprobe:libc.so.6:puts", where=f"pid == {process.pid}"):
        process.does("nothing", 1)
        process.does("nothing", 1)

        ((values, hits),) = [(row.values, row.hits) for row in counts.rows()]
        assert re.fullmatch(r"uprobe:/.*/libc\.so\.6:puts", values[0])
        assert hits == 2


CLASSES = (
    TALK.replace("static void does", 'extern "C" void does')
    + r"""
namespace names {
struct Counter {
    int sum = 0;
    __attribute__((noinline)) void add(int a) { __asm__ volatile(""); sum += a; }
    __attribute__((noinline)) void add(long a) { __asm__ volatile(""); sum += a; }
};
}
extern "C" void does(const char *what, long count)
{
    names::Counter counter;
    for (long number = 0; number < count; number++) {
        if (!strcmp(what, "int")) counter.add(1);
        if (!strcmp(what, "long")) counter.add(1L);
    }
}
"""
)


def test_functions_of_c_plus_plus():
    """By their name without arguments: then those that differ in these alone are one probe."""
    path = built("classes", CLASSES, language="c++", compiler="g++")
    plain, mangled, pattern = Count(), Count(), Count()
    with (
        called(path) as process,
        probing(plain, f"uprobe:{path}:names::Counter::add"),
        probing(mangled, f"uprobe:{path}:_ZN5names7Counter3addEi"),
        probing(pattern, f"uprobe:{path}:names::*"),
    ):
        process.does("int", 3)
        process.does("long", 4)

        assert [(row.values, row.hits) for row in plain.rows()] == [((f"uprobe:{path}:names::Counter::add",), 7)]
        assert [row.hits for row in mangled.rows()] == [3]
        assert pattern.rows() == plain.rows()


def test_processes_that_start_later(path):
    counts = Count()
    with probing(counts, f"uprobe:{path}:second"):
        for number in (1, 2):
            with called(path) as process:
                process.does("second", number)

        assert [row.hits for row in counts.rows()] == [3]


@pytest.mark.parametrize(
    ("spec", "kind", "why"),
    [
        ("uprobe:{}:frist", NotFound, "there is no function of {} named 'frist', did you mean 'first'?"),
        ("uprobe:{}:nothing*", NotFound, "no function of {} matches 'nothing*'"),
        ("uprobe:{}:first+5000", UsageError, "'first+0x1388' lies behind the function's end"),
        ("uprobe:{}:wide+1", UsageError, "'wide+0x1' is in the middle of an instruction: they begin at +0x0 and +0x"),
        ("uprobe:{}:0x10", NotFound, "{} has no code at 0x10"),
        ("uretprobe:{}:first+4", UsageError, "a function returns as a whole"),
        ("uprobe:first", UsageError, "'uprobe:first' should be uprobe:FILE:FUNCTION"),
        ("uprobe:/nonexistent:x", NotFound, "'/nonexistent' is not there"),
        ("uprobe:/etc:x", NotFound, "'/etc' is a folder"),
        ("uprobe:nosuchlibrary:x", NotFound, "there is no executable and no library 'nosuchlibrary'"),
        ("uprobe:c:malloc+010", NotFound, "named 'malloc+010', did you mean 'malloc'?"),
        ("uprobe:c:strlen", NotFound, "each process chooses one for its CPU when it starts (IFUNC)"),
        ("uprobe:c:getpid@GLIBC_9", NotFound, "has no such version, but GLIBC_2."),
    ],
)
def test_mistakes(path, spec, kind, why):
    with pytest.raises(kind, match=re.escape(why.format(path))):
        Sources().resolve([spec.format(path)])


@pytest.mark.parametrize("lack", [with_all, without_multi])
def test_what_the_kernel_cannot_probe(path, process, monkeypatch, lack):
    """An instruction that it refuses is named, and spoils no pattern."""
    lack(monkeypatch)
    process.does("second")  # the kernel looks at an instruction only where a process has mapped it
    why = re.escape(f"the kernel cannot probe the instruction at {path}+0x")
    for names in (["refused"], ["first", "second", "refused", "third"]):
        with pytest.raises(NotFound, match=why), probing(Count(), *(f"uprobe:{path}:{name}" for name in names)):
            pass
    assert [point.target for point in Sources().resolve([f"uprobe:{path}:[rt]*d"])] == [f"{path}:third"]
    with pytest.raises(NotFound, match=r"the kernel can probe no function of .* that matches 'refus"):
        Sources().resolve([f"uprobe:{path}:refus*"])


#: Instructions of arm64, as its manual writes them, of those kinds that the kernel executes elsewhere, does itself, or
#: refuses.
INSTRUCTIONS = (
    *("stp x29, x30, [sp, #-16]!", "nop", "hint #7", "hint #25", "hint #29", "hint #34", "yield", "dmb ish"),
    *(
        "mrs x0, tpidr_el0",
        "mrs x0, daif",
        "msr tpidr_el0, x0",
        "svc #0",
        "brk #0",
        "adrp x0, table",
        "bl does",
        "b.eq .+8",
    ),
    *("cbz x0, .+8", "tbz x0, #1, .+8", "br x16", "blr x16", "ret", ".inst 0xd65f0bff", ".inst 0xd71f0a11"),
    *("ldr x0, .+8", "ldrsw x0, .+8", "prfm pldl1keep, .+8", "ldxr x1, [x0]", "stxr w2, x1, [x0]", "ldar x1, [x0]"),
    *(".inst 0xf8e10000", ".inst 0x19010440"),
)


@pytest.mark.skipif(MACHINE != "aarch64", reason="the instructions are those of arm64")
def test_what_is_known_of_instructions_is_what_the_kernel_says():
    lines = (
        f'__asm__(".globl insn{number}; .type insn{number}, %function; .balign 4; insn{number}: {insn}; ret;'
        f' .size insn{number}, . - insn{number}");'
        for number, insn in enumerate(INSTRUCTIONS)
    )
    source = TALK.replace("static void does", "void does") + "\n".join(lines)
    path = built("instructions", f"{source}\nint table[4]; void does(const char *what, long count) {{}}")
    binary = Binary.find(str(path))
    code = {one.name: binary.image.code(one.address, 4) for one in binary.functions if one.name.startswith("insn")}
    known = [is_probeable(code[f"insn{number}"], EM_AARCH64) for number in range(len(INSTRUCTIONS))]

    def probed(number):
        with suppress(NotFound), probing(Count(), f"uprobe:{path}:insn{number}"):
            return True
        return False

    with called(path):
        found = [probed(number) for number in range(len(INSTRUCTIONS))]
        (address,) = (one.address for one in binary.functions if one.name == "insn0")
        with pytest.raises(NotFound, match="multiples of 4"), probing(Count(), f"uprobe:{path}:{address + 2:#x}"):
            pass
    assert dict(zip(INSTRUCTIONS, found, strict=True)) == dict(zip(INSTRUCTIONS, known, strict=True))
    assert {True, False} == set(known)


def test_every_function_of_the_c_library(process):
    """But for those that it cannot probe; a thousand and more at once."""
    counts = Count()
    with probing(counts, "uprobe:c:*", where=f"pid == {process.pid}") as run:
        process.does("nothing", 1)
        run.stop()
        found = {row.values[0].rpartition(":")[2]: row.hits for row in counts.rows() if row.hits}

        points = sum(len(program.group.points) for program in run.made)
        assert points > 1000
        assert len(run.made) == (points if way(with_all) == "perf event" else 1)
    assert found["puts"] == 1


@pytest.mark.parametrize("lack", [with_all, without_multi])
def test_a_file_that_is_replaced_meanwhile(path, tmp_path, monkeypatch, lack):
    """What was looked up in the old one is not put into the new one."""
    lack(monkeypatch)
    library, other = tmp_path / "library", tmp_path / "other"
    shutil.copy(path, library)
    shutil.copy(path, other)
    sources = Sources()
    points = sources.resolve([f"uprobe:{library}:first"])
    other.rename(library)

    with Count() as counts, pytest.raises(NotFound, match="was replaced while its functions were looked up"):
        Probing(sources, Wanted(points), counts)


def test_a_script_is_no_binary(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")

    with pytest.raises(Exception, match="a script, no ELF file"):
        Sources().resolve([f"uprobe:{script}:main"])


def test_rounds_leave_nothing(path):
    for _ in range(30):
        with probing(Count(), f"uprobe:{path}:first", f"uretprobe:{path}:*ir*"):
            pass
