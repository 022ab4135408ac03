"""The structs of functions of a loaded object, put to use all or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.feature.by_type import plain
from bpfctl.kernel import together
from bpfctl.load import ops

if TYPE_CHECKING:
    from bpfctl.kernel.map import Map
    from bpfctl.load.object import Loaded


class Registered(NamedTuple):
    """A struct that is in use; ``link_id`` is None for one that no link holds."""

    struct: str
    name: str
    map_id: int
    link_id: int | None


def register(loaded: Loaded, folder: str | None = None, *, mount: bool = True) -> tuple[list[Registered], list[str]]:
    """Put the structs of an object to use; return them, and the folders that were mounted for their links.

    One of section ``.struct_ops.link`` is in use as long as its link is pinned, in ``folder`` by its name; the others
    until their map's entry is deleted. When one is refused none is in use: KernelError, UsageError.
    """
    structs = {one.name: plain(one.struct) for one in loaded.spec.maps}
    if folder is not None:
        together.room(folder, mount=mount)
    found = []
    # whoever stops us meanwhile waits until it is known whether all are in use
    with together.together(mount=mount) as pins, ExitStack() as links, ExitStack() as undone:
        for name, content in loaded.ops.items():
            map_ = loaded.maps[name]
            info, link = map_.info(), ops.register(map_, content)
            if link is None:
                undone.callback(_unregister, map_)
            else:
                links.enter_context(link)
                if folder is not None:
                    pins.inside(link, folder, info.name or name)
            link_id = None if link is None else link.info().id
            found.append(Registered(structs[name], info.name or name, info.id, link_id))
        if not together.stopped():
            undone.pop_all()
    return found, pins.mounted


def _unregister(map_: Map) -> None:
    map_.delete(bytes(4))
