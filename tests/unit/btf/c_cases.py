"""BTFs of one feature of C each, and the definitions that stand for them; tests/bpftool asks bpftool about the same."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, NamedTuple

from btf import types
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable


class Case(NamedTuple):
    """A BTF, and what `header` says of it between its first and its last lines, in order of ids."""

    data: bytes
    text: str


CASES: dict[str, Case] = {}


class Types(Builder):
    """A builder that begins with the numbers that everything is made of."""

    def __init__(self, *, long: int = 8, **options) -> None:
        super().__init__(**options)
        self.int = self.add_int("int", 4, encoding=types.SIGNED)
        self.char = self.add_int("char", 1, encoding=types.SIGNED)
        self.short = self.add_int("short", 2, encoding=types.SIGNED)
        self.long = self.add_int("long", long, encoding=types.SIGNED)

    def function(self, result, *params):
        """Add a pointer to a function whose parameters have no names."""
        return self.add_ptr(self.add_func_proto(result, [("", param) for param in params]))


def case(text: str, **options) -> Callable[[Callable[[Types], object]], None]:
    """Enter what a function builds as a case."""

    def enter(build: Callable[[Types], object]) -> None:
        builder = Types(**options)
        build(builder)
        CASES[build.__name__] = Case(builder.build(), dedent(text).removeprefix("\n"))

    return enter


@case("""
    struct point {
    \tint x;
    \tint y;
    };

    """)
def struct(b):
    b.add_struct("point", 8, [("x", b.int), ("y", b.int, 32)])


@case("""
    typedef  alias;

    struct a {
    \tint x;
    };

    """)
def number_without_name(b):
    """Sorted it is the very first, which bpftool leaves out, and not what is called after it."""
    b.add_ptr(b.add_typedef("alias", b.add_int("", 4)))
    b.add_struct("a", 4, [("x", b.int)])


@case(
    """
    union u {
    \tint i;
    \tchar bytes[4];
    };

    """,
    byteorder="big",
)
def union_big_endian(b):
    b.add_union("u", 4, [("i", b.int), ("bytes", b.add_array(b.char, b.int, 4))])


@case("""
    struct nothing {};

    struct opaque {
    \tlong: 64;
    \tint: 32;
    };

    """)
def structs_without_members(b):
    b.add_struct("nothing", 0, [])
    b.add_struct("opaque", 12, [])


@case("""
    struct inner {
    \tint i;
    };

    struct outer {
    \tstruct inner in;
    };

    """)
def what_is_contained_comes_first(b):
    b.add_struct("outer", 4, [("in", b.next_id + 1)])
    b.add_struct("inner", 4, [("i", b.int)])


@case("""
    struct b;

    struct a {
    \tstruct b *b;
    \tstruct a *self;
    };

    struct b {
    \tstruct a *a;
    };

    """)
def pointers_to_each_other(b):
    b.add_struct("a", 16, [("b", b.next_id + 1), ("self", b.next_id + 3, 64)])
    b.add_ptr(b.next_id + 1)
    b.add_struct("b", 8, [("a", b.next_id + 1)])
    b.add_ptr(5)


@case("""
    struct fwd_s;

    union fwd_u;

    struct both {
    \tstruct fwd_s *s;
    \tunion fwd_u *u;
    };

    """)
def declared_only(b):
    s = b.add_ptr(b.add_fwd("fwd_s"))
    b.add_struct("both", 16, [("s", s), ("u", b.add_ptr(b.add_fwd("fwd_u", union=True)), 64)])


@case("""
    struct bits {
    \tint a: 3;
    \tint b: 5;
    \tshort: 8;
    \tchar c: 1;
    \tchar: 7;
    \tint d: 1;
    \tlong e;
    \tint f: 32;
    };

    """)
def bitfields(b):
    members = [("a", b.int, 0, 3), ("b", b.int, 3, 5), ("c", b.char, 16, 1), ("d", b.int, 24, 1), ("e", b.long, 64)]
    b.add_struct("bits", 24, [*members, ("f", b.int, 128, 32)])


@case("""
    struct packed {
    \tchar c;
    \tint i;
    } __attribute__((packed));

    struct short_one {
    \tint i;
    \tchar c;
    } __attribute__((packed));

    struct holder {
    \tchar c;
    \tstruct packed p;
    };

    """)
def packed(b):
    packed = b.add_struct("packed", 5, [("c", b.char), ("i", b.int, 8)])
    b.add_struct("short_one", 5, [("i", b.int), ("c", b.char, 32)])
    b.add_struct("holder", 6, [("c", b.char), ("p", packed, 8)])


@case("""
    struct aligned {
    \tchar c;
    \tlong: 64;
    \tint: 32;
    \tint i;
    \tlong: 64;
    };

    struct natural {
    \tchar c;
    \tlong l;
    };

    """)
def holes(b):
    b.add_struct("aligned", 32, [("c", b.char), ("i", b.int, 160)])
    b.add_struct("natural", 16, [("c", b.char), ("l", b.long, 64)])


@case("""
    struct small_hole {
    \tchar c;
    \tlong: 0;
    \tchar d;
    \tlong: 0;
    };

    """)
def holes_that_alignment_would_not_leave(b):
    b.add_struct("small_hole", 16, [("c", b.char), ("d", b.char, 64)])


@case("""
    struct nest {
    \tint a;
    \tunion {
    \t\tint b;
    \t\tstruct {
    \t\t\tshort c;
    \t\t\tshort d;
    \t\t};
    \t};
    \tstruct {
    \t\tchar e;
    \t} named[2];
    \tenum {
    \t\tIN = 0,
    \t\tOUT = 1,
    \t} way;
    };

    """)
def without_names(b):
    pair = b.add_struct("", 4, [("c", b.short), ("d", b.short, 16)])
    union = b.add_union("", 4, [("b", b.int), ("", pair)])
    array = b.add_array(b.add_struct("", 1, [("e", b.char)]), b.int, 2)
    way = b.add_enum("", [("IN", 0), ("OUT", 1)])
    b.add_struct("nest", 16, [("a", b.int), ("", union, 32), ("named", array, 64), ("way", way, 96)])


@case("""
    enum e {
    \tZERO = 0,
    \tBIG = 4294967295,
    };

    enum sign {
    \tMINUS = -1,
    };

    enum tiny {
    \tONE = 1,
    } __attribute__((mode(byte)));

    enum word {
    \tTWO = 2,
    } __attribute__((mode(word)));

    enum incomplete;

    enum {
    \tCONSTANT = 7,
    };

    """)
def enums(b):
    b.add_enum("e", [("ZERO", 0), ("BIG", 0xFFFFFFFF)])
    b.add_enum("sign", [("MINUS", -1)], signed=True)
    b.add_enum("tiny", [("ONE", 1)], size=1)
    b.add_enum("word", [("TWO", 2)], size=8)
    b.add_enum("incomplete", [])
    b.add_enum("", [("CONSTANT", 7)])


@case("""
    enum wide {
    \tFAR = 1099511627776ULL,
    };

    enum wide_sign {
    \tNEAR = -1LL,
    };

    enum wide_word {
    \tSMALL = 1ULL,
    } __attribute__((mode(word)));

    """)
def enums_of_64_bits(b):
    b.add_enum64("wide", [("FAR", 1 << 40)])
    b.add_enum64("wide_sign", [("NEAR", -1)], signed=True)
    b.add_enum64("wide_word", [("SMALL", 1)])


@case("""
    struct s {
    \tint a;
    };

    struct s___2 {
    \tchar b;
    };

    typedef int t;

    typedef char t___2;

    enum e {
    \tA = 0,
    };

    enum e___2 {
    \tA___2 = 1,
    \tt___3 = 2,
    };

    """)
def names_twice(b):
    b.add_struct("s", 4, [("a", b.int)])
    b.add_struct("s", 1, [("b", b.char)])
    b.add_typedef("t", b.int)
    b.add_typedef("t", b.char)
    b.add_enum("e", [("A", 0)])
    b.add_enum("e", [("A", 1), ("t", 2)])


@case("""
    typedef int (*callback)(void);

    typedef void (*handler)(int, ...);

    typedef int (* (*chooser)(char))(long);

    typedef int function(int a, char *b);

    struct calls {
    \tcallback *table;
    \tint (*array[2])(callback);
    \tfunction *f;
    };

    """)
def functions(b):
    b.add_typedef("callback", callback := b.function(b.int))
    callback += 1
    b.add_typedef("handler", b.function(0, b.int, 0))
    b.add_typedef("chooser", b.function(b.function(b.int, b.long), b.char))
    function = b.add_typedef("function", b.add_func_proto(b.int, [("a", b.int), ("b", b.add_ptr(b.char))]))
    array = b.add_array(b.function(b.int, callback), b.int, 2)
    table = b.add_ptr(callback)
    b.add_struct("calls", 32, [("table", table), ("array", array, 64), ("f", b.add_ptr(function), 192)])


@case("""
    typedef int matrix[2][3];

    typedef int (*row)[4];

    typedef int *pointers[4];

    typedef int (*rows[5])[4];

    typedef int flexible[0];

    """)
def arrays(b):
    b.add_typedef("matrix", b.add_array(b.add_array(b.int, b.int, 3), b.int, 2))
    b.add_typedef("row", b.add_ptr(b.add_array(b.int, b.int, 4)))
    b.add_typedef("pointers", b.add_array(b.add_ptr(b.int), b.int, 4))
    b.add_typedef("rows", b.add_array(b.add_ptr(b.add_array(b.int, b.int, 4)), b.int, 5))
    b.add_typedef("flexible", b.add_array(b.int, b.int, 0))


@case("""
    typedef const volatile int value;

    typedef const char * const text;

    typedef char * restrict only;

    typedef const int elements[2];

    typedef int (* volatile const fixed)(void);

    """)
def qualifiers(b):
    b.add_typedef("value", b.add_volatile(b.add_const(b.int)))
    b.add_typedef("text", b.add_const(b.add_ptr(b.add_const(b.char))))
    b.add_typedef("only", b.add_restrict(b.add_ptr(b.char)))
    b.add_typedef("elements", b.add_const(b.add_array(b.add_const(b.int), b.int, 2)))
    b.add_typedef("fixed", b.add_const(b.add_volatile(b.function(b.int))))


@case("""
    struct tagged {
    \tint __attribute__((btf_type_tag("user"))) *p;
    \tintconst  __attribute__((btf_type_tag("rcu"))) *q;
    \tchar __attribute__((address_space(1))) *r;
    };

    """)
def type_tags(b):
    p = b.add_ptr(b.add_type_tag("user", b.int))
    q = b.add_ptr(b.add_const(b.add_type_tag("rcu", b.int)))
    r = b.add_ptr(b.add_type_tag("address_space(1)", b.char, attribute=True))
    b.add_struct("tagged", 24, [("p", p), ("q", q, 64), ("r", r, 128)])


@case("""
    typedef __builtin_va_list __gnuc_va_list;

    typedef unsigned char __Poly8_t;

    struct list {
    \t__Poly8_t p;
    \t__gnuc_va_list *l;
    };

    """)
def what_compilers_have(b):
    b.add_typedef("__builtin_va_list", b.int)
    gnu = b.add_typedef("__gnuc_va_list", 0)
    b.add_struct("list", 16, [("p", b.add_int("__Poly8_t", 1)), ("l", b.add_ptr(gnu), 64)])


@case("""
    struct self;

    typedef struct self self_t;

    struct self {
    \tself_t *next;
    };

    typedef int late;

    """)
def typedefs_as_declarations(b):
    b.add_struct("self", 8, [("next", b.next_id + 1)])
    b.add_ptr(b.next_id + 1)
    b.add_typedef("self_t", 5)
    b.add_typedef("late", b.int)


@case("""

    /* BPF kfuncs */
    #ifndef BPF_NO_KFUNC_PROTOTYPES
    extern __bpf_fastcall int *acquire(int id) __weak __ksym;
    extern void release(int *p) __weak __ksym;
    #endif

    """)
def kfuncs(b):
    pointer = b.add_ptr(b.int)
    release = b.add_func("release", b.add_func_proto(0, [("p", pointer)]))
    acquire = b.add_func("acquire", b.add_func_proto(pointer, [("id", b.int)]))
    b.add_func("neither", b.add_func_proto(0))
    b.add_decl_tag("bpf_kfunc", release)
    b.add_decl_tag("bpf_kfunc", acquire)
    b.add_decl_tag("bpf_fastcall", acquire)
    b.add_decl_tag("bpf_kfunc", acquire, 0)


@case("""
    enum six {
    \tA = 0,
    };

    struct odd {
    \tint a;
    \tint b;
    \tint c;
    \tlong: 0;
    \tenum six d: 32;
    };

    """)
def gaps_before_what_is_aligned_oddly(b):
    six = b.add_enum("six", [("A", 0)], size=6)
    b.add_struct("odd", 24, [("a", b.int), ("b", b.int, 32), ("c", b.int, 64), ("d", six, 128, 32)])


@case("""
    struct café {
    \tint größe;
    };

    """)
def names_that_are_not_ascii(b):
    b.add_struct("café", 4, [("größe", b.int)])


@case(
    """
    struct pointers {
    \tint *p;
    \tint n;
    \tlong: 32;
    \tint m;
    };

    """,
    long=4,
)
def pointers_of_32_bits(b):
    b.add_struct("pointers", 16, [("p", b.add_ptr(b.int)), ("n", b.int, 32), ("m", b.int, 96)])
