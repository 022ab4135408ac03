"""Finds executables and libraries by the names that people have for them, and their debug files.

A process may have another root folder than we have. Paths are then as it sees them, and ``root`` is where that folder
is for us: ``/proc/PID/root``; empty for our own.

Formats: ld.so.cache as glibc writes it since 2.2 (sysdeps/generic/dl-cache.h), and what gdb does with build ids and
debug links ("Debugging Information in Separate Files" in its manual).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING

from bpfctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = "/etc/ld.so.cache"
DEBUG = "/usr/lib/debug"

#: How a file is opened that may not be one: a pipe would make us wait, and a terminal become ours.
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_LARGEST_CACHE = 16 << 20  # bytes: one of ten thousand libraries has two millions
_MAGIC = b"glibc-ld.so.cache1.1"
_HEAD = Struct("=20sII")
_HEAD_SIZE = 48
_ENTRY = Struct("=iIIIQ")
#: What entries of this machine's own kind have as flags (FLAG_ELF_LIBC6 and those of the architecture).
_FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03}
_MOST_LINKS = 40  # as many as the kernel follows
_TRIPLES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


def find(word: str, root: str = "") -> str:
    """Return the path of a file: as it stands, an executable by PATH, or a library by its name; NotFound.

    ``c``, ``libc`` and ``libc.so.6`` are the same library.
    """
    if "/" in word:
        path = os.path.abspath(word)
        here = outside(path, root)
        if not os.path.isfile(here):
            raise NotFound(f"'{word}' is {'a folder' if os.path.isdir(here) else 'not there'}")
        return path
    executable = _executable(word, root) if ".so" not in word else None
    if executable:
        return os.path.abspath(executable)
    for path in _libraries(word, root):
        if os.path.isfile(outside(path, root)):
            return path
    raise NotFound(f"there is no executable and no library '{word}'; a file in this folder is ./{word}")


def outside(path: str, root: str) -> str:
    """Return where for us a path is; NotFound where its symbolic links go round in a circle."""
    return root + real(path, root) if root else path


def real(path: str, root: str) -> str:
    """Return a path without symbolic links: absolute ones begin at the root folder, not at ours; NotFound."""
    left, done, links = path.split("/")[::-1], [""], 0
    while left:
        part = left.pop()
        if part == "..":
            del done[max(1, len(done) - 1) :]
        if part in ("", ".", ".."):
            continue
        try:
            link = os.readlink("/".join((root + done[0], *done[1:], part)))
        except OSError:  # no link, or nothing at all
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise NotFound(f"'{path}' is a link that leads nowhere")
        del done[1 if link.startswith("/") else len(done) :]
        left += link.split("/")[::-1]
    return "/".join(done) or "/"


def _executable(word: str, root: str) -> str | None:
    if root:
        for folder in os.get_exec_path():
            here = outside(f"{folder}/{word}", root)
            if os.path.isfile(here) and os.access(here, os.X_OK):
                return f"{folder}/{word}"
        return None
    import shutil  # noqa: PLC0415 - it brings every kind of compression with it

    return shutil.which(word)


def library(word: str) -> re.Pattern[str]:
    """Return what matches the names of files that a library's name means."""
    return re.compile(rf"(?:lib)?{re.escape(word)}" + ("" if ".so" in word else r"\.so(?:\.[\d.]+)?"))


def _libraries(word: str, root: str) -> Iterator[str]:
    """Yield where a library may be, best first."""
    wanted = library(word)
    yield from (path for name, path in entries(_cache(root)) if wanted.fullmatch(name))
    triple = _TRIPLES.get(os.uname().machine, "")
    for folder in (
        f"/lib/{triple}",
        f"/usr/lib/{triple}",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
        "/usr/local/lib",
    ):
        try:
            names = sorted(os.listdir(outside(folder, root)))
        except OSError:  # few systems have all of them
            continue
        # Without a version it is for those who link programs, and may be a text that names the library.
        names.sort(key=lambda name: name.endswith(".so"))
        yield from (f"{folder}/{name}" for name in names if wanted.fullmatch(name))


def entries(cache: bytes) -> Iterator[tuple[str, str]]:
    """Yield the names and paths of this machine's libraries in ld.so.cache; none where it is damaged."""
    start = cache.find(_MAGIC)  # that of older libraries may stand before it
    if start < 0 or len(cache) < start + _HEAD_SIZE:
        return
    _, count, _ = _HEAD.unpack_from(cache, start)
    wanted = _FLAGS.get(os.uname().machine)
    room = (len(cache) - start - _HEAD_SIZE) // _ENTRY.size
    for index in range(min(count, room)):
        flags, key, value, _, _ = _ENTRY.unpack_from(cache, start + _HEAD_SIZE + index * _ENTRY.size)
        if wanted is None or flags == wanted:
            yield _text(cache, start + key), _text(cache, start + value)


def short_names() -> Iterator[tuple[str, str]]:
    """Yield what the libraries of ld.so.cache are called for short, such as ``c`` for libc.so.6, and their paths."""
    known: set[str] = set()
    for name, path in entries(_cache()):
        short = name.partition(".so")[0].removeprefix("lib")
        if short not in known:
            known.add(short)
            yield short, path


def _cache(root: str = "") -> bytes:
    """Return ld.so.cache; nothing where a system has none, or a container has something else there."""
    path = outside(CACHE, root)
    with suppress(OSError):  # it is not ours to read
        if os.path.isfile(path):
            with open(os.open(path, FLAGS), "rb") as file:
                return file.read(_LARGEST_CACHE)
    return b""


def _text(cache: bytes, at: int) -> str:
    end = cache.find(b"\0", at)
    return os.fsdecode(cache[at:end]) if end >= 0 else ""


def debug_files(path: str, build_id: str, link: str, root: str = "") -> Iterator[str]:
    """Yield where for us the debug file of a binary may be, by its build id and by the name in its debug link.

    That of a container's file may be outside of the container, by its build id, which tells that it is the right one.
    """
    if len(build_id) > 2:
        for there in dict.fromkeys((root, "")):
            yield outside(f"{DEBUG}/.build-id/{build_id[:2]}/{build_id[2:]}.debug", there)
    if link and "/" not in link:
        for folder in dict.fromkeys((os.path.dirname(path), os.path.dirname(real(path, root)))):
            yield outside(f"{folder}/{link}", root)
            yield outside(f"{folder}/.debug/{link}", root)
            yield outside(f"{DEBUG}{folder}/{link}", root)
