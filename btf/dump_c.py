"""C headers from BTF, byte for byte those of ``bpftool btf dump … format c``.

::

    vmlinux = BTF.from_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
    Path("vmlinux.h").write_text("".join(header(vmlinux)), errors="surrogateescape")

First all types are put in order (`btf._c_order`), then they are written one after the other. What a
definition mentions and is not defined yet gets a declaration before it; whether that is needed is
looked up type by type, and types that will never need one again are remembered.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf._c_emit import Emitter
from btf._c_order import Search
from btf._c_sort import sorted_queue
from btf._c_text import Writer
from btf._table import Table, decode
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from btf.read import BTF

#: How many definitions a piece of a header has, or how many bytes when it comes from C.
_ENOUGH, _PIECE = 256, 1 << 16
#: The component index of a tag that is on a declaration itself: -1.
_WHOLE = 0xFFFFFFFF

_TOP = """\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

"""
_KFUNCS_TOP = "\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n"
_EXTERN, _FASTCALL = "extern ", "extern __bpf_fastcall "
_KFUNCS_END = "#endif\n\n"
_END = """\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
"""


def header(btf: BTF, *, roots: Iterable[int] | None = None, sort: bool = True) -> Iterator[str]:
    """Yield a C header of all types, or of ``roots`` and what they need, in pieces.

    Without ``sort`` the types come in the order of their ids, as far as C allows. Raises BTFError for
    types that C cannot have, such as a struct that contains itself; that may be after some pieces.
    """
    wanted = None if roots is None else [_checked(btf, type_id) for type_id in roots]
    table = Table(btf)
    writer = Writer(table)
    try:
        for piece in _pieces(table, writer, wanted, sort=sort):
            yield decode(piece)
    except IndexError:
        raise BTFError("a type refers to an id that is out of range") from None
    except RecursionError:
        raise BTFError("types are nested too deep") from None


def declaration(btf: BTF, type_id: int, name: str = "") -> str:
    """Return the C declaration of something of this type, without semicolon.

    Types without a name are written out. Raises BTFError for what has no values, such as a function.
    """
    writer = Writer(Table(btf))
    try:
        return decode(
            writer.declaration(_checked(btf, type_id), name.encode("utf-8", "surrogateescape").decode("latin-1"))
        )
    except IndexError:
        raise BTFError("a type refers to an id that is out of range") from None
    except RecursionError:
        raise BTFError("types are nested too deep") from None


def _checked(btf: BTF, type_id: int) -> int:
    if not 0 <= type_id < btf.ids.stop:
        raise BTFError(f"type id {type_id} is out of range")
    return type_id


def _pieces(table: Table, writer: Writer, roots: Iterable[int] | None, *, sort: bool) -> Iterator[str]:
    """Yield the header as text of one character per byte."""
    if roots is None and (found := _fast_texts(table, sort=sort)):
        definitions, kfuncs = found
        yield _TOP
        for at in range(0, len(definitions), _PIECE):
            yield str(definitions[at : at + _PIECE], "ascii")
        yield f"{_KFUNCS_TOP}{str(kfuncs, 'ascii')}{_KFUNCS_END}{_END}"
        return
    emitter = Emitter(table, writer)
    out, define = emitter.out, emitter.define
    out.append(_TOP)
    for type_id in _queue(table, roots, sort=sort):
        define(type_id)
        if len(out) > _ENOUGH:
            yield _take(out, writer)
    if roots is None:
        out.append(_KFUNCS_TOP)
        for type_id, start in _kfuncs(table):
            text = writer.declaration(table.words[table.starts[type_id] + 2], table.name(type_id))
            out.append(f"{start}{text} __weak __ksym;\n")
        out.append(_KFUNCS_END)
    out.append(_END)
    yield _take(out, writer)


def _fast_texts(table: Table, *, sort: bool) -> tuple[memoryview, memoryview] | None:
    """Return the definitions and the declarations of functions from `btf._fast`; None if Python has to write them."""
    fast = table.fast
    if not fast or (queue := fast.queue(sort)) is None or (steps := fast.steps(queue)) is None:
        return None
    externs = array("i", [~type_id if start == _FASTCALL else type_id for type_id, start in _kfuncs(table)])
    text, middle = fast.header(steps, externs.tobytes(), table.pointer_size)
    return None if text is None else (memoryview(text)[:middle], memoryview(text)[middle:])


def _queue(table: Table, roots: Iterable[int] | None, *, sort: bool) -> list[int]:
    if roots is None and sort:
        return sorted_queue(table)
    search = Search(table)
    search.all(range(1, len(table.starts)) if roots is None else roots)
    return search.queue


def _take(out: list[str], writer: Writer) -> str:
    piece = "".join(out)
    out.clear()
    writer.spend(len(piece))
    return piece


def _kfuncs(table: Table) -> list[tuple[int, str]]:
    """Return the functions that the kernel marks as callable by programs, by name, and how each begins."""
    words, starts, kfuncs, fast = table.words, table.starts, [], set()
    for tag in table.ids(_kind.DECL_TAG):
        _, _, function, component = words[starts[tag] : starts[tag] + 4]
        if component == _WHOLE and table.kinds[function] == _kind.FUNC:
            if table.name(tag) == "bpf_kfunc":
                kfuncs.append(function)
            elif table.name(tag) == "bpf_fastcall":
                fast.add(function)
    return [(type_id, _FASTCALL if type_id in fast else _EXTERN) for type_id in sorted(kfuncs, key=table.name)]
