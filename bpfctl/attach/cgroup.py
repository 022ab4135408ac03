"""Attachments to a cgroup: the cgroup holds the program itself, until it is detached or removed, or a link does.

A program runs for all processes in the cgroup and below. Kernel: kernel/bpf/cgroup.c.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from errno import E2BIG, EBADF, EINVAL, ENOENT, EPERM
from typing import TYPE_CHECKING

from bpfctl._sys import attach as attach_calls
from bpfctl.errors import KernelError
from bpfctl.kernel.link import Link
from bpfctl.kernel.names import attach_type as name_of
from bpfctl.kernel.refusal import hint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.prog import Program

OVERRIDE, MULTI = 1, 2  # BPF_F_ALLOW_OVERRIDE and BPF_F_ALLOW_MULTI in include/uapi/linux/bpf.h


def attach(program: Program, path: str, attach_type: int, flags: int = 0) -> None:
    """Attach to the cgroup of a folder; KernelError is what the kernel refuses, with why.

    Without flags a program replaces what was attached as the same type, and no cgroup below may have one of its own.
    With `OVERRIDE` those below may, in the place of this one; with `MULTI` all of them run, and there may be several.
    """
    with opened(path) as folder:
        try:
            attach_calls.attach(folder, program.fileno(), attach_type, flags)
        except OSError as error:
            number = error.errno or 0
            told = f"can't attach the program to {path} as {_word(attach_type)}"
            raise KernelError(told, number, hint=_why_not(number, flags)) from None


def link(program: Program, path: str, attach_type: int) -> Link:
    """Attach to the cgroup of a folder for as long as the link is held or pinned; KernelError as of `attach`.

    It is attached as with `MULTI`. Linux 5.7.
    """
    with opened(path) as folder:
        try:
            return Link(attach_calls.link_create(program.fileno(), folder, attach_type))
        except OSError as error:
            number = error.errno or 0
            told = f"can't link the program to {path} as {_word(attach_type)}"
            raise KernelError(told, number, hint=_why_not(number, MULTI)) from None


def detach(program: Program, path: str, attach_type: int) -> None:
    """Undo what `attach` did; KernelError with ENOENT when the program is not attached there, or by a link."""
    with opened(path) as folder:
        try:
            attach_calls.detach(folder, program.fileno(), attach_type)
        except OSError as error:
            number = error.errno or 0
            told = f"can't detach the program from {path} as {_word(attach_type)}"
            why = "it is not attached there, or by a link, which link detach ends" if number == ENOENT else ""
            raise KernelError(told, number, hint=why or _why_not(number, 0)) from None


@contextmanager
def opened(path: str) -> Iterator[int]:
    """Open the folder of a cgroup; KernelError when that cannot be."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError(f"can't open {path}", error.errno or 0) from None
    try:
        yield folder
    finally:
        os.close(folder)


def _word(attach_type: int) -> str:
    return name_of(attach_type) or str(int(attach_type))


def _why_not(errno: int, flags: int) -> str:
    if errno == EBADF:
        return "it is no cgroup of version 2"
    if errno == EINVAL:
        return "the program is of another type, or was loaded for another attach type"
    if errno == E2BIG:
        return "a cgroup takes 64 programs of an attach type"
    refused = hint(errno, "CAP_NET_ADMIN")
    if errno == EPERM and "security policy" in refused:
        above = "what is attached to it, or above it, does not allow that"
        return above if flags else f"{above}; or programs are attached there with other flags, such as multi"
    return refused
