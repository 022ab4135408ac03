"""Names of addresses in processes that run: of functions that are known, in files of every kind."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bpfctl.elf.image import Image
from bpfctl.symbols.frame import Frame
from bpfctl.symbols.user import Users
from tests.build.called import built
from tests.build.stacked import CHAIN, TELLING, telling
from tests.kernel.place import Place, mount

CXX = TELLING + (
    r"""
namespace shapes {
template <typename T> struct Box {
    T side;
    ALONE T area(T other) const { TELL("area", __builtin_return_address(0)); return side * other; }
};
ALONE static int grows(int by) { Box<int> box{by}; return box.area(2) + 1; }
}
extern "C" ALONE int plain(int by) { return shapes::grows(by) + 1; }
int main()
{
    int (shapes::Box<int>::*method)(int) const = &shapes::Box<int>::area;
    TELL("method", *(void **)&method);
    TELL("grows", shapes::grows);
    plain(3);
    waits();
}
"""
)

#: Names of Rust and Go, of functions that this program has in an order that is known.
NAMED = {
    "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE": "core::fmt::Formatter::pad",
    "_ZN66_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17h00112233445566aaE": (
        "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop"
    ),
    "_RNvNtCs1234_7mycrate3foo3bar": "mycrate::foo::bar",
    "_RINvNtC3std3mem8align_ofdE": "std::mem::align_of::<f64>",
    "main.main": "main.main",
    "main.(*Server).Serve": "main.(*Server).Serve",
    "net/http.HandlerFunc.ServeHTTP": "net/http.HandlerFunc.ServeHTTP",
    "_Znot_a_name_of_anything": "_Znot_a_name_of_anything",
}


def assembled():
    """A program that has functions of such names, each of 16 bytes."""
    lines = [".text"]
    for name in NAMED:
        lines += [
            ".balign 16",
            f'.globl "{name}"',
            f'.type "{name}", %function',
            f'"{name}": .skip 16, 0',
            f'.size "{name}", 16',
        ]
    text = "".join(line.replace("\\", "\\\\").replace('"', '\\"') + "\\n" for line in lines)
    first = next(iter(NAMED)).replace('"', '\\"')
    return (
        TELLING
        + f'__asm__("{text}");\nextern char first __asm__("{first}");\n'
        + 'int main(void) { TELL("first", &first); waits(); }\n'
    )


@pytest.fixture
def users():
    with Users() as known:
        yield known


def names(users, told, *words):
    return [users.frames(told.pid, [told[word]])[0].name for word in words]


@pytest.mark.parametrize(
    "options", [("-pie", "-fPIE"), ("-no-pie", "-fno-pie"), ("-static",), ("-static-pie", "-fPIE")]
)
def test_stack_of_c(users, options):
    """A call at the very end of a function is that function's, and the innermost address stands for itself."""
    path = built(f"chain{options[0]}", CHAIN, "-funwind-tables", *options)
    with telling(path) as told:
        stack = told.addresses["stack"]
        frames = users.frames(told.pid, stack)
        functions = users.frames(told.pid, [told["middle"]]) + users.frames(told.pid, [told["outer"] + 3])

        assert [frame.name for frame in frames][:4] == ["leaf", "middle", "outer", "main"]
        assert [frame.module for frame in frames][:4] == [str(path)] * 4
        assert frames[1].offset == stack[1] - told["middle"]
        assert functions == [Frame("middle", 0, str(path)), Frame("outer", 3, str(path))]


def test_stack_through_the_library(users):
    with telling(built("chain-pie", CHAIN, "-funwind-tables", "-pie", "-fPIE")) as told:
        frame = users.frames(told.pid, told.addresses["stack"])[-2]

        assert frame.module.startswith("/")
        assert "libc" in frame.module
        assert (
            frame.name.startswith("__libc_start") or str(frame) == f"{os.path.basename(frame.module)}+{frame.offset:#x}"
        )


def test_cxx(users):
    path = built("cxx-named", CXX, "-std=c++17", compiler="g++", language="c++")
    with telling(path) as told:
        frames = users.frames(told.pid, [told["method"], told["area"]])

        assert names(users, told, "grows", "method") == ["shapes::grows(int)", "shapes::Box<int>::area(int) const"]
        assert [frame.name for frame in frames] == ["shapes::Box<int>::area(int) const", "shapes::grows(int)"]


def test_rust_and_go(users):
    with telling(built("named", assembled())) as told:
        addresses = [told["first"] + 16 * at + 5 for at in range(len(NAMED))]

        assert [users.frames(told.pid, [one])[0].name for one in addresses] == list(NAMED.values())


#: A table of functions as the linker of Go makes it, of two functions of 16 bytes; without symbols it is all there is.
GO = r"""
.text
.balign 16
go_text: .skip 16, 0xc3
.globl go_serve
go_serve: .skip 16, 0xc3
go_end: .skip 16, 0xc3
.section {section}
.balign 32
go_table: .long {magic:#x}
.byte 0, 0, 1, 8
.quad 2, 0, {text}, go_names - go_table, 0, 0, 0, go_records - go_table
go_names: .asciz "go:"
work: .asciz "main.work"
serve: .asciz "main.(*Server).Serve"
.balign 8
go_records: .long 0, one - go_records, go_serve - go_text, two - go_records, go_end - go_text
one: .long 0, work - go_names
two: .long 0, serve - go_names
.section .go.buildinfo, "aw"
.skip 8
.section .noptrdata, "aw"
.quad go_table
.skip 21 * 8
.quad go_text
.text
"""


@pytest.mark.parametrize(
    ("kind", "magic", "text"),
    [
        ("no-pie", 0xFFFFFFF0, "go_text"),
        ("no-pie", 0xFFFFFFF1, "go_text"),
        ("no-pie", 0xFFFFFFF1, "0"),  # since Go 1.26
        ("pie", 0xFFFFFFF0, "go_text"),
        ("pie", 0xFFFFFFF1, "0"),
    ],
)
def test_go_without_symbols(users, tmp_path, kind, magic, text):
    """Its runtime has names for itself, which no stripping takes away."""
    section = {"no-pie": '.gopclntab, "a"', "pie": '.data.rel.ro.gopclntab, "aw"'}[kind]
    table = GO.format(section=section, magic=magic, text=text).replace('"', '\\"').replace("\n", "\\n")
    source = (
        f'{TELLING}__asm__("{table}");\nextern char go_serve;\nint main(void) {{ TELL("serve", &go_serve); waits(); }}'
    )
    path = built(f"go-{kind}-{magic:x}-{text}", source, f"-{kind}", "-fPIE" if kind == "pie" else "-fno-pie")
    with telling(stripped(path, tmp_path)) as told:
        found = [users.frames(told.pid, [told["serve"] + at])[0] for at in (-1, 0, 15, 16)]

        assert [frame.name for frame in found] == ["main.work", "main.(*Server).Serve", "main.(*Server).Serve", ""]
        assert [frame.offset for frame in found[:3]] == [15, 0, 15]


def stripped(path, tmp_path, *options):
    """A copy of a program without its symbols."""
    copy = tmp_path / "bare"
    subprocess.run(["objcopy", "--strip-all", *options, path, copy], check=True)
    return copy


@pytest.fixture
def whole():
    return built("chain-build", CHAIN, "-pie", "-fPIE", "-Wl,--build-id=sha1")


def test_nothing_is_known(users, whole, tmp_path):
    """What has no name is told by its place in the file."""
    with telling(stripped(whole, tmp_path)) as told:
        frame = users.frames(told.pid, [told["leaf"]])[0]

        assert frame.name == ""
        assert str(frame) == f"bare+{frame.offset:#x}"
        assert Image.open(str(tmp_path / "bare")).file_offset(frame.offset, code=True) == frame.offset


def test_debug_link(users, whole, tmp_path):
    symbols = tmp_path / "bare.debug"
    subprocess.run(["objcopy", "--only-keep-debug", whole, symbols], check=True)
    with telling(stripped(whole, tmp_path, f"--add-gnu-debuglink={symbols}")) as told:
        assert names(users, told, "leaf", "middle", "outer") == ["leaf", "middle", "outer"]


def test_build_id(users, whole, tmp_path):
    build, debug = Image.open(str(whole)).build_id, Path("/usr/lib/debug")
    with Place():
        mount("tmpfs", debug)
        folder = debug / ".build-id" / build[:2]
        folder.mkdir(parents=True)
        subprocess.run(["objcopy", "--only-keep-debug", whole, folder / f"{build[2:]}.debug"], check=True)
        with telling(stripped(whole, tmp_path)) as told:
            assert names(users, told, "leaf", "middle", "outer") == ["leaf", "middle", "outer"]


def test_mini_debug_info(users, whole, tmp_path):
    """As Fedora packs what is not there for others to link with."""
    packed = tmp_path / "mini"
    subprocess.run(["objcopy", "--only-keep-debug", whole, packed], check=True)
    packed.write_bytes(lzma.compress(packed.read_bytes()))
    with telling(stripped(whole, tmp_path, f"--add-section=.gnu_debugdata={packed}")) as told:
        assert names(users, told, "leaf", "middle", "outer") == ["leaf", "middle", "outer"]


def test_deleted_file(users, whole, tmp_path):
    path = shutil.copy(whole, tmp_path / "gone")
    with telling(path) as told:
        path.unlink()

        assert users.frames(told.pid, [told["outer"]]) == [Frame("outer", 0, str(path))]


def test_file_in_memory(users, whole):
    """A file that never had a path is read all the same."""
    fd = os.memfd_create("hidden")
    try:
        os.write(fd, whole.read_bytes())
        with telling(f"/proc/self/fd/{fd}", pass_fds=[fd]) as told:
            assert users.frames(told.pid, [told["outer"]]) == [Frame("outer", 0, "/memfd:hidden")]
    finally:
        os.close(fd)


def test_replaced_file(users, whole, tmp_path):
    """Another file of the same path is not taken for the one that is mapped."""
    path = shutil.copy(whole, tmp_path / "replaced")
    other = built("named", assembled())
    with telling(path) as told:
        shutil.copy(other, tmp_path / "new")
        os.rename(tmp_path / "new", path)

        assert names(users, told, "leaf", "outer") == ["leaf", "outer"]


def test_vdso(users):
    source = TELLING + (
        r"""
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
int main(void)  /* finds the function as the C library does */
{
    char *image = (char *)getauxval(AT_SYSINFO_EHDR), *names = 0, *loaded = image;
    Elf64_Ehdr *head = (Elf64_Ehdr *)image;
    Elf64_Phdr *part = (Elf64_Phdr *)(image + head->e_phoff);
    Elf64_Sym *symbols = 0;
    Elf64_Dyn *dynamic = 0;
    for (int at = 0; at < head->e_phnum; at++) {
        if (part[at].p_type == PT_LOAD) loaded = image + part[at].p_offset - part[at].p_vaddr;
        if (part[at].p_type == PT_DYNAMIC) dynamic = (Elf64_Dyn *)(image + part[at].p_offset);
    }
    for (; dynamic->d_tag; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB) names = loaded + dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_SYMTAB) symbols = (Elf64_Sym *)(loaded + dynamic->d_un.d_ptr);
    }
    for (int at = 1; (char *)&symbols[at] < names; at++)
        if (strstr(names + symbols[at].st_name, "clock_gettime")) TELL("clock", loaded + symbols[at].st_value);
    waits();
}
"""
    )
    with telling(built("vdso", source)) as told:
        frame = users.frames(told.pid, [told["clock"] + 4])[0]

        assert frame.name.endswith("clock_gettime")
        assert frame[1:] == (4, "[vdso]")


def test_addresses_of_nothing(users):
    """Whatever a stack holds, and whoever has it: there is an answer."""
    addresses = [0, 1, (1 << 64) - 1, 1 << 47]

    for pid in (os.getpid(), 1 << 22, 0, 2):
        assert users.frames(pid, addresses) == [Frame("", address) for address in addresses]
    assert users.frames(os.getpid(), []) == []
