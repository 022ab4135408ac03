"""Packages of another Debian suite, through apt and its own mirror; nothing is installed or reconfigured."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from tests.vm.cache import VMError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

# Where packages come from on a machine that is not Debian, and the keys that Ubuntu, too, has a package of.
ARCHIVE = "http://deb.debian.org/debian"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

TARGETS = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(SOURCESENTRY)"

# Our own lists, status and archives; the user's proxy and credentials stay in force. Without root apt has
# no sandbox user to become, and with root that user could not write here. Hooks and pins are the machine's.
CONFIGURATION = """\
APT::Architecture "{arch}";
#clear APT::Architectures;
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
#clear APT::Update;
#clear DPkg::Post-Invoke;
Acquire::Languages "none";
Dir::State "{state}";
Dir::State::Lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
Dir::Etc::sourcelist "{state}/suite.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


def sources(uri: str, keys: str, suite: str, arch: str) -> str:
    """Describe SUITE on the mirror URI as apt wants it (deb822), signed with KEYS ("" for apt's own)."""
    stanza = f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nArchitectures: {arch}\n"
    return stanza + (f"Signed-By: {keys}\n" if keys else "")


def choose(targets: Iterable[str], suite: str) -> tuple[str, str]:
    """Pick the (uri, sources entry) for SUITE out of apt's index targets; VMError if none is Debian's.

    Debian keeps security updates on a mirror of their own. Where no index was fetched yet apt does not know
    the origin and repeats the question; then the folder that every mirror keeps its name in must do.
    """
    security = suite.endswith("-security")
    for line in targets:
        uri, release, component, origin, entry = line.split("|")
        if origin not in {"Debian", "$(ORIGIN)"} or component != "main":
            continue
        named = any(folder.startswith("debian") for folder in urlsplit(uri).path.split("/"))
        if named and security == release.endswith("-security"):
            return uri, entry
    kind = "Debian's security updates" if security else "Debian itself"
    raise VMError(f"apt has no source for {kind}: {suite} cannot be fetched without one.")


def source(targets: Iterable[str], suite: str) -> tuple[str, str]:
    """Return the mirror and the keys for SUITE: this machine's, or those of Debian's archive where its keys are."""
    try:
        uri, entry = choose(targets, suite)
    except VMError as error:
        if not KEYS.exists():
            raise VMError(f"{error} Or: apt-get install debian-archive-keyring, and it comes from Debian.") from None
        return (f"{ARCHIVE}-security" if suite.endswith("-security") else ARCHIVE), str(KEYS)
    return uri, signed_by(entry)


def signed_by(entry: str) -> str:
    """Return the keys of the sources ENTRY, FILE:NUMBER, as that file spells them; "" if it names none."""
    name, _, number = entry.rpartition(":")
    text = Path(name).read_text(encoding="utf-8")
    if not name.endswith(".sources"):
        line = text.splitlines()[int(number) - 1]
        found = re.search(r"\[[^]]*\bsigned-by=([^\s\]]+)", line, re.IGNORECASE)
        return found[1].replace(",", " ") if found else ""
    uncommented = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    stanzas = [stanza for stanza in re.split(r"\n[ \t]*\n", uncommented) if stanza.strip()]
    found = re.search(r"(?im)^signed-by:[ \t]*(.*(?:\n[ \t].*)*)", stanzas[int(number) - 1])
    return found[1].rstrip() if found else ""


def newest(names: Iterable[str], pattern: re.Pattern[str]) -> str | None:
    """Return the name that matches PATTERN whole and has the highest numbers in it; None if no name does."""
    return max(filter(pattern.fullmatch, names), key=_numbers, default=None)


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


class Suite:
    """One Debian suite for one architecture, with apt's state kept in FOLDER."""

    def __init__(self, name: str, arch: str, folder: Path) -> None:
        self.name = name
        self.arch = arch
        self._state = folder / f"{name}-{arch}"
        self._archives = self._state / "cache" / "archives"

    def update(self) -> None:
        """Fetch the suite's index; VMError if apt has no source or no network."""
        all_targets = ["apt-get", "indextargets", "-o", "APT::Get::IndexTargets::Filtered=false"]
        targets = _run([*all_targets, "--format", TARGETS, "Created-By: Packages"])
        uri, keys = source(targets.splitlines(), self.name)
        (self._state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (self._archives / "partial").mkdir(parents=True, exist_ok=True)
        (self._state / "status").touch()
        (self._state / "suite.sources").write_text(sources(uri, keys, self.name, self.arch))
        self._conf.write_text(CONFIGURATION.format(arch=self.arch, state=self._state))
        # A partial failure of "update" is only a warning by default, and would leave an old index in use.
        self._apt("update", "-o", "APT::Update::Error-Mode=any")

    @property
    def _conf(self) -> Path:
        return self._state / "apt.conf"

    def names(self, prefix: str) -> list[str]:
        """List the names of the suite's real packages that begin with PREFIX."""
        return _run(["apt-cache", "-c", str(self._conf), "pkgnames", prefix]).split()

    def unpack(self, packages: Sequence[str], into: Path, *, leave_out: Collection[str] = ()) -> None:
        """Unpack PACKAGES alone into the folder INTO, but for paths that match LEAVE_OUT, as tar has it."""
        self._clean()
        self._apt("download", *packages, cwd=self._archives)
        self._extract(into, leave_out)

    def unpack_with_dependencies(self, packages: Sequence[str], into: Path) -> None:
        """Unpack PACKAGES and all that they depend on into the folder INTO; no maintainer script runs."""
        self._clean()
        self._apt("install", "--download-only", "--yes", "--no-install-recommends", *packages)
        self._extract(into, ["./usr/share/doc", "./usr/share/locale", "./usr/share/man"])

    def _apt(self, *words: str, cwd: Path | None = None) -> None:
        _run(["apt-get", "-q", "-c", str(self._conf), *words], cwd=cwd)

    def _clean(self) -> None:
        for archive in self._archives.glob("*.deb"):
            archive.unlink()

    def _extract(self, into: Path, leave_out: Collection[str]) -> None:
        excludes = [f"--exclude={pattern}" for pattern in leave_out]
        for archive in sorted(self._archives.glob("*.deb")):
            list_out = ["dpkg-deb", "--fsys-tarfile", str(archive)]
            take_in = ["tar", "--extract", "--no-same-owner", "--wildcards", *excludes, "-C", str(into)]
            with subprocess.Popen(list_out, stdout=subprocess.PIPE) as contents:
                _run(take_in, stdin=contents.stdout)
            if contents.returncode:
                raise VMError(f"{archive.name} is damaged: dpkg-deb ended with {contents.returncode}.")
        self._clean()


def _run(command: Sequence[str], *, cwd: Path | None = None, stdin: IO[bytes] | int | None = subprocess.DEVNULL) -> str:
    """Run a tool for its output; VMError with the tool's own words if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        complaints = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        # apt begins with the cause and ends with a summary; others end with the cause.
        cause = next((line.removeprefix("E: ") for line in complaints if line.startswith("E: ")), complaints[-1])
        raise VMError(f"{Path(command[0]).name} failed: {cause}")
    return done.stdout
