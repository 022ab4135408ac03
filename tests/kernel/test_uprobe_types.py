"""Arguments of functions by their names and types, where the file or its debug file has them."""

from __future__ import annotations

import gc
import subprocess

import pytest

from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.sources import Sources
from tests.build.called import TALK, built, called
from tests.kernel.probing import named, probing, read

TYPES = (
    TALK
    + r"""
#include <stdbool.h>
enum color { RED, GREEN = 5, DARK = -3 };
struct place { int line; unsigned wide : 3, high : 5; char text[8]; };
struct node {
    struct node *next;
    const char *label;
    struct place place;
    long grid[2][3];
    union { int whole; short half; };
};
typedef struct node node_t;
struct large { long a[4]; };
struct small { long a; };
#define KEPT __attribute__((noinline, noclone))
KEPT int first(
    int count, const char *name, const node_t *node, enum color color, bool is_so, double ratio, unsigned char byte)
{
    __asm__ volatile("" : : "r"(count), "r"(name), "r"(node), "r"(color), "r"(is_so), "x"(ratio), "r"(byte) : "memory");
    return -count;
}
KEPT struct large large(int number) { struct large made = {{number}}; __asm__ volatile(""); return made; }
KEPT long passed(short before, struct small small, int after) { __asm__ volatile(""); return before + small.a + after; }
KEPT node_t *found(node_t *node) { __asm__ volatile(""); return node->next; }
KEPT const char *label(node_t *node) { __asm__ volatile(""); return node->label; }
KEPT void nothing(void) { __asm__ volatile(""); }
KEPT double real(double a, int b) { __asm__ volatile(""); return a + b; }
KEPT enum color chosen(bool is_dark) { __asm__ volatile(""); return is_dark ? DARK : GREEN; }
KEPT int sister(int count, const char *name) { __asm__ volatile(""); return count - !name; }
KEPT long many(
    char a, long b, short c, long d, long e, int f, long g, long h,
    int i, const char *j, signed char k, float l, long m)
{
    __asm__ volatile("");
    return a + b + c + d + e + f + g + h + i + !j + k + l + m;
}
KEPT int twin(int count, const char *name) { __asm__ volatile(""); return count + !name; }
void does(const char *what, long count)
{
    static node_t last = {0, "last", {70, 5, 17, "deep"}, {{0}}, {.whole = 0x70008}};
    static node_t node = {&last, "one", {7, 2, 31, "text"}, {{1, 2, 3}, {4, 5, 6}}, {.whole = -1}};
    for (long number = 0; number < count; number++) {
        first(-number, "a name", &node, DARK, number > 0, 1.5, 0x1ff & 0xfe);
        large(number + 40);
        passed(-2, (struct small){9}, 7);
        found(&node);
        label(&node);
        nothing();
        real(1.5, 3 + number);
        chosen(number > 0);
        twin(number, "twin");
        sister(number, "sister");
        many(1, 2, 3, 4, 5, 6, 7, -8, -9, "ten", -11, 12.5, 13);
    }
}
"""
)
DEBUG = ["-gdwarf-4", "-gdwarf-5", "-gdwarf-2", "-gdwarf-5 -gz", "-g -flto"]


@pytest.fixture(scope="module")
def path():
    return built("typed", TYPES, "-g")


def traced(path, spec, *fields, count=2):
    """Return what is read of so many hits, one dictionary for each."""
    hits = Trace(fields)
    with called(path) as process, probing(hits, spec) as run, hits.reader() as reader:
        process.does("all", count)
        run.stop()
        return named(read(hits, reader, count))


@pytest.mark.parametrize("options", DEBUG)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_arguments_by_name(options, compiler):
    """By each version of the format and each compiler."""
    if compiler == "clang" and "lto" in options:
        options = "-g -fdebug-types-section"
    path = built(f"typed-{compiler}{options.replace(' ', '')}", TYPES, *options.split(), compiler=compiler)
    rows = traced(path, f"uprobe:{path}:first", "count", "name", "color", "is_so", "ratio", "byte", "node->label")

    assert [list(row.values()) for row in rows] == [
        [0, "a name", -3, 0, None, 0xFE, "one"],
        [-1, "a name", -3, 1, None, 0xFE, "one"],
    ]


def test_what_pointers_lead_to(path):
    paths = {
        "node->next->label": "last",
        "node->place.line": 7,
        "node->place.wide": 2,
        "node->place.high": 31,
        "node->place.text": "text",
        "node->next->place.text": "deep",
        "node->grid[1][2]": 6,
        "node->whole": -1,
        "node->next->half": 8,
        "node->next->next->place.line": 0,
    }
    (row,) = traced(path, f"uprobe:{path}:first", *paths, count=1)

    assert row == paths


def test_a_trace_shows_them_where_nothing_else_is_said(path):
    (row,) = traced(path, f"uprobe:{path}:first", count=1)

    assert [name for name in row if name.startswith("args.")] == [
        f"args.{name}" for name in ("count", "name", "node", "color", "is_so", "ratio", "byte")
    ]
    assert (row["args.count"], row["args.name"], row["args.ratio"]) == (0, "a name", None)


def test_registers_still_have_their_numbers(path):
    (row,) = traced(path, f"uprobe:{path}:first", "arg0", "str1", "name", count=1)

    assert row == {"arg0": 0, "str1": "a name", "name": "a name"}


def test_arguments_that_registers_have_no_room_for(path):
    (row,) = traced(path, f"uprobe:{path}:many", *"abcdefghijklm", count=1)

    assert list(row.values()) == [1, 2, 3, 4, 5, 6, 7, -8, -9, "ten", -11, None, 13]


def test_a_large_structure_is_returned_by_an_address_that_comes_first(path):
    assert [row["number"] for row in traced(path, f"uprobe:{path}:large", "number")] == [40, 41]


def test_what_comes_after_a_structure_is_not_guessed(path):
    fields = [field.name for field in _fields(f"uprobe:{path}:passed")]

    assert fields == ["before"]
    assert [row["before"] for row in traced(path, f"uprobe:{path}:passed", "before", count=1)] == [-2]


def _fields(spec):
    sources = Sources()
    (point,) = sources.resolve([spec])
    return sources.of(point.kind).fields(point)


def test_numbers_after_floating_ones(path):
    """Those have registers of their own."""
    assert [row["b"] for row in traced(path, f"uprobe:{path}:real", "a", "b")] == [3, 4]


@pytest.mark.parametrize(
    ("function", "field", "told", "values"),
    [
        ("first", "retval", "int", [0, 1]),
        ("found", "retval->label", "const char *", ["last", "last"]),
        ("label", "retstr", "char *", ["one", "one"]),
        ("chosen", "retval", "enum color", [5, -3]),
        ("real", "retval", "double", [None, None]),
    ],
)
def test_what_is_returned(path, function, field, told, values):
    assert [row[field] for row in traced(path, f"uretprobe:{path}:{function}", field)] == values
    if field == "retval":
        assert [(one.name, one.told) for one in _fields(f"uretprobe:{path}:{function}")] == [(field, told)]


def test_nothing_is_returned_but_the_register_is_there(path):
    assert [one.told for one in _fields(f"uretprobe:{path}:nothing")] == ["long"]


def test_names_of_values_in_conditions_and_counts(path):
    counts = Count(("name", "count"))
    where = "args.count < 0 && args.name == 'a name' && node->place.high == 31"
    with called(path) as process, probing(counts, f"uprobe:{path}:first", where=where):
        process.does("all", 4)

        assert {row.values: row.hits for row in counts.rows()} == {("a name", -each): 1 for each in (1, 2, 3)}


def test_functions_that_are_called_alike_share_a_program(path):
    counts = Count(("name", "probe"))
    specs = [f"uprobe:{path}:{name}" for name in ("twin", "first", "sister")]
    with called(path) as process, probing(counts, *specs) as run:
        process.does("all", 3)

        assert {row.values: row.hits for row in counts.rows()} == {
            ("twin", specs[0]): 3,
            ("a name", specs[1]): 3,
            ("sister", specs[2]): 3,
        }
        served = [1, 2] if has_cookies() else [1, 1, 1]  # a program learns where it is from its cookie
        assert sorted(len(program.group.points) for program in run.made) == served


CLASSES = (
    TALK.replace("static void does", 'extern "C" void does')
    + r"""
namespace names {
struct Base { int kept = 11; };
struct Counter : Base {
    long sum = 0;
    static int all;
    __attribute__((noinline)) void add(int &by, const char *why) { __asm__ volatile(""); sum += by + !why; all++; }
};
int Counter::all;
}
extern "C" void does(const char *, long count)
{
    names::Counter counter;
    for (int number = 1; number <= count; number++) counter.add(number, "because");
}
"""
)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_methods_of_c_plus_plus(compiler):
    path = built(f"methods-{compiler}", CLASSES, "-g", language="c++", compiler=compiler)
    rows = traced(path, f"uprobe:{path}:names::Counter::add", "why", "this->sum", "this->kept")

    assert [list(row.values()) for row in rows] == [["because", 0, 11], ["because", 1, 11]]
    assert [one.told for one in _fields(f"uprobe:{path}:names::Counter::add")][1:] == ["int *", "const char *"]


def test_types_in_a_debug_file(path, tmp_path):
    """Beside a stripped program, which it belongs to."""
    stripped, symbols = tmp_path / "stripped", tmp_path / "stripped.debug"
    subprocess.run(["objcopy", "--only-keep-debug", "--compress-debug-sections", path, symbols], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={symbols}", path, stripped], check=True)

    assert [row["count"] for row in traced(stripped, f"uprobe:{stripped}:first", "count")] == [0, -1]
    symbols.unlink()
    gc.collect()  # what is known of the file is known as long as anybody holds it
    with pytest.raises(NotFound, match="is stripped"):
        _fields(f"uprobe:{stripped}:first")


def test_slips(path):
    with (
        pytest.raises(NotFound, match="has no field 'cuont', did you mean 'count'"),
        probing(Count(("cuont",)), f"uprobe:{path}:first"),
    ):
        pass
    with (
        pytest.raises(NotFound, match="node->lable"),
        probing(Count(("node->lable",)), f"uprobe:{path}:first"),
    ):
        pass
    with (
        pytest.raises((NotFound, UsageError), match="count is no pointer, but int"),
        probing(Count(("count->x",)), f"uprobe:{path}:first"),
    ):
        pass
