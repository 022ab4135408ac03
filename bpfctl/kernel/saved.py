"""Maps that were saved as JSON: what ``map dump`` writes with -j or -p, bpfctl's or bpftool's, read piece by piece.

The file is an array of entries, or an array of objects that each tell of a map and have its entries under
``elements``. It may be larger than the memory, damaged, or made by an enemy: it is read once, no more of it is held
than a few entries, and everything in it is checked before it becomes bytes.
"""

from __future__ import annotations

import json
import os
import re
import stat
from codecs import utf_8_decode
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.errors import SavedError
from bpfctl.kernel.elements import Chunk
from bpfctl.kernel.saved_fast import Template, Typed, learn
from btf.value import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.saved_entry import Entries

_READ = 1 << 20
_WINDOW = 1 << 16  # of text that is looked at for entries one by one, or as many times twice of it as one needs
_MOST = 512  # entries that are read one by one before looking whether they are alike again
_LONGEST = 1 << 20  # of text that an entry may have, and besides for each of its bytes:
_LONGEST_BYTE = 1 << 8
_LONGEST_HEAD = 1 << 26  # of what the file tells of a map, which may be its types
_CUT = 64  # of text in which a block may have ended, in the midst of what is looked for
_MARGIN = 16  # of text that JSON looks ahead
_BLANKS = b" \t\r\n"
_IN_MAP = frozenset({b"id", b"type", b"name", b"flags", b"elements"})
_FIRST_NAME = re.compile(rb'\{[ \t\r\n]*"([^"\\]*)"')
_ELEMENTS = re.compile(rb'"elements"[ \t\r\n]*:[ \t\r\n]*\[')
_SKIP = re.compile(r"[ \t\r\n]*").match


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Record:
    """Return an object; one with a name twice, as structs may have it that have members without name, as a Record."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else Record(pairs)


_decode = json.JSONDecoder(object_pairs_hook=_object, strict=False).raw_decode


class _Seen(NamedTuple):
    """What one look at some text has found."""

    values: list[Any]
    first: tuple[int, int]  # the text of the first value, with what separates it from the next one
    end: int
    ended: bool  # whether the array has


class Saved:
    """The entries in a file, read once: begin(), then chunks(). SavedError says what is wrong in it, and where."""

    def __init__(self, fd: int, name: str = "the file") -> None:
        self._fd = fd
        self._name = name
        self._text = b""
        self._at = 0
        self._whole = False  # nothing more comes
        self._closers: list[bytes] = []
        self._chosen: str | None = None
        self._template: Template | Typed | None = None
        self._lone = False  # there is one entry, as a lookup writes it, instead of an array
        self.entries = 0
        """How many entries were read."""
        self.unreadable = 0
        """How many of them have no value, since the kernel did not tell it when they were saved."""

    def begin(self, choose: str | None = None) -> dict[str, Any]:
        """Read up to the first entry; return what the file tells of the map, which may be nothing.

        ``choose`` is the id or the name of one of several maps in the file.
        """
        self._chosen = choose
        first = self._peek()
        if first == b"[":
            self._open(b"[")
            if self._peek() == b"]":
                self._close(b"]")
                return {}
        elif first != b"{":
            raise SavedError(f"{self._name} is empty" if not first else f"{self._name} is no dump of a map in JSON")
        if not self._is_map():
            if choose is not None:
                raise SavedError(f"{self._name} does not say of which map its entries are")
            self._lone = first == b"{"
            return {}
        if choose is None and self._tells_several():
            raise SavedError(f"{self._name} has entries of several maps: choose one with --from ID|NAME")
        return self._chosen_head()

    def _chosen_head(self) -> dict[str, Any]:
        """Read up to the entries of the map that was chosen, or of the first one."""
        while True:
            head = self._head()
            if self._chosen is None or self._chosen in (str(head.get("id")), head.get("name")):
                return head
            self._leave()
            if not self._closers or self._peek() != b",":
                raise SavedError(f"{self._name} has no entries of a map '{self._chosen}'")
            self._expect(b",")

    def chunks(self, entries: Entries) -> Iterator[Chunk]:
        """Yield the entries, packed, as they come."""
        for text, seen in self._values():
            if isinstance(seen, Chunk):
                self.entries += seen.entries
                yield seen
                continue
            self._template = None
            keys: list[bytes] = []
            values: list[bytes] = []
            for value in seen:
                self.entries += 1
                try:
                    packed = entries.packed(value)
                except SavedError as error:
                    raise self._wrong(str(error)) from None
                if packed is None:
                    self.unreadable += 1
                    continue
                keys.append(packed[0])
                values.append(packed[1])
            if seen and text and type(seen[0]) is dict:
                self._template = learn(text, seen[0], entries)
            if keys:
                yield Chunk(b"".join(keys), b"".join(values), len(keys))
        self._finish()

    def _wrong(self, what: str) -> SavedError:
        return SavedError(f"entry {self.entries} of {self._name}: {what}")

    # the document around the entries

    def _is_map(self) -> bool:
        """Return whether the object at hand tells of a map instead of an entry."""
        self._fill(_WINDOW)
        name = _FIRST_NAME.match(self._text, self._at)
        return name is not None and name[1] in _IN_MAP

    def _tells_several(self) -> bool:
        """Look through a file that can be read twice; one that cannot shows it only at the end."""
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            return False
        here = os.lseek(self._fd, 0, os.SEEK_CUR)
        at = start = here - len(self._text) + self._at
        found, rest = 0, b""
        while found < 2 and (block := os.pread(self._fd, _READ, at)):
            text = rest + block
            found += sum(match.end() > len(rest) for match in _ELEMENTS.finditer(text))
            at, rest = at + len(block), text[-_CUT:]
        if found < 2:
            return False
        # The second may be a member of a struct: only what follows the first map is proof.
        try:
            os.lseek(self._fd, start, os.SEEK_SET)
            return Saved(self._fd, self._name).goes_on()
        finally:
            os.lseek(self._fd, here, os.SEEK_SET)

    def goes_on(self) -> bool:
        """Return whether another map follows the one at hand; what is damaged is told when it is read for good."""
        try:
            self._head()
            self._leave()
            return self._peek() == b","
        except SavedError:
            return False

    def _head(self) -> dict[str, Any]:
        """Read the members of a map up to its entries."""
        self._open(b"{")
        head: dict[str, Any] = {}
        while self._peek() == b'"':
            name = self._value()
            self._expect(b":")
            if name == "elements":
                self._open(b"[")
                return head
            head[name] = self._value()
            if self._peek() == b",":
                self._expect(b",")
        raise SavedError(f"{self._name} tells of a map, but has no entries of it: is it no dump?")

    def _leave(self) -> None:
        """Read the entries of a map that nobody wants, and what follows them."""
        for _ in self._values():
            pass
        self._end_of_map()

    def _end_of_map(self) -> None:
        while self._peek() == b",":
            self._expect(b",")
            self._value()
            self._expect(b":")
            self._value()
        self._close(b"}")

    def _finish(self) -> None:
        """Make sure that the document ends where its entries do."""
        if self._closers and self._closers[-1] == b"}":
            self._end_of_map()
            if self._closers and self._peek() == b",":
                if self._chosen is not None:
                    return
                raise SavedError(f"{self._name} has entries of several maps: choose one with --from ID|NAME")
        while self._closers:
            self._close(self._closers[-1])
        if self._peek():
            raise SavedError(f"{self._name} goes on after its end")

    def _open(self, mark: bytes) -> None:
        self._expect(mark)
        self._closers.append(b"]" if mark == b"[" else b"}")

    def _close(self, mark: bytes) -> None:
        self._expect(mark)
        self._closers.pop()

    def _expect(self, mark: bytes) -> None:
        found = self._peek()
        if found != mark:
            what = f"'{found.decode('ascii', 'replace')}' stands" if found else "it ends"
            raise SavedError(f"{self._name} is damaged: {what} where '{mark.decode()}' is expected")
        self._at += 1

    def _peek(self) -> bytes:
        """Return what comes after blanks; nothing at the end of the file."""
        while True:
            while self._at < len(self._text):
                byte = self._text[self._at : self._at + 1]
                if byte not in _BLANKS:
                    return byte
                self._at += 1
            if self._whole:
                return b""
            self._fill(1)

    def _value(self, longest: int = _LONGEST_HEAD) -> Any:
        """Read a value that is no item of an array of entries."""
        self._peek()
        size = _WINDOW
        while True:
            text, all_of_it = self._look(size)
            try:
                value, end = _decode(text)
            except (ValueError, RecursionError):
                value, end = None, 0
            if end and (end < len(text) or all_of_it):
                self._at += _bytes_of(text, end)
                return value
            if all_of_it or size > longest:
                raise SavedError(f"{self._name} is damaged: it is no JSON")
            size *= 2

    # entries

    def _values(self) -> Iterator[tuple[bytes, Chunk | list[Any]]]:
        """Yield the items of an array: packed ones by the template, else as JSON, the first of them with its text."""
        if self._lone:
            yield b"", [self._value(self.longest)]
        if not self._closers:
            return
        if self._peek() == b"]":
            self._close(b"]")
            return
        most = 1
        while True:
            while found := self._alike(self._template):
                yield b"", found
                most = 1
            seen, text = self._one_by_one(most)
            first = text[slice(*seen.first)].encode(errors="surrogateescape")
            self._at += _bytes_of(text, seen.end)
            most = min(most * 2, _MOST)
            yield first, seen.values
            if seen.ended:
                self._closers.pop()
                return

    def _alike(self, template: Template | Typed | None) -> Chunk | None:
        if template is None:
            return None
        self._fill(template.block)
        found = template.take(memoryview(self._text)[self._at : self._at + template.block])
        if found is None:
            return None
        self._at += found[1]
        return found[0]

    def _one_by_one(self, most: int) -> tuple[_Seen, str]:
        size = _WINDOW
        while True:
            text, all_of_it = self._look(size)
            seen, why = self._scan(text, most, len(text.rstrip()) if all_of_it else len(text) - _MARGIN)
            if seen.values:
                return seen, text
            self.entries += 1
            if why:
                raise self._wrong(f"it is no JSON: {why}")
            if all_of_it:
                raise self._wrong("the file ends in the midst of it")
            if size > self.longest:
                raise self._wrong("it is longer than an entry of this map can be")
            self.entries -= 1
            size *= 2

    #: The most text that an entry may have; as much as anything, where nobody knows the map.
    longest = _LONGEST_HEAD

    def fits(self, entries: Entries) -> None:
        """Set how long the text of an entry may be."""
        self.longest = _LONGEST + _LONGEST_BYTE * (entries.key_size + entries.room)

    def _scan(self, text: str, most: int, sure: int) -> tuple[_Seen, str]:
        """Read some items, each with what follows it.

        Also return what is wrong with the one after, if it is found before the place up to which one can be sure: what
        is wrong behind it may only be that the text is cut there.
        """
        values: list[Any] = []
        first = (0, 0)
        at = start = _end_of_blanks(text, 0)
        while len(values) < most:
            try:
                value, end = _decode(text, start)
            except json.JSONDecodeError as error:
                cut = error.pos >= sure or error.msg.startswith("Unterminated")
                return _Seen(values, first, at, ended=False), "" if cut else error.msg
            except (ValueError, RecursionError):
                return _Seen(values, first, at, ended=False), "too many digits, or too deep"
            end = _end_of_blanks(text, end)
            mark = text[end : end + 1]
            if mark not in (",", "]"):
                return _Seen(values, first, at, ended=False), mark and f"'{mark}' follows it"
            values.append(value)
            at = end + 1
            if mark == "]":
                return _Seen(values, first, at, ended=True), ""
            if not text.startswith("{", at):
                at = _end_of_blanks(text, at)
            if len(values) == 1:
                first = (start, at) if at < len(text) else (0, 0)
            start = at
        return _Seen(values, first, at, ended=False), ""

    # text

    def _look(self, size: int) -> tuple[str, bool]:
        """Return the text that comes next, without taking it, and whether that is all of it."""
        self._fill(size)
        data = self._text[self._at : self._at + size]
        all_of_it = self._whole and len(data) == len(self._text) - self._at
        return utf_8_decode(data, "surrogateescape", all_of_it)[0], all_of_it

    def _fill(self, size: int) -> None:
        """Have so many bytes at hand, if the file has them."""
        have = len(self._text) - self._at
        if have >= size or self._whole:
            return
        pieces = [self._text[self._at :]]
        while have < size:
            try:
                piece = os.read(self._fd, max(_READ, size - have))
            except OSError as error:
                raise SavedError(f"can't read {self._name}: {error.strerror}") from None
            if not piece:
                self._whole = True
                break
            pieces.append(piece)
            have += len(piece)
        self._text = b"".join(pieces)
        self._at = 0


def _end_of_blanks(text: str, at: int) -> int:
    found = _SKIP(text, at)
    return found.end() if found else at


def _bytes_of(text: str, end: int) -> int:
    return end if text.isascii() else len(text[:end].encode(errors="surrogateescape"))
