"""bpfctl net."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from errno import EINVAL
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import BpfctlError, KernelError, UsageError, status
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from bpfctl.cli.session import Session
    from bpfctl.kernel.net import NetRow
    from bpfctl.kernel.owner import How
    from bpfctl.kernel.prog import Program
    from bpfctl.kernel.select import Select

# In bpftool's order, which decides what a word cut short means.
_TYPES = ("xdp", "xdpgeneric", "xdpdrv", "xdpoffload", "tcx_ingress", "tcx_egress")
_MODES = {"xdp": "ANY", "xdpgeneric": "GENERIC", "xdpdrv": "DRIVER", "xdpoffload": "OFFLOAD"}


def show(ctx: opt.Context, words: opt.Words = None, **options: Unpack[opt.Rows]) -> None:
    """Show the programs that see packets of this network namespace, at all devices or at one.

    Those of netfilter and the flow dissector belong to no device, and are shown in any case.
    """
    from bpfctl.kernel import net
    from bpfctl.views.net import VIEW

    left = grammar.Words(words)
    if len(left) not in (0, 2):
        left.end()
    device = _device(left) if left else None
    view = VIEW if device is None else VIEW._replace(empty="no programs see the packets of this device")

    def rows(which: Select | None, *, pinned: bool, owners: How) -> Iterator[NetRow]:
        del which, pinned  # looked up when it is shown
        return iter(list(net.rows(device, owners=owners)))

    lists.show(ctx.obj, view, rows, None, lists.Wanted(**options))


def attach(ctx: opt.Context, words: opt.Words = None, *, pin: opt.LinkPin = None) -> None:
    """Attach a program to a network device, without a link."""
    from bpfctl.attach import net
    from bpfctl.kernel.prog import Program

    left = grammar.Words(words)
    with ExitStack() as opened:
        with _coded():
            left.at_least(5, "attach")
            word = _type(left)
            program = opened.enter_context(Program.one(grammar.prog(left)))
            device = _device(left)
            how = _how(left, word)
            left.end()
            if pin is not None and how == "overwrite":
                raise UsageError("a link takes the place of no other program, so 'overwrite' makes no sense with --pin")
        if pin is not None:
            _link(ctx.obj, program, word, device, pin, first=how == "prepend")
            return
        with _told(f"interface {word} attach failed"):
            if word.startswith("tcx"):
                net.attach_tcx(program, device, AttachType[word.upper()], first=how == "prepend")
            else:
                net.attach_xdp(program, device, net.XdpMode[_MODES[word]], overwrite=how == "overwrite")
    ctx.obj.out.done()


def _link(run: Session, program: Program, word: str, device: int, path: str, *, first: bool) -> None:
    from bpfctl.attach import net
    from bpfctl.cli import pin

    with _told(f"interface {word} attach failed"):
        if word.startswith("tcx"):
            link = net.link_tcx(program, device, AttachType[word.upper()], first=first)
        else:
            link = net.link_xdp(program, device, net.XdpMode[_MODES[word]])
    with link:
        pin.keep(run, link, path)
    run.out.done()


def detach(ctx: opt.Context, words: opt.Words = None) -> None:
    """Detach the program of a network device, of tcx the last one, that was attached without a link.

    Of those of tcx it is the last one.
    """
    from bpfctl.attach import net

    left = grammar.Words(words)
    with _coded():
        left.at_least(3, "detach")
        word = _type(left)
        device = _device(left)
        left.end()
    with _told(f"interface {word} detach failed"):
        if word.startswith("tcx"):
            net.detach_tcx(device, AttachType[word.upper()])
        else:
            net.detach_xdp(device, net.XdpMode[_MODES[word]])
            _left(ctx.obj, word, device)
    ctx.obj.out.done()


def _left(run: Session, word: str, device: int) -> None:
    """Tell which XDP programs a device still has: those of another mode, of which the kernel says nothing."""
    from bpfctl.kernel.net import xdp

    modes = {"generic": "xdpgeneric", "driver": "xdpdrv", "offload": "xdpoffload"}
    for row in xdp(device):
        told = f"Warning: the device still has XDP program {row.prog_id}, which is no {word}"
        run.out.warn(f"{told}: net detach {modes[row.kind]}" if row.kind in modes else told)


def _type(left: grammar.Words) -> str:
    word = left.next("the type")
    found = grammar.first(word, _TYPES)
    if found is None:
        raise UsageError(f"invalid net attach/detach type: {word}")
    return found


def _device(left: grammar.Words) -> int:
    from bpfctl.kernel.net import ifindex

    word = left.next("the device")
    if not "dev".startswith(word):
        raise UsageError(f"expected 'dev', got: '{word}'?")
    return ifindex(left.next("the name of the device"))


def _how(left: grammar.Words, type_: str) -> str | None:
    word, is_xdp = left.peek(), not type_.startswith("tcx")
    if not left:
        return None
    match left.keyword("overwrite", "prepend"):
        case "overwrite" if not is_xdp:
            raise UsageError("'overwrite' is only supported for xdp types")
        case "prepend" if is_xdp:
            raise UsageError("'prepend' is only supported for tcx_ingress/tcx_egress")
        case None:
            raise UsageError(f"expected 'overwrite' or 'prepend', got: '{word}'?")
        case how:
            return how


@contextmanager
def _coded() -> Iterator[None]:
    """Answer mistakes with the exit code that bpftool has for them."""
    try:
        yield
    except BpfctlError as error:
        error.exit_code = status(EINVAL)
        raise


@contextmanager
def _told(sentence: str) -> Iterator[None]:
    """Tell what the kernel refuses in bpftool's sentence."""
    try:
        yield
    except KernelError as error:
        number = error.errno or 0
        raise KernelError(sentence, number, hint=error.hint, exit_code=status(number)) from None
