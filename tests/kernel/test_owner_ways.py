"""Owners: when which way is gone, and what they tell in other places than root's on the host."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfctl.errors import KernelError, NotSupported
from bpfctl.host import vmlinux
from bpfctl.kernel import handle, owner, owner_iter
from bpfctl.kernel.owner import Owner
from bpfctl.kernel.surroundings import Surroundings
from tests.kernel import client
from tests.kernel.holder import objects, process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fds() -> Iterator[dict[str, int]]:
    """One object of each kind."""
    with objects() as made:
        yield made


def refuse(_kind: handle.Kind) -> owner.Table:
    raise NotSupported("not here")


def test_many_descriptors_turn_to_the_iterator(monkeypatch, fds):
    """Past its bound the walk over /proc gives way, and goes on where the iterator is refused."""
    id_ = client.id_of("prog", fds["prog"])
    monkeypatch.setattr(owner, "_ITERATOR_IS_WORTH", 0)
    asked = []

    def answer(kind: handle.Kind) -> owner.Table:
        asked.append(kind)
        return owner.Table({}, {}, {}, partial=False)

    with process(fds["prog"]) as pid:
        monkeypatch.setattr(owner, "by_iterator", answer)
        assert owner.table(handle.PROG) == answer(handle.PROG)
        monkeypatch.setattr(owner, "by_iterator", refuse)
        assert Owner(pid, "holder") in owner.table(handle.PROG).owners[id_]
    assert asked == [handle.PROG] * 2


@pytest.mark.usefixtures("fds")
def test_few_descriptors_are_left_to_proc(monkeypatch):
    """Below the bound no iterator is made."""
    monkeypatch.setattr(owner, "_ITERATOR_IS_WORTH", sys.maxsize)  # however much is open on this machine
    monkeypatch.setattr(owner, "by_iterator", pytest.fail)

    assert owner.table(handle.PROG).cookies is None


def test_hidden_processes_turn_to_the_iterator(monkeypatch):
    """Where /proc hid a process, an object without a known owner is asked for again, once."""
    hidden, seen = Owner(1, "hidden"), Owner(2, "seen")
    asked = []

    def answer(kind: handle.Kind) -> owner.Table:
        asked.append(kind)
        return owner.Table({7: (hidden,), 8: (hidden, seen)}, {}, {}, partial=False)

    walked = owner.Table({8: (seen,)}, {8: b"pos: 0\n"}, None, partial=True)
    monkeypatch.setattr(owner, "table", lambda *_: walked)
    monkeypatch.setattr(owner, "by_iterator", answer)
    around = Surroundings(handle.PROG, pinned=False, owners=True)

    assert around.owners(8) == (seen,)
    assert not asked
    assert around.owners(7) == (hidden,)
    assert around.owners(9) == ()
    assert around.owners(8) == (hidden, seen)
    assert around.fdinfo(8, -1) == b"pos: 0\n"
    assert asked == [handle.PROG]


def test_an_iterator_that_must_be_but_cannot(monkeypatch):
    """Who insists on the iterator is told why there is none."""
    monkeypatch.setattr(vmlinux, "VMLINUX", "/nonexistent")
    owner_iter._layout.cache_clear()

    with pytest.raises(KernelError, match="can't read the kernel's BTF: No such file"):
        owner.table(handle.PROG, "iter")


def test_nobody_asked():
    """Without owners nothing is looked at."""
    assert owner.table(handle.PROG, "none") == owner.Table({}, {}, {}, partial=False)


ASK = """
import json
from bpfctl.errors import BpfctlError
from bpfctl.kernel import handle, owner
answers = {}
for how in "proc", "auto", "iter":
    try:
        answers[how] = owner.table(handle.PROG, how).owners
    except BpfctlError as error:
        answers[how] = str(error)
print(json.dumps(answers))
"""


def ask(*wrapper: str) -> dict[str, object]:
    """Return the answers of each way to a process that is started in some other place."""
    path = f"import sys; sys.path[1:1] = {[folder for folder in sys.path if folder]!r}\n"
    words = [*wrapper, sys.executable, "-S", "-c", path + ASK]  # without the hooks of site, which take long
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert not done.stderr
    return json.loads(done.stdout)


def test_as_an_ordinary_user(fds):
    """Processes of others are not ours to look at: nothing is said of them, and no iterator may run."""
    with process(fds["prog"]):
        answers = ask("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    assert answers["iter"] == "an iterator needs CAP_BPF and CAP_PERFMON"
    for way in "proc", "auto":  # which may see other processes of that user
        assert str(client.id_of("prog", fds["prog"])) not in answers[way]


def test_in_another_pid_namespace(fds):
    """Numbers are those of the namespace that we are in, so /proc has to tell them."""
    with process(fds["prog"]):
        answers = ask("unshare", "--pid", "--fork", "--mount-proc")

    told = "an iterator counts processes as the initial PID namespace does, and this is another"
    assert answers == {"proc": {}, "auto": {}, "iter": told}


def test_no_proc(fds):
    """Without /proc nobody is known to hold anything."""
    with process(fds["prog"]):
        answers = ask("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")

    assert answers == {"proc": {}, "auto": {}, "iter": "no /proc to tell who we are"}


def test_out_of_descriptors(fds):
    """Owners that could not be looked for are an error, not an empty list."""

    def then() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        with pytest.raises(KernelError, match="can't look at"):
            owner.table(handle.PROG, "proc")

    with process(fds["prog"]), process(then=then):
        pass
