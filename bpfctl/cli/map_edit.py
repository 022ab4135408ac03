"""bpfctl map edit: entries as text in an editor, and what was changed there back into the map."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from errno import EEXIST, ENOENT
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.cli import data, grammar, map_form, opt
from bpfctl.errors import BpfctlError, KernelError, Partial, ToolError, UsageError, own_status
from bpfctl.kernel.elements import Chunk, Walk, pieces
from bpfctl.kernel.map import OF_MAPS, Map
from bpfctl.kernel.map_types import types
from bpfctl.kernel.writer import Writer, check_writable
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import UpdateFlag
from bpfctl.views import value as values
from btf.errors import BTFError
from btf.value import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.session import Session
    from bpfctl.kernel.map import MapInfo
    from btf.encode import Encoder

_MOST_ENTRIES, _MOST_BYTES = 10_000, 1 << 22
_ALWAYS_THERE = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
# Maps that take no flags, or have every key whether there is something in its slot or not.
_SLOTS = frozenset({MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS, MapType.DEVMAP, MapType.CPUMAP})
_CONFLICT = 1
_ELSEWHERE = "TMPDIR names another folder"


class _Conflict(BpfctlError):
    """Others have changed the same entries meanwhile."""

    exit_code = _CONFLICT


class _Change(NamedTuple):
    """An entry that is to become another one; None where there is none."""

    key: bytes
    old: bytes | None
    new: bytes | None


class _Part:
    """How keys, or values, are told in JSON: by their types, as an id, or as bytes in hexadecimal."""

    def __init__(self, name: str, size: int, encoder: Encoder | None, decoder: Decoder | None, *, is_id: bool) -> None:
        self._name = name
        self._size = size
        self._encoder = encoder if decoder else None
        self._decoder = decoder if encoder else None
        self._is_id = is_id

    def show(self, raw: bytes) -> Any:
        """Return bytes as JSON."""
        if self._is_id:
            return int.from_bytes(raw[:4], sys.byteorder)
        return values.json(self._decoder(raw)) if self._decoder else raw.hex(" ")

    def read(self, told: Any, old: bytes = b"") -> bytes:
        """Return JSON as bytes, those that it does not tell as they were; UsageError when it does not fit."""
        if self._is_id and type(told) is int and 0 <= told < 1 << 32:
            return told.to_bytes(4, sys.byteorder)
        if self._encoder:
            try:
                return self._encoder(told, old)
            except BTFError as error:
                raise UsageError(f"{self._name}: {error}") from None
        try:
            raw = bytes.fromhex(told) if isinstance(told, str) and not self._is_id else b""
        except ValueError:
            raw = b""
        if len(raw) != self._size or not raw:
            wanted = "an id" if self._is_id else f"a text of {self._size} bytes in hexadecimal"
            raise UsageError(f"{self._name}: {json.dumps(told)[:60]} is not {wanted}")
        return raw


class _Text:
    """The entries of a map as text."""

    def __init__(self, info: MapInfo) -> None:
        told = types(info)
        is_id = info.type in OF_MAPS or info.type is MapType.PROG_ARRAY
        key, value = map_form.key(info), map_form.value(info)
        of_key = Decoder(told.btf, told.key) if told and told.key else None
        of_value = Decoder(told.btf, told.value) if told else None
        self._key = _Part("key", info.key_size, key.encoder, of_key, is_id=False)
        self._value = _Part("value", info.value_size, None if is_id else value.encoder, of_value, is_id=is_id)
        self._cpus = value.cpus
        self._step = info.value_size + 7 & ~7 if value.cpus else info.value_size
        self._size = info.value_size
        self._indent = 2 if told else None

    def entry(self, key: bytes, value: bytes) -> dict[str, Any]:
        """Return an entry as JSON."""
        told = [self._value.show(part) for part in self._parts(value)]
        return {"key": self._key.show(key)} | ({"values": told} if self._cpus else {"value": told[0]})

    def _parts(self, value: bytes) -> list[bytes]:
        if not self._cpus:
            return [value]
        return [value[at : at + self._size] for at in range(0, len(value), self._step)]

    def write(self, entries: dict[bytes, bytes]) -> str:
        """Return all entries as text."""
        told = [json.dumps(self.entry(key, value), indent=self._indent) for key, value in entries.items()]
        return "[\n" + ",\n".join(told) + "\n]\n"

    def changes(self, text: bytes, before: dict[bytes, bytes]) -> list[_Change]:
        """Return what makes the entries of a text out of those before; UsageError for one that does not fit."""
        try:
            edited = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"this is no JSON: {error}") from None
        if not isinstance(edited, list):
            raise UsageError("this is no list of entries")
        shown = {_canonical(self._key.show(key)): key for key in before}
        found: list[_Change] = []
        met: set[bytes] = set()
        for number, entry in enumerate(edited, 1):
            try:
                change = self._change(entry, shown, before, met)
            except UsageError as error:
                raise UsageError(f"entry {number}: {error}") from None
            if change.old != change.new:
                found.append(change)
        return found + [_Change(key, value, None) for key, value in before.items() if key not in met]

    def _change(self, entry: Any, shown: dict[str, bytes], before: dict[bytes, bytes], met: set[bytes]) -> _Change:
        what = "values" if self._cpus else "value"
        if not isinstance(entry, dict) or entry.keys() != {"key", what}:
            raise UsageError(f"it is no object of key and {what}")
        key = shown.get(_canonical(entry["key"])) or self._key.read(entry["key"])
        if key in met:
            raise UsageError("its key is that of another one")
        met.add(key)
        old = before.get(key)
        if old is not None and _canonical(self.entry(key, old)[what]) == _canonical(entry[what]):
            return _Change(key, old, old)
        told = entry[what] if self._cpus else [entry[what]]
        if not isinstance(told, list) or len(told) != (self._cpus or 1):
            raise UsageError(f"values: a list has one item for each of {self._cpus} CPUs")
        parts = self._parts(old) if old is not None else [b""] * len(told)
        new = [self._value.read(item, part) for item, part in zip(told, parts, strict=True)]
        return _Change(key, old, b"".join(part.ljust(self._step, b"\0") for part in new))


def _canonical(told: Any) -> str:
    return json.dumps(told, sort_keys=True)


def edit(ctx: opt.Context, words: opt.Words = None) -> None:
    """Change entries in $VISUAL or $EDITOR, all of them or that of one key.

    They are written as JSON, by the names of BTF or with bytes in hexadecimal. What you change, add and take out
    there is done to the map when $VISUAL or $EDITOR ends well; what others have changed meanwhile is left alone and
    told, with exit code 1.
    """
    left = grammar.Words(words)
    left.at_least(2, "edit")
    with Map.writable(grammar.map_(left)) as map_:
        info = map_.info()
        check_writable(info)
        before = _one(map_, info, left) if left else _all(map_, info)
        text = _Text(info)
        folder = _folder()
        path = os.path.join(folder, f"map-{info.id}.json")
        keep = False
        try:
            edited = _edited(path, text.write(before))
            keep = True
            changes = text.changes(edited, before)
            if info.type in _ALWAYS_THERE and any(change.new is None for change in changes):
                raise UsageError("an array has all its keys always, so none can be taken out")
            _apply(ctx.obj, map_, info, changes)
            keep = False
        except BpfctlError as error:
            if not keep:
                raise
            raise _kept(error, path) from None
        finally:
            if not keep:
                shutil.rmtree(folder)


def _folder() -> str:
    """Make a folder for the text, into which nobody else may look."""
    try:
        return tempfile.mkdtemp(prefix="bpfctl-")
    except OSError as error:
        why = error.strerror if error.errno != ENOENT else "no folder for temporary files can be written to"
        raise BpfctlError(f"can't write the text for the editor: {why} ({_ELSEWHERE})") from None


def _kept(error: BpfctlError, path: str) -> BpfctlError:
    kept = BpfctlError(f"{error}; the text is kept in {path}")
    kept.exit_code = error.exit_code
    return kept


def _one(map_: Map, info: MapInfo, words: grammar.Words) -> dict[bytes, bytes]:
    if words.keyword("key") is None:
        raise UsageError(f"expected key, got: {words.peek()}")
    key = data.parse(words, map_form.key(info)).packed()
    words.end()
    return {key: map_.lookup(key)}


def _all(map_: Map, info: MapInfo) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    size = 0
    for chunk in Walk(map_, info):
        if not chunk.errno:
            keys = pieces(chunk.keys, info.key_size)
            found.update(zip(keys, pieces(chunk.values, info.value_room(), chunk.entries), strict=True))
            size += len(chunk.keys) + len(chunk.values)
        if len(found) > _MOST_ENTRIES or size > _MOST_BYTES:
            raise UsageError(
                f"map {info.id} has more than {_MOST_ENTRIES} entries or {_MOST_BYTES >> 20} MiB, "
                "too much for an editor: name one key, or change what map dump -j writes and use map restore --replace"
            )
    return found


def _edited(path: str, text: str) -> bytes:
    """Have a text edited, and return what became of it."""
    import shlex

    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BpfctlError(f"can't write the text for the editor: {error.strerror} ({_ELSEWHERE})") from None
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or shutil.which("editor") or "vi"
    with _ctrl_c_for_others():
        try:
            done = subprocess.run([*shlex.split(named), path], check=False)
        except (OSError, ValueError) as error:
            raise ToolError(f"can't start the editor '{named}': {getattr(error, 'strerror', error)}") from None
    if done.returncode:
        raise ToolError(f"the editor ended with exit code {done.returncode}, so nothing was changed")
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ToolError(f"can't read what was edited: {error}") from None


@contextmanager
def _ctrl_c_for_others() -> Iterator[None]:
    """Leave Ctrl-C to the editor."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not ignored, since the editor would inherit that
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _apply(session: Session, map_: Map, info: MapInfo, changes: list[_Change]) -> None:
    """Write what was changed, but nothing over what others have changed meanwhile."""
    by_slot = info.type in _SLOTS
    adding = Writer(map_, info, 0 if by_slot else UpdateFlag.NOEXIST)
    changing = Writer(map_, info, 0 if by_slot else UpdateFlag.EXIST)
    try:
        conflicts = [change.key for change in changes if not _written(map_, change, adding, changing)]
    except BpfctlError as error:
        done = adding.done + changing.done + changing.deleted
        text = f"{error}; {done} of {len(changes)} changes were made"
        raise Partial(text, done, exit_code=own_status(error)) from None
    told = {"changed": changing.done, "added": adding.done, "deleted": changing.deleted}
    summary = ", ".join(f"{count} {what}" for what, count in told.items() if count) or "nothing was changed"
    if conflicts:
        first = conflicts[0][:32].hex(" ")
        raise _Conflict(
            f"{len(conflicts)} entries were changed by others meanwhile and left alone, first key {first} ({summary})"
        )
    session.out.lines([summary], told)


def _written(map_: Map, change: _Change, adding: Writer, changing: Writer) -> bool:
    """Make a change; False when the entry is not what it was."""
    if map_.find(change.key) != change.old:
        return False
    if change.new is None:
        changing.delete(change.key)
        return True
    writer = adding if change.old is None else changing
    writer.write(Chunk(change.key, change.new, 1))
    try:
        writer.flush()
    except KernelError as error:
        if error.errno not in (EEXIST, ENOENT):
            raise
        return False
    return True
