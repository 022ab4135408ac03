"""As little of a kernel's types as some objects need to be relocated against: what goes with them to a kernel without.

    minimal = Minimal(vmlinux)
    minimal.add(btf.elf.read(Path("prog.o").read_bytes()))
    Path("minimal.btf").write_bytes(minimal.build())

Structs have only those members that a relocation leads through; a pointer leads to void where nothing is asked of what
is behind it. The rules are bpftool's (src/gen.c), and so are the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import relo_kind, types
from btf.errors import BTFError
from btf.relo import Resolver, Target
from btf.subset import map_ids, references
from btf.write import Builder

if TYPE_CHECKING:
    from btf.elf import Image
    from btf.read import BTF
    from btf.relo import Spec

_MODIFIERS = (types.Typedef, types.Const, types.Volatile, types.Restrict, types.TypeTag)
_RECORDS = (types.Struct, types.Union)


class Minimal:
    """Types that are needed, out of those of a kernel."""

    def __init__(self, kernel: BTF) -> None:
        self._kernel = kernel
        self._needed: dict[int, set[int]] = {}  # and which members of them

    def add(self, image: Image) -> None:
        """Add what the relocations of an object need; BTFError for one that no loader could go on with."""
        if image.btf is None or image.ext is None:
            raise BTFError("there are no relocations, nor a section for them (.BTF.ext)")
        resolver = Resolver(image.btf, Target(self._kernel))
        for rows in image.ext.core_relos.values():
            for row in rows:
                result = resolver.resolve(row)
                if result.error is not None:
                    raise BTFError(f"{result.wanted} cannot be relocated: {result.error}")
                if result.chosen is not None and result.chosen.spec is not None:
                    self._record(result.chosen.spec, row.kind)

    def _record(self, spec: Spec, kind: int) -> None:
        if kind in relo_kind.FIELD:
            self._path(spec)
        elif kind == relo_kind.TYPE_MATCHES:
            self._whole(spec.root)
        else:
            self._mark(spec.root, behind=kind in relo_kind.TYPE)

    def _mark(self, root: int, *, behind: bool = False) -> None:
        """Need a type, and what it is made of; what is ``behind`` pointers too."""
        waiting, seen = [root], {0}
        while waiting:
            type_id = waiting.pop()
            if type_id in seen:
                continue
            seen.add(type_id)
            self._needed.setdefault(type_id, set())
            of = self._kernel.type(type_id)
            if not isinstance(of, _RECORDS) and (behind or not isinstance(of, types.Pointer)):
                waiting += references(of)

    def _path(self, spec: Spec) -> None:
        """Need what a path leads through."""
        type_id = spec.root
        self._mark(type_id)
        for index in spec.raw[1:]:
            type_id = self._kernel.resolve(type_id)
            of = self._kernel.type(type_id)
            if isinstance(of, types.Array):
                type_id = of.type_id
            elif isinstance(of, _RECORDS) and index < len(of.members):
                self._needed.setdefault(type_id, set()).add(index)
                type_id = of.members[index].type_id
                self._mark(type_id)
            else:
                raise BTFError(f"a path leads through type {type_id}, which has no members")

    def _whole(self, root: int) -> None:
        """Need a type with all members, as it is compared: of records behind pointers only the names are."""
        waiting, seen = [(root, False)], set[tuple[int, bool]]()
        while waiting:
            type_id, is_behind = place = waiting.pop()
            if not type_id or place in seen:
                continue
            seen.add(place)
            of = self._kernel.type(type_id)
            members = self._needed.setdefault(type_id, set())
            if isinstance(of, _RECORDS):
                if not is_behind:
                    members.update(range(len(of.members)))
                    waiting += [(member.type_id, False) for member in of.members]
            else:
                behind = isinstance(of, types.Pointer) or (is_behind and isinstance(of, _MODIFIERS))
                waiting += [(one, behind) for one in references(of)]

    def build(self) -> bytes:
        """Return the types, in their old order."""
        numbers = {old: new for new, old in enumerate(sorted(self._needed), 1)}
        builder = Builder(byteorder=self._kernel.byteorder)
        for type_id in sorted(self._needed):
            of = self._kernel.type(type_id)
            if isinstance(of, _RECORDS):
                kept = self._needed[type_id]
                members = tuple(one for at, one in enumerate(of.members) if at in kept)
                of = of._replace(members=members, kind_flag=False)  # which the builder sets for bitfields
            builder.add_type(map_ids(of, lambda old: numbers.get(old, 0)))
        return builder.build()
