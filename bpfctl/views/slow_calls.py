"""Slow calls with the calls that led to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.views.hits import HITS
from bpfctl.views.stacks import frames, with_module
from bpfctl.views.view import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.probe.actions.trace import Hit
    from bpfctl.probe.named_stacks import NamedStack
    from bpfctl.views.view import View

    #: Gives addresses names: of whom, in the kernel, in the process.
    Name = Callable[[int, tuple[int, ...], tuple[int, ...]], NamedStack]

_STACKS = 2  # the last of the fields: in the kernel, and in the process


def with_stacks(view: View[Hit], name: Name) -> View[Hit]:
    """Return a view of hits whose last fields are stacks, which are shown below the others."""

    def split(hit: Hit) -> tuple[Hit, NamedStack]:
        slots = hit.layout.slots[:-_STACKS]
        (_, kernel), (pid, user) = hit.values[-_STACKS:]
        bare = hit._replace(layout=hit.layout._replace(slots=slots), values=hit.values[:-_STACKS])
        return bare, name(pid, kernel, user)

    def json(hit: Hit) -> dict[str, Any]:
        bare, stack = split(hit)
        kernel, user = stack.addresses
        return HITS.json(bare) | {"stack": {"kernel": frames(stack.kernel, kernel), "user": frames(stack.user, user)}}

    def plain(hit: Hit) -> Iterator[str]:
        bare, stack = split(hit)
        yield from HITS.plain(bare)
        yield from _lines(stack)

    def items(hit: Hit) -> tuple[str, ...]:
        bare, stack = split(hit)
        return (view.column("fields").get(bare), *_lines(stack))

    columns = tuple(Column("fields", items, "list") if one.title == "fields" else one for one in view.columns)
    return view._replace(json=json, plain=plain, columns=columns, lines=None)


def _lines(stack: NamedStack) -> Iterator[str]:
    for frame in stack.kernel:
        yield f"    {with_module(frame)}"
    if stack.kernel and stack.user:
        yield "    --"
    for frame in stack.user:
        yield f"    {with_module(frame)}"
