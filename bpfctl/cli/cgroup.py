"""bpfctl cgroup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import KernelError, UsageError
from bpfctl.kernel import cgroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Unpack

    from bpfctl.kernel.cgroup import CgroupRow
    from bpfctl.kernel.owner import How
    from bpfctl.kernel.prog import Program
    from bpfctl.kernel.select import Select

# bpftool's older words for attach types, which may be cut short (src/common.c bpf_attach_type_input_str).
_OLDER = {
    "cgroup_inet_ingress": "ingress",
    "cgroup_inet_egress": "egress",
    "cgroup_inet_sock_create": "sock_create",
    "cgroup_inet_sock_release": "sock_release",
    "cgroup_sock_ops": "sock_ops",
    "cgroup_device": "device",
    "cgroup_inet4_bind": "bind4",
    "cgroup_inet6_bind": "bind6",
    "cgroup_inet4_connect": "connect4",
    "cgroup_inet6_connect": "connect6",
    "cgroup_inet4_post_bind": "post_bind4",
    "cgroup_inet6_post_bind": "post_bind6",
    "cgroup_inet4_getpeername": "getpeername4",
    "cgroup_inet6_getpeername": "getpeername6",
    "cgroup_inet4_getsockname": "getsockname4",
    "cgroup_inet6_getsockname": "getsockname6",
    "cgroup_udp4_sendmsg": "sendmsg4",
    "cgroup_udp6_sendmsg": "sendmsg6",
    "cgroup_sysctl": "sysctl",
    "cgroup_udp4_recvmsg": "recvmsg4",
    "cgroup_udp6_recvmsg": "recvmsg6",
    "cgroup_getsockopt": "getsockopt",
    "cgroup_setsockopt": "setsockopt",
    "trace_raw_tp": "raw_tp",
    "trace_fentry": "fentry",
    "trace_fexit": "fexit",
    "modify_return": "mod_ret",
    "trace_fsession": "fsession",
    "sk_reuseport_select": "sk_skb_reuseport_select",
    "sk_reuseport_select_or_migrate": "sk_skb_reuseport_select_or_migrate",
}


def show(ctx: opt.Context, words: opt.Words = None, **options: Unpack[opt.Rows]) -> None:
    """Show the programs that are attached to a cgroup, or with 'effective' those that run for it.

    A cgroup is named by its folder, such as /sys/fs/cgroup/system.slice.
    """
    from bpfctl.views.cgroup import view

    left = grammar.Words(words)
    left.at_least(1, "show")
    path = left.next("the cgroup")
    effective = _effective(left)

    def rows(which: Select | None, *, pinned: bool, owners: How) -> Iterator[CgroupRow]:
        del which, pinned  # looked up when it is shown
        try:
            return iter(list(cgroup.rows(path, effective=effective, owners=owners)))
        except KernelError as error:
            raise error.worded(error.tried) if error.tried.startswith("can't open") else error from None

    lists.show(ctx.obj, view(effective=effective), rows, None, lists.Wanted(**options))


def tree(ctx: opt.Context, words: opt.Words = None, **options: Unpack[opt.Rows]) -> None:
    """Show the programs of a cgroup and of all below it, of all that there are without words."""
    from bpfctl.host.cgroup import root
    from bpfctl.views.cgroup import tree_view

    left = grammar.Words(words)
    top = left.next("the cgroup") if left else root()
    if top is None:
        raise UsageError("cgroup v2 isn't mounted")
    effective = _effective(left)

    def rows(which: Select | None, *, pinned: bool, owners: How) -> Iterator[CgroupRow]:
        del which, pinned  # looked up when it is shown
        return cgroup.tree(top, effective=effective, owners=owners)

    lists.show(ctx.obj, tree_view(effective=effective), rows, None, lists.Wanted(**options))


def _effective(left: grammar.Words) -> bool:
    found = False
    while left:
        word = left.peek()
        if not left.keyword("effective"):
            raise UsageError(f"expected no more arguments, 'effective', got: '{word}'?")
        if found:
            raise UsageError(f"duplicated argument: {word}")
        found = True
    return found


def attach(ctx: opt.Context, words: opt.Words = None, *, pin: opt.LinkPin = None) -> None:
    """Attach a program to a cgroup, for all processes in it and below.

    With 'multi' it runs beside others that are attached so, also below; with 'override' a cgroup below may have another
    program instead; with neither no cgroup below may have one.
    """
    from bpfctl.attach import cgroup as attaching
    from bpfctl.cli import pin as pins

    def do(program: Program, path: str, number: int, left: grammar.Words) -> None:
        flags = 0
        while left:
            word = left.peek()
            match left.keyword("multi", "override"):
                case "multi":
                    flags |= attaching.MULTI
                case "override":
                    flags |= attaching.OVERRIDE
                case _:
                    raise UsageError(f"unknown option: {word}")
        if pin is not None and flags & attaching.OVERRIDE:
            raise UsageError("a link is attached beside others, so 'override' makes no sense with --pin")
        try:
            if pin is not None:
                with attaching.link(program, path, number) as link:
                    pins.keep(ctx.obj, link, pin)
                return
            attaching.attach(program, path, number, flags)
        except KernelError as error:
            raise error.worded("failed to attach program") from None

    _change(ctx, words, "attach", do)


def detach(ctx: opt.Context, words: opt.Words = None) -> None:
    """Detach a program from a cgroup that was attached without a link."""
    from bpfctl.attach import cgroup as attaching

    def do(program: Program, path: str, number: int, left: grammar.Words) -> None:
        left.end()
        try:
            attaching.detach(program, path, number)
        except KernelError as error:
            raise error.worded("failed to detach program") from None

    _change(ctx, words, "detach", do)


def _change(
    ctx: opt.Context,
    words: opt.Words,
    command: str,
    do: Callable[[Program, str, int, grammar.Words], None],
) -> None:
    """Read the words as do_attach() and do_detach() in bpftool's src/cgroup.c do, and do what they say."""
    from bpfctl.attach.cgroup import opened
    from bpfctl.kernel.prog import Program

    left = grammar.Words(words)
    if len(left) < 4:
        raise UsageError(f"too few parameters for cgroup {command}", is_short=True)
    path = left.next("the cgroup")
    try:
        with opened(path):
            number = _attach_type(left.next("the attach type"))
    except KernelError as error:
        raise error.worded(f"can't open cgroup {path}") from None
    with Program.one(grammar.prog(left)) as program:
        do(program, path, number, left)
    ctx.obj.out.done()


def _attach_type(word: str) -> int:
    """Return the number of an attach type: its whole name, or the beginning of an older word, the first that fits."""
    from bpfctl.kernel.names import attach_types

    known = attach_types()
    if word in known:
        return known[word]
    for name, number in known.items():
        if _OLDER.get(name, name).startswith(word):
            return number
    raise UsageError("invalid attach type")
