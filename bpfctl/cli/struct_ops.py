"""bpfctl struct_ops: structs of the kernel whose functions are programs, such as its ways to control congestion."""

from __future__ import annotations

from errno import EINPROGRESS
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt, voice
from bpfctl.errors import KernelError, NotFound, Nothing, UsageError
from bpfctl.kernel import ops
from bpfctl.kernel.select import Select
from bpfctl.uapi.flags import MapFlag
from bpfctl.views import ops as view

if TYPE_CHECKING:
    from bpfctl.cli.session import Session

_NOTHING = 255
_WHY = {EINPROGRESS: "it is out of use already, and goes when nobody holds its map any more"}
_LINKED = "its link holds it: remove the link's pin, or use link detach"


def show(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show the structs that programs implement: all, or those that id N or name NAME names."""
    session: Session = ctx.obj
    which = _which(grammar.Words(words))
    known = ops.Types()
    found = []
    for map_ in ops.opened(which):
        with map_:
            found.append(ops.row(map_, known))
    if which is not None and not found and not session.options.json:
        raise NotFound(f"no struct_ops found for {which.value!s}")
    session.out.show(view.VIEW, found, listing=True)
    _end(which, found=bool(found))


def dump(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show what is in structs that programs implement: of all, or of those that id N or name NAME names."""
    session: Session = ctx.obj
    which = _which(grammar.Words(words))
    known = ops.Types()
    contents = []
    for map_ in ops.opened(which):
        with map_:
            contents.append(ops.content(map_, known))
    if voice.is_table(session.out.sink, session.options):
        session.out.show(view.TABLE, view.rows(iter(contents)), listing=True)
    else:
        _documents(session, contents)
    _end(which, found=bool(contents))


def _documents(session: Session, contents: list[ops.Content]) -> None:
    """Write JSON, also where nobody has asked for it: addresses are text then."""
    is_json = session.options.json
    documents = [one for content in contents for one in view.documents(content, numbers=is_json)]
    if is_json:
        session.out.show(view.DOCUMENTS, documents, listing=True)
        return
    from bpfctl.render.json import JsonOutput

    out = JsonOutput(session.out.sink, pretty=True)
    out.show(view.DOCUMENTS, documents, listing=True)
    out.close()


def register(ctx: opt.Context, words: opt.Words = None) -> None:
    """Load an object, and put its structs of functions to use.

    Those that are used by links are so as long as their link is pinned, in PATH; the others until they are
    unregistered. When anything fails nothing stays.
    """
    from bpfctl.cli import pin, prog_load
    from bpfctl.feature.here import Here
    from bpfctl.load import register as registering
    from bpfctl.load.how import How
    from bpfctl.load.maps import object_name
    from bpfctl.load.object import Loaded

    session: Session = ctx.obj
    left = grammar.Words(words)
    if len(left) not in (1, 2):
        raise UsageError("register needs an object, and perhaps a folder for links: OBJ [LINK_DIR]")
    path, folder = left.next("the object"), left.peek() or None
    how = How(object_name(path), said=prog_load.sayer(session))
    with Loaded(prog_load.object_of(path), Here(), how) as loaded:
        if not loaded.ops:
            raise NotFound(f"no struct_ops found in {path}")
        kept, mounted = registering.register(loaded, folder, mount=not session.options.nomount)
    pin.tell(session, *mounted)
    for struct in kept:
        ids = f"id {struct.map_id}" if struct.link_id is None else f"map id {struct.map_id} link id {struct.link_id}"
        session.out.note(f"Registered {struct.struct} {struct.name} {ids}")
        if struct.link_id is not None and folder is None:
            session.out.note(f"Link {struct.link_id} is gone already, as nothing holds it: LINK_DIR would pin it")
    session.out.done()


def unregister(ctx: opt.Context, words: opt.Words = None) -> None:
    """Take structs out of use that no link holds: { id N | name NAME }."""
    session: Session = ctx.obj
    which = _which(grammar.Words(words))
    if which is None:
        raise UsageError("unregister needs a struct: id N or name NAME")
    known, found, refused = ops.Types(), False, list[KernelError]()
    for map_ in ops.opened(which, write=True):
        with map_:
            found = True
            row = ops.row(map_, known)
            try:
                map_.delete(bytes(4))
            except KernelError as error:
                hint = _LINKED if row.info.map_flags & MapFlag.LINK else _WHY.get(error.errno or 0, error.hint)
                tried = f"can't unload {row.struct} {row.name} id {row.id}"
                refused.append(KernelError(tried, error.errno or 0, hint=hint))
                continue
            session.out.note(f"Unregistered {row.struct} {row.name} id {row.id}")
    for other in refused[1:]:
        session.out.warn(f"Error: {other}")
    if refused:
        raise refused[0]
    if not found:
        raise NotFound(f"no struct_ops found for {which.value!s}")
    session.out.done()


def _which(left: grammar.Words) -> Select | None:
    """Read which structs are meant: all without words, else id N or name NAME."""
    if not left:
        return None
    word = left.keyword("id", "name")
    if word is None or len(left) != 1:
        raise UsageError("expected 'id N' or 'name NAME'")
    value = left.next(word)
    if word == "name":
        return Select("name", value)
    try:
        number = grammar.number(value, "id")
    except UsageError:
        number = 0
    if not number:
        raise UsageError(f"invalid id {value}")
    return Select("id", number)


def _end(which: Select | None, *, found: bool) -> None:
    """End as bpftool does where nothing of what was named is there."""
    if which is not None and not found:
        raise Nothing(_NOTHING)
