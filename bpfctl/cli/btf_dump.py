"""bpfctl btf dump: types, in words or as a C header."""

from __future__ import annotations

from errno import E2BIG, EINVAL, ENODATA, EOPNOTSUPP
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import grammar, opt
from bpfctl.errors import KernelError, NotFound, ObjectError, UsageError, status
from bpfctl.host.vmlinux import VMLINUX
from bpfctl.kernel import btf as objects
from bpfctl.views.view import Document
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from bpfctl.cli.session import Session
    from btf.read import BTF

_SYSFS = VMLINUX.removesuffix("vmlinux")
_MERGED = "the merged files"
_MOST_FILES = 64
_MOST_ROOTS = 16


class Source(NamedTuple):
    """Where types come from, and which of them are meant: all where ``roots`` is empty."""

    name: str  # what people are told has them
    load: Callable[[], BTF]
    roots: tuple[int, ...] = ()


class _Form(NamedTuple):
    c: bool = False
    sort: bool = True
    roots: tuple[int, ...] = ()


def dump(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show types in words, or as a C header.

    The types that those of a file or module build on are the kernel's, or those of -B FILE.
    """
    session: Session = ctx.obj
    left = grammar.Words(words)
    left.at_least(2, "dump")
    source = read_source(session, left)
    form = _form(left, source.roots)
    types = source.load()
    for root in form.roots:
        if root >= types.ids.stop:
            raise UsageError(f"invalid root ID: {root}", exit_code=status(EINVAL))
    if form.c and session.options.json:
        raise UsageError("JSON output for C-syntax dump is not supported", exit_code=status(EOPNOTSUPP))
    session.out.document(_header(source.name, types, form) if form.c else _raw(source.name, types, form.roots))


def read_source(session: Session, words: grammar.Words) -> Source:
    """Read where the types come from, as do_dump() in bpftool's src/btf.c does; a map also says which are meant."""
    given = words.peek()
    match words.keyword("map", "prog", "id", "file"):
        case "map":
            return _of_map(session, words)
        case "prog":
            return _of_program(session, words)
        case "id":
            return _of_object(session, grammar.number(words.next("the id"), "ID"))
        case "file":
            return _of_files(session, words)
    raise UsageError(f"unrecognized BTF source specifier: '{given}'")


def _of_map(session: Session, words: grammar.Words) -> Source:
    from bpfctl.kernel.map import Map

    words.at_least(2, "map")
    with Map.one(grammar.map_(words)) as map_:
        info = map_.info()
    key, value = info.btf_key_type_id or 0, info.btf_value_type_id or 0
    roots = {"key": (key,), "value": (value,), "all": ()}.get(words.keyword("key", "value", "all", "kv") or "kv")
    id_ = info.btf_id
    if not id_:
        raise NotFound(f"map {info.id} has no BTF")
    return _of_object(session, id_, (key, value) if roots is None else roots)


def _of_program(session: Session, words: grammar.Words) -> Source:
    from bpfctl.kernel.prog import Program

    words.at_least(2, "prog")
    with Program.one(grammar.prog(words)) as program:
        info = program.info()
    id_ = info.btf_id
    if not id_:
        raise NotFound(f"program {info.id} has no BTF")
    return _of_object(session, id_)


def _of_object(session: Session, id_: int, roots: tuple[int, ...] = ()) -> Source:
    return Source(_object(id_), lambda: _by_id(session, id_), roots)


def _object(id_: int) -> str:
    return f"BTF object {id_}"


def _by_id(session: Session, id_: int) -> BTF:
    base = base_of(session)
    try:
        if base is not None:
            return objects.load_over(id_, base)
        if objects.is_module(id_):
            session.out.note(
                "Warning: valid base BTF was not specified with -B option, "
                f"falling back to standard base BTF ({VMLINUX})"
            )
        return objects.load(id_)
    except KernelError as error:
        number = error.errno or 0
        raise KernelError(f"get btf by id ({id_})", number, hint=error.hint, exit_code=status(number)) from None
    except BTFError as error:
        raise _damaged(_object(id_), error) from None


def base_of(session: Session) -> BTF | None:
    """Return the types that -B names; None without it."""
    path = session.options.base_btf
    return None if path is None else _file(path, None, "failed to parse base BTF at '{}'")


def _of_files(session: Session, words: grammar.Words) -> Source:
    paths = [words.next("the file")]
    while words.keyword("file"):
        words.at_least(1, "file", exit_code=status(EINVAL))
        paths.append(words.next("the file"))
    others = [path for path in paths if path != VMLINUX]
    for _ in range(len(paths) - len(others)):
        session.out.note(f"skipping {VMLINUX} (will be loaded as base)")
    if len(others) > _MOST_FILES:
        raise UsageError(f"too many BTF files (max {_MOST_FILES})", exit_code=status(E2BIG))
    return Source(_MERGED if len(others) > 1 else "".join(others) or VMLINUX, lambda: read_files(session, others))


def read_files(session: Session, paths: list[str]) -> BTF:
    """Return the types of files, of several as one; modules in sysfs are read over the kernel that runs."""
    base = base_of(session)
    if base is None and any(path.startswith(_SYSFS) for path in paths):
        base = _file(VMLINUX, None)
    if len(paths) < 2:
        return _file(paths[0] if paths else VMLINUX, base)
    if base is None:
        raise UsageError(
            "base BTF is required when merging multiple BTF files; use -B/--base-btf or use sysfs paths",
            exit_code=status(EINVAL),
        )
    from btf.merge import merge
    from btf.read import BTF

    try:
        return BTF.from_bytes(merge([_file(path, base) for path in paths], base).data, base)
    except BTFError as error:
        raise _damaged(_MERGED, error) from None


def _file(path: str, base: BTF | None, failed: str = "failed to load BTF from {}") -> BTF:
    try:
        return objects.read(path, base)
    except OSError as error:
        number = error.errno or 0
        raise KernelError(failed.format(path), number, exit_code=status(number)) from None
    except BTFError as error:
        raise ObjectError(f"{failed.format(path)}: {error}", exit_code=status(ENODATA)) from None


def _damaged(what: str, error: BTFError) -> ObjectError:
    return ObjectError(f"{what} cannot be understood: {error}", exit_code=status(EINVAL))


def _form(words: grammar.Words, roots: tuple[int, ...]) -> _Form:
    form, of_map = _Form(roots=roots), bool(roots)
    while words:
        given = words.peek()
        match words.keyword("format", "root_id", "unsorted"):
            case "format":
                form = form._replace(c=_is_c(words))
            case "root_id":
                if of_map:
                    raise _wrong("cannot use root_id with other type filtering")
                form = form._replace(roots=(*form.roots, _root(words, form.roots)))
            case "unsorted":
                form = form._replace(sort=False)
            case _:
                raise _wrong(f"unrecognized option: '{given}'")
    return form


def _is_c(words: grammar.Words) -> bool:
    if not words:
        raise _wrong("expecting value for 'format' option")
    word = words.next("the format")
    if word not in {"c", "raw"}:
        raise _wrong(f"unrecognized format specifier: '{word}', possible values: raw, c")
    return word == "c"


def _root(words: grammar.Words, before: tuple[int, ...]) -> int:
    if len(before) == _MOST_ROOTS:
        raise UsageError(f"only {_MOST_ROOTS} root_id are supported", exit_code=status(E2BIG))
    root = grammar.number(words.next("the root ID"), "root ID")
    if root in before:
        raise _wrong(f"duplicate root_id {root} supplied")
    return root


def _wrong(message: str) -> UsageError:
    return UsageError(message, exit_code=status(EINVAL))


def _raw(name: str, types: BTF, roots: tuple[int, ...]) -> Document:
    from btf import dump_raw

    def json(depth: int | None, spell: Callable[[Any], str]) -> Iterator[bytes]:
        for piece in _understood(name, dump_raw.items(types, roots or None, quote=spell, depth=depth)):
            yield piece.encode(errors="surrogateescape")

    return Document(lambda safe: _understood(name, dump_raw.text(types, roots or None, safe=safe)), "types", json)


def _header(name: str, types: BTF, form: _Form) -> Document:
    from btf import dump_c

    def text(_safe: Callable[[str], str]) -> Iterator[str]:
        yield from _understood(name, dump_c.header(types, roots=form.roots or None, sort=form.sort))

    return Document(text)


def _understood(name: str, pieces: Iterator[str]) -> Iterator[str]:
    """Yield what is written of types, of which some damage is found no earlier."""
    try:
        yield from pieces
    except BTFError as error:
        raise _damaged(name, error) from None
