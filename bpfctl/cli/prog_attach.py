"""bpfctl prog attach and detach: programs of sockmaps, and flow dissectors."""

from __future__ import annotations

from contextlib import ExitStack
from errno import EINVAL
from typing import TYPE_CHECKING

from bpfctl.attach import direct
from bpfctl.cli import grammar, opt
from bpfctl.errors import KernelError, UsageError, status
from bpfctl.kernel.map import Map
from bpfctl.kernel.prog import Program
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from collections.abc import Callable

# In the order of their numbers, which decides what a word cut short means. Only the second word may be cut short.
_WORDS = {
    AttachType.SK_SKB_STREAM_PARSER: "stream_parser",
    AttachType.SK_SKB_STREAM_VERDICT: "stream_verdict",
    AttachType.SK_MSG_VERDICT: "msg_verdict",
    AttachType.FLOW_DISSECTOR: None,
    AttachType.SK_SKB_VERDICT: "skb_verdict",
}


def attach(ctx: opt.Context, words: opt.Words = None) -> None:
    """Attach a program to a sockmap, or a flow dissector to the network namespace.

    All but a flow dissector need a map. There is no link: it stays attached until prog detach.
    """
    _run(ctx, words, "attach", direct.attach, "failed prog attach to map")


def detach(ctx: opt.Context, words: opt.Words = None) -> None:
    """Detach a program from a sockmap, or a flow dissector from the network namespace.

    All but a flow dissector need the map.
    """
    _run(ctx, words, "detach", direct.detach, "failed prog detach from map")


def _run(
    ctx: opt.Context,
    words: opt.Words,
    command: str,
    do: Callable[[Program, AttachType, Map | None], None],
    failed: str,
) -> None:
    """Read the words as parse_attach_detach_args() in bpftool's src/prog.c does, and do what they say."""
    left = grammar.Words(words)
    left.at_least(3, command, exit_code=status(EINVAL))
    with ExitStack() as opened:
        program = opened.enter_context(Program.one(grammar.prog(left)))
        word = left.next("the attach type")
        attach_type, map_ = _type(word), None
        if attach_type in direct.ON_SOCKMAPS:
            left.at_least(2, word, exit_code=status(EINVAL))
            map_ = opened.enter_context(Map.writable(grammar.map_(left)))
        left.end()
        try:
            do(program, attach_type, map_)
        except KernelError as error:
            raise error.worded(failed, exit_code=status(EINVAL)) from None
    ctx.obj.out.done()


def _type(word: str) -> AttachType:
    for attach_type, short in _WORDS.items():
        if word == attach_type.name.lower() or (short and short.startswith(word)):
            return attach_type
    raise UsageError("invalid attach/detach type", exit_code=status(EINVAL))
