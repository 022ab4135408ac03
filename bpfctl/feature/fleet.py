"""
Whether many kernels have what objects need, each as a saved report tells of it.

    outcomes = check({"prog.o": Object(data)}, hosts("reports"))
    for row in rows(outcomes):
        print(row.need.name, [verdict.status for verdict in row.verdicts])

Most hosts of a fleet are alike: what the same report and the same types say is found out once.
"""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import KernelError, SavedError
from bpfctl.feature import need as needed
from bpfctl.feature import saved
from bpfctl.feature.check import NOT_MET, OPEN, Verdict
from bpfctl.feature.elsewhere import Elsewhere
from bpfctl.feature.types import Types
from bpfctl.kernel import btf
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bpfctl.feature.check import Kernel, Object
    from bpfctl.feature.need import Need

_REPORT, _TYPES = ".json", (".btf", ".vmlinux")


class Host(NamedTuple):
    """A kernel: its name, the file of its report, and that of its types, empty where there is none."""

    name: str
    report: str
    btf: str = ""


class Outcome(NamedTuple):
    """What is known of objects on one host; nothing where its files are damaged, and ``complaint`` says how."""

    host: str
    verdicts: dict[str, list[Verdict]]
    complaint: str = ""


class Row(NamedTuple):
    """A need of an object, with a verdict for each host that there is no complaint of."""

    object: str
    need: Need
    verdicts: tuple[Verdict, ...]


def hosts(folder: str) -> list[Host]:
    """Return the hosts that a folder has reports of: NAME.json, and NAME.btf or NAME.vmlinux with its types.

    KernelError when it cannot be read, SavedError when it has no report.
    """
    try:
        names = set(os.listdir(folder))
    except OSError as error:
        raise KernelError(f"can't read {folder}", error.errno or 0) from None
    found = []
    for name in sorted(names, key=_by_numbers):
        host, kind = os.path.splitext(name)
        if kind == _REPORT and not host.startswith("."):
            types = next((host + kind for kind in _TYPES if host + kind in names), "")
            found.append(Host(host, os.path.join(folder, name), types and os.path.join(folder, types)))
    if not found:
        raise SavedError(f"{folder} has no report: no file whose name ends in {_REPORT}")
    return found


def check(objects: Mapping[str, Object], which: Sequence[Host]) -> list[Outcome]:
    """Check objects against hosts; of one whose files are damaged there is a complaint alone."""
    known = _Known(objects)
    types = {host: known.identity(host.btf) for host in which}
    # Those with the same types follow each other, so that no more than one kernel's are in memory.
    found = {host: known.outcome(host, types[host]) for host in sorted(which, key=types.__getitem__)}
    return [found[host] for host in which]


class _Known:
    """What has been found out already."""

    def __init__(self, objects: Mapping[str, Object]) -> None:
        self._objects = objects
        self._outcomes: dict[tuple[bytes, str], Outcome] = {}
        self._types: tuple[str, Types | None] = "", None
        self._places: dict[tuple[int, int], str] = {}
        self._sizes: dict[int, list[str]] = {}

    def identity(self, path: str) -> str:
        """Return the path of the first file with the same content."""
        if not path:
            return ""
        try:
            there = os.stat(path)
            place = there.st_dev, there.st_ino
            if place not in self._places:
                self._places[place] = self._first(path, self._sizes.setdefault(there.st_size, []))
        except OSError:
            return path  # what is wrong with it is told by who reads it
        return self._places[place]

    def _first(self, path: str, known: list[str]) -> str:
        """Look among files of the same size; that of two kernels rarely is."""
        if known:
            content = _content(path)
            for other in known:
                if _content(other) == content:
                    return other
        known.append(path)
        return path

    def outcome(self, host: Host, types: str) -> Outcome:
        """Check the objects against one host; ``types`` is what identity() says of the file of its types."""
        try:
            report = _content(host.report)
            key = blake2b(report).digest(), types
            if key not in self._outcomes:
                self._outcomes[key] = self._check(Elsewhere(saved.read(report), self._read(host.btf, types)))
        except SavedError as error:
            complaint = f"{host.report} cannot be used: {error}"
        except OSError as error:
            complaint = f"can't read {error.filename or host.btf}: {os.strerror(error.errno or 0)}"
        except BTFError as error:
            complaint = f"{host.btf} cannot be used: {error}"
        else:
            return self._outcomes[key]._replace(host=host.name)
        return Outcome(host.name, {}, complaint)

    def _check(self, kernel: Kernel) -> Outcome:
        return Outcome("", {path: one.check(kernel) for path, one in self._objects.items()})

    def _read(self, path: str, identity: str) -> Types | None:
        if self._types[0] != identity:
            self._types = "", None
            self._types = identity, Types(btf.read(path)) if path else None
        return self._types[1]


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Return all needs of all objects, with what they come to on each host that there is no complaint of."""
    told = [outcome for outcome in outcomes if not outcome.complaint]
    return [row for path in (told[0].verdicts if told else ()) for row in _rows(path, told)]


def _rows(path: str, outcomes: Sequence[Outcome]) -> Iterator[Row]:
    told = any(_is_relocation(one) and one.status != OPEN for outcome in outcomes for one in outcome.verdicts[path])
    columns = [_Column(outcome.verdicts[path], told=told) for outcome in outcomes]
    order = {kind: at for at, kind in enumerate(needed.KINDS)}
    keys = dict.fromkeys(key for column in columns for key in column.verdicts)
    for key in sorted(keys, key=lambda key: order[key[0]]):
        found = [column.verdicts[key] for column in columns if key in column.verdicts]
        need = next((one.need for one in found if one.status == NOT_MET), found[0].need)
        yield Row(path, need, tuple(column.verdicts.get(key) or Verdict(need, *column.other) for column in columns))


class _Column:
    """The verdicts of one host by what is needed.

    Without types a host tells of no relocation by itself. If another one does (``told``), what it says of all of them
    is said of each.
    """

    def __init__(self, verdicts: Sequence[Verdict], *, told: bool) -> None:
        self.verdicts: dict[tuple[str, str, str, int], Verdict] = {}
        self.other = OPEN, "nothing tells"
        for one in verdicts:
            key = one.need.kind, one.need.name, one.need.of, 0
            if not _is_relocation(one):
                while key in self.verdicts:
                    key = *key[:3], key[3] + 1
            elif told and one.status == OPEN:
                self.other = OPEN, one.reason
                continue
            elif key in self.verdicts and one.status != NOT_MET:
                continue  # what fails in one place may be resolved, or not be reached, in another one
            self.verdicts[key] = one


def _is_relocation(one: Verdict) -> bool:
    return one.need.kind == needed.RELOCATION


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """Order names so that web10 comes behind web9."""
    return [(int(word), "") if word.isdecimal() else (0, word) for word in re.split(r"(\d+)", name)]
