"""bpfctl prog load and loadall: the programs and maps of an object, pinned."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from bpfctl.cli import feature_file, grammar, load_words, opt, pin, voice
from bpfctl.elf.read import read
from bpfctl.errors import ObjectError, UsageError
from bpfctl.feature.here import Here
from bpfctl.kernel import together
from bpfctl.kernel.map import Map
from bpfctl.load import maps, pinned
from bpfctl.load.how import How
from bpfctl.load.maps import object_name
from bpfctl.load.object import Loaded
from bpfctl.spec import ProgramSpec
from bpfctl.views import loaded as view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bpfctl.cli.load_words import Wanted
    from bpfctl.cli.session import Session
    from bpfctl.kernel.handle import Handle
    from bpfctl.kernel.link import Link
    from bpfctl.kernel.together import Together
    from bpfctl.spec import MapSpec, ObjectSpec
    from btf.encode import Encoder
    from btf.relo import Target


def load(ctx: opt.Context, words: opt.Words = None, *, values: opt.Values = None) -> None:
    """Load an object, and pin its first program.

    When anything fails nothing stays.
    """
    _run(ctx.obj, grammar.Words(words), "load", values or ())


def loadall(ctx: opt.Context, words: opt.Words = None, *, values: opt.Values = None) -> None:
    """Load an object, and pin all its programs in a folder.

    When anything fails nothing stays.
    """
    _run(ctx.obj, grammar.Words(words), "loadall", values or ())


def _run(session: Session, left: grammar.Words, command: str, values: Sequence[str]) -> None:
    if session.options.use_loader or session.options.sign:
        raise UsageError("objects are loaded without a program that does it: there is no -L here, and no -S")
    wanted = load_words.read(left, command)
    if wanted.is_old:
        session.out.note("Warning: dev is an old word for offload_dev")
    mount, every = not session.options.nomount, command == "loadall"
    (together.room if every else together.free)(wanted.pin, mount=mount)
    if wanted.pinmaps is not None and not every:
        together.room(wanted.pinmaps, mount=mount)
    spec = _typed(_with_values(object_of(wanted.file), values), wanted)
    if wanted.autoattach:
        spec = _to_attach(spec)
    with ExitStack() as held:
        there = pinned.found(spec, held)
        replaced = _replaced(spec, wanted, held)
        how = How(
            object_name(wanted.file),
            {**there, **replaced},
            wanted.offload,
            wanted.xdpmeta,
            _core(session, wanted),
            sayer(session),
        )
        with Loaded(spec, Here(), how) as loaded:
            kept = _Keeping(session, wanted, loaded, replaced).keep(every=every)
    tell(session, kept)


def object_of(path: str) -> ObjectSpec:
    """Read an object; ObjectError names it."""
    try:
        return read(feature_file.content(path))
    except ObjectError as error:
        raise ObjectError(f"{path} cannot be loaded: {error}") from None


def sayer(session: Session) -> Callable[[str, str], None] | None:
    """Return what tells all that the verifier writes, where somebody wants to know (-d)."""

    def said(name: str, log: str) -> None:
        session.out.warn(f"the verifier of program {name}:")
        for line in log.splitlines():
            session.out.warn(f"  {line}")

    return said if session.options.debug else None


def tell(session: Session, kept: list[view.Kept]) -> None:
    """Say what there is now: to people a table, to programs only where they ask for more than bpftool tells."""
    if session.options.extra or voice.is_table(session.out.sink, session.options):
        session.out.show(view.VIEW, kept, listing=True)
    else:
        session.out.done()


def _typed(spec: ObjectSpec, wanted: Wanted) -> ObjectSpec:
    """Return the object with its programs of the type that is wanted; ObjectError where nothing tells one.

    Of one whose type is another than its section says, the rest of what that says is left out.
    """
    type_ = wanted.type
    if type_ is None:
        nameless = next((one for one in spec.programs if one.type is None), None)
        if nameless is not None:
            raise ObjectError(f"section {nameless.section} tells no program type, so that type TYPE has to")
        return spec
    attach_type = type_.attach_type
    programs = tuple(
        one._replace(attach_type=attach_type)
        if one.type == type_.type
        else ProgramSpec(one.name, one.section, one.function, type_.type, attach_type, autoload=one.autoload)
        for one in spec.programs
    )
    return spec._replace(programs=programs)


def _with_values(spec: ObjectSpec, values: Sequence[str]) -> ObjectSpec:
    """Give variables the values of --set NAME=DATA; UsageError, NotFound."""
    from bpfctl.cli import data
    from bpfctl.load import variables

    for word in values:
        name, equals, told = word.partition("=")
        if not equals:
            raise UsageError(f"--set: '{word}' should be NAME=VALUE")
        one = variables.find(spec, name)
        form = data.Form(name, one.size, partial(_encoder, spec, one.type_id))
        left = grammar.Words(told.split(" ") if told.startswith(("hex ", ".")) else [told])
        given = data.parse(left, form, partial(variables.value, spec, one))
        left.end()
        spec = variables.with_value(spec, one, given.packed())
    return spec


def _encoder(spec: ObjectSpec, type_id: int) -> Encoder | None:
    from bpfctl.kernel.address import address
    from btf.encode import Encoder
    from btf.errors import BTFError

    try:
        return Encoder(spec.btf, type_id, address) if spec.btf is not None else None
    except BTFError:
        return None


def _to_attach(spec: ObjectSpec) -> ObjectSpec:
    from bpfctl.probe import auto

    programs = tuple(auto.loads_as(one) if auto.takes(one) else one for one in spec.programs)
    return spec._replace(programs=programs)


def _replaced(spec: ObjectSpec, wanted: Wanted, held: ExitStack) -> dict[str, Map]:
    """Open the maps that are used in the place of those of the object, by the names of these; UsageError."""
    name = object_name(wanted.file)
    names = {maps.pin_name(one, name): one.name for one in reversed(spec.maps)}
    found: dict[str, Map] = {}
    for one in wanted.replaced:
        map_ = held.enter_context(Map.writable(one.by))
        if one.number >= len(spec.maps):
            raise UsageError(f"map idx '{one.number}' not used")
        its = names.get(one.name) if one.number < 0 else spec.maps[one.number].name
        if its is None:
            raise UsageError(f"unable to find map '{one.name}'")
        if its in found:
            number = [known.name for known in spec.maps].index(its)
            raise UsageError(f"replacement for map idx {number} specified more than once")
        found[its] = map_
    return found


def _core(session: Session, wanted: Wanted) -> Target | None:
    """Return the types of kernel_btf, None for those of the kernel that runs."""
    if wanted.kernel_btf is None:
        return None
    from bpfctl.cli.btf_dump import read_files
    from btf.relo import Target

    return Target(read_files(session, [wanted.kernel_btf]), name=os.path.basename(wanted.kernel_btf))


class _Keeping:
    """What is loaded, pinned."""

    def __init__(self, session: Session, wanted: Wanted, loaded: Loaded, replaced: Mapping[str, Map]) -> None:
        self._session, self._wanted, self._loaded, self._replaced = session, wanted, loaded, replaced
        self._links: dict[str, Link] = {}

    def keep(self, *, every: bool) -> list[view.Kept]:
        """Pin all programs or the first, and maps; KernelError, UsageError, and then nothing is pinned."""
        specs = [one for one in self._loaded.spec.programs if one.name in self._loaded.programs]
        if not every:
            if not specs:
                raise ObjectError(f"{self._wanted.file} has no program that is loaded")
            specs = specs[:1]
        with ExitStack() as held:
            if self._wanted.autoattach:
                self._attach(specs, held)
            with together.together(mount=not self._session.options.nomount) as pins:
                kept = [*self._programs(specs, pins, every=every), *self._maps(pins)]
        pin.tell(self._session, *pins.mounted)
        return kept

    def _attach(self, specs: list[ProgramSpec], held: ExitStack) -> None:
        from bpfctl.probe import auto

        for one in specs:
            if auto.takes(one):
                self._links[one.name] = auto.attach(one, self._loaded, held)
            else:
                note = f"Program {one.name} is not attached by its section's name, so that it is pinned itself"
                self._session.out.note(note)

    def _programs(self, specs: list[ProgramSpec], pins: Together, *, every: bool) -> Iterator[view.Kept]:
        for one in specs:
            program, link = self._loaded.programs[one.name], self._links.get(one.name)
            pinned_one: Handle = program if link is None else link
            if every:
                path = pins.inside(pinned_one, self._wanted.pin, one.name)
            else:
                path = pins.file(pinned_one, self._wanted.pin)
            yield view.of_program(one.name, program.info(), "" if link else path)
            if link is not None:
                yield view.of_link(one.name, link.info(), path)

    def _maps(self, pins: Together) -> Iterator[view.Kept]:
        by_name = pinned.paths(self._loaded.spec)
        for one in self._loaded.spec.maps:
            map_, path = self._loaded.maps.get(one.name), by_name.get(one.name, "")
            if map_ is None:
                continue
            if path and one.name not in self._loaded.how.maps:
                pins.file(map_, path)
            if self._wanted.pinmaps is not None:
                path = pins.inside(map_, self._wanted.pinmaps, self._pin_name(one, map_))
            yield view.of_map(map_.info(), path)

    def _pin_name(self, spec: MapSpec, map_: Map) -> str:
        """Return what the pin of a map is called: one that is used in the place of another has its own name."""
        name = maps.pin_name(spec, self._loaded.how.name)
        if spec.name not in self._replaced or maps.is_custom(spec):
            return name
        own = map_.info().name or ""
        return name if len(own) == maps.LONGEST_NAME and name.startswith(own) else own
