"""bpfctl iter: programs that are run when somebody reads a file."""

from __future__ import annotations

from contextlib import ExitStack

from bpfctl.cli import grammar, opt, prog_load
from bpfctl.cli import pin as pinning
from bpfctl.errors import KernelError, NotFound, UsageError, status
from bpfctl.kernel import together


def pin(ctx: opt.Context, words: opt.Words = None) -> None:
    """Load an object, and pin its first program, an iterator, where reading runs it: OBJ PATH [map MAP].

    An iterator over the entries of a map needs that map. When anything fails nothing stays.
    """
    from bpfctl.attach import iterator
    from bpfctl.feature.here import Here
    from bpfctl.kernel.map import Map
    from bpfctl.load.how import How
    from bpfctl.load.maps import object_name
    from bpfctl.load.object import Loaded

    session = ctx.obj
    left = grammar.Words(words)
    left.at_least(2, "pin")
    file, path = left.next("the object"), left.next("the path")
    with ExitStack() as held:
        map_ = None
        if left.keyword("map"):
            if len(left) < 2:
                raise UsageError("incorrect map spec")
            map_ = held.enter_context(Map.one(grammar.map_(left)))
        left.end()
        mount = not session.options.nomount
        together.free(path, mount=mount)
        how = How(object_name(file), said=prog_load.sayer(session))
        try:
            loaded = held.enter_context(Loaded(prog_load.object_of(file), Here(), how))
        except KernelError as error:
            error.exit_code = status(error.errno or 0)  # as bpftool does here
            raise
        name, program = next(iter(loaded.programs.items()), (None, None))
        if name is None or program is None:
            raise NotFound(f"can't find bpf program in objfile {file}")
        try:
            link = held.enter_context(iterator.attach(program, map_))
        except KernelError as error:
            number = error.errno or 0
            raise KernelError(f"attach_iter failed for program {name}", number, exit_code=status(number)) from None
        with together.together(mount=mount) as pins:
            pins.file(link, path)
    pinning.tell(session, *pins.mounted)
    session.out.done()
