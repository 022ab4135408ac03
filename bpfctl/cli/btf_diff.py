"""bpfctl btf diff: what differs between the types of two kernels or objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import btf_type, grammar, opt
from bpfctl.cli.btf_find import pattern
from bpfctl.errors import Nothing, ObjectError
from bpfctl.kernel import btf as objects
from bpfctl.render.progress import Progress
from bpfctl.render.text import safe
from bpfctl.views import type_diff
from btf.diff import diff as differences
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable

_DIFFERENT = 1


def diff(ctx: opt.Context, words: opt.Words = None, *, type_: opt.TypeGlob = None) -> None:
    """Show what differs between types, with exit code 1 if anything does.

    Exit code 1 if anything differs. Types are compared by kind and name; one that refers to another has not changed
    because that one has.
    """
    left = grammar.Words(words)
    left.at_least(1, "diff")
    session = ctx.obj
    wanted = _any([pattern(text) for text in type_]) if type_ else None
    first_name, first = btf_type.side(session, left)
    if left:
        second_name, second = btf_type.side(session, left)
        left.end()
    else:
        second_name, second = "the kernel that runs", objects.vmlinux()
    try:
        with Progress(session.out, hidden=session.options.debug) as progress:
            progress.say(f"comparing the types of {first_name} and {second_name}")
            found = list(differences(first, second, name=wanted))
    except BTFError as error:
        raise ObjectError(f"{first_name} and {second_name} cannot be compared: {error}") from None
    session.out.parts(type_diff.streams(found, safe))
    if found:
        raise Nothing(_DIFFERENT)


def _any(patterns: list[Callable[[str], object]]) -> Callable[[str], object]:
    return lambda name: any(match(name) for match in patterns)
