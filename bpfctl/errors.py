"""Everything that bpfctl raises on purpose.

::

    BpfctlError
    ├── UsageError            the words of a command make no sense
    ├── Nothing               there was nothing to answer, which the output says already
    │   └── CommandEnded      a command that was counted has ended with an exit code, which is ours too
    ├── NotFound              nothing matches a name or a tag
    ├── Ambiguous             several objects match where one is needed
    ├── DoesNotFit            a key or value is not of a map's type (also a ValueError; has .done)
    ├── KernelError           a system call failed (also an OSError)
    │   ├── Unfinished        some entries of many were written before it (has .done)
    │   └── VerifierError     the verifier refused a program (has .log)
    ├── NotPermitted          this thread lacks capabilities that it takes
    ├── NotSupported          this kernel lacks a feature
    ├── CannotLoad            an object has something that bpfctl's loader does not know how to load
    ├── ObjectError           an object file is damaged, or none, or types are
    ├── SavedError            a saved map is damaged, or does not fit
    ├── Partial               a map was changed only in part (has .done)
    ├── ToolError             another program is missing or failed
    │   └── CannotStart       a command that was to be counted cannot be run
    ├── OutputError           the output could not be written
    └── PluginError           a plugin is broken
"""

from __future__ import annotations

import os
from errno import EACCES, ENOENT, EPERM
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfctl.kernel.verifier import Refusal

#: The kernel's own (include/linux/errno.h): not in user space's errno.h, and yet an answer of bpf(2).
ENOTSUPP = 524


class BpfctlError(Exception):
    """Base of all errors that bpfctl raises on purpose; str() is one sentence for a person.

    ``exit_code`` is what the command line answers with, ``hint`` what a person can do about it.
    """

    exit_code = 255
    hint = ""

    @property
    def sentence(self) -> str:
        """What went wrong, in bpftool's words where it has some, and without advice: what programs read."""
        return str(self)


def status(errno: int) -> int:
    """Return the exit code of those bpftool commands that answer with the negated errno."""
    return -errno & 0xFF


def own_status(error: BpfctlError) -> int:
    """Return the exit code for an error in a command that bpftool has not.

    What an error has as its own is bpftool's answer where it is a failed call, a wrong word or a damaged file.
    """
    other = BpfctlError.exit_code
    if isinstance(error, VerifierError) and error.log:
        return other  # it answers EACCES to most of what is wrong with a program
    if isinstance(error, KernelError):
        return {EPERM: 4, EACCES: 4, ENOENT: 3}.get(error.errno or 0, other)
    codes = {UsageError: 2, Ambiguous: 2, NotFound: 3, NotPermitted: 4, NotSupported: 5, ObjectError: other}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), error.exit_code)


class UsageError(BpfctlError):
    """The words of a command make no sense; ``is_short`` says that it takes more of them."""

    def __init__(self, message: str, *, exit_code: int = 255, is_short: bool = False) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.is_short = is_short


class Nothing(BpfctlError):
    """There was nothing to answer, which the output says already; only the exit code is left to tell it."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("nothing there")
        self.exit_code = exit_code


class CommandEnded(Nothing):
    """A command that was counted has ended with an exit code that is not 0, and so do we."""


class NotFound(BpfctlError):
    """Nothing matches the name or the tag that was asked for."""


class Ambiguous(BpfctlError):
    """Several objects match where exactly one is needed."""


class KernelError(BpfctlError, OSError):
    """A system call failed.

    ``errno`` is the kernel's answer, ``tried`` says what was asked of it, ``hint`` what to do about it.
    """

    def __init__(self, tried: str, errno: int, *, hint: str = "", exit_code: int = 255) -> None:
        OSError.__init__(self, errno, tried)
        self.tried = tried
        self.hint = hint
        self.exit_code = exit_code

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for is not there."""
        return self.errno == ENOENT

    @property
    def sentence(self) -> str:
        """What was tried and the kernel's answer."""
        return f"{self.tried}: {os.strerror(self.errno or 0)}"

    def worded(self, sentence: str, *, exit_code: int = 255) -> BpfctlError:
        """Return an error with bpftool's sentence, which does not tell the kernel's answer: that is the hint."""
        error = BpfctlError(sentence)
        error.exit_code = exit_code
        error.hint = ": ".join(filter(None, [os.strerror(self.errno or 0), self.hint]))
        return error

    def __str__(self) -> str:
        return f"{self.sentence} ({self.hint})" if self.hint else self.sentence


class DoesNotFit(BpfctlError, ValueError):
    """A key or a value is not of the type that a map has, or a class has not the fields of that type.

    ``done`` says how many entries of an update were written before.
    """

    done = 0


class Unfinished(KernelError):
    """A system call failed after some of many entries; ``done`` says how many were written or deleted before."""

    def __init__(self, tried: str, errno: int, done: int, *, hint: str = "", exit_code: int = 255) -> None:
        super().__init__(tried, errno, hint=hint, exit_code=exit_code)
        self.done = done


class VerifierError(KernelError):
    """The verifier refused a program, or the kernel types.

    ``log`` is all that it said, ``refusal`` what that means where it is a program: the instruction, the reason, and
    more (`bpfctl.kernel.verifier.Refusal`).
    """

    def __init__(self, tried: str, errno: int, log: str, refusal: Refusal | None = None) -> None:
        super().__init__(tried, errno)
        self.log = log
        self.refusal = refusal

    @property
    def sentence(self) -> str:
        """What was tried, and why the verifier refuses it; the errno says less than that."""
        return self.tried if self.refusal and self.refusal.sentence else super().sentence


class NotPermitted(BpfctlError):
    """This thread lacks capabilities, which is known before the kernel is asked; the message names them."""


class NotSupported(BpfctlError):
    """This kernel lacks a feature; the message names it and, where known, the release that brought it."""


class CannotLoad(BpfctlError):
    """An object has something that bpfctl's loader does not know how to load; another loader, or a kernel, may."""


class ObjectError(BpfctlError):
    """A file or its types are damaged, or no BPF object; the message says what is wrong with it."""

    def __init__(self, message: str, *, exit_code: int = 255) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class SavedError(BpfctlError):
    """A saved map is damaged, or is not for the map that it was to go into; the message says where."""


class Partial(BpfctlError):
    """A map was changed only in part; ``done`` says how many entries were written."""

    def __init__(self, message: str, done: int, *, exit_code: int = 255) -> None:
        super().__init__(message)
        self.done = done
        self.exit_code = exit_code


class ToolError(BpfctlError):
    """Another program, which a command needs, is missing or failed."""


class CannotStart(ToolError):
    """A command that was to be counted cannot be run; ``exit_code`` is what a shell answers then."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutputError(BpfctlError):
    """The output could not be written, as on a full disk."""


class PluginError(BpfctlError):
    """A plugin is broken; the message names its distribution and entry point."""
