"""Handles: one of several, and programs of which the kernel tells nothing but that their offload device is gone."""

from __future__ import annotations

import os
from errno import EIO, ENODEV, ENOENT

import pytest

from bpfctl._sys import calls
from bpfctl._sys.fd import FD
from bpfctl.errors import Ambiguous, KernelError
from bpfctl.host import bpffs, fdinfo
from bpfctl.kernel import handle, ops, pin
from bpfctl.kernel.map import Map
from bpfctl.kernel.prog import Program
from bpfctl.kernel.select import Select
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.enums import ProgType


def program():
    return Program(FD(os.open("/dev/null", os.O_RDONLY)))


def failing(error):
    def fail(*_):
        raise error

    return fail


def test_one_of_several_leaves_none_open():
    met = [program(), program()]

    with pytest.raises(Ambiguous, match="several"):
        handle.one(iter(met), "several")
    assert [each._fd.closed for each in met] == [True, True]


def test_one_that_others_cannot_be_compared_with_is_closed():
    met = [program()]

    def found():
        yield met[0]
        raise KernelError("can't get prog info", EIO)

    with pytest.raises(KernelError):
        handle.one(found(), "several")
    assert met[0]._fd.closed


@pytest.mark.parametrize("which", [None, Select("id", 7)])
def test_a_map_that_does_not_tell_what_it_is_is_closed(monkeypatch, which):
    map_ = Map(FD(os.open("/dev/null", os.O_RDONLY)))
    monkeypatch.setattr(Map, "every", lambda: iter([map_]))
    monkeypatch.setattr(Map, "by_id", lambda *_, **__: map_)
    monkeypatch.setattr(calls, "obj_info", failing(OSError(EIO, "refused")))

    with pytest.raises(KernelError, match="can't get map info"):
        list(ops.opened(which))
    assert map_._fd.closed


def test_a_name_that_is_there_by_now_is_not_suggested(monkeypatch):
    """An object may come after it was looked for in vain."""
    monkeypatch.setattr(Program, "every", lambda: iter([program(), program()]))
    names = iter(["churn", "churns"])
    monkeypatch.setattr(Program, "called", lambda _: next(names))

    assert Program._near("churn") == "did you mean 'churns'?"


def test_what_is_pinned_cannot_be_told_without_proc(monkeypatch):
    fd = FD(os.open("/dev/null", os.O_RDONLY))
    monkeypatch.setattr(calls, "obj_get", lambda *_: fd)
    monkeypatch.setattr(handle.os, "readlink", failing(FileNotFoundError(ENOENT, "no /proc")))

    with pytest.raises(KernelError, match="can't read link type: No such file or directory"):
        Map.pinned("/sys/fs/bpf/x")
    assert fd.closed


def test_a_program_without_its_device(monkeypatch):
    told = b"pos:\t0\nprog_type:\t6\nprog_tag:\t0102030405060708\nmemlock:\t4096\nprog_id:\t7\n"
    monkeypatch.setattr(calls, "obj_info", failing(OSError(ENODEV, "gone")))
    for name in ("read", "own"):
        monkeypatch.setattr(fdinfo, name, lambda _fd: told)

    with program() as orphan:
        row = orphan.row(Surroundings(handle.PROG, pinned=False, owners=False))

    assert (row.orphaned, row.id, row.type, row.info.tag, row.memlock) == (
        True,
        7,
        ProgType.XDP,
        bytes(range(1, 9)),
        4096,
    )


def test_pins_of_a_program_without_its_device(monkeypatch):
    """It is left out, as its id is not told."""
    monkeypatch.setattr(bpffs, "pinned_paths", lambda: iter(["/orphan", "/other"]))
    monkeypatch.setattr(calls, "obj_get", lambda _path: FD(os.open("/dev/null", os.O_RDONLY)))
    monkeypatch.setattr(pin, "kind_of", lambda _fd: "prog")
    answers = iter([failing(OSError(ENODEV, "gone")), lambda: (bytes([0, 0, 0, 0, 9, 0, 0, 0]), [])])
    monkeypatch.setattr(calls, "obj_info", lambda *_: next(answers)())

    assert list(pin.table(handle.PROG).values()) == [("/other",)]
