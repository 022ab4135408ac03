"""
Runs bpfctl out of the one file bpfctl.pyz, which holds it, what it needs, and machine code for several Pythons.

Python cannot load machine code from an archive, and compiles what it reads there at each start. So the first start
unpacks what this Python needs into a folder for this release: in $XDG_CACHE_HOME, else in ~/.cache, else in
$XDG_RUNTIME_DIR. Code that root will run must be nobody else's to write: the folder has mode 0700 and is our own, and
of all folders above it none can be changed by anybody but us and root. A folder in which others can plant things, a
symbolic link to one, or the home of another user that sudo has left in the environment is as good as none.

Where there is no such folder, or BPFCTL_PYZ_CACHE is empty, nothing is written: Python reads the archive, and machine
code gets into memory by way of files that have no name (memfd_create(2)). So it does too where the folder's file
system allows no programs to run.
"""

from __future__ import annotations

import os
import stat
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType
    from zipimport import zipimporter

    __loader__: zipimporter

#: Names the contents of the archive; put in by what writes it.
BUILD = "@BUILD@"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def main() -> int:
    """Run the command line of this process with the contents of the archive that this module is in."""
    archive = os.path.dirname(os.path.abspath(__file__))
    platform = EXTENSION_SUFFIXES[0].strip(".").removesuffix(".so")  # such as cpython-313-x86_64-linux-gnu
    code = Code(archive, platform)
    if "_cffi_backend" not in code.names:
        known = ", ".join(sorted({name.split("/")[1] for name in code.all if "/_cffi_backend." in name}))
        sys.stderr.write(f"Error: bpfctl.pyz has no machine code for {platform} (it has: {known})\n")
        return 255
    folder = unpacked(archive, platform, code)
    sys.path[:] = [folder or archive if os.path.abspath(place) == archive else place for place in sys.path]
    if not folder or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        sys.meta_path.insert(0, code)
    from bpfctl.__main__ import main as run  # noqa: PLC0415 - it is there from now on

    return run()


class Code:
    """The machine code in an archive for Pythons of one platform; finds and loads its modules from memory."""

    def __init__(self, archive: str, platform: str) -> None:
        """Look up what there is."""
        self._archive = archive
        self.all = __loader__.get_data("native.txt").decode().splitlines()
        folders = {platform, platform.partition("-")[2].partition("-")[2]}  # the latter is for all versions of Python
        mine = [name for name in self.all if name.split("/")[1] in folders]
        self.names = {name.split("/", 2)[2].partition(".")[0].replace("/", "."): name for name in mine}

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module, as Python asks all finders; None for what is no machine code of ours."""
        if name not in self.names:
            return None
        from zipimport import zipimporter  # noqa: PLC0415 - there already, and seldom needed

        fd = os.memfd_create(name)  # open to the end, for two libraries of one name are one library
        with open(fd, "wb", closefd=False) as file:
            file.write(zipimporter(self._archive).get_data(self.names[name]))
        path = f"/proc/self/fd/{fd}"
        return ModuleSpec(name, ExtensionFileLoader(name, path), origin=path)


def unpacked(archive: str, platform: str, code: Code) -> str | None:
    """Return the folder with what Pythons of PLATFORM need, which is made if need be; None if none is safe to use."""
    for base in _bases():
        folder = os.path.realpath(f"{base}/{BUILD}-{platform}")
        try:
            if not os.path.isdir(folder):
                _unpack(archive, code, folder)
            if _ours_alone(folder):
                return folder
        except OSError:  # not writable, full, not there: the next one may be better
            continue
    return None


def _bases() -> Iterator[str]:
    """Yield the folders in which there may be one for us."""
    chosen = os.environ.get("BPFCTL_PYZ_CACHE")
    if chosen is not None:
        if chosen.startswith("/"):
            yield chosen
        return
    home = os.environ.get("HOME", "")
    for place in (os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache", os.environ.get("XDG_RUNTIME_DIR", "")):
        if place.startswith("/") and place != "/.cache":
            yield f"{place}/bpfctl-pyz"


def _ours_alone(folder: str) -> bool:
    """Say whether FOLDER, which has no symbolic link in its path, is ours alone and stays in its place."""
    facts = os.lstat(folder)
    ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & _OTHERS
    return ours and _stays(os.path.dirname(folder))


def _stays(place: str) -> bool:
    """Say whether nobody but us and root can change what a folder, and each one above it, has."""
    while True:
        facts = os.lstat(place)
        shared = facts.st_mode & _OTHERS_WRITE and not facts.st_mode & stat.S_ISVTX
        # In a sticky folder, such as /tmp, others can add names, but not take ours.
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in {0, os.geteuid()} or shared:
            return False
        if place == "/":
            return True
        place = os.path.dirname(place)


def _unpack(archive: str, code: Code, folder: str) -> None:
    """Make FOLDER in one step, with all that our Python needs; OSError if that cannot be, or is not safe."""
    from shutil import rmtree  # noqa: PLC0415 - once
    from tempfile import mkdtemp  # noqa: PLC0415 - once
    from zipfile import ZipFile  # noqa: PLC0415 - once

    base = there = os.path.dirname(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not _stays(there):
        raise PermissionError(there)
    for place in (os.path.dirname(base), base):  # ~/.cache may be missing, but no home is made
        if not os.path.isdir(place):
            os.mkdir(place, 0o700)
    stage = mkdtemp(prefix=".unpacking-", dir=base)
    try:
        with ZipFile(archive) as file:
            file.extractall(stage, [name for name in file.namelist() if not name.startswith("native/")])
            for name in code.names.values():
                with open(f"{stage}/{name.split('/', 2)[2]}", "wb") as out:
                    out.write(file.read(name))
        os.rename(stage, folder)
    except BaseException as error:
        rmtree(stage, ignore_errors=True)
        if not isinstance(error, OSError) or not os.path.isdir(folder):  # else another process was faster
            raise
