"""The pin command, which is the same for every kind of object that can be pinned."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from bpfctl.cli import grammar
from bpfctl.errors import status
from bpfctl.kernel import pin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.cli.session import Session
    from bpfctl.kernel.handle import Handle
    from bpfctl.kernel.select import Select


def run(
    session: Session,
    words: Sequence[str] | None,
    read: Callable[[grammar.Words], Select],
    kind: type[Handle],
) -> None:
    """Pin the object that ``read`` finds in the words at the path that follows."""
    left = grammar.Words(words)
    left.at_least(3, "pin", exit_code=status(EINVAL))
    which = read(left)
    path = left.next("the path")
    left.end()
    with kind.one(which) as held:
        keep(session, held, path)
    session.out.done()


def keep(session: Session, held: Handle, path: str) -> None:
    """Pin an object, and say so where a file system is mounted for that."""
    tell(session, pin.pin(held, path, mount=not session.options.nomount))


def tell(session: Session, *mounted: str | None) -> None:
    """Say over which folders a file system was mounted, as their files cannot be seen now."""
    for folder in filter(None, mounted):
        session.out.note(f"mounted a BPF file system on {folder}, over what is there: 'umount {folder}' undoes it")
