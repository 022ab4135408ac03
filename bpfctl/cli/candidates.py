"""What may stand where a command wants a value: the objects of this machine, as far as who asks may see them.

A candidate is a word, and what a person may be told of it. A kind of value is a word in capitals: of a synopsis, of an
option (`bpfctl.cli.opt`), or the metavar of an option.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import BpfctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bpfctl.probe.source import Source

MOST = 2000  # candidates: nobody looks through more
_WITH_FILE = frozenset({"uprobe", "uretprobe", "usdt"})
_QUEUES = frozenset({"queue", "stack", "bloom_filter"})
_RINGS = frozenset({"ringbuf", "perf_event_array"})
_STRUCTS = frozenset({"struct_ops"})
_PERF = frozenset({"perf_event_array"})

#: Modules of views that are not called as their object.
_VIEWS = {"perf": "task_fd"}


class Candidate(NamedTuple):
    """A word, and what it is."""

    word: str
    about: str = ""


class Asked(NamedTuple):
    """What is to be completed: what stands there of the word, and what was named before it: probes, a process.

    And the command, such as ``prog show``, with all words behind it.
    """

    prefix: str
    specs: Sequence[str] = ()
    pid: int | None = None
    command: str = ""
    words: Sequence[str] = ()


def of(kind: str, asked: Asked) -> Iterator[Candidate]:
    """Yield what there is of a kind that begins so; nothing where it cannot be told, or nobody can."""
    find = KINDS.get(kind)
    if find is not None:
        with suppress(BpfctlError, OSError, UnicodeError):
            found = (one for one in find(asked) if one.word.startswith(asked.prefix))
            yield from islice(found, MOST)


def _alike(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Yield each word once; of several that are called so it is said how many there are."""
    found: dict[str, list[str]] = {}
    for word, about in candidates:
        if word:
            found.setdefault(word, []).append(about)
    for word, told in found.items():
        yield Candidate(word, told[0] if len(told) == 1 else f"{len(told)} of that name")


def _programs() -> Iterator[tuple[int, str, str, str]]:
    from bpfctl.kernel.names import prog_type
    from bpfctl.kernel.prog import rows

    for row in rows(owners=False):
        yield row.id, prog_type(row.type) or str(row.type), row.name, row.info.tag.hex()


def _prog_ids(_: Asked) -> Iterator[Candidate]:
    return (Candidate(str(id_), f"{type_} {name}") for id_, type_, name, _ in _programs())


def _prog_names(_: Asked) -> Iterator[Candidate]:
    return _alike(Candidate(name, f"{type_} {id_}") for id_, type_, name, _ in _programs())


def _prog_tags(_: Asked) -> Iterator[Candidate]:
    return _alike(Candidate(tag, f"{type_} {name} {id_}") for id_, type_, name, tag in _programs())


def _maps(types: frozenset[str] | None) -> Iterator[tuple[int, str, str]]:
    from bpfctl.kernel.map import rows
    from bpfctl.kernel.names import map_type

    for row in rows(owners=False):
        type_ = map_type(row.info.type) or str(row.info.type)
        if types is None or type_ in types:
            yield row.id, type_, row.name


def _map_ids(types: frozenset[str] | None = None) -> Callable[[Asked], Iterator[Candidate]]:
    return lambda _: (Candidate(str(id_), f"{type_} {name}") for id_, type_, name in _maps(types))


def _map_names(types: frozenset[str] | None = None) -> Callable[[Asked], Iterator[Candidate]]:
    return lambda _: _alike(Candidate(name, f"{type_} {id_}") for id_, type_, name in _maps(types))


def _pins(kind: str) -> Callable[[Asked], Iterator[Candidate]]:
    """Return what finds the pins of one kind of object; folders come from the shell."""

    def find(_: Asked) -> Iterator[Candidate]:
        from bpfctl.host.bpffs import pinned_paths
        from bpfctl.kernel.handle import kind_of, open_pin

        for path in pinned_paths():
            with suppress(BpfctlError), open_pin(path) as fd:
                if kind_of(fd.fileno()) == kind:
                    yield Candidate(path, f"pinned {kind}")

    return find


def _links(_: Asked) -> Iterator[Candidate]:
    from bpfctl.kernel.link import rows
    from bpfctl.kernel.names import link_type

    for row in rows(owners=False):
        yield Candidate(str(row.id), f"{link_type(row.info.type) or row.info.type} prog {row.info.prog_id}")


def _btfs(_: Asked) -> Iterator[Candidate]:
    from bpfctl.kernel.btf import rows

    for row in rows(owners=False):
        yield Candidate(str(row.id), row.info.name or "of a program or map")


def _types(asked: Asked) -> Iterator[Candidate]:
    if asked.prefix:
        from bpfctl.kernel.btf import vmlinux

        yield from map(Candidate, sorted(vmlinux().names(asked.prefix)))


def _words(find: Callable[[], Iterable[str]]) -> Callable[[Asked], Iterator[Candidate]]:
    return lambda _: map(Candidate, find())


def _map_types() -> Iterable[str]:
    from bpfctl.kernel.names import map_types

    return map_types()


def _prog_types() -> Iterable[str]:
    from bpfctl.kernel.names import prog_types

    return prog_types()


def _link_types() -> Iterable[str]:
    from bpfctl.kernel.names import link_types

    return link_types()


def _devices() -> Iterable[str]:
    return sorted(os.listdir("/sys/class/net"))


def _processes(_: Asked) -> Iterator[Candidate]:
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError), open(f"/proc/{entry}/comm", encoding="utf-8", errors="replace") as file:
                yield Candidate(entry, file.read().rstrip("\n"))


def _cgroups(asked: Asked) -> Iterator[Candidate]:
    """Yield the folders of cgroups one level below what stands there."""
    from bpfctl.host.bpffs import mounts

    root = next((mount.path for mount in mounts() if mount.type == "cgroup2"), None)
    if root is not None:
        above, _, _ = asked.prefix.rpartition("/")
        folder = above if above.startswith(root) else f"{root}/{above}"
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                yield Candidate(f"{above}/{entry.name}/")


def _cgroup_folders(asked: Asked) -> Iterator[Candidate]:
    """Yield the folders of cgroups below the one that stands there; where none does, the one of all."""
    from bpfctl.host.cgroup import root

    top = root()
    if top is None:
        return
    if not asked.prefix.startswith(f"{top}/"):
        yield Candidate(f"{top}/", "all cgroups")
        return
    folder = asked.prefix.rpartition("/")[0]
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield Candidate(f"{folder}/{entry.name}/")


def _specs(asked: Asked) -> Iterator[Candidate]:
    from bpfctl.probe.sources import Sources

    kind, colon, target = asked.prefix.partition(":")
    if not colon:
        from bpfctl.probe.registry import plugins

        for plugin in plugins():
            yield Candidate(f"{plugin.kind}:")
        return
    sources = Sources(asked.pid)
    if kind in _WITH_FILE and ":" not in target:
        yield from (Candidate(f"{kind}:{file}", about) for file, about in _binaries(target))
        return
    source, target = sources.split(asked.prefix)
    without = "" if asked.prefix.startswith(f"{source.kind}:") else f"{source.kind}:"
    yield from (Candidate(str(point).removeprefix(without)) for point in _points(source, target))


def _points(source: Source, target: str) -> Iterator[object]:
    """Yield the points whose target begins so; those of a file are asked for by what people call it."""
    file, colon, name = target.rpartition(":")
    if source.kind not in _WITH_FILE:
        yield from source.discover(f"{_literal(target)}*")
        return
    for point in source.discover(f"{file}:{_literal(name)}*"):
        yield f"{point.kind}:{file}{colon}{point.target.rpartition(':')[2]}"


def _literal(text: str) -> str:
    """Return a pattern that means a text."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _binaries(prefix: str) -> Iterator[tuple[str, str]]:
    """Yield files and folders, or where there is no path yet the short names of libraries."""
    folder, slash, _ = prefix.rpartition("/")
    if not slash:
        from bpfctl.host.binary import short_names

        yield from ((f"{name}:", path) for name, path in short_names())
        return
    for entry in sorted(os.scandir(folder or "/"), key=lambda entry: entry.name):
        if entry.is_dir():
            yield f"{folder}/{entry.name}/", ""
        elif entry.is_file():
            yield f"{folder}/{entry.name}:", ""


def _fields(asked: Asked) -> Iterator[Candidate]:
    """Yield what can be read at the probes that were named; in a list, behind what stands there already."""
    from bpfctl.probe.common import FIELDS
    from bpfctl.probe.sources import Sources

    before = "".join(asked.prefix.rpartition(",")[:2])
    there = {name: field.told for name, field in FIELDS.items()} | {"probe": "the probe that was hit"}
    sources = Sources(asked.pid)
    for spec in asked.specs:
        with suppress(BpfctlError):
            source, target = sources.split(spec)
            for point in islice(source.resolve(target), 1):
                there |= {field.name: field.told for field in source.fields(point)}
    taken = before.split(",")
    yield from (Candidate(before + name, told) for name, told in there.items() if name not in taken)


def _columns(asked: Asked) -> Iterator[Candidate]:
    """Yield the columns of a list; behind commas, and behind the minus of a reverse order, as what stands there."""
    before = "".join(asked.prefix.rpartition(",")[:2]) or "-" * asked.prefix.startswith("-")
    taken = before.split(",")
    for title in _titles(asked.command):
        word = title.replace(" ", "_")
        if word not in taken:
            yield Candidate(before + word)


def _listed_types(asked: Asked) -> Iterator[Candidate]:
    """Yield the words that the column "type" of a list may have."""
    object_ = asked.command.partition(" ")[0]
    types = import_module(f"bpfctl.views.{_VIEWS.get(object_, object_)}").VIEW.types
    return map(Candidate, types() if types else ())


def _titles(command: str) -> Iterable[str]:
    if command == "prog top":
        from bpfctl.views.usage import ORDERS

        return list(ORDERS)
    object_, _, word = command.partition(" ")
    if command == "cgroup tree":
        from bpfctl.views.cgroup import tree_view

        return [column.title for column in tree_view(effective=False).columns]
    if word not in ("show", "list"):
        return ()
    view = import_module(f"bpfctl.views.{_VIEWS.get(object_, object_)}").VIEW
    return [column.title for column in view.columns + view.details]


def _explained(_: Asked) -> Iterator[Candidate]:
    """Yield the words that are explained, each with what it is; one may be several things."""
    from bpfctl.explain.meaning import words

    known: dict[str, dict[str, None]] = {}
    for word, kind in words():
        known.setdefault(word, {})[kind] = None
    yield from (Candidate(word, ", ".join(kinds)) for word, kinds in known.items())


def _units(_: Asked) -> Iterator[Candidate]:
    return map(Candidate, ("ns", "us", "ms", "s"))


def _sections(_: Asked) -> Iterator[Candidate]:
    from bpfctl.elf.section import SECTIONS
    from bpfctl.kernel.names import prog_type

    return (Candidate(name.removesuffix("+"), prog_type(of.type) or "") for name, of in SECTIONS.items())


def _maps_of_object(asked: Asked) -> Iterator[Candidate]:
    from bpfctl.elf.read import read
    from bpfctl.kernel.names import map_type
    from bpfctl.load.maps import object_name, pin_name

    with open(asked.words[0], "rb") as file:
        maps = read(file.read()).maps
    return (Candidate(pin_name(one, object_name(asked.words[0])), map_type(one.type) or "") for one in maps)


def _variables(asked: Asked) -> Iterator[Candidate]:
    from bpfctl.elf.read import read
    from bpfctl.load.variables import variables

    with open(asked.words[0], "rb") as file:
        spec = read(file.read())
    return (Candidate(f"{one.name}=", f"{one.size} bytes in {one.map}") for one in variables(spec))


KINDS: Mapping[str, Callable[[Asked], Iterator[Candidate]]] = {
    "PROG_ID": _prog_ids,
    "PROG_NAME": _prog_names,
    "PROG_TAG": _prog_tags,
    "PROG_FILE": _pins("prog"),
    "MAP_ID": _map_ids(),
    "MAP_NAME": _map_names(),
    "MAP_FILE": _pins("map"),
    "QUEUE_ID": _map_ids(_QUEUES),
    "QUEUE_NAME": _map_names(_QUEUES),
    "RING_ID": _map_ids(_RINGS),
    "RING_NAME": _map_names(_RINGS),
    "PERF_ID": _map_ids(_PERF),
    "PERF_NAME": _map_names(_PERF),
    "STRUCT_ID": _map_ids(_STRUCTS),
    "STRUCT_NAME": _map_names(_STRUCTS),
    "LINK_ID": _links,
    "LINK_FILE": _pins("link"),
    "BTF_ID": _btfs,
    "TYPE": _types,
    "MAP_TYPE": _words(_map_types),
    "PROG_TYPE": _words(_prog_types),
    "LINK_TYPE": _words(_link_types),
    "DEV": _words(_devices),
    "PID": _processes,
    "CGROUP": _cgroups,
    "CGROUP_FOLDER": _cgroup_folders,
    "SPEC": _specs,
    "FIELD": _fields,
    "UNIT": _units,
    "EXPLAINED": _explained,
    "COLUMN": _columns,
    "LISTED_TYPE": _listed_types,
    "SECTION": _sections,
    "OBJECT_MAP": _maps_of_object,
    "VARIABLE": _variables,
}
#: Values that are files, which shells complete themselves.
FILES = frozenset({"FILE", "PIN", "OBJECT", "BTF_FILE", "PROG_FILE", "MAP_FILE", "LINK_FILE", "DIR", "CGROUP_FOLDER"})
